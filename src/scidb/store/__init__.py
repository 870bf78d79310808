"""Stores: where records are kept. Open one by its target; write another one against `Store`.

Opening a file twice in one process gives two handles on one connection, which the last of them closes.
"""

from __future__ import annotations

import atexit
import importlib
import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from scidb.exceptions import StorageError, UnsupportedOperationError, did_you_mean
from scidb.extras import require
from scidb.store.names import check_same_keys
from scidb.store.protocol import Claims, Maintenance, Snapshots, Sql, Store
from scidb.store.wrap import ReadOnly, Wrapper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scidb.store.model import SchemaKey

__all__ = [
    "Claims",
    "Maintenance",
    "ReadOnly",
    "Snapshots",
    "Sql",
    "Store",
    "Wrapper",
    "is_open_here",
    "is_remote",
    "open_store",
]


# Module and attribute that open the targets of a scheme, imported when they are needed.
_OPENERS: Final = {
    "file": "scidb.store.duck:DuckStore.open",
    "memory": "scidb.store.memory:MemoryStore",
    "http": "scidbnet.client:HttpStore.open",
    "https": "scidbnet.client:HttpStore.open",
}
# The library without which a scheme cannot be opened, and the extra that installs it.
_NEEDS: Final = {"http": ("urllib3", "net"), "https": ("urllib3", "net")}
# At least two letters, since C:\study.duckdb is a file.
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(?://)?")


def open_store(
    target: str | os.PathLike[str],
    schema_keys: Sequence[SchemaKey] | None = None,
    *,
    read_only: bool = False,
    lock_timeout: float = 10.0,
    **options: Any,
) -> Store:
    """Open the store that a target names: a file, ``memory:``, or the address of a server.

    Parameters
    ----------
    target
        ``study.duckdb``, ``file:study.duckdb``, ``memory:`` or ``http://lab:8765``.
    schema_keys
        The ordered keys of the dataset; needed to make a new one, compared with an existing one.
    read_only
        Refuse to write.
    lock_timeout
        How many seconds to wait for another process to close a file.
    options
        What else the store takes.

    Examples
    --------
    >>> from scidb.store.model import SchemaKey
    >>> open_store("memory:", [SchemaKey("subject", "int")]).describe().target
    'memory:'

    Raises
    ------
    UnsupportedOperationError
        When no store opens that scheme.

    """
    text = os.fspath(target)
    found = _SCHEME.match(text)
    scheme = found[1].lower() if found else "file"
    opener = _OPENERS.get(scheme)
    if opener is None:
        raise UnsupportedOperationError(
            f"No store opens {text!r}: the scheme {scheme!r} is unknown, known are {', '.join(sorted(_OPENERS))}."
            f"{did_you_mean(scheme, _OPENERS)}",
            scheme=scheme,
        )
    if scheme in _NEEDS:
        require(*_NEEDS[scheme])
    make = _load(opener)
    if scheme == "file":
        path = Path(text[found.end() :] if found else text).expanduser()
        settings = {"read_only": read_only, "lock_timeout": lock_timeout, **options}
        return _open_shared(path, schema_keys, make, settings)
    found_keys = (schema_keys or (),) if scheme == "memory" else (text, schema_keys)
    store = cast("Store", make(*found_keys, **options))
    return ReadOnly(store) if read_only else store


def is_remote(target: str | os.PathLike[str]) -> bool:
    """Say whether a target is one that a server answers for.

    Examples
    --------
    >>> is_remote("https://lab:8765"), is_remote("study.duckdb")
    (True, False)

    """
    found = _SCHEME.match(os.fspath(target))
    return found is not None and found[1].lower() in _NEEDS


def is_open_here(path: str | os.PathLike[str]) -> bool:
    """Say whether this process has a file open."""
    return (os.getpid(), os.path.realpath(path)) in _shared


def _load(path: str) -> Any:
    module, _, attribute = path.partition(":")
    found: Any = importlib.import_module(module)
    for name in attribute.split("."):
        found = getattr(found, name)
    return found


# ------------------------------------------------------------------ one connection for a file


@dataclass(slots=True)
class _Shared:
    """A file that is open in this process, and how many handles there are on it."""

    store: Store
    read_only: bool
    handles: int = 0


# The process id is part of the key: a forked child must open the file itself.
_shared: Final[dict[tuple[int, str], _Shared]] = {}
_shared_lock = threading.RLock()


def _open_shared(path: Path, schema_keys: Sequence[SchemaKey] | None, make: Any, settings: dict[str, Any]) -> Store:
    key = (os.getpid(), os.path.realpath(path))
    with _shared_lock:
        shared = _shared.get(key)
        if shared is None:
            store = make(path, schema_keys, **settings)
            shared = _shared[key] = _Shared(store, settings["read_only"])
        elif shared.read_only and not settings["read_only"]:
            raise StorageError(
                f"{path} is open read-only in this process; close that first to open it for writing.", path=str(path)
            )
        else:
            check_same_keys(path, shared.store.describe().schema_keys, schema_keys)
        shared.handles += 1
    handle = _Handle(shared.store, key)
    return ReadOnly(handle) if settings["read_only"] and not shared.read_only else handle


@atexit.register
def _close_all() -> None:
    """Let go of every file, so that a script that ends without closing leaves no lock file behind."""
    with _shared_lock:
        for pid, path in list(_shared):
            if pid == os.getpid():
                _shared.pop((pid, path)).store.close()


class _Handle(Wrapper):
    """One of several handles on an open file; closing it leaves the others open."""

    def __init__(self, store: Store, key: tuple[int, str]) -> None:
        super().__init__(store)
        self._key = key
        self._open = True

    def close(self) -> None:
        with _shared_lock:
            shared = _shared.get(self._key)
            if not self._open or shared is None:
                return
            self._open = False
            shared.handles -= 1
            if shared.handles == 0:
                del _shared[self._key]
                shared.store.close()
            self._store = cast("Store", _Closed(self._key[1]))


class _Closed:
    """What a closed handle holds instead of its store: every verb refuses."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __getattr__(self, name: str) -> Any:
        raise StorageError(f"This handle is closed; open {self._path} again to go on.", path=self._path)
