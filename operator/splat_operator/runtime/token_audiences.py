"""For whom the operator's own token is, which tells what the API server calls itself."""

import base64
import json
from collections.abc import Mapping


def token_audiences(token: str | None) -> tuple[str, ...]:
    """Read the audiences of a token; none where there is no token, or it tells none.

    Its signature is not looked at: it is the one that we are known by.
    """
    parts = (token or "").split(".")
    if len(parts) != 3:
        return ()
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return ()
    audience = claims.get("aud") if isinstance(claims, Mapping) else None
    found = audience if isinstance(audience, list) else [audience]
    return tuple(one for one in found if isinstance(one, str))
