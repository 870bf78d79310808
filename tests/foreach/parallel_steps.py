"""Functions at the top of a module, as workers import them."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from scidb import thunk

K = 2


class OddError(Exception):
    """An exception that pickle cannot make again, since its arguments are not those of `Exception`."""

    def __init__(self, what: str, *, why: str) -> None:
        super().__init__(what)
        self.why = why


def double(x: float) -> float:
    return K * x


def slow(x: float) -> float:
    time.sleep(0.05)
    return 2 * x


def fails_at_three(x: float) -> float:
    if x == 3:
        raise OddError("three is too much", why="taste")
    return x


def dies_at_three(x: float) -> float:
    if x == 3:
        time.sleep(0.3)
        os._exit(1)
    return x


def unsendable_at_three(x: float) -> Any:
    return (lambda: x) if x == 3 else x


def whole(x: Any) -> str:
    return f"{x.schema['subject']} {x.data}"


def identity(subject: int) -> int:
    return subject


def slow_after_hundred(subject: int) -> int:
    if subject >= 100:
        time.sleep(0.3)
    return subject


def length(x: Any) -> int:
    return len(x)


def read_and_spoil(path: Path) -> str:
    text = path.read_text()
    if path.name == "2.txt":
        path.write_text("something else")
    return text


@thunk(generates_file=True)
def write_file(x: float, folder: str, subject: int) -> None:
    (Path(folder) / f"{subject}.txt").write_text(str(x))
