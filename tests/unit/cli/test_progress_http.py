import http.server
import json
import logging
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from splat_trainer.cli.progress.http import HttpProgress, ProgressAddress, ProgressLine
from splat_trainer.contract import CheckpointRef, ExitCode, ProgressDocument, Stage, TrainerError

TOKEN = "a-token-that-must-never-be-logged"  # noqa: S105


class Server(http.server.ThreadingHTTPServer):
    """Answers with `status` and remembers what was posted."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 204
        self.location = ""
        self.report_after = ""
        self.connections = 0
        self.posts: list[tuple[str, str | None, dict[str, Any]]] = []
        self.arrived = threading.Condition()

    def wait_for(self, count: int) -> None:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.posts) >= count, timeout=20)


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.arrived:
            self.server.posts.append((self.path, self.headers["Authorization"], body))
            self.server.arrived.notify_all()
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        if self.server.report_after:
            self.send_header("Report-After", self.server.report_after)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def setup(self) -> None:
        self.server.connections += 1
        super().setup()

    do_GET = do_POST  # noqa: N815 - the name that http.server looks for

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server()) as running:
        yield running


@pytest.fixture
def reporter() -> Iterator[Callable[[str], HttpProgress]]:
    opened: list[HttpProgress] = []

    def open_(url: str) -> HttpProgress:
        address = ProgressAddress.parse(url, None, None)
        opened.append(HttpProgress(address, every=0.01, timeout=1.0, last_words=5.0))
        return opened[-1]

    yield open_
    for one in opened:
        one.close()


def url_of(server: Server, scheme: str = "http") -> str:
    return f"{scheme}://127.0.0.1:{server.server_address[1]}/progress/ns/name?run=1"


def at(iteration: int) -> ProgressDocument:
    return ProgressDocument(stage=Stage.TRAINING, iteration=iteration, iterations=100)


def test_progress_arrives_as_json(server: Server, reporter: Callable[[str], HttpProgress]) -> None:
    reporter(url_of(server)).tell(at(40), stage_began=True)
    server.wait_for(1)
    path, _, body = server.posts[0]
    assert path == "/progress/ns/name?run=1"
    assert body == {"stage": "Training", "iteration": 40, "iterations": 100}


def test_the_checkpoint_arrives_with_it(
    server: Server, reporter: Callable[[str], HttpProgress]
) -> None:
    kept = CheckpointRef(iteration=30, uri="s3://splats/a.pt")
    document = at(40).model_copy(update={"checkpoint": kept})
    reporter(url_of(server)).tell(document, stage_began=True)
    server.wait_for(1)
    body = server.posts[0][2]
    assert body["checkpoint"] == {"iteration": 30, "uri": "s3://splats/a.pt"}
    assert ProgressDocument.model_validate(body) == document


def test_a_slow_reader_gets_the_newest_and_not_all(
    server: Server, reporter: Callable[[str], HttpProgress]
) -> None:
    http_progress = HttpProgress(ProgressAddress.parse(url_of(server), None, None), every=0.2)
    for iteration in range(1_000):
        http_progress.tell(at(iteration % 100), stage_began=False)
    http_progress.tell(at(100), stage_began=False)
    http_progress.close()
    assert server.posts[-1][2]["iteration"] == 100
    assert len(server.posts) < 100


def test_the_last_document_is_sent_at_the_end(server: Server) -> None:
    http_progress = HttpProgress(ProgressAddress.parse(url_of(server), None, None), every=60)
    http_progress.tell(at(1), stage_began=True)
    server.wait_for(1)
    http_progress.tell(at(100), stage_began=False)
    http_progress.close()
    assert [body["iteration"] for _, _, body in server.posts] == [1, 100]


def test_a_server_that_never_answers_holds_nobody_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/"
        http_progress = HttpProgress(
            ProgressAddress.parse(url, None, None), every=0.01, timeout=60, last_words=0.05
        )
        began = time.monotonic()
        for iteration in range(100):
            http_progress.tell(at(iteration), stage_began=False)
        http_progress.close()
        assert time.monotonic() - began < 30  # half of what the server would cost
    # Once the server is gone its thread ends, and says so in this test's log and no other's.
    for thread in threading.enumerate():
        if thread.name == "progress-http":
            thread.join(60)


def test_failure_and_recovery_are_each_logged_once(
    server: Server, reporter: Callable[[str], HttpProgress], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "splat_trainer")
    server.status = 503
    http_progress = reporter(url_of(server))
    for count in (1, 2, 3):
        http_progress.tell(at(count), stage_began=False)
        server.wait_for(count)
    server.status = 204
    for count in (4, 5):
        http_progress.tell(at(count), stage_began=False)
        server.wait_for(count)
    http_progress.close()
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 2
    assert "the run goes on" in messages[0]
    assert "503" in messages[0]
    assert "again" in messages[1]


def test_a_server_that_finds_it_too_much_is_not_complained_about(
    server: Server, reporter: Callable[[str], HttpProgress], caplog: pytest.LogCaptureFixture
) -> None:
    server.status = 429
    http_progress = reporter(url_of(server))
    http_progress.tell(at(1), stage_began=True)
    server.wait_for(1)
    http_progress.close()
    assert not caplog.records


def line_to(server: Server) -> ProgressLine:
    return ProgressLine(ProgressAddress.parse(url_of(server), None, None), timeout=5)


def test_posts_share_a_connection_and_one_that_the_server_closed_is_made_anew(
    server: Server,
) -> None:
    line = line_to(server)
    line.post(b"{}")
    line.post(b"{}")
    assert server.connections == 1
    assert line._connection is not None
    line._connection.sock.shutdown(socket.SHUT_RDWR)
    line.post(b"{}")
    line.close()
    assert server.connections == 2
    assert len(server.posts) == 3


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("", None), ("4.25", 4.25), ("1e9", 600.0), ("-3", 0.0), ("nan", None), ("soon", None)],
)
def test_the_server_says_when_it_wants_the_next(
    server: Server, header: str, seconds: float | None
) -> None:
    server.report_after = header
    line = line_to(server)
    assert line.post(b"{}") == seconds
    line.close()


def test_what_the_server_says_is_heeded_but_for_a_new_stage(server: Server) -> None:
    server.report_after = "600"
    http_progress = HttpProgress(ProgressAddress.parse(url_of(server), None, None), every=0.01)
    http_progress.tell(at(1), stage_began=True)
    server.wait_for(1)
    http_progress.tell(at(2), stage_began=False)
    http_progress.tell(
        ProgressDocument(stage=Stage.EVALUATING, iteration=100, iterations=100), stage_began=True
    )
    server.wait_for(2)
    http_progress.close()
    assert [body["stage"] for _, _, body in server.posts] == ["Training", "Evaluating"]


def test_a_redirect_is_not_followed(server: Server) -> None:
    server.status, server.location = 307, url_of(server)
    with pytest.raises(OSError, match="307"):
        ProgressLine(ProgressAddress.parse(url_of(server), None, None), timeout=5).post(b"{}")
    assert len(server.posts) == 1


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/x",
        "https:///x",
        "host:1/x",
        "https://host:99999/",
        "https://host:x/",
        "https://user:secret@host/",
        "https://host/a b",
        "https://[::1",
        "https://host/a\r\nX: y",
    ],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(TrainerError) as caught:
        ProgressAddress.parse(url, None, None)
    assert caught.value.exit_code is ExitCode.CONFIG
    assert "SPLAT_PROGRESS_URL" in caught.value.message
    assert "secret" not in caught.value.message


def test_a_token_is_never_sent_in_the_clear() -> None:
    with pytest.raises(TrainerError, match="https"):
        ProgressAddress.parse("http://host/", Path("token"), None)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "ca.crt", folder / "tls.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=progress", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


@pytest.fixture
def secure_server(certificate: tuple[Path, Path]) -> Iterator[Server]:
    server = Server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with serving(server) as running:
        yield running


def test_the_token_is_read_anew_at_each_post(
    secure_server: Server, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    token = tmp_path / "token"
    address = ProgressAddress.parse(url_of(secure_server, "https"), token, certificate[0])
    line = ProgressLine(address, timeout=5)
    for value in ("first", "second"):
        token.write_text(value + "\n")
        line.post(b"{}")
    line.close()
    assert [authorization for _, authorization, _ in secure_server.posts] == [
        "Bearer first",
        "Bearer second",
    ]


def test_a_server_that_the_authority_did_not_sign_gets_no_token(
    secure_server: Server, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(TOKEN)
    address = ProgressAddress.parse(url_of(secure_server, "https"), tmp_path / "token", None)
    with pytest.raises(ssl.SSLCertVerificationError):
        ProgressLine(address, timeout=5).post(b"{}")
    assert secure_server.posts == []


@pytest.mark.parametrize("content", ["", "\n", f"{TOKEN}\r\nX-Other: 1", f"{TOKEN}\u20ac"])
def test_a_faulty_token_is_not_sent_and_not_logged(
    secure_server: Server,
    certificate: tuple[Path, Path],
    tmp_path: Path,
    content: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "splat_trainer")
    (tmp_path / "token").write_text(content, encoding="utf-8")
    address = ProgressAddress.parse(
        url_of(secure_server, "https"), tmp_path / "token", certificate[0]
    )
    http_progress = HttpProgress(address, every=0.01, last_words=5.0)
    http_progress.tell(at(1), stage_began=True)
    http_progress.close()
    assert secure_server.posts == []
    assert "holds no token" in caplog.text
    assert TOKEN not in caplog.text
