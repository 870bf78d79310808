"""A process that has a file open."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from scidb.store.duck import DuckStore

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


def hold(path: str, how: str, other: Connection) -> None:
    """Open the file, say so, and keep it until the other end is closed."""
    with contextlib.ExitStack() as stack:
        match how:
            case "writes" | "reads" | "forgets its lock" | "forks":
                store = DuckStore.open(path, read_only=how == "reads")
                stack.callback(store.close)
                if how == "forgets its lock":
                    Path(path).read_bytes()  # to close any descriptor of a file gives up all locks on it
                if how == "forks" and os.fork() == 0:
                    other.close()
                    time.sleep(5)
                    os._exit(0)
            case "plain DuckDB writes" | "plain DuckDB reads":
                stack.enter_context(contextlib.closing(duckdb.connect(path, read_only=how.endswith("reads"))))
        other.send_bytes(b"has it")
        with contextlib.suppress(EOFError):
            other.recv_bytes()
