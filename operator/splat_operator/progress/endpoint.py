"""The address that trainers report to: POST /v1/namespaces/{ns}/trainings/{name}/progress."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus

import aiohttp
from aiohttp import web
from pydantic import ValidationError

from splat_operator.act import ApiError
from splat_operator.decide.checkpoint import checkpoint_reported
from splat_operator.decide.progress import reported
from splat_operator.progress.caller import TokenReviewer, claimed_caller
from splat_operator.progress.writer import ProgressWriter, Report, Target
from splat_operator.world import Training, parse_progress
from splat_trainer.contract import PROGRESS_LIMIT_BYTES, ProgressDocument
from splat_trainer.contract.progress import REPORT_AFTER_HEADER

TOKEN_LIMIT = 4096
LEAST_SECONDS = 0.5
"""A pod that reports more often than this is refused."""
KEPT_OPEN_SECONDS = 15.0
"""A connection is kept for a next report within this time, and closed where it is further off:
a handshake costs a core about a millisecond, an open connection some 50 KiB."""
BODY_SECONDS = 10.0
"""Whoever has not sent a report's few hundred bytes within this time holds the connection only."""

_ROUTE = "/v1/namespaces/{namespace}/trainings/{name}/progress"
_POD_LIMIT = 20_000

FindTraining = Callable[[str, str, str], Training | None]
"""(namespace, name, pod uid) to the training, if that pod is its own and it is not over."""

Count = Callable[[int], None]


def _nobody(status: int) -> None:
    """Whom to tell when nobody asked."""


class ProgressEndpoint:
    """Takes reports from the pods that the trainings own, and from nobody else."""

    def __init__(
        self,
        reviewer: TokenReviewer,
        find_training: FindTraining,
        writer: ProgressWriter,
        answered: Count = _nobody,
    ) -> None:
        """`answered` is told the HTTP status of each answer."""
        self._reviewer = reviewer
        self._find_training = find_training
        self._writer = writer
        self._answered = answered
        self._last_report: dict[str, float] = {}

    def application(self) -> web.Application:
        """Give the web application."""
        application = web.Application(client_max_size=PROGRESS_LIMIT_BYTES)
        application.router.add_post(_ROUTE, self._take)
        return application

    async def _take(self, request: web.Request) -> web.Response:
        try:
            response = await self._answer(request, time.monotonic())
        except web.HTTPException as refusal:
            self._answered(refusal.status)
            raise
        self._answered(response.status)
        return response

    async def _answer(self, request: web.Request, came_at: float) -> web.Response:
        training = await self._authorized(request, came_at)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await request.text()
            document = parse_progress(body)
        except TimeoutError:
            response = _refusal(HTTPStatus.REQUEST_TIMEOUT, "the report did not come to its end")
            response.force_close()
            return response
        except (ValueError, LookupError) as error:
            return _refusal(HTTPStatus.BAD_REQUEST, f"no progress document: {_fault(error)}")
        target = Target(training.namespace, training.name, training.uid)
        after = self._writer.offer(target, _report(training, document))
        response = web.Response(
            status=HTTPStatus.NO_CONTENT, headers={REPORT_AFTER_HEADER: f"{after:.2f}"}
        )
        if after > KEPT_OPEN_SECONDS:
            response.force_close()
        return response

    async def _authorized(self, request: web.Request, came_at: float) -> Training:
        """Give the training that the caller's pod belongs to; raises an HTTP error otherwise."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token or len(token) > TOKEN_LIMIT:
            raise _refused(web.HTTPUnauthorized, "give the pod's progress token as Bearer")
        namespace, name = request.match_info["namespace"], request.match_info["name"]
        claimed = claimed_caller(token)
        if claimed is None:
            raise _refused(web.HTTPUnauthorized, "the token is bound to no pod")
        training = self._find_training(namespace, name, claimed.pod_uid)
        if training is None or claimed.namespace != namespace:
            raise _refused(web.HTTPForbidden, "the token's pod is none of this training's")
        try:
            proven = await self._reviewer.caller(token)
        except (ApiError, aiohttp.ClientError, TimeoutError):
            raise _refused(web.HTTPServiceUnavailable, "tokens cannot be checked now") from None
        if proven != claimed:
            raise _refused(web.HTTPUnauthorized, "the token is not valid for progress")
        # Only now: whoever merely claims to be this pod must not use up its turn.
        self._limit_rate(claimed.pod_uid, came_at)
        return training

    def _limit_rate(self, pod_uid: str, came_at: float) -> None:
        """What counts is when reports came: that a token was long under review is not the pod's
        fault, and its next report would be refused for it."""
        if came_at - self._last_report.get(pod_uid, float("-inf")) < LEAST_SECONDS:
            raise _refused(web.HTTPTooManyRequests, "report every two seconds")
        if len(self._last_report) >= _POD_LIMIT:
            self._last_report.clear()
        self._last_report[pod_uid] = came_at


def _report(training: Training, document: ProgressDocument) -> Report:
    """Give what the status says by a trainer's word."""
    checkpoint = checkpoint_reported(training, document)
    told = {"progress": reported(document, datetime.now(UTC))}
    return {**told, "checkpoint": dict(checkpoint)} if checkpoint else told


def _fault(error: Exception) -> str:
    """Say in one line what is wrong with a document, and in which field."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"[:200]
    return str(error).splitlines()[0][:200]


def _refused(kind: type[web.HTTPException], words: str) -> web.HTTPException:
    return kind(text=words + "\n")


def _refusal(status: HTTPStatus, words: str) -> web.Response:
    return web.Response(status=status, text=words + "\n")
