"""One S3 server for the tests of this folder, and an environment that points to it."""

from collections.abc import Iterator

import pytest

from tests.s3_server import S3Server, s3_server


@pytest.fixture(scope="session")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3(_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """A server with the bucket "captures", emptied of what earlier tests put there."""
    import shutil

    for name in _server.environment:
        monkeypatch.setenv(name, _server.environment[name])
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    for bucket in _server.root.iterdir():
        shutil.rmtree(bucket)
    (_server.root / "captures").mkdir()
    return _server
