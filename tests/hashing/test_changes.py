"""Why two fingerprints differ, as data and in words; the table of cases is in test_what_counts.py."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import json.encoder
import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from scidb.exceptions import SciDBError
from scidb.hashing.code.astdiff import edits, parse_unit
from scidb.hashing.code.astdump import Decorator, UnitNode, dump
from scidb.hashing.code.changes import CodeChange, differences, source_diffs
from scidb.hashing.code.fingerprint import Fingerprint, fingerprint
from scidb.hashing.code.manifest import Manifest
from scidb.store.model import Source

if TYPE_CHECKING:
    from types import ModuleType

    from tests.hashing.conftest import Study

SMOOTH = """
import numpy as np


def weights(n):
    return np.ones(n)


def smooth(signal):
    w = weights(3)
    for _ in range(2):
        signal = np.convolve(signal, w)
    return signal * {}
"""


def stored(made: Fingerprint) -> Source:
    return Source(made.hash, made.name, made.manifest, dict(made.sources))


def test_a_change_is_data_and_a_sentence(study: Study) -> None:
    """A changed constant is named with function, file and line of the file as it is now."""
    before = fingerprint(study.load(SMOOTH.format(0.2)).smooth)
    after = fingerprint(study.load(SMOOTH.format(0.3)).smooth)

    (found,) = differences(stored(before), stored(after))

    assert found == CodeChange("constant", "", "smooth()", str(study.folder / "m.py"), 13, "0.2", "0.3")
    assert str(found) == "constant 0.2 -> 0.3 in smooth(), line 13"
    assert found.counts
    assert differences(before, before) == ()


def test_both_texts_of_changed_code_are_at_hand(study: Study) -> None:
    """A unified diff shows the function that changed, and none that did not."""
    before = fingerprint(study.load(SMOOTH.format(0.2)).smooth)
    after = fingerprint(study.load(SMOOTH.format(0.3)).smooth)

    (found,) = source_diffs(before, after)

    assert (found.function, found.line) == ("smooth()", 9)
    assert str(found).splitlines()[-2:] == ["-    return signal * 0.2", "+    return signal * 0.3"]
    assert source_diffs(before, before) == ()


def test_without_its_text_code_is_only_said_to_differ(study: Study) -> None:
    """A text that was not kept makes the reason less exact, never wrong."""
    before = fingerprint(study.load(SMOOTH.format(0.2)).smooth)
    after = fingerprint(study.load(SMOOTH.format(0.3)).smooth)

    (found,) = differences(Source(before.hash, before.name, before.manifest, {}), after)

    assert str(found) == "code of smooth() changed, line 9 (source that is not kept -> source)"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ({"libs": {"numpy": "1.26.4"}}, {"libs": {"numpy": "2.1.0"}}, "library numpy 1.26.4 -> 2.1.0"),
        ({"python": "3.11"}, {"python": "3.13"}, "Python 3.11 -> 3.13"),
    ],
)
def test_versions_beside_the_fingerprint_are_said_but_do_not_count(
    study: Study, old: dict[str, object], new: dict[str, object], sentence: str
) -> None:
    """A library's or Python's version is recorded: it is told, and told apart from what counts."""
    made = fingerprint(study.load(SMOOTH.format(0.2)).smooth)
    sides = [
        Source(made.hash, made.name, json.dumps({**json.loads(made.manifest), **changed}), made.sources)
        for changed in (old, new)
    ]

    (found,) = differences(*sides)

    assert str(found) == f"{sentence} (recorded, not part of the fingerprint)"
    assert not found.counts


def test_a_version_that_stands_for_code_is_the_reason(study: Study) -> None:
    """With version=, what changed is the version, whatever the text says."""
    module = study.load(SMOOTH.format(0.2))
    made = [fingerprint(module.smooth, version=version) for version in (None, "1", "2")]

    assert [str(change) for change in differences(made[1], made[2])] == ["version= 1 -> 2"]
    assert str(differences(made[0], made[1])[0]) == "version= nothing -> 1"


def test_a_changed_decorator_of_scidb_is_no_reason(study: Study) -> None:
    """Own decorators are no code; where something else changed, they are not named beside it."""
    text = "from scidb import thunk\n{}\ndef f(x): return x + {}"
    before = fingerprint(study.load(text.format("@thunk", 1)).f)
    after = fingerprint(study.load(text.format("@thunk(n_outputs=1)", 2)).f)

    assert [str(change) for change in differences(before, after)] == ["constant 1 -> 2 in f(), line 3"]


def test_a_changed_class_of_an_argument_is_the_reason(study: Study) -> None:
    """M4: the class of an argument counts at call time, and a change in it is named like any other."""
    text = (
        "from dataclasses import dataclass\nfrom scidb import thunk\n@dataclass\nclass Model:\n"
        "    def apply(self, x): return x * {}\n@thunk\ndef f(model): return 0"
    )
    made = []
    for factor in (1, 2):
        module = study.load(text.format(factor))
        made.append(module.f(module.Model()).pipeline_thunk.fingerprint)
    without = module.f(0).pipeline_thunk.fingerprint

    assert [str(change) for change in differences(*made)] == ["constant 1 -> 2 in Model.apply(), line 5"]
    assert [str(change) for change in differences(without, made[1])] == [
        "now also reaches class Model, line 4",
        "now also reaches Model.apply(), line 5",
    ]


def test_what_has_no_source_is_said_to_differ() -> None:
    """Of code without source, values and libraries are told apart all the same."""

    def made(text: str) -> Fingerprint:
        namespace: dict[str, Any] = {"K": 1}
        exec(text, namespace)
        return fingerprint(namespace["f"])

    (found,) = differences(made("def f(x): return x + 1"), made("def f(x): return x + 2"))
    assert str(found) == "code of f() changed, line 1 (bytecode)"
    assert differences(made("def f(x): return x"), made("def f(x): return x\nK = 2")) == ()
    values = differences(made("def f(x): return K"), made("def f(x): return K\nK = 2"))
    assert [str(change) for change in values] == ["value K read by f(): 1 -> 2"]


@pytest.mark.parametrize(
    ("text", "is_definition"),
    [
        ("def f(x): return '\\d'", True),
        ("@thunk\nasync def f(x): pass", True),
        ("lambda x: x", True),
        ("lambda x: [\n  x,\n]", True),
        ("lambda x: x +\n  1", True),
        ("class C: pass", True),
        ("x = 1", False),
        ("def f(x):", False),
        ("", False),
        ("\0", False),
        ("-" * 100_000 + "1", False),
        ("(" * 1_000, False),
    ],
)
def test_a_stored_text_is_read_or_is_none(text: str, is_definition: bool) -> None:
    """Whatever a database holds as a text, reading it gives a definition or nothing, and no warning of the compiler."""
    assert (parse_unit(text) is not None) is is_definition


def test_a_librarys_function_in_place_of_another() -> None:
    """Functions of a library have no units; their names are the reason."""
    assert [str(change) for change in differences(fingerprint(abs), fingerprint(len))] == [
        "name builtins.abs -> builtins.len"
    ]
    assert [str(change) for change in differences(fingerprint(abs), fingerprint(len, includes=[max]))] == [
        "name builtins.abs -> builtins.len",
        "now also reaches builtins.max",
    ]


def test_objects_that_are_shared_in_another_way_are_said(study: Study) -> None:
    """Where nothing differs but which of two names stand for one object, that is the reason."""
    text = "class C: pass\na = C()\nb = {}\ndef f(x): return a, b"
    one, two = (fingerprint(study.load(text.format(b)).f) for b in ("a", "C()"))

    (found,) = differences(one, two)

    assert found.kind == "shape"
    assert str(found).startswith("what f() reads is shared in another way")


@pytest.mark.parametrize("module", [textwrap, json.encoder, dataclasses])
def test_an_edit_is_found_exactly_where_the_texts_mean_something_else(module: ModuleType) -> None:
    """Of any two functions or classes, however different, something is said; of two that do the same, nothing."""
    units = [node for node in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(node, UnitNode)]

    for old, new in zip(units, [*units[1:], units[-1]], strict=True):
        same = dump(old, lambda _: Decorator.FOREIGN) == dump(new, lambda _: Decorator.FOREIGN)
        assert bool(edits(old, new)) is not same


GOOD: dict[str, Any] = {
    "version": "1",
    "units": [{"module": "m", "name": "f", "file": "", "line": 1, "how": "source", "digest": "", "refs": []}],
    "roots": [["function", "unit:0"]],
}
UNIT: dict[str, Any] = GOOD["units"][0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "[" * 100_000,
        json.dumps({**GOOD, "version": 1}),
        json.dumps({**GOOD, "units": [{}]}),
        json.dumps({**GOOD, "units": 3}),
        json.dumps({**GOOD, "units": [{**UNIT, "refs": 3}]}),
        json.dumps({**GOOD, "units": [{**UNIT, "refs": [["g", "unit:1"]]}]}),
        json.dumps({**GOOD, "units": [{**UNIT, "refs": [["g", "unit:x"]]}]}),
        json.dumps({**GOOD, "units": [{**UNIT, "refs": [["g", "unit:-1"]]}]}),
        json.dumps({**GOOD, "units": [{**UNIT, "refs": [["g", 1]]}]}),
        json.dumps({**GOOD, "units": [{**UNIT, "line": "1"}]}),
        json.dumps({**GOOD, "units": [{**UNIT, "own": ["1"]}]}),
        json.dumps({**GOOD, "units": [{**UNIT, "name": None}]}),
        json.dumps({**GOOD, "values": {"value:1": 1}}),
        json.dumps({**GOOD, "libs": ["numpy"]}),
        json.dumps({**GOOD, "declared": 2}),
    ],
)
def test_a_text_that_is_no_manifest_is_refused(text: str) -> None:
    """A damaged manifest is our own error, which shows what was found."""
    with pytest.raises(SciDBError, match="The description of recorded code cannot be read"):
        Manifest.read(text)


def test_a_manifest_reads_as_it_was_written(study: Study) -> None:
    """What is stored of a function is what comes back; a key of a later version is passed over."""
    text = fingerprint(study.load(SMOOTH.format(0.2)).smooth, version="1").manifest
    later = json.dumps({**json.loads(text), "new": 1})

    assert Manifest.read(text).text() == text
    assert Manifest.read(later) == Manifest.read(text)
