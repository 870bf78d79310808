"""What the tests of durability share."""

from __future__ import annotations

import multiprocessing
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.durability import holder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from multiprocessing.context import ForkServerContext, ForkServerProcess
    from pathlib import Path


@pytest.fixture(scope="session")
def processes() -> ForkServerContext:
    """Return what starts processes that have imported everything, and have no database open."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.durability.victim", "tests.durability.holder"])
    return context


@pytest.fixture
def held(processes: ForkServerContext) -> Callable[[Path, str], AbstractContextManager[ForkServerProcess]]:
    """Return what lets another process have a file open in some way for the length of a block."""

    @contextmanager
    def held(path: Path, how: str) -> Iterator[ForkServerProcess]:
        here, there = processes.Pipe()
        process = processes.Process(target=holder.hold, args=(str(path), how, there))
        process.start()
        there.close()
        try:
            assert here.recv_bytes() == b"has it"
            yield process
        finally:
            here.close()
            process.kill()
            process.join()

    return held
