"""Before/after pairs of small modules: what changes a fingerprint, and what does not.

Each side is the text of module ``m``, or of several modules by name; the function is ``m.f``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import pytest

from scidb.hashing.fingerprint import fingerprint

if TYPE_CHECKING:
    from tests.hashing.conftest import Study

Side: TypeAlias = "str | dict[str, str]"
Pair: TypeAlias = "tuple[Side, Side]"

_WRAPS = """
import functools
def deco(f):
    @functools.wraps(f)
    def wrapper(*args):
        return f(*args) * {factor}
    return wrapper
@deco
def f(x): return x
"""
_RETRY = """
import functools
def retry(times):
    def deco(f):
        @functools.wraps(f)
        def wrapper(*args):
            return [f(*args) for _ in range(times)]
        return wrapper
    return deco
TIMES = {times}
@retry(TIMES)
def f(x): return x
"""
_CLASS = """
import functools
from dataclasses import dataclass, field
def make(): return [{made}]
class Base:
    rate = {rate}
    def scale(self, x): return x * {base}
class Filter(Base):
    def __init__(self, order={order}): self.order = order
    def run(self, x): return self.scale(x) + {method}
    @property
    def cut(self): return {prop}
    @classmethod
    def of(cls): return cls({classmethod})
    @functools.cached_property
    def cached(self): return {cached}
@dataclass
class Config:
    a: int = {field}
    b: list = field(default_factory=make)
def f(x): return Filter.of().run(x) + Config().a
"""
_CLASS_NOW = {
    "made": 1,
    "rate": 1,
    "base": 1,
    "order": 1,
    "method": 1,
    "prop": 1,
    "classmethod": 1,
    "cached": 1,
    "field": 1,
}
_HELPER: dict[str, str] = {"m": "import h\ndef f(x): return h.g(x)", "h": "def g(x): return x + 1"}


def _class(**changed: int) -> str:
    return _CLASS.format(**{**_CLASS_NOW, **changed})


CHANGED: Final[dict[str, Pair]] = {
    "body": ("def f(x): return x + 1", "def f(x): return x - 1"),
    "constant": ("def f(x): return x + 1", "def f(x): return x + 2"),
    "constant, type alone": ("def f(x): return x + 1", "def f(x): return x + 1.0"),
    "constant, sign of zero": ("def f(x): return 0.0", "def f(x): return -0.0"),
    "constant True": ("def f(x): return 1", "def f(x): return True"),
    "constant in a nested function": (
        "def f(x):\n    def g(): return 1\n    return g()",
        "def f(x):\n    def g(): return 2\n    return g()",
    ),
    "default of a nested function": (
        "def f(x):\n    def g(k=1): return k\n    return g()",
        "def f(x):\n    def g(k=2): return k\n    return g()",
    ),
    "f-string": ("def f(x): return f'{x:.2f}'", "def f(x): return f'{x:.3f}'"),
    "statement order": (
        "def f(x):\n    x += 1\n    x *= 2\n    return x",
        "def f(x):\n    x *= 2\n    x += 1\n    return x",
    ),
    "name of a parameter": ("def f(x): return 1", "def f(y): return 1"),
    "generator": ("def f(x): return [x]", "def f(x): yield x"),
    "global": ("K = 1\ndef f(x): return x + K", "K = 2\ndef f(x): return x + K"),
    "global, type alone": ("K = 1\ndef f(x): return x + K", "K = True\ndef f(x): return x + K"),
    "global array": (
        "import numpy as np\nK = np.arange(3)\ndef f(x): return x + K",
        "import numpy as np\nK = np.arange(4)\ndef f(x): return x + K",
    ),
    "global read in a comprehension": (
        "K = 1\ndef f(x): return [i + K for i in x]",
        "K = 2\ndef f(x): return [i + K for i in x]",
    ),
    "global read as the iterable of a comprehension that shadows it": (
        "K = [1]\ndef f(x): return [K for K in K]",
        "K = [2]\ndef f(x): return [K for K in K]",
    ),
    "global read in a nested lambda": (
        "K = 1\ndef f(x): return (lambda: K)()",
        "K = 2\ndef f(x): return (lambda: K)()",
    ),
    "global declared in a nested function": (
        "K = 1\ndef f(x):\n    K = 5\n    def g():\n        global K\n        return K\n    return g()",
        "K = 2\ndef f(x):\n    K = 5\n    def g():\n        global K\n        return K\n    return g()",
    ),
    "global added to": (
        "K = 1\ndef f(x):\n    global K\n    K += 1",
        "K = 2\ndef f(x):\n    global K\n    K += 1",
    ),
    "global shadows a builtin": ("def f(x): return abs(x)", "def abs(x): return x\ndef f(x): return abs(x)"),
    "compiled pattern": (
        "import re\nP = re.compile('a')\ndef f(x): return P.match(x)",
        "import re\nP = re.compile('b')\ndef f(x): return P.match(x)",
    ),
    "namespace": (
        "from types import SimpleNamespace\nC = SimpleNamespace(k=1)\ndef f(x): return C.k",
        "from types import SimpleNamespace\nC = SimpleNamespace(k=2)\ndef f(x): return C.k",
    ),
    "attribute of a function": (
        "def g(): pass\ng.k = 1\ndef f(x): return g.k",
        "def g(): pass\ng.k = 2\ndef f(x): return g.k",
    ),
    "closure value": (
        "def make(k):\n    def f(x): return x + k\n    return f\nf = make(1)",
        "def make(k):\n    def f(x): return x + k\n    return f\nf = make(2)",
    ),
    "closure function": (
        "def make(g):\n    def f(x): return g(x)\n    return f\nf = make(lambda x: x)",
        "def make(g):\n    def f(x): return g(x)\n    return f\nf = make(lambda x: -x)",
    ),
    "helper": ("def g(x): return x\ndef f(x): return g(x)", "def g(x): return -x\ndef f(x): return g(x)"),
    "default of a helper": (
        "def g(x, k=1): return x\ndef f(x): return g(x)",
        "def g(x, k=2): return x\ndef f(x): return g(x)",
    ),
    "keyword default of a helper": (
        "def g(x, *, k=1): return x\ndef f(x): return g(x)",
        "def g(x, *, k=2): return x\ndef f(x): return g(x)",
    ),
    "own default in a recursive function": (
        "def f(x, k=1): return f(x - 1) if x else k",
        "def f(x, k=2): return f(x - 1) if x else k",
    ),
    "function in a default of a helper": (
        "def h(x): return 1\ndef g(x, k=h): return k(x)\ndef f(x): return g(x)",
        "def h(x): return 2\ndef g(x, k=h): return k(x)\ndef f(x): return g(x)",
    ),
    "helper of a helper": (
        "def h(x): return x\ndef g(x): return h(x)\ndef f(x): return g(x)",
        "def h(x): return -x\ndef g(x): return h(x)\ndef f(x): return g(x)",
    ),
    "helper in another module": (_HELPER, {**_HELPER, "h": "def g(x): return x + 2"}),
    "global of another module": (
        {"m": "import h\ndef f(x): return h.K", "h": "K = 1"},
        {"m": "import h\ndef f(x): return h.K", "h": "K = 2"},
    ),
    "helper by from-import": (
        {"m": "from h import g\ndef f(x): return g(x)", "h": "def g(x): return x"},
        {"m": "from h import g\ndef f(x): return g(x)", "h": "def g(x): return -x"},
    ),
    "helper by an import in the function": (
        {"m": "def f(x):\n    from h import g as k\n    return k(x)", "h": "def g(x): return x"},
        {"m": "def f(x):\n    from h import g as k\n    return k(x)", "h": "def g(x): return -x"},
    ),
    "helper by import_module": (
        {
            "m": "import importlib\ndef f(x): return importlib.import_module('h').g(x)",
            "h": "def g(x): return x",
        },
        {
            "m": "import importlib\ndef f(x): return importlib.import_module('h').g(x)",
            "h": "def g(x): return -x",
        },
    ),
    "helper by getattr of a module": (
        {"m": "import h\ndef f(x): return getattr(h, 'g')(x)", "h": "def g(x): return x"},
        {"m": "import h\ndef f(x): return getattr(h, 'g')(x)", "h": "def g(x): return -x"},
    ),
    "helper in a package": (
        {"m": "import p.h\ndef f(x): return p.h.g(x)", "p/__init__": "", "p/h": "def g(x): return x"},
        {"m": "import p.h\ndef f(x): return p.h.g(x)", "p/__init__": "", "p/h": "def g(x): return -x"},
    ),
    "which of two helpers": (
        "def g(x): return x\ndef h(x): return -x\nk = g\ndef f(x): return k(x)",
        "def g(x): return x\ndef h(x): return -x\nk = h\ndef f(x): return k(x)",
    ),
    "library function of the same name": (
        "from numpy import convolve\ndef f(x): return convolve(x, x)",
        "from numpy.ma import convolve\ndef f(x): return convolve(x, x)",
    ),
    "library module under the same name": (
        "import numpy as np\ndef f(x): return np.mean(x)",
        "import numpy.ma as np\ndef f(x): return np.mean(x)",
    ),
    "library module imported in the function": (
        "def f(x):\n    import json as j\n    return j.loads(x)",
        "def f(x):\n    import tomllib as j\n    return j.loads(x)",
    ),
    "method": (_class(), _class(method=2)),
    "base class": (_class(), _class(base=2)),
    "class attribute of a base": (_class(), _class(rate=2)),
    "default of a method": (_class(), _class(order=2)),
    "property": (_class(), _class(prop=2)),
    "classmethod": (_class(), _class(classmethod=2)),
    "cached property": (_class(), _class(cached=2)),
    "dataclass field": (_class(), _class(field=2)),
    "dataclass default factory": (_class(), _class(made=2)),
    "dataclass order of fields": (
        "from dataclasses import dataclass\n@dataclass\nclass C:\n    a: int\n    b: int\ndef f(x): return C(x, 1).a",
        "from dataclasses import dataclass\n@dataclass\nclass C:\n    b: int\n    a: int\ndef f(x): return C(x, 1).a",
    ),
    "enum": (
        "from enum import Enum\nclass C(Enum):\n    A = 1\ndef f(x): return C.A.value",
        "from enum import Enum\nclass C(Enum):\n    A = 2\ndef f(x): return C.A.value",
    ),
    "namedtuple": (
        "from collections import namedtuple\nP = namedtuple('P', 'x y')\ndef f(x): return P(x, 1).x",
        "from collections import namedtuple\nP = namedtuple('P', 'y x')\ndef f(x): return P(x, 1).x",
    ),
    "default of a NamedTuple": (
        "from typing import NamedTuple\nclass P(NamedTuple):\n    a: int = 1\ndef f(x): return P().a",
        "from typing import NamedTuple\nclass P(NamedTuple):\n    a: int = 2\ndef f(x): return P().a",
    ),
    "enum made by a call": (
        "from enum import Enum\nC = Enum('C', {'A': 1})\ndef f(x): return C.A.value",
        "from enum import Enum\nC = Enum('C', {'A': 2})\ndef f(x): return C.A.value",
    ),
    "combination of flags": (
        "from enum import Flag\nclass C(Flag):\n    A = 1\n    B = 2\n    D = 4\nK = C.A | C.B\ndef f(x): return K",
        "from enum import Flag\nclass C(Flag):\n    A = 1\n    B = 2\n    D = 4\nK = C.A | C.D\ndef f(x): return K",
    ),
    "attribute set on a class from outside": (
        "class C: k = 1\nC.j = 1\ndef f(x): return C.j",
        "class C: k = 1\nC.j = 2\ndef f(x): return C.j",
    ),
    "super": (
        "class A:\n    def g(self): return 1\nclass B(A):\n    def g(self): return super().g()\nf = B.g",
        "class A:\n    def g(self): return 2\nclass B(A):\n    def g(self): return super().g()\nf = B.g",
    ),
    "decorator body": (_WRAPS.format(factor=1), _WRAPS.format(factor=2)),
    "decorator body outside its wrapper": (
        "def deco(f):\n    f.__dict__\n    return f\n@deco\ndef f(x): return x",
        "def deco(f):\n    f.__doc__\n    return f\n@deco\ndef f(x): return x",
    ),
    "decorator argument": (_RETRY.format(times=1), _RETRY.format(times=2)),
    "body under a decorator": (
        _WRAPS.format(factor=1),
        _WRAPS.format(factor=1).replace("return x\n", "return -x\n"),
    ),
    "body under lru_cache": (
        "import functools\n@functools.lru_cache\ndef f(x): return x",
        "import functools\n@functools.lru_cache\ndef f(x): return -x",
    ),
    "body under a library's decorator": (
        "import contextlib\n@contextlib.contextmanager\ndef f(x): yield 1",
        "import contextlib\n@contextlib.contextmanager\ndef f(x): yield 2",
    ),
    "implementation under singledispatch": (
        "import functools\n@functools.singledispatch\ndef f(x): return 0\n@f.register\ndef _(x: int): return 1",
        "import functools\n@functools.singledispatch\ndef f(x): return 0\n@f.register\ndef _(x: int): return 2",
    ),
    "vectorized function": (
        "import numpy as np\ndef g(x): return x\nf = np.vectorize(g)",
        "import numpy as np\ndef g(x): return -x\nf = np.vectorize(g)",
    ),
    "bound state": (
        "class C:\n    def __init__(self, k): self.k = k\n    def g(self, x): return self.k\nf = C(1).g",
        "class C:\n    def __init__(self, k): self.k = k\n    def g(self, x): return self.k\nf = C(2).g",
    ),
    "bound state in slots": (
        "class C:\n    __slots__ = 'k'\n    def __init__(self, k): self.k = k\n    def g(self): return 1\nf = C(1).g",
        "class C:\n    __slots__ = 'k'\n    def __init__(self, k): self.k = k\n    def g(self): return 1\nf = C(2).g",
    ),
    "content of a user's dict": (
        "class D(dict):\n    def __call__(self, x): return self['k']\nf = D(k=1)",
        "class D(dict):\n    def __call__(self, x): return self['k']\nf = D(k=2)",
    ),
    "callable instance, code": (
        "class C:\n    def __call__(self, x): return 1\nf = C()",
        "class C:\n    def __call__(self, x): return 2\nf = C()",
    ),
    "callable instance, state": (
        "class C:\n    def __init__(self, k): self.k = k\n    def __call__(self, x): return self.k\nf = C(1)",
        "class C:\n    def __init__(self, k): self.k = k\n    def __call__(self, x): return self.k\nf = C(2)",
    ),
    "global instance in a list": (
        "class C:\n    def g(self): return 1\nL = [C()]\ndef f(x): return L[0].g()",
        "class C:\n    def g(self): return 2\nL = [C()]\ndef f(x): return L[0].g()",
    ),
    "method of a dataclass instance in a list": (
        "import dataclasses as d\n@d.dataclass\nclass C:\n    def g(self): return 1\nL = [C()]\ndef f(x): return L",
        "import dataclasses as d\n@d.dataclass\nclass C:\n    def g(self): return 2\nL = [C()]\ndef f(x): return L",
    ),
    "partial argument": (
        "import functools\ndef g(x, k): return k\nf = functools.partial(g, 1)",
        "import functools\ndef g(x, k): return k\nf = functools.partial(g, 2)",
    ),
    "partial keyword": (
        "import functools\ndef g(x, k): return k\nf = functools.partial(g, k=1)",
        "import functools\ndef g(x, k): return k\nf = functools.partial(g, k=2)",
    ),
    "partial function": (
        "import functools\ndef g(x, k): return k\nf = functools.partial(g, k=1)",
        "import functools\ndef g(x, k): return -k\nf = functools.partial(g, k=1)",
    ),
    "dispatch dict": (
        "def a(x): return 1\nD = {'a': a, 'k': 1}\ndef f(x): return D[x](x)",
        "def a(x): return 2\nD = {'a': a, 'k': 1}\ndef f(x): return D[x](x)",
    ),
    "dispatch dict, keys": (
        "def a(x): return 1\nD = {'a': a, 'b': len}\ndef f(x): return D[x](x)",
        "def a(x): return 1\nD = {'b': a, 'a': len}\ndef f(x): return D[x](x)",
    ),
    "dispatch list": (
        "D = [lambda x: 1, lambda x: 2]\ndef f(x): return D[0](x)",
        "D = [lambda x: 2, lambda x: 1]\ndef f(x): return D[0](x)",
    ),
    "one of two lambdas on a line": (
        "D = (lambda x: x + 1, lambda x: x + 2)\nf = D[0]",
        "D = (lambda x: x + 1, lambda x: x + 2)\nf = D[1]",
    ),
    "bound method of a builtin": ("f = {'k': 1}.get", "f = {'k': 2}.get"),
    "itemgetter": (
        "import operator\nf = operator.itemgetter(0)",
        "import operator\nf = operator.itemgetter(1)",
    ),
    "annotation that a decorator may read": (
        "def deco(f): return f\n@deco\ndef f(x: int): return x",
        "def deco(f): return f\n@deco\ndef f(x: str): return x",
    ),
    "annotation in a class": (
        "class C:\n    a: int\ndef f(x): return C.__annotations__",
        "class C:\n    a: str\ndef f(x): return C.__annotations__",
    ),
}

SAME: Final[dict[str, Pair]] = {
    "comment": ("def f(x):\n    return x", "# why\ndef f(x):\n    # because\n    return x  # so"),
    "docstring": ("def f(x):\n    return x", 'def f(x):\n    """Say."""\n    return x'),
    "docstring of a method": (
        "class C:\n    def g(self): return 1\ndef f(x): return C().g()",
        "class C:\n    'Say.'\n    def g(self):\n        'Say.'\n        return 1\ndef f(x): return C().g()",
    ),
    "docstring alone": ("def f(x): pass", "def f(x): 'Say.'"),
    "bare string and pass": ("def f(x): return x", "def f(x):\n    pass\n    'note'\n    return x"),
    "blank lines": ("def f(x):\n    y = x\n    return y", "\n\ndef f(x):\n\n    y = x\n\n    return y\n\n"),
    "formatting": (
        "def f(x): return g(x, 1)\ndef g(x, k): return 'a'",
        'def f(x):\n    return g(\n        x,\n        1,\n    )\ndef g(x,k): return "a"',
    ),
    "number formatting": ("def f(x): return 1000 + 0x10", "def f(x): return 1_000 + 16"),
    "annotation": ("def f(x): return x", "def f(x: int) -> int: return x"),
    "annotation of a local": (
        "def f(x):\n    y = x\n    return y",
        "def f(x):\n    y: int = x\n    return y",
    ),
    "annotation under lru_cache": (
        "import functools\n@functools.lru_cache\ndef f(x): return x",
        "import functools\n@functools.lru_cache\ndef f(x: int): return x",
    ),
    "annotation of a method": (
        "class C:\n    @property\n    def g(self): return 1\ndef f(x): return C().g",
        "class C:\n    @property\n    def g(self) -> int: return 1\ndef f(x): return C().g",
    ),
    "position in the file": (
        "def g(x): return x\ndef f(x): return g(x)",
        "import math\nK = 3\ndef f(x): return g(x)\n\ndef h(): return K\ndef g(x): return x",
    ),
    "helper moved to another module": (
        "def g(x): return x\ndef f(x): return g(x)",
        {"m": "from h import g\ndef f(x): return g(x)", "h": "def g(x): return x"},
    ),
    "class moved to another module": (
        "class C:\n    k = 1\n    def g(self): return self.k\nc = C()\ndef f(x): return c.g()",
        {
            "m": "from h import C\nc = C()\ndef f(x): return c.g()",
            "h": "class C:\n    k = 1\n    def g(self): return self.k",
        },
    ),
    "something it does not read": (
        "K = 1\ndef g(): pass\ndef f(x): return x",
        "K = 2\ndef g(): return 1\ndef f(x): return x",
    ),
    "own default": ("def f(x, k=1): return k", "def f(x, k=2): return k"),
    "own keyword default": ("def f(x, *, k=1): return k", "def f(x, *, k=2): return k"),
    "order of a dict": (
        "D = {'a': 1, 'b': 2}\ndef f(x): return D",
        "D = {'b': 2, 'a': 1}\ndef f(x): return D",
    ),
    "order of a dispatch dict": (
        "D = {'a': len, 'b': lambda x: 1}\ndef f(x): return D",
        "D = {'b': lambda x: 1, 'a': len}\ndef f(x): return D",
    ),
    "local shadows a global": ("K = 1\ndef f(K): return K", "K = 2\ndef f(K): return K"),
    "local of an enclosing function": (
        "K = 1\ndef f(x):\n    K = x\n    return (lambda: K)()",
        "K = 2\ndef f(x):\n    K = x\n    return (lambda: K)()",
    ),
    "future import": ("def f(x): return x", "from __future__ import annotations\ndef f(x): return x"),
}


def hash_of(study: Study, side: Side) -> str:
    return fingerprint(study.load(side).f).hash


@pytest.mark.parametrize("kind", CHANGED)
def test_a_change_of_code_changes_the_fingerprint(study: Study, kind: str) -> None:
    """M4: whatever decides what the function returns is part of its fingerprint."""
    before, after = CHANGED[kind]

    first = hash_of(study, before)

    assert first != hash_of(study, after)
    assert first == hash_of(study, before)


@pytest.mark.parametrize("kind", SAME)
def test_a_change_of_form_keeps_the_fingerprint(study: Study, kind: str) -> None:
    """M5: what does not change a result does not cost a recomputation."""
    before, after = SAME[kind]

    assert hash_of(study, before) == hash_of(study, after)


@pytest.mark.parametrize("kind", [*CHANGED, *SAME])
def test_every_pair_is_read_from_source(study: Study, kind: str) -> None:
    """Nothing ordinary falls back to bytecode, which would not survive a change of Python."""
    for side in {**CHANGED, **SAME}[kind]:
        made = fingerprint(study.load(side).f)

        assert made.warnings == ()
        assert '"bytecode"' not in made.manifest
