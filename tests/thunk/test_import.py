"""The name `scidb.thunk` is both a decorator and a package to import from."""

from __future__ import annotations

import subprocess
import sys

import pytest

AS_ATTRIBUTE = """
import scidb
@scidb.thunk
def first(x): return x + 1
assert first(1).data == 2
"""
AS_PACKAGE = """
from scidb.thunk import thunk, Thunk, ThunkOutput
from scidb.thunk.call import PipelineThunk
@thunk(n_outputs=2)
def second(x): return x, x
assert isinstance(second, Thunk) and isinstance(second(1)[0], ThunkOutput)
"""


@pytest.mark.parametrize(
    "script",
    [
        AS_ATTRIBUTE + AS_PACKAGE + AS_ATTRIBUTE,
        AS_PACKAGE + AS_ATTRIBUTE + AS_PACKAGE,
        "from scidb import thunk\nfrom scidb.thunk import thunk as same\nassert thunk is same",
        "from scidb.thunk import thunk as same\nfrom scidb import thunk\nassert thunk is same",
    ],
    ids=["attribute-first", "package-first", "from-attribute-first", "from-package-first"],
)
def test_both_ways_in_both_orders(script: str) -> None:
    """`scidb.thunk` as an attribute is the decorator, whatever was imported first."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
