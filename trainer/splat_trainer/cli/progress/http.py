"""Posts progress to an HTTPS address, from a thread of its own that nothing waits for.

The run drops its newest document into a mailbox of one; the thread takes what it finds there
when the server wants the next one, which it says in each answer, or else once in two seconds. A
new stage is told sooner. A slow, failing or lying server costs the run nothing.
"""

import http.client
import logging
import math
import ssl
import threading
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

from splat_trainer.contract import ProgressDocument, Reason, TrainerError, environment
from splat_trainer.contract.progress import REPORT_AFTER_HEADER

logger = logging.getLogger(__name__)

_LONGEST_PAUSE = 600.0
_LEAST_PAUSE = 1.0
"""A new stage is told so long after what was told before, at the least."""
_LONGEST_ANSWER = 4096


@dataclass(frozen=True)
class ProgressAddress:
    """Where to post, as whom, and whom to trust there.

    `token_file` and `ca_file` are read anew at each post: the kubelet rotates them.
    """

    host: str
    port: int
    path: str
    secure: bool
    token_file: Path | None
    ca_file: Path | None

    @classmethod
    def parse(cls, url: str, token_file: Path | None, ca_file: Path | None) -> "ProgressAddress":
        """Take an address apart; raises TrainerError (InvalidConfiguration) if it is none."""
        try:
            parts = urllib.parse.urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise _refuse(f"is no address: {error}") from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise _refuse("must be of the form https://host[:port]/path")
        if parts.username or parts.password:
            raise _refuse("holds a password: use a token file instead")
        secure = parts.scheme == "https"
        if token_file and not secure:
            raise _refuse("must be https, since a token is sent to it")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if any(ord(character) <= 0x20 or ord(character) >= 0x7F for character in path):
            raise _refuse("holds characters that an address cannot have")
        return cls(
            parts.hostname, port or (443 if secure else 80), path, secure, token_file, ca_file
        )


def _refuse(what: str) -> TrainerError:
    return TrainerError(Reason.INVALID_CONFIGURATION, f"{environment.PROGRESS_URL} {what}")


class ProgressLine:
    """A connection to an address: kept open as long as the server keeps it, and made anew."""

    def __init__(self, address: ProgressAddress, timeout: float) -> None:
        """`timeout`: seconds that each step of an exchange may take."""
        self._address = address
        self._timeout = timeout
        self._connection: http.client.HTTPConnection | None = None

    def post(self, body: bytes) -> float | None:
        """Post one JSON document; gives in how many seconds the server wants the next, if it says.

        Follows no redirect and no proxy, which could lead the token elsewhere. Raises OSError,
        ValueError or http.client.HTTPException; an answer other than 2xx is an OSError, but for
        429: the last words of a run may come sooner after the ones before than the server likes.
        """
        headers = {"Content-Type": "application/json"}
        if self._address.token_file:
            headers["Authorization"] = "Bearer " + _read_token(self._address.token_file)
        kept = self._connection is not None
        try:
            try:
                answer = self._exchange(body, headers)
            except (http.client.RemoteDisconnected, ConnectionError, ssl.SSLEOFError):
                # The server may close at any time a connection that it kept.
                if not kept:
                    raise
                self.close()
                answer = self._exchange(body, headers)
        except BaseException:
            self.close()
            raise
        status = answer.status
        if not 200 <= status < 300 and status != http.HTTPStatus.TOO_MANY_REQUESTS:
            raise OSError(f"the server answered {status} {http.client.responses.get(status, '')}")
        return _seconds(answer.headers.get(REPORT_AFTER_HEADER))

    def close(self) -> None:
        """Let go of the connection."""
        connection, self._connection = self._connection, None
        if connection:
            connection.close()

    def _exchange(self, body: bytes, headers: dict[str, str]) -> http.client.HTTPResponse:
        if self._connection is None:
            self._connection = self._open()
        self._connection.request("POST", self._address.path, body=body, headers=headers)
        answer = self._connection.getresponse()
        answer.read(_LONGEST_ANSWER)
        if answer.will_close or not answer.isclosed():  # of a longer answer the rest is unread
            self.close()
        return answer

    def _open(self) -> http.client.HTTPConnection:
        address = self._address
        if not address.secure:
            return http.client.HTTPConnection(address.host, address.port, timeout=self._timeout)
        trust = ssl.create_default_context(cafile=address.ca_file)
        return http.client.HTTPSConnection(
            address.host, address.port, timeout=self._timeout, context=trust
        )


def _seconds(text: str | None) -> float | None:
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return min(max(seconds, 0.0), _LONGEST_PAUSE) if math.isfinite(seconds) else None


def _read_token(path: Path) -> str:
    token = path.read_text(encoding="ascii", errors="replace").strip()
    if not token or not token.isprintable() or not token.isascii():
        raise ValueError(f"{path} holds no token")  # its content is for no log
    return token


class HttpProgress:
    """Reports to an address; telling the run's thread nothing but 'taken'."""

    def __init__(
        self,
        address: ProgressAddress,
        every: float = 2.0,
        timeout: float = 5.0,
        last_words: float = 2.0,
    ) -> None:
        """`every`: seconds between two posts, unless the server says otherwise.

        `last_words`: how long, in seconds, `close` waits for the last document to be sent.
        """
        self._host = address.host
        self._line = ProgressLine(address, timeout)
        self._every = every
        self._last_words = last_words
        self._mail = threading.Condition()
        self._newest: ProgressDocument | None = None
        self._stage_began = False
        self._closing = False
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="progress-http", daemon=True)
        self._thread.start()

    def tell(self, document: ProgressDocument, stage_began: bool) -> None:
        """Put the document into the mailbox in place of one that was not yet fetched."""
        with self._mail:
            self._newest = document
            self._stage_began = self._stage_began or stage_began
            self._mail.notify()

    def close(self) -> None:
        """Give the last document a little time to be sent."""
        with self._mail:
            self._closing = True
            self._mail.notify()
        self._thread.join(self._last_words)

    def _run(self) -> None:
        while True:
            with self._mail:
                self._mail.wait_for(lambda: self._newest or self._closing)
                document, self._newest, self._stage_began = self._newest, None, False
            if document is None:
                self._line.close()
                return
            self._pause(self._send(document))

    def _pause(self, seconds: float) -> None:
        """Wait so long; a new stage cuts it short, and the end all the more."""
        least = min(_LEAST_PAUSE, seconds)
        with self._mail:
            self._mail.wait_for(lambda: self._closing, least)
            self._mail.wait_for(lambda: self._closing or self._stage_began, seconds - least)

    def _send(self, document: ProgressDocument) -> float:
        """Give in how many seconds the next is to be sent."""
        try:
            wanted = self._line.post(document.model_dump_json(exclude_none=True).encode())
        except Exception as error:
            if not self._failing:
                logger.warning(
                    "progress cannot be told to %s (the run goes on): %s: %s",
                    self._host,
                    type(error).__name__,
                    error,
                )
            self._failing = True
            return self._every
        if self._failing:
            logger.info("progress is told to %s again", self._host)
        self._failing = False
        return self._every if wanted is None else wanted
