"""What the API server calls itself, out of the operator's own token."""

import base64
import json
from typing import Any

import pytest

from splat_operator.runtime.token_audiences import token_audiences


def token(claims: Any) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"header.{body}.signature"


@pytest.mark.parametrize(
    ("claims", "audiences"),
    [
        (
            {"aud": ["https://kubernetes.default.svc", "k3s"]},
            ("https://kubernetes.default.svc", "k3s"),
        ),
        ({"aud": "https://api.example.com?a=~~~"}, ("https://api.example.com?a=~~~",)),
        ({"aud": [1, "api"]}, ("api",)),
        ({"iss": "kubernetes/serviceaccount"}, ()),
        ([], ()),
    ],
)
def test_the_audiences_are_read_out_of_the_token(claims: Any, audiences: tuple[str, ...]) -> None:
    assert token_audiences(token(claims)) == audiences


@pytest.mark.parametrize("text", [None, "", "opaque", "a.b.c", "a.%%%.c", "a.é.c", "a..c"])
def test_what_is_no_such_token_tells_none(text: str | None) -> None:
    assert token_audiences(text) == ()
