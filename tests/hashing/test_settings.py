"""What the user decides about fingerprints: tracked packages, policies for libraries, and scidb.toml."""

from __future__ import annotations

import importlib.metadata
import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from scidb import BaseVariable, for_each, thunk
from scidb.exceptions import SciDBWarning, SettingsError
from scidb.hashing import configure
from scidb.hashing.code.changes import differences
from scidb.hashing.code.fingerprint import Fingerprint, fingerprint, identify_code
from scidb.hashing.settings import fingerprint_settings

if TYPE_CHECKING:
    from tests.hashing.conftest import Study

    from scidb import DatabaseManager

LAB = {
    "m": "import os, sys\nsys.path.insert(0, os.path.join(os.path.dirname(__file__), 'site-packages'))\n"
    "import lab.filters\ndef f(x): return lab.filters.low(x)",
    "site-packages/lab/__init__": "",
}
TEXT = "import numpy as np\ndef f(x): return np.mean(x)"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the versions that seem to be installed, to be changed."""
    found = {"numpy": "2.1.3"}
    monkeypatch.setattr("scidb.hashing.origin._version", lambda name: found.get(name, "1.0"))
    return found


def in_lab(study: Study, factor: int) -> Any:
    """Return a function that calls an installed package of the lab."""
    return study.load({**LAB, "site-packages/lab/filters": f"def low(x):\n    return x * {factor}\n"}).f


def test_of_an_installed_package_only_names_count(study: Study) -> None:
    """What is installed is a library, also the lab's own package, unless it is tracked."""
    assert fingerprint(in_lab(study, 1)).hash == fingerprint(in_lab(study, 2)).hash


@pytest.mark.parametrize("name", ["lab", "lab.filters"])
def test_the_code_of_a_tracked_package_counts(study: Study, name: str) -> None:
    """M4: with track_packages, the lab's installed code counts like the user's own, to the constant."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SciDBWarning)  # it is not there yet
        configure(track_packages=[name])
    first, second = (fingerprint(in_lab(study, factor)) for factor in (1, 2))

    assert [str(change) for change in differences(first, second)] == ["constant 1 -> 2 in low(), line 2"]
    assert first.warnings == ()


def test_a_tracked_package_may_be_imported_late(study: Study) -> None:
    """What the function imports itself is followed also before its first run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SciDBWarning)
        configure(track_packages=["lab"])
    late = LAB["m"].replace("import lab.filters\ndef f(x): ", "def f(x):\n    import lab.filters\n    ")
    texts = [{**LAB, "m": late, "site-packages/lab/filters": f"def low(x): return x * {n}"} for n in (1, 2)]

    assert len({fingerprint(study.load(text).f).hash for text in texts}) == 2


def test_tracking_counts_from_the_next_look(study: Study) -> None:
    """What was taken for a library is looked at again when it is tracked, and the other way round."""
    function = in_lab(study, 1)
    before = fingerprint(function)
    configure(track_packages=["lab"])
    tracked = fingerprint(function)
    configure()

    assert [unit["name"] for unit in json.loads(tracked.manifest)["units"]] == ["f", "low"]
    assert tracked.hash != before.hash
    assert fingerprint(function).hash == before.hash


@pytest.mark.parametrize(
    ("policy", "same", "other"),
    [
        ("major", ["2.1.3", "2.9", "2"], ["3.0", "1.26"]),
        ("minor", ["2.1.3", "2.1.9rc1"], ["2.2", "3.1.3", "2"]),
        ("exact", ["2.1.3"], ["2.1.4", "2.1.3.post1"]),
    ],
)
def test_a_policy_puts_a_version_into_the_fingerprint(
    study: Study, versions: dict[str, str], policy: str, same: list[str], other: list[str]
) -> None:
    """As much of a library's version counts as its policy says; the reason names it."""
    function = study.load(TEXT).f
    plain = fingerprint(function)
    configure(libraries={"NumPy": policy})
    first = fingerprint(function)

    def now(version: str) -> Fingerprint:
        versions["numpy"] = version
        return fingerprint(function)

    assert first.hash != plain.hash
    assert {now(version).hash for version in same} == {first.hash}
    assert first.hash not in {now(version).hash for version in other}
    (change,) = (change for change in differences(first, now(other[0])) if change.counts)
    assert str(change).startswith("version of numpy 2")
    assert str(change).endswith("which counts by the policy for it")


def test_without_a_policy_a_version_is_only_recorded(study: Study, versions: dict[str, str]) -> None:
    """A version beside the fingerprint never makes a result old; nor does a policy for what is not used."""
    function = study.load(TEXT).f
    made = [fingerprint(function)]
    configure(libraries={"pandas": "exact"})
    made.append(fingerprint(function))
    versions["numpy"] = "3.0"
    made.append(fingerprint(function))

    assert len({found.hash for found in made}) == 1


def test_a_policy_counts_for_functions_that_are_passed(versions: dict[str, str]) -> None:
    """A library's function that is an argument has its version too, where a policy says so."""
    functions = (np.mean, mean)
    plain = [identify_code(function) for function in functions]
    configure(libraries={"numpy": "major"})
    first = [identify_code(function) for function in functions]
    versions["numpy"] = "3.0"
    second = [identify_code(function) for function in functions]

    assert plain[0] == ("lib:numpy.mean", "numpy.mean")
    assert [name for _, name in first] == [name for _, name in second]
    assert len({token for token, _ in (plain[0], first[0], second[0])}) == 3
    assert first[1][0] != second[1][0]


class Raw(BaseVariable):
    """What is measured."""


class Mean(BaseVariable):
    """Its mean."""


def mean(values: Any) -> float:
    """Average, by a library."""
    return float(np.mean(values))


def test_for_each_honours_the_policies(db: DatabaseManager, versions: dict[str, str]) -> None:
    """A new major version recomputes under its policy, and only then."""
    Raw.save([1.0, 2.0], subject=1, trial=1)

    def computed() -> int:
        return for_each(mean, {"values": Raw}, [Mean], subject=[], trial=[]).completed

    configure(libraries={"numpy": "major"})
    counts = [computed(), computed()]
    versions["numpy"] = "2.9"
    counts.append(computed())
    versions["numpy"] = "3.0"
    counts.append(computed())

    assert counts == [1, 0, 0, 1]


# ---------------------------------------------------------------- scidb.toml


def test_the_file_of_the_project_is_read() -> None:
    """[fingerprint] in scidb.toml holds where nothing is configured; what is given in code comes first."""
    Path("scidb.toml").write_text(
        'database = "x.duckdb"\n[fingerprint]\ntrack_packages = ["tests"]\nlibraries = {numpy = "minor"}\n',
        encoding="utf-8",
    )

    assert fingerprint_settings().track_packages == ("tests",)
    assert fingerprint_settings().libraries == {"numpy": "minor"}
    given = configure(libraries={})
    assert (given.track_packages, given.libraries) == (("tests",), {})
    assert fingerprint_settings() is given


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fingerprint = 3", r"fingerprint = 3 is no table; write \[fingerprint\]"),
        ("[fingerprint]\ntrack_package = []", "Did you mean 'track_packages'"),
        ('[fingerprint]\ntrack_packages = "lab"', "expected a list of packages"),
        ("[fingerprint]\ntrack_packages = [1]", "expected a list of packages"),
        ('[fingerprint]\ntrack_packages = ["my lab"]', "expected a list of packages"),
        ('[fingerprint]\ntrack_packages = ["json"]', "json belongs to Python"),
        ('[fingerprint]\ntrack_packages = ["scidb.hashing"]', "scidb.hashing belongs to SciDB"),
        ('[fingerprint]\nlibraries = ["numpy"]', "expected a policy per library"),
        ('[fingerprint]\nlibraries = {numpy = "majr"}', "Did you mean 'major'"),
        ("[fingerprint]\nlibraries = {numpy = 2}", "'numpy' has the policy 2; expected one of"),
        ('[fingerprint]\nlibraries = {"num py" = "major"}', "'num py' is no name of a library"),
        ("[fingerprint", "cannot be read as TOML"),
        ("database = '\udcff'", "cannot be read as TOML"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(study: Study, text: str, message: str) -> None:
    """A misspelt key, a wrong policy or a broken file is our own error, before anything is fingerprinted."""
    Path("scidb.toml").write_bytes(text.encode("utf-8", "surrogateescape"))

    with pytest.raises(SettingsError, match=message):
        fingerprint(study.load(TEXT).f)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"version": 2}, 'version=2: expected a text, such as version="2"'),
        ({"version": ""}, "version='': expected a text"),
        ({"ignore": "calls"}, "ignore='calls': expected a list of names"),
        ({"ignore": ["a-b"]}, "expected names as the code writes them"),
        ({"ignore": [1]}, "expected names as the code writes them"),
        ({"ignore": 1}, "ignore=1: expected a list of names"),
        ({"includes": len}, "expected a list of functions, classes or modules"),
        ({"includes": ["helper"]}, "'helper', which is no function, class or module"),
    ],
)
def test_an_option_of_a_thunk_that_cannot_be_meant_is_refused(options: dict[str, Any], message: str) -> None:
    """A text in place of a list would be taken letter by letter, and a name would not be followed."""
    with pytest.raises(SettingsError, match=message):
        thunk(**options)(mean)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"track_packages": ["labtols"]}, "labtols, which is not installed here, so that nothing is tracked"),
        ({"libraries": {"nunpy": "major"}}, "its policy has no effect. Did you mean 'numpy'"),
        ({"libraries": {"dateutil": "major"}}, "Did you mean 'python-dateutil'"),
    ],
)
def test_what_is_not_installed_is_said(given: dict[str, Any], message: str) -> None:
    """A name that leads nowhere is a warning: the same file serves machines where less is installed."""
    assert "python-dateutil" in importlib.metadata.packages_distributions()["dateutil"]

    with pytest.warns(SciDBWarning, match=message):
        configure(**given)
