"""How tests get at a server: one real process for all tests of a worker, a database of its own for each."""

from __future__ import annotations

import atexit
import functools
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scidb.store.model import SchemaKey

__all__ = ["serve"]


@functools.cache
def _host() -> str:
    """Start the process, and return where it answers."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("host.py"))], stdout=subprocess.PIPE, text=True
    )
    atexit.register(process.kill)
    assert process.stdout is not None
    return f"http://127.0.0.1:{int(process.stdout.readline())}"


def serve(
    keys: Sequence[SchemaKey] | None,
    target: str = "memory:",
    *,
    verified: bool = True,
    tokens: Path | None = None,
    **settings: Any,
) -> str:
    """Return the address of a database that is served from now on."""
    wanted = {
        "target": target,
        "keys": None if keys is None else [(key.name, key.value_type) for key in keys],
        "verified": verified,
        "tokens": None if tokens is None else str(tokens),
        "settings": settings,
    }
    answer = httpx.post(f"{_host()}/new", json=wanted, timeout=30)
    answer.raise_for_status()
    return f"{_host()}{answer.json()['path']}"
