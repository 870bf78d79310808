from __future__ import annotations

import dataclasses
import functools
import gc
import importlib
import json
import linecache
import sys
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from scidb.hashing.canonical.encode import canonical_hash
from scidb.hashing.code.changes import differences
from scidb.hashing.code.fingerprint import Fingerprint, fingerprint, snapshot
from scidb.thunk import Thunk

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.hashing.conftest import Study


def units(made: Fingerprint) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(made.manifest)["units"]
    return found


class Wrapped:
    """Stands in for the object that ``@thunk`` makes."""

    __scidb_transparent__ = True

    def __init__(self, function: Callable[..., object]) -> None:
        self.__wrapped__ = function


# ---------------------------------------------------------------- shapes of code


def test_recursion_ends(study: Study) -> None:
    """M4: functions, classes and containers may reach each other in circles."""
    text = (
        "def even(x): return x == 0 or odd(x - 1)\n"
        "def odd(x): return x != 0 and even(x - {step})\n"
        "class C:\n    def g(self): return C(), LOOP\n"
        "LOOP = [C()]\nLOOP.append(LOOP)\nLOOP[0].me = LOOP[0]\n"
        "def f(x): return even(x), C().g()"
    )

    first, second = (fingerprint(study.load(text.format(step=step)).f).hash for step in (1, 2))

    assert first != second
    assert first == fingerprint(study.load(text.format(step=1)).f).hash


def test_mutually_importing_modules_end(study: Study) -> None:
    """Two modules that import each other are both followed, once."""
    texts = {"m": "import h\ndef f(x): return h.g(x)", "h": "import m\nK = 1\ndef g(x): return m.f(x) + K"}
    first = fingerprint(study.load(texts).f)
    second = fingerprint(study.load({**texts, "h": texts["h"].replace("K = 1", "K = 2")}).f)

    assert [unit["name"] for unit in units(first)] == ["f", "g"]
    assert first.hash != second.hash


@pytest.mark.parametrize("decorator", ["@W", "@w.W", "@alias"])
def test_own_decorators_are_looked_through(study: Study, decorator: str) -> None:
    """A thunk and its plain function have one fingerprint; decorators are known as live objects, not by name."""
    wrapper = "class W:\n    __scidb_transparent__ = True\n    def __init__(self, f): self.__wrapped__ = f\n"
    imports = "import w\nfrom w import W\nalias = W\n"
    plain = f"{imports}def f(x): return x + 1\ndef g(x): return f(x)"
    decorated = plain.replace("def f", f"{decorator}\ndef f")

    before = study.load({"m": plain, "w": wrapper})
    expected = [fingerprint(before.f).hash, fingerprint(before.g).hash]
    after = study.load({"m": decorated, "w": wrapper})

    assert [fingerprint(after.f).hash, fingerprint(after.g).hash] == expected
    assert fingerprint(after.f).name == "f"


def test_a_foreign_decorator_called_thunk_counts(study: Study) -> None:
    """A decorator is own by what it is, not by what it is called."""
    plain = "def thunk(f): return f\ndef f(x): return x"

    assert (
        fingerprint(study.load(plain).f).hash != fingerprint(study.load(plain.replace("def f", "@thunk\ndef f")).f).hash
    )


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("f", "f"),
        ("functools.partial(functools.partial(f, 1), 2)", "f"),
        ("lambda x: x", "<lambda>"),
        ("C().g", "g"),
        ("C.g", "g"),
        ("C()", "C"),
        ("outer()", "inner"),
        ("len", "len"),
        ("np.add", "add"),
    ],
)
def test_the_name_is_the_functions_own(study: Study, expression: str, name: str) -> None:
    """The name is the last part of the qualified name, of what a partial or bound method holds."""
    text = (
        "import functools\nimport numpy as np\ndef f(*x): return x\nclass C:\n    def g(self): pass\n"
        f"    def __call__(self): pass\ndef outer():\n    def inner(): pass\n    return inner\nit = {expression}"
    )

    assert fingerprint(study.load(text).it).name == name


@pytest.mark.parametrize("changed", ["a: int = 1", "return 1"])
def test_an_attrs_class_counts_by_its_fields_and_factories(study: Study, changed: str) -> None:
    """M4: attrs classes are dataclasses to their users."""
    pytest.importorskip("attrs")
    text = (
        "import attrs\ndef make():\n    return 1\n@attrs.define\nclass C:\n    a: int = 1\n"
        "    b: int = attrs.field(factory=make)\ndef f(x): return C().a"
    )
    made = fingerprint(study.load(text).f)

    assert made.warnings == ()
    assert made.hash != fingerprint(study.load(text.replace(changed, changed.replace("1", "2"))).f).hash


def test_a_library_is_recorded_by_version_and_not_followed(study: Study) -> None:
    """A library's functions count by name; its version stands beside, not in, the fingerprint."""
    made = fingerprint(study.load("import numpy as np\nimport json\ndef f(x): return np.mean(json.loads(x))").f)

    assert units(made)[0]["refs"] == [["json.loads", "lib:json.loads"], ["np.mean", "lib:numpy.mean"]]
    assert json.loads(made.manifest)["libs"] == {"numpy": np.__version__}


def test_of_a_variable_class_its_methods_count(study: Study) -> None:
    """A variable's description and units are no code, its to_db and from_db are."""
    text = (
        "from scidb.variable import BaseVariable\nimport pandas as pd\nclass FingerprintedLength(BaseVariable):\n"
        "    'What it is.'\n    units = 'm'\n    def to_db(self): return pd.DataFrame({'a': [self.data]})\n"
        "    @classmethod\n    def from_db(cls, df): return df['a'].iloc[0]\ndef f(x): return FingerprintedLength(x)"
    )

    def made(before: str, after: str) -> str:
        return fingerprint(study.load(text.replace(before, after)).f).hash

    assert made("", "") == made("'m'", "'cm'") == made("What", "How")
    assert made("", "") != made("['a'].iloc[0]", "['a'].iloc[1]")


@pytest.mark.parametrize(
    "decorator", ["@thunk", "@thunk(n_outputs=2)", "@scidb.thunk", "two = thunk(n_outputs=2)\n@two"]
)
def test_a_thunk_and_its_function_have_one_fingerprint(study: Study, decorator: str) -> None:
    """The real decorator, in each of its spellings, is not part of the code."""
    text = "import scidb\nfrom scidb.thunk import thunk\n{}\ndef f(x):\n    return x\ndef g(x): return f(x)"
    plain = study.load(text.format(""))
    expected = [fingerprint(plain.f).hash, fingerprint(plain.g).hash]
    decorated = study.load(text.format(decorator))

    assert [fingerprint(decorated.f).hash, fingerprint(decorated.g).hash] == expected


def test_a_notebook_cell_counts_by_its_source() -> None:
    """What IPython keeps of a cell is a source like any other; the number of the cell does not count."""

    def cell(number: int, text: str) -> Fingerprint:
        name = f"<ipython-input-{number}-abc>"
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        namespace: dict[str, Any] = {"__name__": "__main__"}
        exec(compile(text, name, "exec"), namespace)
        return fingerprint(namespace["f"])

    first = cell(1, "K = 1\ndef f(x):\n    return x + K\n")

    assert first.warnings == ()
    assert first.hash == cell(2, "K = 1\n\ndef f(x: int):  # so\n    return x + K\n").hash
    assert first.hash != cell(3, "K = 1\ndef f(x):\n    return x - K\n").hash


def test_scidb_counts_as_a_library(study: Study) -> None:
    """What SciDB does is no code of the user."""
    text = "from scidb.hashing.canonical.encode import canonical_hash as h\ndef f(x): return h(x)"
    made = fingerprint(study.load(text).f)

    assert units(made)[0]["refs"] == [["h", "lib:scidb.canonical_hash"]]


# ---------------------------------------------------------------- options


def test_a_version_stands_for_the_functions_own_code(study: Study) -> None:
    """An edit under the same version is no change; another version, function or bound argument is."""
    text = "import functools\ndef f(x): return {}\ndef g(x): return 1\np = functools.partial(f, {})"
    first = study.load(text.format(1, 1))
    hashes = [
        fingerprint(first.f, version="1").hash,
        fingerprint(first.f, version="2").hash,
        fingerprint(first.f).hash,
        fingerprint(first.g, version="1").hash,
        fingerprint(first.p, version="1").hash,
        fingerprint(len, version="1").hash,
        fingerprint(len, version="2").hash,
    ]
    second = study.load(text.format(2, 2))

    assert len(set(hashes)) == len(hashes)
    assert fingerprint(second.f, version="1").hash == hashes[0]
    assert fingerprint(second.p, version="1").hash != hashes[4]


def test_included_functions_count_as_if_they_were_read(study: Study) -> None:
    """What a function finds by a computed name can be named with includes=."""
    text = "def f(x): return globals()[x]()\ndef g(k=1): return {}"
    first, second = (study.load(text.format(number)) for number in (1, 2))

    assert fingerprint(first.f).hash == fingerprint(second.f).hash
    assert fingerprint(first.f, includes=[first.g]).hash != fingerprint(second.f, includes=[second.g]).hash
    assert "globals()" in fingerprint(first.f).warnings[0]


def test_an_ignored_name_does_not_count(study: Study) -> None:
    """ignore= takes names as the code writes them, with everything below."""
    texts = [{"m": "import h\ndef f(x): return h.a.b + h.k", "h": f"class a: b = {n}\nk = 1"} for n in (1, 2)]

    assert fingerprint(study.load(texts[0]).f).hash != fingerprint(study.load(texts[1]).f).hash
    hashes = {fingerprint(study.load(text).f, ignore=["h.a"]).hash for text in texts}
    assert len(hashes) == 1
    assert fingerprint(study.load(texts[0]).f, ignore=["h"]).hash not in hashes


# ---------------------------------------------------------------- what cannot be known is said


def test_a_value_without_identity_counts_by_type_and_is_said(study: Study) -> None:
    """M7: such a value is never taken for an equal one silently: strict=True refuses on the warning."""
    made = fingerprint(study.load("import threading\nL = threading.Lock()\ndef f(x): return L").f)

    assert made.warnings == ("L read by f() has no identity by content; only its type thread.lock counts.",)
    assert json.loads(made.manifest)["warnings"] == list(made.warnings)


def test_facts_about_the_module_are_said_and_do_not_count(study: Study) -> None:
    """``__file__`` and ``__name__`` differ between machines and are no code."""
    text = "def f(x): return __file__, __name__"
    first = fingerprint(study.load(text).f)
    second = fingerprint(study.load({"n": text}, "n").f)

    assert first.hash == second.hash
    assert [warning.split(",")[0] for warning in first.warnings] == [
        "f() reads __file__",
        "f() reads __name__",
    ]


def test_code_without_source_counts_by_its_bytecode() -> None:
    """A function from ``exec`` is told apart by its bytecode, tagged with the version of Python, and flagged."""

    def made(text: str) -> Fingerprint:
        namespace: dict[str, Any] = {}
        exec(text, namespace)
        return fingerprint(namespace["f"])

    first = made("K = 1\ndef f(x): return x + 1 + K")

    assert first.hash == made("\n\nK = 1\ndef f(x):\n    return x + 1 + K").hash
    assert first.hash != made("K = 1\ndef f(x): return x + 2 + K").hash
    assert first.hash != made("K = 2\ndef f(x): return x + 1 + K").hash
    assert f"bytecode of Python {sys.version_info[0]}.{sys.version_info[1]}" in first.warnings[0]
    assert units(first)[0]["how"] == "bytecode"


def test_a_class_without_source_counts_by_its_members() -> None:
    """A class from ``exec`` still shows its methods and values."""

    def made(text: str) -> Fingerprint:
        namespace: dict[str, Any] = {"__name__": "typed_in"}
        exec(text, namespace)
        return fingerprint(namespace["C"]().g)

    text = "class C:\n    k = 1\n    def g(self): return 1"

    assert made(text).hash == made(text).hash
    assert made(text).hash != made(text.replace("k = 1", "k = 2")).hash
    assert made(text).hash != made(text.replace("return 1", "return 2")).hash


# ---------------------------------------------------------------- files that are edited


def test_the_code_that_really_ran_counts_after_an_edit(study: Study) -> None:
    """M11: with a snapshot, a later edit neither loses the source nor takes its place."""
    module = study.load("def f(x):\n    return x + 1")
    expected = fingerprint(module.f)
    module = study.load("def f(x):\n    return x + 1")
    snapshot(module.f)
    (study.folder / "m.py").write_text("def f(x):\n    return x + 2", encoding="utf-8")

    made = fingerprint(module.f)

    assert made == dataclasses.replace(expected, manifest=made.manifest)
    assert list(made.sources.values()) == ["def f(x):\n    return x + 1"]
    importlib.reload(module)
    assert fingerprint(module.f).hash != expected.hash


def test_a_snapshot_covers_helpers_in_other_modules(study: Study) -> None:
    """M11: the modules that a function can see when it is decorated are kept as they are then."""
    texts = {
        "m": "import h\ndef f(x): return h.g(x)",
        "h": "from k import K\ndef g(x): return K()",
        "k": "class K:\n    a = 1",
    }
    expected = fingerprint(study.load(texts).f)
    module = study.load(texts)
    snapshot(Wrapped(functools.partial(module.f, 1)))
    for name in texts:
        (study.folder / f"{name}.py").write_text("nonsense (", encoding="utf-8")

    assert fingerprint(module.f).hash == expected.hash
    assert fingerprint(module.f).warnings == ()


@pytest.mark.parametrize(
    ("imports", "call", "name"),
    [
        ("import sys", "sys.modules['h'].g(x)", "sys.modules"),
        ("import sys", "sys.modules.get('h').g(x)", "sys.modules.get"),
        ("import runpy", "runpy.run_path('h.py')['g'](x)", "runpy.run_path"),
        (
            "from importlib import util",
            "util.spec_from_file_location('h', 'h.py')",
            "importlib.util.spec_from_file_location",
        ),
        ("from importlib import reload", "reload(x)", "importlib.reload"),
    ],
)
def test_other_ways_to_load_code_are_said(study: Study, imports: str, call: str, name: str) -> None:
    """Whatever loads a module by other means than an import is a warning, which strict=True heeds."""
    made = fingerprint(study.load(f"{imports}\ndef f(x): return {call}").f)

    assert [warning for warning in made.warnings if f"by way of {name} is unknown" in warning]


@pytest.mark.parametrize(
    ("imports", "read", "name"),
    [
        ("import os", "os.environ['LAB']", "os.environ"),
        ("import os", "os.environ.get('LAB')", "os.environ"),
        ("import os", "os.getenv('LAB')", "os.getenv"),
        ("from os import environ", "environ['LAB']", "os.environ"),
        ("from os import getenv", "getenv('LAB')", "os.getenv"),
        ("import os\ndef g(): return os.environ['LAB']", "g()", "os.environ"),
    ],
)
def test_reads_of_the_environment_are_said(study: Study, imports: str, read: str, name: str) -> None:
    """A variable of the environment is no part of the code: that it is read is a warning, which strict=True heeds."""
    module = study.load(f"{imports}\ndef f(x): return {read}")

    [warning] = fingerprint(module.f).warnings
    assert warning.startswith(f"What it reads of the environment by way of {name} is not part of its identity; ")
    assert Thunk(module.f, strict=True).uncacheable_reason(fingerprint(module.f)) is not None


def test_a_value_that_was_read_from_the_environment_once_counts(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a module has read when it was imported is a value like any other."""
    made = []
    for value in ("a", "b"):
        monkeypatch.setenv("SCIDB_TEST_LAB", value)
        made.append(fingerprint(study.load("import os\nLAB = os.environ['SCIDB_TEST_LAB']\ndef f(x): return LAB").f))

    assert made[0].warnings == ()
    assert [str(change) for change in differences(*made)] == ["value LAB read by f(): 'a' -> 'b'"]


def test_code_made_by_exec_is_no_trouble_for_others(study: Study) -> None:
    """Functions without a module, as symbolic libraries make them, stand beside others, and count by their bytecode."""
    text = (
        "from scidb import thunk\nnamespace = {{}}\nexec('def g(x): return x + {}', namespace)\ng = namespace['g']\n"
        "@thunk\ndef f(x): return g(x)\n@thunk\ndef other(x): return x"
    )
    first, second = (study.load(text.format(number)) for number in (1, 2))

    assert first.g.__module__ is None
    assert first.f.fingerprint().hash != second.f.fingerprint().hash
    assert first.other.fingerprint().hash == second.other.fingerprint().hash


def test_a_module_that_is_loaded_again_is_kept_again(study: Study) -> None:
    """M11: in a long session a helper is edited and reloaded, and edited once more; what runs keeps its text."""
    texts = {"m": "import h\ndef f(x): return h.g(x)", "h": "def g(x): return 1"}
    module = study.load(texts)
    snapshot(module.f)
    helper = study.folder / "h.py"
    helper.write_text("def g(x):\n    return 2", encoding="utf-8")
    importlib.reload(module.h)
    snapshot(module.f)
    helper.write_text("def g(x):\n    return 3 + 4", encoding="utf-8")

    made = fingerprint(module.f)

    assert made.warnings == ()
    assert list(made.sources.values())[1] == "def g(x):\n    return 2"


def test_an_edit_before_the_first_look_falls_back_to_bytecode(study: Study) -> None:
    """M11: text that does not compile to the running code is never taken for it."""
    module = study.load("def f(x):\n    return x + 1")
    (study.folder / "m.py").write_text("def f(x):\n    return x + 2", encoding="utf-8")

    made = fingerprint(module.f)

    assert units(made)[0]["how"] == "bytecode"
    assert made.sources == {}
    assert "cannot be had" in made.warnings[0]
    assert made.hash != fingerprint(study.load("def f(x):\n    return x + 2").f).hash


def test_an_edit_elsewhere_in_the_file_does_not_matter(study: Study) -> None:
    """M5, M11: the running code is found again at another line."""
    text = "def f(x):\n    return (lambda y: y + 1)(x)"
    expected = fingerprint(study.load(text).f)
    module = study.load(text)
    (study.folder / "m.py").write_text(f"# new\nimport math\n\n\n{text}  # so\n", encoding="utf-8")

    assert fingerprint(module.f).hash == expected.hash


def test_code_that_the_compiler_warns_about_is_read_from_source(study: Study) -> None:
    """Recompiling repeats no warning of the import, and does not fail where warnings are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = study.load("def f(x):\n    return x is 1")

    assert fingerprint(module.f).warnings == ()


def test_methods_are_found_in_their_class_under_future_features(study: Study) -> None:
    """A class keeps its source when its module has a future import and its name is defined twice."""
    text = (
        "from __future__ import annotations\nif True:\n    class C:\n        k = 1\n        def g(self): return 1\n"
        "else:\n    class C:\n        k = 2\n        def g(self): return 2\ndef f(x): return C().g()"
    )
    made = fingerprint(study.load(text).f)

    assert made.warnings == ()
    assert "k = 1" in made.sources[units(made)[1]["source_sha"]]


def test_a_class_edited_before_the_first_look_is_not_taken_for_the_new_one(study: Study) -> None:
    """M11: a class is known by its running methods and values."""
    text = "class C:\n    k = 1\ndef f(x): return C.k"
    module = study.load(text)
    (study.folder / "m.py").write_text(text.replace("k = 1", "k = 2"), encoding="utf-8")

    made = fingerprint(module.f)

    assert [unit["how"] for unit in units(made)] == ["source", "members"]


def test_a_value_changed_in_the_running_process_counts_at_once(study: Study) -> None:
    """M4: values are looked up and hashed at every call."""
    module = study.load("import numpy as np\nK = np.zeros(3)\ndef g(k=1): return k\ndef f(x): return K, g()")
    hashes = [fingerprint(module.f).hash]
    module.K[0] = 1
    hashes.append(fingerprint(module.f).hash)
    module.g.__defaults__ = (2,)
    hashes.append(fingerprint(module.f).hash)
    vars(module)["g"] = abs
    hashes.append(fingerprint(module.f).hash)

    assert len(set(hashes)) == len(hashes)


# ---------------------------------------------------------------- what is kept for people


def test_the_manifest_tells_where_everything_came_from(study: Study) -> None:
    """The manifest names units, values and versions, from which "why is it stale?" is answered."""
    text = "K = [1]\ndef g(x, k=0.2):\n    return x\n\n\ndef f(x):\n    return g(x) + K[0]"
    made = fingerprint(study.load(text).f)
    manifest = json.loads(made.manifest)
    first, second = manifest["units"]

    assert (first["module"], first["name"], first["line"], first["how"]) == ("m", "f", 6, "source")
    assert first["file"] == str(study.folder / "m.py")
    assert first["refs"] == [["K", f"value:{canonical_hash([1])}"], ["g", "unit:1"]]
    assert second["refs"] == [["default k", f"value:{canonical_hash(0.2)}"]]
    assert manifest["values"] == {
        f"value:{canonical_hash([1])}": "[1]",
        f"value:{canonical_hash(0.2)}": "0.2",
    }
    assert made.sources[second["source_sha"]] == "def g(x, k=0.2):\n    return x"
    assert manifest["python"] == f"{sys.version_info[0]}.{sys.version_info[1]}"


def test_units_are_forgotten_with_their_code() -> None:
    """A notebook that defines a function a thousand times does not grow by a thousand units."""

    def define(number: int) -> None:
        namespace: dict[str, Any] = {}
        exec(f"def f(x): return {number}", namespace)
        fingerprint(namespace["f"])

    from scidb.hashing.code import units as module

    define(-1)
    gc.collect()
    before = len(module._functions)
    for number in range(100):
        define(number)
    gc.collect()

    assert len(module._functions) <= before


@pytest.mark.parametrize(
    ("call", "followed"),
    [
        ("import_module('p.h')", True),
        ("import_module(name='p.h')", True),
        ("import_module('.h', 'p')", True),
        ("import_module('.h', package='p')", True),
        ("import_module('.h', __package__)", True),
        ("import_module(x)", False),
        ("import_module('p.' + 'h')", False),
        ("import_module('.h', x)", False),
        ("import_module('...h', 'p')", False),
        ("__import__('p.h', fromlist=['g'])", True),
        ("__import__(x)", False),
    ],
)
def test_a_module_that_is_named_in_the_text_is_followed(study: Study, call: str, followed: bool) -> None:
    """An import by a constant name is an import; by a computed one it is a warning that names includes=."""
    texts = {"p/__init__": "", "p/m": f"from importlib import import_module\ndef f(x): return {call}.g(x)"}
    first, second = (
        fingerprint(study.load({**texts, "p/h": f"def g(x): return {number}"}, "p.m").f) for number in (1, 2)
    )

    assert (first.hash != second.hash) is followed
    assert [warning for warning in first.warnings if "includes=" not in warning] == []
    assert bool(first.warnings) is not followed


@pytest.mark.parametrize("depth", [100, 900])
def test_code_of_any_depth_is_read_from_source(study: Study, depth: int) -> None:
    """A long sum or a long chain of elif has an identity like any other code, however little stack is left."""
    chain = "".join(f"    elif x == {number}:\n        return {number} * 2\n" for number in range(depth))
    text = f"def f(x):\n    if x is None:\n        return 0\n{chain}    return {'x + ' * depth}{{}}"
    first, second = (fingerprint(study.load(text.format(number)).f) for number in (1, 2))

    assert (first.warnings, second.warnings) == ((), ())
    assert first.hash != second.hash
    assert [change.kind for change in differences(first, second)] == ["constant" if depth == 100 else "code"]


@pytest.mark.parametrize(
    "text", ["if True:\n    class C: k = 1\nclass C: k = 2", "class C: k = 2\nif False:\n    class C: k = 1"]
)
def test_of_two_classes_of_one_name_the_running_one_counts(study: Study, text: str) -> None:
    """M11: the definition that agrees with the running class is taken, wherever it stands."""
    made = fingerprint(study.load(f"{text}\ndef f(x): return C.k").f)

    assert list(made.sources.values())[1].endswith("k = 2")
