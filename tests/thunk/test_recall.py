"""Asking the current database before a call runs."""

from __future__ import annotations

import pickle
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from scidb.current import as_current
from scidb.exceptions import (
    ChangingCodeWarning,
    IgnoreWarning,
    LargeGlobalWarning,
    NetworkError,
    UncacheableWarning,
)
from scidb.hashing.code.fingerprint import changed_reads
from scidb.thunk import (
    CacheWarning,
    PipelineThunk,
    Thunk,
    ThunkOutput,
    thunk,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.thunk.conftest import FakeCache

    from scidb.hashing.code.fingerprint import Fingerprint

runs: list[str] = []


@pytest.fixture(autouse=True)
def _no_runs() -> None:
    runs.clear()


@thunk(ignore=("runs",))
def double(x: Any) -> Any:
    runs.append("double")
    return x * 2


@thunk(n_outputs=2, ignore=("runs",))
def extremes(values: list[int]) -> tuple[int, int]:
    runs.append("extremes")
    return min(values), max(values)


@thunk(generates_file=True, ignore=("runs",))
def plot(x: int, path: Path) -> Path:
    runs.append("plot")
    path.write_text(str(x))
    return path


def test_without_a_database_a_thunk_computes() -> None:
    """Without a current database every call computes, and says so."""
    result = double(2)
    assert (result.data, result.value, result.was_cached, result.is_complete) == (4, 4, False, True)
    assert result.pipeline_thunk.outputs == (result,)
    assert result.pipeline_thunk.seconds is not None


def test_a_saved_result_is_recalled(cache: FakeCache) -> None:
    """What was saved is recalled without running, as a new call that names the old one."""
    first = double(2)
    cache.save(first)
    again = double(x=2)
    assert (again.data, again.was_cached, runs) == (4, True, ["double"])
    assert again.pipeline_thunk.recalled_from == first.pipeline_thunk.call_id
    assert again.pipeline_thunk.call_id != first.pipeline_thunk.call_id
    assert again.pipeline_thunk.seconds is None
    assert again.hash == first.hash


def test_unsaved_results_are_not_recalled(cache: FakeCache) -> None:
    """A result that nobody saved is computed again."""
    double(2)
    assert not double(2).was_cached
    assert runs == ["double", "double"]


def test_force_runs_regardless(cache: FakeCache) -> None:
    """force=True neither asks the database nor reaches the function."""
    cache.save(double(2))
    forced = double(2, force=True)
    assert (forced.was_cached, runs) == (False, ["double", "double"])
    assert forced.pipeline_thunk.inputs == {"x": 2}
    assert double(2, force=False).was_cached


def test_force_belongs_to_a_function_that_has_it(cache: FakeCache) -> None:
    """A function with its own parameter `force` receives the keyword, and is recalled as usual."""
    own = Thunk(lambda x, force=False: (x, force))
    first = own(1, force=True)
    assert first.data == (1, True)
    cache.save(first)
    assert own(1, force=True).was_cached
    assert not own(1).was_cached


def test_outputs_are_recalled_in_their_order(cache: FakeCache) -> None:
    """M1: outputs saved in reverse order come back in their own."""
    low, high = extremes([3, 1, 2])
    cache.save(high)
    cache.save(low)
    low, high = extremes([3, 1, 2])
    assert (low.data, high.data, low.was_cached, runs) == (1, 3, True, ["extremes"])


def test_one_of_two_outputs_is_a_miss(cache: FakeCache) -> None:
    """M2: an answer with too few outputs is no answer."""
    low, _ = extremes([3, 1, 2])
    cache.save(low)
    low, high = extremes([3, 1, 2])
    assert (low.data, high.data, high.was_cached, len(runs)) == (1, 3, False, 2)


def test_a_result_saved_twice_is_one_output(cache: FakeCache) -> None:
    """M3: a result saved at two places comes back as one output, not as a tuple."""
    first = double((1,))
    cache.save(first)
    cache.save(first, variable="Elsewhere")
    again = double((1,))
    assert isinstance(again, ThunkOutput)
    assert again.data == (1, 1)


def test_unpacked_outputs_are_recalled_as_a_tuple(cache: FakeCache) -> None:
    """unpack_output gives a tuple however many outputs there are, computed or recalled."""
    split = Thunk(str.split, unpack_output=True)
    computed = split("one")
    cache.save(*computed)
    recalled = split("one")
    assert [output.data for output in computed] == [output.data for output in recalled] == ["one"]
    assert recalled[0].was_cached


def test_a_failing_database_never_fails_a_computation(cache: FakeCache) -> None:
    """M12: an error of the database is one warning that names it, and the call computes."""
    cache.save(double(2))
    cache.error = NetworkError("the server at http://lab:8765 does not answer")
    with pytest.warns(CacheWarning, match=r"double\(\).*http://lab:8765") as caught:
        result = double(2)
    assert (result.data, result.was_cached, len(caught)) == (4, False, 1)
    assert caught[0].filename == __file__


def test_a_bug_in_the_database_is_not_hidden(cache: FakeCache) -> None:
    """M12 is about a database that fails: an error that is not SciDB's own is a bug and is seen."""
    cache.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        double(2)


def test_a_database_that_cannot_recall() -> None:
    """Whatever is current need not be a Cache."""
    with as_current(SimpleNamespace()):
        assert double(2).data == 4


def test_uncacheable_calls_never_ask(cache: FakeCache) -> None:
    """M7: a call with an argument that cannot be hashed does not ask the database."""
    with pytest.warns(UncacheableWarning):
        Thunk(id)(object())
    assert cache.asked == []


def test_early_cutoff(cache: FakeCache) -> None:
    """What follows is recalled when an intermediate is computed to the same value by other means."""
    cache.save(double(double(2)))
    assert double(Thunk(abs)(-4)).was_cached


def test_generated_files_are_skipped_while_they_exist(cache: FakeCache, tmp_path: Path) -> None:
    """A repeat of a file-writing call is skipped, and runs again when the file is gone."""
    path = tmp_path / "figure.txt"
    first = plot(1, path)
    assert first.data == path
    cache.save(first)
    again = plot(1, path)
    assert (again.data, again.was_cached, runs) == (None, True, ["plot"])
    path.unlink()
    assert not plot(1, path).was_cached
    assert path.exists()


def test_paths_inside_containers_count(cache: FakeCache, tmp_path: Path) -> None:
    """A missing path inside a list or dict argument is noticed too."""

    @thunk(generates_file=True)
    def touch(paths: dict[str, list[Path]]) -> None:
        for path in paths["out"]:
            path.touch()

    paths = {"out": [tmp_path / "a", tmp_path / "b"]}
    cache.save(touch(paths))
    assert touch(paths).was_cached
    paths["out"][1].unlink()
    assert not touch(paths).was_cached


def test_a_generated_file_is_passed_on_by_its_computation(cache: FakeCache, tmp_path: Path) -> None:
    """Whoever depends on a generated file gets the same identity and argument, skipped or not."""
    received = Thunk(lambda figure: figure is None)
    computed = plot(1, tmp_path / "f")
    cache.save(computed)
    first, second = received(computed), received(plot(1, tmp_path / "f"))
    assert first.hash == second.hash
    assert first.data is second.data is True


def test_an_incomplete_argument_makes_an_incomplete_result(cache: FakeCache) -> None:
    """A call whose argument is not there yet waits: it neither asks nor runs."""
    waiting = ThunkOutput(PipelineThunk(double, {"x": 1}), 0, None, is_complete=False)
    result = double([waiting, 1])
    low, high = extremes(waiting)
    assert not result.is_complete
    assert not low.is_complete
    assert not high.is_complete
    assert result.data is None
    assert (runs, cache.asked) == ([], [])
    assert "incomplete" in repr(result)


def test_strict_needs_code_that_is_fully_known(cache: FakeCache) -> None:
    """strict=True computes every time when the fingerprint carries a warning."""
    opaque = object()
    strict = Thunk(lambda: opaque is not None, strict=True)
    assert strict.fingerprint().warnings
    with pytest.warns(UncacheableWarning, match="strict=True"):
        result = strict()
    cache.save(result)
    assert not strict().was_cached
    assert not Thunk(lambda x: x, strict=True)(1).pipeline_thunk.uncacheable


def test_the_strict_rule_can_be_asked() -> None:
    """The reason why no call can be recognised is the same for whoever runs the function."""
    opaque = object()
    strict, lax = (Thunk(lambda: opaque is not None, strict=strict) for strict in (True, False))
    assert "strict=True" in (strict.uncacheable_reason(strict.fingerprint()) or "")
    assert lax.uncacheable_reason(lax.fingerprint()) is None
    assert double.uncacheable_reason(double.fingerprint()) is None


def test_a_misspelt_ignored_name_is_said_once() -> None:
    """A name in ignore= that the code does not read is one warning that names the nearest."""
    calls: list[int] = []

    @thunk(ignore=["clals", "calls"])
    def count(x: int) -> int:
        calls.append(x)
        return x

    with pytest.warns(IgnoreWarning, match=r"count\(\): .*'clals'.*Did you mean 'calls'") as caught:
        count(1)
    count(2)
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_a_function_that_changes_what_it_reads_says_so_once() -> None:
    """A call that changes a value it reads names the value and `ignore=`, once."""
    seen: list[int] = []

    @thunk
    def remember(x: int) -> int:
        seen.append(x)
        return len(seen)

    with pytest.warns(ChangingCodeWarning, match=r"remember\(\) changes what it reads: seen.*ignore=") as caught:
        first = remember(1)
    second = remember(1)
    assert (first.data, second.data, len(caught)) == (1, 2, 1)
    assert caught[0].filename == __file__
    assert first.hash != second.hash
    ignoring = Thunk(remember.function, ignore=("seen",))
    assert ignoring(1).hash == ignoring(1).hash


def test_a_large_global_is_looked_at_after_a_call_when_there_is_reason_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is large is hashed again after the first call, and after all once it has changed; a change is then named."""
    monkeypatch.setattr("scidb.hashing.code.budget.BUDGET", 1000)
    table = np.zeros(1_000_000)
    looked: list[object] = []

    def compared(before: Fingerprint, after: Fingerprint) -> list[str]:
        looked.append(before)
        return changed_reads(before, after)

    monkeypatch.setattr(sys.modules[Thunk.__module__], "changed_reads", compared)

    @thunk(ignore=["sometimes"])
    def count(x: int) -> float:
        if x in sometimes:
            table[0] += 1.0
        return float(table[x])

    sometimes: set[int] = set()
    with pytest.warns(LargeGlobalWarning):
        count(1)
    count(2)
    count(3)
    assert len(looked) == 1
    sometimes |= {4, 6}
    count(4)
    assert len(looked) == 1
    count(5)
    assert len(looked) == 2
    with pytest.warns(ChangingCodeWarning, match=r"count\(\) changes what it reads: table"):
        count(6)


def test_a_large_global_is_said_once_and_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads so much that every call is slow is told what it is, once; a change in it is still noticed."""
    monkeypatch.setattr("scidb.hashing.code.budget.BUDGET", 1000)
    table, factor = np.zeros(1_000_000), 2

    @thunk
    def look_up(x: int) -> float:
        return float(table[x] * factor)

    with pytest.warns(LargeGlobalWarning, match=r"look_up\(\) reads table \(8 MB\), .* ignore=") as caught:
        first = look_up(1)
    table[1] = 1.0
    second = look_up(1)

    assert (first.data, second.data, len(caught)) == (0.0, 2.0, 1)
    assert caught[0].filename == __file__
    assert first.hash != second.hash
    assert "table" not in first.pipeline_thunk.fingerprint.warnings


def test_thunks_travel_by_name() -> None:
    """A decorated function arrives in another process as that module's thunk, others with their options."""
    assert pickle.loads(pickle.dumps(double)) is double
    library = Thunk(divmod, n_outputs=2)
    copy = pickle.loads(pickle.dumps(library))
    assert [output.data for output in copy(7, 2)] == [3, 1]
    assert copy.n_outputs == 2
