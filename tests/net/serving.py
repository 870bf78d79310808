"""How tests get at a server: one real process for all tests of a worker, a database of its own for each."""

from __future__ import annotations

import atexit
import functools
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx

from scidb.store.model import SchemaKey
from scidbnet.client import HttpStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

__all__ = ["end", "open_place", "place", "serve", "served_file", "where"]

_files: dict[str, str] = {}
"""Where a place was promised: its address, and the file that the server makes for it."""


@functools.cache
def _host() -> str:
    """Start the process, and return where it answers."""
    empty = tempfile.mkdtemp(prefix="scidb-")
    atexit.register(shutil.rmtree, empty)
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("host.py")), empty], stdout=subprocess.PIPE, text=True
    )
    atexit.register(process.kill)
    assert process.stdout is not None
    return f"http://127.0.0.1:{int(process.stdout.readline())}"


def serve(
    keys: Sequence[SchemaKey] | None,
    target: str = "memory:",
    *,
    verified: bool = True,
    path: str | None = None,
    tokens: Path | None = None,
    **settings: Any,
) -> str:
    """Return the address of a database that is served from now on."""
    wanted = {
        "path": path,
        "target": target,
        "keys": None if keys is None else [(key.name, key.value_type) for key in keys],
        "verified": verified,
        "tokens": None if tokens is None else str(tokens),
        "settings": settings,
    }
    answer = httpx.post(f"{_host()}/new", json=wanted, timeout=30)
    answer.raise_for_status()
    return f"{_host()}{answer.json()['path']}"


def place(file: str | Path = "memory:") -> str:
    """Return an address where a database will be: who opens it first, as `open_place` does, brings the keys."""
    address = f"{_host()}/at/{uuid4().hex}"
    _files[address] = str(file)
    return address


def open_place(target: str, schema_keys: Sequence[SchemaKey] | None = None, **options: Any) -> HttpStore:
    """Open what is at an address; the first time, have the server make it, as opening a new file does."""
    if target in _files:
        serve(schema_keys, _files.pop(target), path=urlsplit(target).path, allow_sql=True)
    return HttpStore.open(target, schema_keys, **options)


def end(address: str) -> None:
    """Have what is at an address served no more."""
    if _files.pop(address, None) is None:
        httpx.post(f"{_host()}/end", json={"path": urlsplit(address).path}, timeout=30).raise_for_status()


def served_file(request: pytest.FixtureRequest, file: Path, **keys: Any) -> str:
    """Return the file, or the address of a server that keeps it, by the parameter of the fixture that asks."""
    if request.param == "duck":
        return str(file)
    return serve([SchemaKey(name, kind) for name, kind in keys.items()], str(file), allow_sql=True)


def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return where the database of a test lives, by the parameter of the fixture that asks; without one, in memory."""
    match getattr(request, "param", "memory"):
        case "memory":
            return "memory:"
        case "duck":
            return str(tmp_path / "study.duckdb")
    address: str = request.getfixturevalue("served")
    return address
