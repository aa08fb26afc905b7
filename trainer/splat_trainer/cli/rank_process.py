"""`python -m splat_trainer.cli.rank_process` is `splat-trainer` as one of several ranks.

It ends at once when all is done. Python would first take apart what is left, the process group
with it, whose threads are waited for while Python's lock is held; where one of them wants that
lock, as gloo's at times does, the wait is for ever.
"""

import logging
import os
import sys

from splat_trainer.cli.main import main

code = main()
logging.shutdown()
sys.stderr.flush()
os._exit(code)
