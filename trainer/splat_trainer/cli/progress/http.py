"""Posts progress to an HTTPS address, from a thread of its own that nothing waits for.

The run drops its newest document into a mailbox of one; the thread takes what it finds there,
at most once in two seconds. A slow, failing or lying server costs the run nothing.
"""

import http.client
import logging
import ssl
import threading
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

from splat_trainer.contract import ProgressDocument, Reason, TrainerError, environment

logger = logging.getLogger(__name__)


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


def post(address: ProgressAddress, body: bytes, timeout: float) -> None:
    """Post one JSON document.

    Follows no redirect and no proxy, which could lead the token elsewhere. Raises OSError,
    ValueError or http.client.HTTPException; an answer other than 2xx is an OSError, but for 429:
    the last words of a run may come sooner after the ones before than the server likes.
    """
    headers = {"Content-Type": "application/json"}
    if address.token_file:
        headers["Authorization"] = "Bearer " + _read_token(address.token_file)
    connection: http.client.HTTPConnection
    if address.secure:
        trust = ssl.create_default_context(cafile=address.ca_file)
        connection = http.client.HTTPSConnection(
            address.host, address.port, timeout=timeout, context=trust
        )
    else:
        connection = http.client.HTTPConnection(address.host, address.port, timeout=timeout)
    try:
        connection.request("POST", address.path, body=body, headers=headers)
        status = connection.getresponse().status
    finally:
        connection.close()
    if not 200 <= status < 300 and status != http.HTTPStatus.TOO_MANY_REQUESTS:
        raise OSError(f"the server answered {status} {http.client.responses.get(status, '')}")


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
        """`last_words`: how long, in seconds, `close` waits for the last document to be sent."""
        self._address = address
        self._every = every
        self._timeout = timeout
        self._last_words = last_words
        self._mail = threading.Condition()
        self._newest: ProgressDocument | None = None
        self._closing = threading.Event()
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="progress-http", daemon=True)
        self._thread.start()

    def tell(self, document: ProgressDocument, stage_began: bool) -> None:
        """Put the document into the mailbox in place of one that was not yet fetched."""
        with self._mail:
            self._newest = document
            self._mail.notify()

    def close(self) -> None:
        """Give the last document a little time to be sent."""
        self._closing.set()
        with self._mail:
            self._mail.notify()
        self._thread.join(self._last_words)

    def _run(self) -> None:
        while True:
            with self._mail:
                self._mail.wait_for(lambda: self._newest or self._closing.is_set())
                document, self._newest = self._newest, None
            if document is None:
                return
            self._send(document)
            self._closing.wait(self._every)

    def _send(self, document: ProgressDocument) -> None:
        try:
            post(
                self._address,
                document.model_dump_json(exclude_none=True).encode(),
                self._timeout,
            )
        except Exception as error:
            if not self._failing:
                logger.warning(
                    "progress cannot be told to %s (the run goes on): %s: %s",
                    self._address.host,
                    type(error).__name__,
                    error,
                )
            self._failing = True
            return
        if self._failing:
            logger.info("progress is told to %s again", self._address.host)
        self._failing = False
