"""`EachOf` in for_each: every alternative a configuration of its own, and one report of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import scidb
from scidb import BaseVariable, EachOf, Fixed, ForEachConfig, Merge, PathInput, exceptions, for_each, schema_key, thunk
from scidb.foreach import execute, prepare
from scidb.store.memory import MemoryStore
from scidb.store.model import SchemaKey
from scidb.store.wrap import Wrapper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from scidb.store.model import Chunk

pytestmark = pytest.mark.above_stores


class Signal(BaseVariable):
    """An array per trial."""


class Other(BaseVariable):
    """Another array per trial."""


class Level(BaseVariable):
    """A number per trial."""


class Total(BaseVariable):
    """What is computed of it."""


def level(signal: Any, gain: float = 1.0, offset: float = 0.0) -> float:
    return float(np.sum(signal)) * gain + offset


def same(value: Any) -> Any:
    return value


PLACES = [{"subject": subject, "trial": trial} for subject in (1, 2) for trial in (1, 2)]
EVERYWHERE: dict[str, Any] = {"subject": [], "trial": []}


@pytest.fixture
def data(db: scidb.DatabaseManager) -> scidb.DatabaseManager:
    """Save two people with two trials each."""
    Signal.save_many([(np.arange(3.0) + 10 * at["subject"] + at["trial"], at) for at in PLACES])
    Other.save_many([(np.arange(2.0) + at["trial"], at) for at in PLACES])
    return db


any_fixed: Any = Fixed  # for what type checkers refuse
in_memory = pytest.mark.parametrize("target", ["memory:"])  # what the store has no part in


def counts(report: scidb.ForEachReport) -> tuple[int, int, int, int, int]:
    return report.completed, report.recalled, report.up_to_date, report.skipped, report.failed


def test_the_product_of_all_alternatives(data: scidb.DatabaseManager) -> None:
    """Every alternative of one input goes with every one of the others, each under its own version keys."""
    inputs = {"signal": Signal, "gain": EachOf(1, 2), "offset": EachOf(0.0, 0.5)}
    report = for_each(level, inputs, [Level], subject=1, trial=[])

    assert counts(report) == (8, 0, 0, 0, 0)
    table = report.to_pandas()
    assert list(table.columns) == ["subject", "trial", "gain", "offset", "state", "reason", "seconds"]
    assert table[["trial", "gain", "offset"]].to_numpy().tolist() == [
        [trial, gain, offset] for gain in (1, 2) for offset in (0.0, 0.5) for trial in (1, 2)
    ]
    assert Level.load_one(subject=1, trial=2, gain=2, offset=0.5).data == 78.5 + 0.0
    assert counts(for_each(level, inputs, [Level], subject=1, trial=[])) == (0, 0, 8, 0, 0)


def test_alternatives_are_as_if_given_alone(data: scidb.DatabaseManager) -> None:
    """A5: a run with alternatives and runs with each of them are the same configurations."""
    for_each(level, {"signal": Signal, "gain": 2.0}, [Level], **EVERYWHERE)
    inputs = {"signal": Signal, "gain": EachOf(1.0, 2.0)}
    assert counts(for_each(level, inputs, [Level], **EVERYWHERE)) == (4, 0, 4, 0, 0)
    assert counts(for_each(level, {"signal": Signal, "gain": 1.0}, [Level], **EVERYWHERE)) == (0, 0, 4, 0, 0)


def test_variants_as_alternatives(data: scidb.DatabaseManager) -> None:
    """The next step goes on with every variant, and each result goes back to its own."""
    for_each(level, {"signal": Signal, "gain": EachOf(1, 2)}, [Level], **EVERYWHERE)
    spec = EachOf(Fixed(Level, gain=1), Fixed(Level, gain=2))
    report = for_each(same, {"value": spec}, [Total], **EVERYWHERE)

    assert counts(report) == (8, 0, 0, 0, 0)
    assert report.to_pandas()["value"].tolist() == ["Fixed(Level, gain=1)"] * 4 + ["Fixed(Level, gain=2)"] * 4
    stored = {item._all_version_keys["__inputs"]: item.data for item in Total.load_all(subject=1, trial=1)}
    assert stored == {
        '{"value": "Fixed(Level, gain=1)"}': 36.0,
        '{"value": "Fixed(Level, gain=2)"}': 72.0,
    }


def test_inputs_of_every_kind(data: scidb.DatabaseManager, tmp_path: Path) -> None:
    """Variables, merges, files and constants may be alternatives of one another."""
    for at in PLACES:
        (tmp_path / f"{at['subject']}-{at['trial']}.txt").write_text("x")

    def kind(value: Any) -> str:
        return type(value).__name__.removeprefix("Posix").removeprefix("Windows")

    files = PathInput("{subject}-{trial}.txt", root_folder=tmp_path)
    report = for_each(kind, {"value": EachOf(Signal, Merge(Signal), files, "text")}, [Total], subject=1, trial=1)
    assert counts(report) == (4, 0, 0, 0, 0)
    assert sorted(item.data for item in Total.load_all()) == ["DataFrame", "Path", "ndarray", "str"]


def test_one_set_of_edges_has_all_alternatives(data: scidb.DatabaseManager) -> None:
    """The pipeline shows each source of the call, whichever alternative ran last."""
    inputs = {"signal": EachOf(Signal, Other), "gain": EachOf(1, 2)}
    for_each(level, inputs, [Level], **EVERYWHERE)
    assert {edge["source"] for edge in data.get_pipeline_structure()} == {"Signal", "Other", "1", "2"}


@in_memory
def test_what_all_alternatives_share_is_found_out_once(
    data: scidb.DatabaseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code is looked at once before and once after, and the flags once, however many alternatives there are."""
    looked: list[str] = []

    def counted(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*given: Any) -> Any:
            looked.append(name)
            return call(*given)

        return counting

    for module in (prepare, execute):
        monkeypatch.setattr(module, "fingerprint_of", counted("code", module.fingerprint_of))
    monkeypatch.setattr(data, "excluded", counted("flags", data.excluded))

    report = for_each(level, {"signal": Signal, "gain": EachOf(1, 2, 3)}, [Level], exclude=True, **EVERYWHERE)

    assert report.completed == 12
    assert sorted(looked) == ["code", "code", "flags"]


@in_memory
def test_what_one_alternative_computed_another_recalls(data: scidb.DatabaseManager) -> None:
    """M6a: where two alternatives come to the same inputs, the function runs once."""
    Other.save_many([(np.arange(3.0) + 10 * at["subject"] + at["trial"], at) for at in PLACES[:3]])
    calls: list[int] = []

    def once(signal: Any) -> float:
        calls.append(1)
        return float(np.sum(signal))

    report = for_each(thunk(ignore=["calls"])(once), {"signal": EachOf(Signal, Other)}, [Level], **EVERYWHERE)
    assert counts(report) == (5, 3, 0, 0, 0)
    assert len(calls) == 5


@in_memory
def test_with_the_other_options(data: scidb.DatabaseManager) -> None:
    """where=, as_table, pass_metadata, dry_run and save=False hold for every alternative."""
    inputs = {"signal": Signal, "gain": EachOf(1, 2)}
    plan = for_each(level, inputs, [Level], **EVERYWHERE, where=schema_key("trial") == 2, dry_run=True)
    assert (plan.completed, plan.left_out, len(data.runs())) == (4, 4, 0)
    assert for_each(level, inputs, [Level], subject=1, trial=[], save=False).values == [
        (36.0,),
        (39.0,),
        (72.0,),
        (78.0,),
    ]

    def rows(table: Any, k: int, subject: int) -> list[int]:
        return [len(table) * k, subject]

    inputs = {"table": Signal, "k": EachOf(1, 10)}
    report = for_each(rows, inputs, [Total], as_table=True, pass_metadata=True, save=False, subject=[])
    assert report.values == [([2, 1],), ([2, 2],), ([20, 1],), ([20, 2],)]


@in_memory
def test_failures_say_which_alternative(data: scidb.DatabaseManager, caplog: pytest.LogCaptureFixture) -> None:
    """R2: what fails with one alternative is computed with the others, and the report says which it was."""

    def fragile(signal: Any, gain: int) -> float:
        if gain == 2:
            raise ZeroDivisionError("no")
        return float(gain)

    report = for_each(fragile, {"signal": Signal, "gain": EachOf(1, 2, 3)}, [Level], subject=1, trial=[])
    assert counts(report) == (4, 0, 0, 0, 2)
    assert [failure.alternative for failure in report.failures] == [{"gain": 2}] * 2
    assert "2 of 6 combinations failed" in caplog.text
    assert [run.failed for run in data.runs()] == [0, 2, 0]
    with pytest.raises(ZeroDivisionError):
        for_each(fragile, {"signal": Signal, "gain": EachOf(4, 2)}, [Level], subject=1, trial=[], on_error="raise")
    assert len(list(Level.load_all(gain=4))) == 2


@in_memory
def test_ctrl_c_reports_all_alternatives(data: scidb.DatabaseManager) -> None:
    """An interrupt keeps what is done; the report has what was not begun, too."""

    def tired(signal: Any, gain: int) -> float:
        if gain == 2:
            raise KeyboardInterrupt
        return float(gain)

    with pytest.raises(KeyboardInterrupt) as caught:
        for_each(tired, {"signal": Signal, "gain": EachOf(1, 2, 3)}, [Level], **EVERYWHERE)
    report = caught.value.report  # type: ignore[attr-defined]
    assert (report.completed, len(report.combinations)) == (4, 12)
    assert len(list(Level.load_all())) == 4


@in_memory
def test_nothing_runs_when_one_alternative_cannot(data: scidb.DatabaseManager) -> None:
    """An error in any configuration is one before the run."""
    with pytest.raises(exceptions.PipelineError, match="no columns that have names"):
        for_each(same, {"value": EachOf(Signal, Signal["x"])}, [Total], **EVERYWHERE)
    with pytest.raises(exceptions.PipelineError, match="a filter, which goes into where="):
        for_each(same, {"value": EachOf(Signal, Signal > 3)}, [Total], **EVERYWHERE)
    assert data.runs() == []


@in_memory
def test_warnings_point_at_the_call(data: scidb.DatabaseManager) -> None:
    """A warning about a configuration names the line of the user, not one in here."""
    with pytest.warns(exceptions.UncacheableWarning) as caught:
        for_each(level, {"signal": Signal, "gain": EachOf(object(), 2)}, [Level], **EVERYWHERE, dry_run=True)
    assert [one.filename for one in caught] == [__file__]


def test_texts_and_nesting() -> None:
    """Alternatives among alternatives are alternatives; a configuration is that of one of them."""
    nested = EachOf(EachOf(0.2, 0.3), Signal, Fixed(Signal, trial=1))
    assert nested.alternatives[:3] == (0.2, 0.3, Signal)
    assert repr(nested) == "EachOf(0.2, 0.3, Signal, Fixed(Signal, trial=1))"
    with pytest.raises(exceptions.PipelineError, match="several configurations"):
        ForEachConfig(level, {"signal": EachOf(Signal, Other)}).to_version_keys()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (EachOf, "no alternatives"),
        (lambda: EachOf([0.2, 0.3]), r"EachOf\(\*values\)"),
        (lambda: EachOf(range(3)), r"EachOf\(\*values\)"),
        (lambda: EachOf(Signal, k=0.2), r"EachOf\(Fixed\(A, k=0.2\), ...\)"),
        (lambda: any_fixed(EachOf(Signal, Other), k=0.2), "Fix keys of each alternative"),
    ],
)
def test_what_is_no_set_of_alternatives(make: Any, message: str) -> None:
    """EachOf says what it takes, and the way out."""
    with pytest.raises(exceptions.PipelineError, match=message):
        make()


@in_memory
@pytest.mark.parametrize("alternatives", [(1, 1), (Signal, Fixed(Signal))])
def test_equal_alternatives_are_refused(data: scidb.DatabaseManager, alternatives: Any) -> None:
    """Two alternatives that would be one variant would be saved over one another."""
    with pytest.raises(exceptions.PipelineError, match="would be saved as the same variant"):
        for_each(same, {"value": EachOf(*alternatives)}, [Total], **EVERYWHERE)


# ------------------------------------------------------------------ look-ups


class Counting(Wrapper):
    """A store that counts what it is asked for."""

    def __init__(self) -> None:
        super().__init__(MemoryStore([SchemaKey("subject"), SchemaKey("trial")]))
        self.asked: list[object] = []

    def find(self, query: Any) -> Any:
        """Count, and find."""
        self.asked.append(query)
        return super().find(query)

    def fetch(self, query: Any) -> Iterator[Chunk]:
        """Count, and fetch."""
        self.asked.append(query)
        return super().fetch(query)


def _asked(n_subjects: int, inputs: dict[str, Any]) -> tuple[int, int]:
    """Return how often the store is asked, for a first and for a second run."""
    store = Counting()
    with scidb.DatabaseManager(store).as_current():
        at = [{"subject": subject, "trial": trial} for subject in range(n_subjects) for trial in (1, 2)]
        Signal.save_many([(np.array([place["subject"], place["trial"]]), place) for place in at])
        Other.save_many([(np.array([place["subject"], -place["trial"]]), place) for place in at])
        found = []
        for _ in range(2):
            store.asked.clear()
            for_each(lambda value, k=0: k, {"value": inputs["value"], **inputs}, [Total], **EVERYWHERE)
            found.append(len(store.asked))
    return found[0], found[1]


@pytest.mark.parametrize(
    "inputs",
    [
        {"value": Merge(Signal, Fixed(Other, trial=1))},
        {"value": Merge(Signal, Other)},
        {"value": EachOf(Signal, Other), "k": EachOf(1, 2)},
    ],
)
def test_look_ups_do_not_grow_with_the_data(inputs: dict[str, Any]) -> None:
    """S6: what is asked for is the same for four combinations and for forty."""
    assert _asked(2, inputs) == _asked(20, inputs)


def test_a_merge_asks_no_more_than_its_parts_alone() -> None:
    """The parts of a merge are found together, and each configuration costs what it costs alone."""
    _, alone = _asked(4, {"value": Signal})
    assert _asked(4, {"value": Merge(Signal, Other)})[1] == alone
    _, one = _asked(4, {"value": Signal, "k": 1})
    _, two = _asked(4, {"value": Signal, "k": EachOf(1, 2)})
    _, three = _asked(4, {"value": Signal, "k": EachOf(1, 2, 3)})
    assert three - two == two - one <= one
