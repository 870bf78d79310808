"""Today's function for a recorded one: found by name in this process, never imported, never guessed."""

from __future__ import annotations

import functools
import gc
import importlib
import statistics
import subprocess
import sys
from textwrap import dedent
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pytest

from scidb import BaseVariable, Thunk, for_each, thunk
from scidb.hashing.code.fingerprint import Fingerprint, fingerprint
from scidb.hashing.code.seen import note_seen, seen_as
from scidb.provenance.live import fingerprint_now, live_function

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


class Write(Protocol):
    """Write a module ``lab_code`` and import it as a new process would."""

    def __call__(self, text: str) -> ModuleType: ...


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "lab_code", raising=False)

    def load(text: str) -> ModuleType:
        sys.modules.pop("lab_code", None)
        (tmp_path / "lab_code.py").write_text(dedent(text), encoding="utf-8")
        importlib.invalidate_caches()
        return importlib.import_module("lab_code")

    return load


def of(function: Any) -> Fingerprint:
    """Return the fingerprint that a call of this function would record."""
    found: Fingerprint = function.fingerprint() if isinstance(function, Thunk) else fingerprint(function)
    return found


SHAPES = """
    import functools
    import numpy as np
    from scidb import thunk

    def plain(x): return x
    @thunk
    def decorated(x): return plain(x) + 1
    @thunk(version="2", ignore=["LEVEL"])
    def versioned(x): return x
    @thunk(includes=[plain])
    def including(x): return x
    @functools.lru_cache
    def cached(x): return x
    class Filter:
        order = 2
        def apply(self, x): return x * self.order
        @staticmethod
        def static(x): return x
        @classmethod
        def of_class(cls, x): return x * cls.order
        def __call__(self, x): return x
    """


@pytest.mark.parametrize(
    "name",
    ["plain", "decorated", "versioned", "including", "cached", "Filter", "Filter.apply", "Filter.static"],
)
def test_what_a_module_names_is_found_by_its_name(write: Write, name: str) -> None:
    """Functions, thunks, classes and methods are today's objects of the recorded name, with today's fingerprint."""
    manifest = of(functools.reduce(getattr, name.split("."), write(SHAPES))).manifest
    module = write(SHAPES)

    found: Any = live_function(manifest)

    assert found is functools.reduce(getattr, name.split("."), module)
    assert fingerprint_now(manifest) == of(found)


def test_a_method_of_a_class_is_found_with_its_class(write: Write) -> None:
    """A classmethod is recorded with its class, and found bound to it."""
    recorded = of(write(SHAPES).Filter.of_class)
    found = live_function(recorded.manifest)

    assert found is not None
    assert found(3) == 6
    assert fingerprint_now(recorded.manifest) == recorded


def test_changed_code_is_found_and_has_another_fingerprint(write: Write) -> None:
    """M4: today's function is found although its code, or that of a helper, is not the recorded one."""
    text = "def helper(x): return x + 1\ndef f(x): return helper(x)\n"
    recorded = of(write(text).f)
    module = write(text.replace("+ 1", "+ 2"))
    now = fingerprint_now(recorded.manifest)

    assert live_function(recorded.manifest) is module.f
    assert now is not None
    assert now.hash != recorded.hash


def test_nothing_is_imported(write: Write) -> None:
    """A module that is not imported is not looked for: the answer is None, and it stays out."""
    manifest = of(write("def f(x): return x\n").f).manifest
    del sys.modules["lab_code"]
    gc.collect()

    assert live_function(manifest) is None
    assert fingerprint_now(manifest) is None
    assert "lab_code" not in sys.modules


def test_a_file_that_had_another_name_is_found(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that was run under one module name, and is imported under another, has the recorded functions."""
    text = "def f(x): return x\n"
    recorded = of(write(text).f)
    module = write(text)
    monkeypatch.delitem(sys.modules, "lab_code")
    monkeypatch.setitem(sys.modules, "lab_renamed", module)
    module.__dict__["__name__"] = module.f.__module__ = "lab_renamed"

    assert live_function(recorded.manifest) is module.f
    now = fingerprint_now(recorded.manifest)
    assert now is not None
    assert now.hash == recorded.hash


def test_a_function_that_is_gone_is_not_found(write: Write) -> None:
    """A name that the module no longer has, or that is no function any more, leads nowhere."""
    manifest = of(write("def f(x): return x\n").f).manifest

    write("def g(x): return x\n")
    assert live_function(manifest) is None
    write("f = 3\n")
    assert live_function(manifest) is None


def test_no_code_runs_to_find_a_function(write: Write) -> None:
    """A module's ``__getattr__`` is not asked, because it may do anything."""
    manifest = of(write("def f(x): return x\n").f).manifest
    write("def __getattr__(name): raise AssertionError(name)\n")

    assert live_function(manifest) is None


# ---------------------------------------------------------------- what no module names


def test_a_closure_is_found_while_it_lives_and_was_used() -> None:
    """What no module names is found among what @thunk and for_each have seen, and forgotten with it."""

    def make(gain: float) -> Any:
        def scale(x: float) -> float:
            return gain * x

        return scale

    double = make(2.0)
    manifest = of(double).manifest
    assert live_function(manifest) is None

    used = thunk(double)
    assert live_function(manifest) is used
    del used
    gc.collect()
    assert live_function(manifest) is None


def test_of_several_of_one_name_the_one_as_recorded_is_meant() -> None:
    """Two closures of one factory are told apart by what they hold; without an equal one none is guessed."""

    def make(gain: float) -> Any:
        return thunk(lambda x: gain * x)

    double, triple, tenfold = make(2.0), make(3.0), make(10.0)
    recorded = [of(function).manifest for function in (double, triple, tenfold)]
    del tenfold
    gc.collect()

    assert [live_function(manifest) for manifest in recorded] == [double, triple, None]


def test_a_partial_and_a_bound_method_are_not_the_function_in_them() -> None:
    """What `for_each` was given as a whole is what is found; the function alone is another one."""
    half = functools.partial(statistics.fmean, weights=None)
    note_seen(statistics.fmean)
    manifest = of(half).manifest
    assert live_function(manifest) is None

    note_seen(half)
    assert live_function(manifest) is half
    assert live_function(of(statistics.fmean).manifest) is statistics.fmean


class Gain:
    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, x: float) -> float:
        return self.factor * x

    def apply(self, x: float) -> float:
        return self.factor * x


def test_instances_and_their_methods_are_found_while_they_live() -> None:
    """A callable instance, and a method bound to an instance, are found by what was used."""
    gain = Gain(2.0)
    note_seen(gain)
    note_seen(gain.apply)
    manifests = [of(gain).manifest, of(gain.apply).manifest]

    assert [live_function(manifest) for manifest in manifests] == [gain, gain.apply]

    del gain
    gc.collect()
    assert [live_function(manifest) for manifest in manifests] == [None, None]


def test_a_function_of_a_library_is_found() -> None:
    """A library's function is known by its public name; a thunk of it that lives is preferred as such."""
    assert live_function(fingerprint(np.mean).manifest) is np.mean
    assert live_function(fingerprint(len).manifest) is len

    both = Thunk(divmod, n_outputs=2)
    assert live_function(of(both).manifest) is both


def test_a_thunk_of_a_plain_function_keeps_its_options(write: Write) -> None:
    """Where the module names the plain function and a thunk with options was used, the recorded one is meant."""
    module = write("LEVEL = 1\ndef f(x): return x * LEVEL\n")
    lenient = Thunk(module.f, ignore=["LEVEL"])
    recorded = of(lenient)
    module.__dict__["LEVEL"] = 2

    assert live_function(recorded.manifest) is lenient
    assert fingerprint_now(recorded.manifest) == recorded


def test_a_function_that_was_defined_anew_takes_the_place_of_the_former(write: Write) -> None:
    """An old function that still lives is not today's, although it is as recorded."""
    text = "from scidb import thunk\n@thunk\ndef f(x): return x + 1\n"
    old = write(text).f
    recorded = of(old)
    new = write(text.replace("+ 1", "+ 2")).f
    now = fingerprint_now(recorded.manifest)

    assert live_function(recorded.manifest) is new
    assert now is not None
    assert now.hash != recorded.hash
    assert seen_as("lab_code.f") == [new]


# ---------------------------------------------------------------- who fills the registry


class Number(BaseVariable):
    """A number."""


class Doubled(BaseVariable):
    """Twice a number."""


def test_for_each_notes_what_it_runs() -> None:
    """A lambda that for_each ran is found as long as it lives."""
    import scidb

    double = lambda x: 2 * x
    with scidb.open("memory:", ["subject"]) as db:
        Number.save(1.0, subject=1, db=db)
        for_each(double, {"x": Number}, [Doubled], subject=[], db=db, progress=False)

    assert live_function(of(double).manifest) is double


def test_the_registry_forgets_the_dead() -> None:
    """A notebook that defines a function a thousand times does not fill the registry."""
    for _ in range(1000):

        def cell(x: float) -> float:
            return x

        note_seen(cell)
    gc.collect()

    assert seen_as(f"{__name__}.{cell.__qualname__}") == [cell]
    note_seen(cell)
    assert seen_as(f"{__name__}.{cell.__qualname__}") == [cell]


# ---------------------------------------------------------------- classes of arguments, the program itself


def test_the_classes_of_arguments_count_again(write: Write) -> None:
    """A class that counted because an argument was of it is looked up, and its change is a change."""
    text = "class P:\n    k = 1\ndef f(p): return p.k\n"
    module = write(text)
    recorded = fingerprint(module.f, includes=[module.P])
    assert fingerprint_now(recorded.manifest) == recorded

    write(text.replace("k = 1", "k = 2"))
    now = fingerprint_now(recorded.manifest)
    assert now is not None
    assert now.hash != recorded.hash

    write("def f(p): return p.k\n")
    assert fingerprint_now(recorded.manifest) is None


def test_the_running_program_has_the_name_of_its_file(tmp_path: Path) -> None:
    """What a script recorded as its own is found again by the program itself, and by who imports the file."""
    script = tmp_path / "analysis.py"
    script.write_text(
        dedent("""
        from scidb.hashing.code.fingerprint import fingerprint
        from scidb.provenance.live import live_function

        def f(x):
            return x + 1

        if __name__ == "__main__":
            made = fingerprint(f)
            assert live_function(made.manifest) is f
            print(made.manifest)
        """),
        encoding="utf-8",
    )
    run = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr

    sys.path.insert(0, str(tmp_path))
    try:
        module = importlib.import_module("analysis")
        assert live_function(run.stdout) is module.f
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop("analysis", None)


def test_what_was_replaced_in_its_module_is_not_todays(write: Write) -> None:
    """A function that an edited module or notebook cell has replaced is past, also while somebody holds it."""
    before = write("def smooth(x): return x + 1").smooth
    note_seen(before)
    recorded = of(before)
    after = write("def smooth(x): return x + 2").smooth

    assert live_function(recorded.manifest) is after
    assert fingerprint_now(recorded.manifest) != recorded
    write("x = 1")
    assert live_function(recorded.manifest) is None
