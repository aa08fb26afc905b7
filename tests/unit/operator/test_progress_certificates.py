"""Whom pods trust, and for how long."""

import socket
import ssl
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splat_operator.progress.certificates import (
    Identity,
    Pair,
    fresh_identity,
    make_authority,
    make_serving,
)

HOST = "splat-operator.splat-system.svc"
NOW = datetime.now(UTC)


def handshake(identity: Identity, trust: str, host: str) -> None:
    """A real TLS handshake, as strict as a client of Python 3.13 is by default."""
    client_context = ssl.create_default_context(cadata=trust)
    client_context.verify_flags |= ssl.VERIFY_X509_STRICT
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pair.pem"
        file.write_bytes(identity.serving.certificate + identity.serving.key)
        server_context.load_cert_chain(file)
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            server_context.wrap_socket(theirs, server_side=True).close()
        except OSError:
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client_context.wrap_socket(ours, server_hostname=host):
            pass
    finally:
        thread.join()


@pytest.mark.parametrize("host", [HOST, "198.18.0.2"])
def test_a_strict_client_trusts_what_is_served(host: str) -> None:
    identity = fresh_identity(None, host, NOW)
    handshake(identity, identity.trust, host)


def test_nobody_else_is_trusted() -> None:
    identity, other = fresh_identity(None, HOST, NOW), fresh_identity(None, HOST, NOW)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(identity, other.trust, HOST)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(identity, identity.trust, "another.host")


def test_what_is_fresh_stays() -> None:
    identity = fresh_identity(None, HOST, NOW)
    assert fresh_identity(identity, HOST, NOW + timedelta(days=1)) == identity


def test_a_certificate_is_renewed_before_its_end_and_for_a_new_host() -> None:
    identity = fresh_identity(None, HOST, NOW)
    later = fresh_identity(identity, HOST, NOW + timedelta(days=61))
    assert later.authority == identity.authority
    assert later.serving != identity.serving
    moved = fresh_identity(identity, "another.host", NOW)
    assert moved.authority == identity.authority
    handshake(moved, identity.trust, "another.host")


def test_damage_in_the_secret_is_replaced() -> None:
    broken = Identity(Pair(b"not", b"pem"), Pair(b"at", b"all"))
    repaired = fresh_identity(broken, HOST, NOW)
    handshake(repaired, repaired.trust, HOST)


def test_a_certificate_of_a_foreign_authority_is_replaced() -> None:
    authority, foreign = make_authority(NOW), make_authority(NOW)
    mixed = Identity(authority, make_serving(foreign, HOST, NOW))
    handshake(fresh_identity(mixed, HOST, NOW), authority.certificate.decode(), HOST)


@settings(max_examples=5)
@given(st.lists(st.integers(1, 80), min_size=100, max_size=120))
def test_over_years_a_pod_always_trusts_what_is_served_as_long_as_it_runs(
    steps: list[int],
) -> None:
    """A pod keeps what it was given; two months later it must still be good."""
    now = NOW
    identity = fresh_identity(None, HOST, now)
    given: list[tuple[datetime, str]] = []
    for days in steps:
        now += timedelta(days=days)
        identity = fresh_identity(identity, HOST, now)
        serving = identity.serving.read()
        assert serving.not_valid_before_utc <= now < serving.not_valid_after_utc
        given = [(since, trust) for since, trust in given if now - since < timedelta(days=60)]
        given.append((now, identity.trust))
        for _, trust in given:
            assert identity.authority.certificate.decode() in trust
