"""The HTTPS endpoint that trainers report to, and who may."""

from splat_operator.progress.caller import TokenReviewer
from splat_operator.progress.endpoint import ProgressEndpoint
from splat_operator.progress.identity_secret import IdentitySecret
from splat_operator.progress.server import ProgressServer
from splat_operator.progress.writer import ProgressWriter, Target

__all__ = [
    "IdentitySecret",
    "ProgressEndpoint",
    "ProgressServer",
    "ProgressWriter",
    "Target",
    "TokenReviewer",
]
