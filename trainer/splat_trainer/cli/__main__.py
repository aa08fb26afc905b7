"""`python -m splat_trainer.cli` is `splat-trainer`."""

from splat_trainer.cli.process import main

main()
