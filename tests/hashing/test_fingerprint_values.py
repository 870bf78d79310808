"""Functions and classes as values: what identifies them when they are passed to another function."""

from __future__ import annotations

import functools
import math
import operator
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from scidb.exceptions import UnhashableValueError
from scidb.hashing.code.fingerprint import fingerprint, identify_code
from scidb.variable import BaseVariable

if TYPE_CHECKING:
    from tests.hashing.conftest import Study


@pytest.mark.parametrize(
    ("function", "token"),
    [
        (len, "lib:builtins.len"),
        (float, "lib:builtins.float"),
        (math.sqrt, "lib:math.sqrt"),
        (np.mean, "lib:numpy.mean"),
        (np.sin, "lib:numpy.sin"),
        (np.linalg.norm, "lib:numpy.linalg.norm"),
        (np.float64, "lib:numpy.float64"),
        (pd.DataFrame, "lib:pandas.DataFrame"),
        (str.upper, "lib:builtins.str:str.upper"),
    ],
)
def test_a_librarys_function_is_its_name(function: Any, token: str) -> None:
    """What a library defines is known by its public dotted name, the same in every version."""
    assert identify_code(function) == (token, token.removeprefix("lib:"))


_TEXTS = {
    "body": "def v(x): return x + {}",
    "default": "def v(x, k={}): return x + k",
    "keyword default": "def v(x, *, k={}): return x + k",
    "lambda": "v = lambda x: x + {}",
    "default of a lambda": "v = lambda x, k={}: x + k",
    "global": "K = {}\ndef v(x): return x + K",
    "helper": "def h(): return {}\ndef v(x): return x + h()",
    "partial": "import functools\ndef f(x, k): return x\nv = functools.partial(f, k={})",
    "default under a partial": "import functools\ndef f(x, k={}): return x\nv = functools.partial(f)",
    "partial of a library": "import functools\nv = functools.partial(pow, exp={})",
    "bound state": "class F:\n    def __init__(s, k): s.k = k\n    def m(s): return s.k\nv = F({}).m",
    "method": "class F:\n    def m(s): return {}\nv = F().m",
    "callable instance": "class F:\n    def __init__(s, k): s.k = k\n    def __call__(s): return s.k\nv = F({})",
    "class": "class v:\n    k = {}",
    "cached": "import functools\n@functools.lru_cache\ndef v(x): return {}",
    "bound builtin": "v = '{}'.join",
    "getter": "import operator\nv = operator.itemgetter({})",
}


@pytest.mark.parametrize("kind", _TEXTS)
def test_users_code_is_its_content(study: Study, kind: str) -> None:
    """M4: a changed body, default, state or helper makes another value; a fresh import does not."""
    same = [identify_code(study.load(_TEXTS[kind].format(1)).v) for _ in range(2)]
    other = identify_code(study.load(_TEXTS[kind].format(2)).v)

    assert same[0] == same[1]
    assert same[0][0] != other[0]
    assert "0x" not in same[0][1]


def test_the_name_of_a_value_counts(study: Study) -> None:
    """The receiver can see a function's name, as DataFrame.agg does; where it is defined does not count."""
    first, moved = (study.load(f"{above}def f(x): return x\ndef g(x): return x") for above in ("", "\n\nK = 1\n"))
    assert identify_code(first.f)[0] != identify_code(first.g)[0]
    assert identify_code(first.f) == identify_code(moved.f)
    assert identify_code(first.f)[1] == "m.f"


class KeptAsValue(BaseVariable):
    """A variable of these tests."""


@pytest.mark.parametrize(
    "value",
    [
        np.random.default_rng(1).normal,
        np.random.normal,
        np.frompyfunc(lambda x: x, 1, 1),
        np.vectorize(np.mean),
        np.vectorize(lambda x: x, otypes=[int]),
        functools.partial(np.vectorize(lambda x: x)),
        functools.partial(operator.is_, threading.Lock()),
        lambda: eval("1"),
        KeptAsValue,
    ],
)
def test_what_is_not_fully_known_has_no_identity(value: Any) -> None:
    """M7: a method of a generator, a wrapper with options, code with a warning, and a variable class have none."""
    with pytest.raises(UnhashableValueError, match="is not fully known: "):
        identify_code(value)


def test_a_function_read_by_name_is_the_one_of_the_module(study: Study) -> None:
    """``np.mean``, and ``mean`` imported from numpy, are one library function; what wraps one is said."""
    module = study.load(
        "import numpy as np\nfrom numpy import mean\nfrom numpy.random import normal\n"
        "v = np.vectorize(mean)\nu = np.frompyfunc(mean, 1, 1)\n"
        "def f(x): return mean(x)\ndef g(x): return v(x)\ndef h(x): return u(x)\ndef r(): return normal()\n"
    )
    assert '["mean","lib:numpy.mean"]' in fingerprint(module.f).manifest
    assert "v read by g()" in fingerprint(module.g).warnings[0]
    assert "u read by h()" in fingerprint(module.h).warnings[0]
    assert "__self__ read by" in fingerprint(module.r).warnings[0]


@pytest.mark.parametrize("function", [abs, np.mean, np.sin, float, functools.partial(np.mean, axis=0), str.upper])
def test_a_version_counts_for_library_functions(function: Any) -> None:
    """A version distinguishes calls of functions that have no code of the user."""
    hashes = {fingerprint(function, version=version).hash for version in (None, "1", "2")}
    assert len(hashes) == 3


def test_an_ignored_name_that_nothing_reads_is_remarked(study: Study) -> None:
    """A misspelt name in ignore= is said, with the nearest one; it changes neither hash nor warnings."""
    module = study.load("calls = []\nK = 1\ndef h(): return K\ndef f(x):\n    calls.append(x)\n    return h()")
    plain, misspelt = fingerprint(module.f), fingerprint(module.f, ignore=["clals", "K"])

    assert misspelt.remarks == (
        "ignore= names 'clals', but the code reads nothing of that name. Did you mean 'calls'?",
    )
    assert (misspelt.warnings, plain.remarks) == ((), ())
    one = fingerprint(module.f, ignore=["clals"])
    assert (one.hash, one.remarks) == (plain.hash, misspelt.remarks)
    assert fingerprint(module.f).remarks == ()
    assert fingerprint(module.f, ignore=["calls", "K"]).remarks == ()
    assert fingerprint(module.f, ignore=["clals"], version="1").remarks == ()
