"""`splat-trainer worker`: one of the processes that train with rank 0; nobody calls it by hand."""

import logging

from splat_trainer.cli.failures import explain
from splat_trainer.cli.invocation import Invocation
from splat_trainer.cli.result import write_atomically
from splat_trainer.distributed.child import leave_stopping_to_parent
from splat_trainer.distributed.crew import Follower
from splat_trainer.distributed.exchange import PeerLost
from splat_trainer.distributed.rank import PEER_LOST, Rank
from splat_trainer.train.follow import follow

logger = logging.getLogger(__name__)


def run(invocation: Invocation) -> int:
    """Do every step that rank 0 does, on another view each.

    Why it failed is left for whoever started it, who tells it once for all ranks.
    """
    rank: Rank = invocation.arguments.rank
    leave_stopping_to_parent()
    _log_as(rank, invocation.arguments.verbose)
    try:
        follow(Follower(rank), rank)
    except PeerLost as lost:
        logger.debug("lost touch: %s", lost)
        return PEER_LOST
    except BaseException as error:
        failure = explain(error)
        document = invocation.record.failed(failure)
        write_atomically(rank.report)(document.to_json())
        return int(failure.exit_code)
    return 0


def _log_as(rank: Rank, verbose: bool) -> None:
    """Say in every line whose it is, and leave out what rank 0 says already."""
    for handler in logging.getLogger().handlers:
        handler.setFormatter(
            logging.Formatter(f"%(asctime)s %(levelname)s rank {rank.rank}: %(message)s")
        )
    if not verbose:
        logging.getLogger("splat_trainer").setLevel(logging.WARNING)
