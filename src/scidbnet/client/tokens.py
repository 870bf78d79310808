"""The tokens that a server keeps."""

from __future__ import annotations

import os
import urllib.parse
from typing import TYPE_CHECKING, Any

from scidb.exceptions import SerializationError
from scidbnet.auth import NewToken, TokenInfo
from scidbnet.client.requests import Requests
from scidbnet.client.transport import Transport
from scidbnet.wire.coding import load
from scidbnet.wire.plain import to_text
from scidbnet.wire.versions import PREFIX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scidbnet.wire.framing import Bytes

__all__ = ["RemoteTokens"]


class RemoteTokens:
    """The tokens of a database that a server keeps, for an admin.

    Parameters
    ----------
    base_url
        Where the server is.
    token
        What proves that an admin asks; without one, the environment variable ``SCIDB_TOKEN``.
    timeout
        Seconds to wait for the server.

    """

    def __init__(self, base_url: str, token: str | None = None, timeout: float = 30.0) -> None:
        self._requests = Requests(Transport(base_url, token or os.environ.get("SCIDB_TOKEN"), timeout), timeout)

    def create(self, name: str, role: str, expires: str) -> NewToken:
        """Make a token and keep what is needed to recognise it."""
        data = self._ask("POST", "", [to_text({"name": name, "role": role, "expires": expires})])
        match data:
            case {"token": str(token), "info": dict(info)}:
                return NewToken(token, load(info, TokenInfo, "The token"))
        raise SerializationError("The server did not answer with a token.")

    def infos(self) -> list[TokenInfo]:
        """Return every token that was made, in that order."""
        return _infos(self._ask("GET", ""))

    def revoke(self, which: str) -> list[TokenInfo]:
        """Let a token, by its id, or all tokens of a name be valid no more; return them."""
        return _infos(self._ask("DELETE", f"/{urllib.parse.quote(which, safe='')}"))

    def _ask(self, method: str, path: str, body: Sequence[Bytes] = ()) -> Any:
        headers = {"Content-Type": "application/json"} if body else {}
        # Sent twice, it would make two tokens, or find that there is none to revoke any more.
        data, _ = self._requests.json(method, f"{PREFIX}/tokens{path}", headers, body, tries=1)
        return data


def _infos(data: Any) -> list[TokenInfo]:
    return [load(one, TokenInfo, f"token {number}") for number, one in enumerate(data)]
