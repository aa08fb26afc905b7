"""`python -m splat_trainer.cli` is `splat-trainer`."""

import sys

from splat_trainer.cli.main import main

sys.exit(main())
