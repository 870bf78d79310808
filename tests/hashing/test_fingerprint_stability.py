from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import scidb.hashing
from scidb.hashing.code.fingerprint import fingerprint

if TYPE_CHECKING:
    from tests.hashing.conftest import Study

GOLDEN_TEXT = '''
import functools
import json as _json
import re
from collections import OrderedDict, defaultdict, namedtuple
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, Flag
from pathlib import Path
from typing import NamedTuple

import numpy as np

RATE = 1000.0
TABLE = {"low": lambda x: x + 1, "high": len}
WORD = re.compile(r"\\w+", re.ASCII)
Point = namedtuple("Point", "x y", defaults=[0])


class Kind(Enum):
    LOW = 1
    HIGH = "h"


class Mode(Flag):
    A = 1
    B = 2


class Pair(NamedTuple):
    """Two."""

    a: int = 1


@dataclass(frozen=True, order=True)
class Config:
    """How."""

    cut: float = 20.0
    tags: list = field(default_factory=list)

    def scaled(self, by=2):
        return self.cut * by


class Base:
    unit = "V"

    @property
    def name(self):
        return f"{type(self).__name__!r:>{10}} {self.unit=}" "tail"


class Filter(Base):
    __slots__ = ("order",)

    def __init__(self, order: int = 4) -> None:
        super().__init__()
        self.order = order

    async def wait(self):
        async with self as it:
            return [x async for x in it if (y := x)]

    @staticmethod
    def one():
        try:
            with open("x") as a, open("y") as b:
                yield from a
        except* (ValueError, OSError) as group:
            raise RuntimeError(group) from None
        finally:
            del a


def traced(times):
    def decorate(f):
        @functools.wraps(f)
        def wrapper(*args, **kwargs):
            return [f(*args, **kwargs) for _ in range(times)][-1]
        return wrapper
    return decorate


@functools.lru_cache(maxsize=2)
def helper(x, /, k=3, *, mode=Mode.A | Mode.B):
    match x:
        case {"a": [1, *rest], **others} if rest:
            return others
        case Config(cut=c) | [c] | (-1 as c):
            return c
        case None | True:
            pass
    assert x, "text"
    return Path(x) / Kind.HIGH.value, np.mean(x)[..., 1:2, None], 1e400, -0.0, 2j, b"b", 10**30


@contextmanager
def opened():
    yield Filter()


@traced(3)
def analyse(signal, cut=RATE / 2, *, kind: Kind = Kind.LOW) -> dict:
    """Do everything that the language has."""
    import os.path as p
    from json import dumps

    global RATE
    total: float = 0
    x: int
    for i, (a, *b) in enumerate(signal):
        total += RATE * a if b else ~i @ i
    else:
        total = not total
    while total and (n := len(signal)) > 1 < n != 3:
        break
    with opened() as f, open(signal):
        g = {k: v for k, v in TABLE.items() for v in {v, *signal} if k}
    squares = (lambda q, *r, s=i, **t: (yield q))
    return {**g, "w": WORD.match(f"{total:{n}.2f}{{}}{f!s}"), "p": Point(1), "q": Pair(), "c": Config().scaled(),
            "j": _json.dumps(p.join("a", *signal)), "d": dumps, "h": helper(1), "o": OrderedDict(), "e": defaultdict,
            "s": squares}
'''
GOLDEN_HASH = "d3ac0d6f3a35cb935396730ea9df1ff61429a7642a174120a099fce8a2ec0281"


def test_the_golden_function_has_the_frozen_fingerprint(study: Study) -> None:
    """M5: one text has one fingerprint on every Python; changing this line recomputes users' results."""
    made = fingerprint(study.load(GOLDEN_TEXT).analyse)

    assert made.warnings == ()
    assert '"bytecode"' not in made.manifest
    assert made.hash == GOLDEN_HASH


def test_the_name_of_module_and_folder_do_not_count(study: Study) -> None:
    """M5: a file may be moved and renamed."""
    first = fingerprint(study.load(GOLDEN_TEXT).analyse)
    second = fingerprint(study.load({"other/deep/name": GOLDEN_TEXT}, "other.deep.name").analyse)

    assert first.hash == second.hash


def test_a_fresh_process_with_another_hash_seed_agrees(study: Study) -> None:
    """M9: neither the process nor PYTHONHASHSEED counts, also for functions in a set."""
    text = "def a(): return 1\ndef b(): return 2\nS = {a, b, 'x', 'y', 'z'}\ndef f(x): return [s for s in S]"
    here = fingerprint(study.load(text).f)
    program = "import m\nfrom scidb.hashing.code.fingerprint import fingerprint\nprint(fingerprint(m.f).hash)"
    source = str(Path(scidb.hashing.__file__).parents[2])

    environment = {"PYTHONHASHSEED": "1", "PYTHONPATH": source, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", program]
    answer = subprocess.run(command, cwd=study.folder, env=environment, capture_output=True, text=True, check=True)
    assert answer.stdout.split() == [here.hash]


@pytest.mark.slow
def test_a_script_and_its_import_agree(study: Study) -> None:
    """M5: a function of ``__main__`` is the one that others import."""
    text = (
        "from scidb.hashing.code.fingerprint import fingerprint\n"
        "class C:\n    def g(self): return 1\n"
        "c = C()\n"
        "def f(x): return c.g()\n"
        "if __name__ == '__main__':\n    print(fingerprint(f).hash, fingerprint(f, version='2').hash)\n"
    )
    f = study.load(text).f
    environment = {"PYTHONPATH": str(Path(scidb.hashing.__file__).parents[2])}
    command = [sys.executable, "m.py"]
    answer = subprocess.run(command, cwd=study.folder, env=environment, capture_output=True, text=True, check=True)

    assert answer.stdout.split() == [fingerprint(f).hash, fingerprint(f, version="2").hash]
