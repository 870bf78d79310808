"""Code put together from its stored text: exactly as recorded, or refused with the name of what is missing."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from scidb.hashing.code.fingerprint import fingerprint
from scidb.provenance.reproduction.calls import CannotRunError
from scidb.provenance.reproduction.exchange import Code
from scidb.provenance.reproduction.rebuild import rebuilt

if TYPE_CHECKING:
    from tests.provenance.reproduction.conftest import Lab


def stored(function: Any, includes: Any = ()) -> Code:
    made = fingerprint(function, includes=includes)
    return Code(made.hash, made.manifest, made.sources, "stored")


SHAPES = {
    "constants and helpers": (
        """
        import numpy as np
        K = 3.0
        BAND = (0.5, 20.0)
        NAMES = ["a"] * 100
        WEIGHTS = np.array([0.2, 0.8])
        def helper(x, k=K): return x * k
        def f(x): return float(np.mean([helper(x), K, BAND[1], len(NAMES), WEIGHTS[1]]))
        """,
        2.0,
    ),
    "recursion and mutual recursion": (
        """
        def even(n): return True if n == 0 else odd(n - 1)
        def odd(n): return False if n == 0 else even(n - 1)
        def f(n): return even(n)
        """,
        4,
    ),
    "names from libraries": (
        """
        import math, json as js
        import numpy.linalg
        from math import sqrt as root
        from collections import Counter
        import os.path
        def f(x): return [root(x), math.pi, js.dumps({"a": x}), Counter("aab").most_common(1), numpy.linalg.norm([x]),
                          os.path.basename("a/b")]
        """,
        4.0,
    ),
    "imports inside the function": (
        "def f(x):\n    import math\n    from json import dumps\n    return dumps(math.floor(x))\n",
        2.5,
    ),
    "a closure": (
        """
        def make(gain, helper):
            def inner(x): return helper(x) * gain
            return inner
        def plus(x): return x + 1
        f = make(3.0, plus)
        """,
        2.0,
    ),
    "a lambda in a call": ("def same(g): return g\nf = same(lambda x, k=2: (x + 1) * k)\n", 2.0),
    "decorators": (
        """
        import functools
        from scidb import thunk
        def doubled(g):
            @functools.wraps(g)
            def wrapper(*args): return 2 * g(*args)
            return wrapper
        @functools.lru_cache(maxsize=None)
        def cached(x): return x + 1
        @doubled
        def twice(x): return x
        @thunk(n_outputs=1, version=None)
        def inner(x): return x * 10
        class Own:
            def __scidb_hash__(self): return "own"
            @thunk
            def method(self, x): return x * 100
        def f(x): return cached(x) + twice(x) + inner(x).data + Own().method(x).data
        """,
        2.0,
    ),
    "a class with methods": (
        """
        from dataclasses import dataclass
        LEVEL = 4
        class Base:
            offset = LEVEL * 2
            def shift(self, x, by=LEVEL): return x + self.offset + by
        class Filter(Base):
            def __init__(self, gain): self.gain = gain
            def apply(self, x): return super().shift(x) * self.gain
            @property
            def half(self): return self.gain / 2
            @staticmethod
            def minus(x): return -x
            @classmethod
            def make(cls): return cls(2.0)
        @dataclass
        class Point:
            x: float
            y: float = 1.0
        def f(x):
            made = Filter.make()
            return made.apply(x) + made.half + Filter.minus(x) + Point(x).y
        """,
        2.0,
    ),
    "functions that call themselves through a decorator": (
        """
        import functools
        def logged(g):
            @functools.wraps(g)
            def wrapper(self, *args): return g(self, *args)
            return wrapper
        @functools.cache
        def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
        class Tree:
            kind = None
            @logged
            def depth(self, n): return 0 if n == 0 else Tree().depth(n - 1) + 1
        def f(n): return fib(n) + Tree().depth(n)
        """,
        5,
    ),
    "a dispatch table and a partial": (
        """
        import functools
        def add(x, y): return x + y
        def sub(x, y): return x - y
        TABLE = {"add": add, "sub": sub, "more": [add, sub]}
        plus = functools.partial(add, 5.0)
        def f(x): return TABLE["add"](x, 1) * TABLE["more"][1](x, 2) + plus(x)
        """,
        2.0,
    ),
    "a logger": (
        "import logging\nlogger = logging.getLogger(__name__)\ndef f(x):\n    logger.info('x')\n    return x\n",
        2.0,
    ),
    "annotations of unknown names": (
        (
            "import numpy as np\nimport numpy.typing as npt\n"
            "def f(x: npt.NDArray[np.float64], y: 'Nowhere' = None) -> npt.ArrayLike: return x\n"
        ),
        2.0,
    ),
    "an async function and a generator": (
        """
        import asyncio
        async def later(x): return x + 1
        def some(x): yield from range(int(x))
        def f(x): return asyncio.run(later(x)) + sum(some(x))
        """,
        3.0,
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_code_is_put_together_as_it_was(lab: Lab, shape: str) -> None:
    """The fingerprint of what was put together is the recorded one, and it gives what the code gave."""
    text, argument = SHAPES[shape]
    function = lab.write(text).f
    code, expected = stored(function), function(argument)
    lab.forget()

    made, _ = rebuilt(code)

    assert made is not function
    assert made(argument) == expected


def test_modules_that_code_imports_from_one_another(lab: Lab) -> None:
    """Attributes of the user's own modules, and imports of them inside a function, lead to stored code."""
    text = "K = 2\ndef g(x): return x * K\ndef h(x): return -x\n"
    (lab.folder / "lab_helpers.py").write_text(text, encoding="utf-8")
    function = lab.write(
        "import lab_helpers\ndef f(x):\n"
        "    from lab_helpers import h\n    return lab_helpers.g(x) + h(x) + lab_helpers.K\n"
    ).f
    code, expected = stored(function), function(3)
    for name in ("lab_work", "lab_helpers"):
        sys.modules.pop(name)
    (lab.folder / "lab_helpers.py").unlink()
    try:
        assert rebuilt(code)[0](3) == expected
    finally:
        sys.modules.pop("lab_helpers", None)


def test_what_had_to_be_assumed_is_said(lab: Lab) -> None:
    """Where a class decorator comes from is not stored; that it is taken for the usual one is a remark."""
    function = lab.write(
        "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\ndef f(x): return P(x).x\n"
    ).f

    assert rebuilt(stored(function))[1] == ("dataclass is taken to be dataclasses.dataclass",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import numpy as np\nK = np.zeros(5000)\ndef f(x): return x + K\n", "the value of K (float64 array (5000))"),
        ("import threading\nL = threading.Lock()\ndef f(x):\n    with L: return x\n", "L"),
        ("class C:\n    def __init__(self): self.k = 1\nc = C()\ndef f(x): return c.k\n", "C (instance)"),
        ("exec('def f(x): return x + 1')\n", "bytecode"),
        (
            "def make():\n n = 0\n def f(x):\n  nonlocal n\n  n += 1\n  return n\n return f\nf = make()\n",
            "f",
        ),
    ],
)
def test_what_is_not_stored_is_named(lab: Lab, text: str, said: str) -> None:
    """Large values, objects and code without a source are not guessed."""
    code = stored(lab.write(text).f)

    with pytest.raises(CannotRunError) as caught:
        rebuilt(code)
    assert said in str(caught.value)


def test_a_text_that_was_changed_in_the_database_is_refused(lab: Lab) -> None:
    """A text must have its hash, and the code the fingerprint under which the record names it."""
    code = stored(lab.write("def f(x): return x + 1\n").f)
    (digest,) = code.sources
    with pytest.raises(CannotRunError, match="damaged"):
        rebuilt(Code(code.function_hash, code.manifest, {digest: "def f(x): return x + 2\n"}, "stored"))

    other = stored(lab.write("def f(x): return x + 2\n").f)
    with pytest.raises(CannotRunError, match="cannot be put together as it was"):
        rebuilt(Code(code.function_hash, other.manifest, other.sources, "stored"))


def test_a_missing_library_is_named(lab: Lab) -> None:
    """What is not installed any more is said by its name."""
    code = stored(lab.write("import colorsys\ndef f(x): return colorsys.rgb_to_hsv(x, x, x)\n").f)
    manifest = code.manifest.replace("colorsys", "colourless")
    text = {digest: text.replace("colorsys", "colourless") for digest, text in code.sources.items()}
    with pytest.raises(CannotRunError, match=r"damaged|colourless"):
        rebuilt(Code(code.function_hash, manifest, text, "stored"))
    with pytest.raises(CannotRunError, match="it needs colourless, which is not installed here"):
        rebuilt(Code(code.function_hash, manifest, code.sources, "stored"))


def test_another_process_puts_the_same_together(lab: Lab) -> None:
    """M9: nothing depends on the process that recorded the code."""
    script = dedent("""
        import json, sys
        from dataclasses import asdict
        from scidb.provenance.reproduction.exchange import Code
        from scidb.provenance.reproduction.rebuild import rebuilt
        print(rebuilt(Code(**json.load(sys.stdin)))[0](2.0))
    """)
    module = lab.write(SHAPES["a class with methods"][0])
    run = subprocess.run(
        [sys.executable, "-c", script], input=json.dumps(asdict(stored(module.f))), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert run.stderr == ""
    assert float(run.stdout) == module.f(2.0)
