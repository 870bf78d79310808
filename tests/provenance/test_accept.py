"""A change of code that somebody vouches for keeps the results that the old code made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.provenance.conftest import Force, Mean, Peak, Smooth

import scidb
from scidb import for_each, thunk
from scidb.exceptions import NotFoundError, SciDBError
from scidb.hashing.code.fingerprint import fingerprint

if TYPE_CHECKING:
    from pathlib import Path

    from tests.provenance.conftest import Project

    from scidb import DatabaseManager

pytestmark = pytest.mark.above_stores

HARMLESS = ("GAIN * x * 0.2", "x * 0.2 * GAIN")


def states(db: DatabaseManager, *variables: Any) -> dict[str, int]:
    """Return how many results are in which state."""
    return {str(state): count for state, count in db.status(list(variables) or None).counts.items()}


def smooth_again(db: DatabaseManager, project: Project) -> tuple[int, int, int]:
    """Run the first step, and return what was computed, recalled and up to date."""
    inputs = {"force": Force}
    report = for_each(project.module.smooth, inputs, [Smooth], subject=[], trial=[], db=db, progress=False)
    return report.completed, report.recalled, report.up_to_date


def test_accepted_results_are_up_to_date_for_for_each(study: DatabaseManager, project: Project) -> None:
    """Results under the old fingerprint count under the new one: nothing is computed, and status says who and why."""
    project.edit(*HARMLESS)
    assert states(study, Smooth) == {"code changed": 4}

    [accepted] = study.accept("smooth", "the factors were only reordered")

    assert (accepted.function_name, accepted.reason) == ("smooth", "the factors were only reordered")
    assert accepted.user_id
    assert states(study) == {"accepted": 4, "saved by hand": 4, "up to date": 6}
    assert study.status().is_green
    made = study.status(Smooth, subject=1, trial=1).records[0]
    assert f"a change of smooth() was accepted: the factors were only reordered ({accepted.user_id}" in made.reason
    assert made.reasons[0].changes
    logged = len(study.log(Smooth))
    assert smooth_again(study, project) == (0, 0, 4)
    assert len(study.log(Smooth)) == logged


def test_without_acceptance_the_new_code_runs(study: DatabaseManager, project: Project) -> None:
    """What nobody vouched for is computed."""
    project.edit(*HARMLESS)

    assert smooth_again(study, project) == (4, 0, 0)


def test_accepted_results_are_recalled_by_thunks(db: DatabaseManager, project: Project) -> None:
    """A thunk recalls what its old code made, and what is then saved is known under the new code."""
    db.save(Force, [1.0, 2.0], subject=1)
    with db.as_current():
        Smooth.save(thunk(project.module.smooth)(Force.load_one(subject=1)), subject=1)
        project.edit(*HARMLESS)
        assert not thunk(project.module.smooth)(Force.load_one(subject=1)).was_cached
        db.accept(project.module.smooth, "only reordered")

        again = thunk(project.module.smooth)(Force.load_one(subject=1))
        assert (again.was_cached, again.data) == (True, [0.4, 0.8])
        Smooth.save(again, subject=1)

    assert states(db, Smooth) == {"up to date": 1}


def test_recalled_at_another_place(study: DatabaseManager, project: Project) -> None:
    """An equal input elsewhere recalls what the old code made (M6a)."""
    project.edit(*HARMLESS)
    study.accept("smooth", "only reordered")
    study.save(Force, [1.0, 2.0], subject=5, trial=5)

    assert smooth_again(study, project) == (0, 1, 4)
    assert study.load_one(Smooth, subject=5, trial=5).data == study.load_one(Smooth, subject=1, trial=1).data


def test_chains_of_acceptances(study: DatabaseManager, project: Project) -> None:
    """What was accepted step by step is accepted from the first code to the last, and a circle is harmless."""
    project.edit(*HARMLESS)
    study.accept("smooth", "reordered")
    project.edit("x * 0.2 * GAIN", "0.2 * x * GAIN")
    study.accept("smooth", "and once more")

    made = study.status(Smooth, subject=1, trial=1).records[0]
    assert made.state == "accepted"
    assert smooth_again(study, project) == (0, 0, 4)
    project.edit("0.2 * x * GAIN", "x * 0.2 * GAIN")
    assert states(study, Smooth) == {"accepted": 4}
    project.edit("x * 0.2 * GAIN", "GAIN * x * 0.2")
    assert states(study, Smooth) == {"up to date": 4}


def test_a_chain_in_the_memo(study: DatabaseManager, project: Project) -> None:
    """Old to mid to new: the memo follows the steps, whoever accepted them in which order."""
    codes = ["GAIN * x * 0.2", "x * 0.2 * GAIN", "0.2 * x * GAIN"]
    hashes = []
    for old, new in zip(codes, [*codes[1:], codes[0]], strict=True):
        hashes.append(fingerprint(project.module.smooth).hash)
        project.edit(old, new)
    project.edit(codes[0], codes[2])
    steps = [(hashes[1], hashes[2]), (hashes[0], hashes[1]), (hashes[2], hashes[0])]
    study._store.write(
        scidb.store.model.Batch(
            events=tuple(scidb.store.model.Accepted("smooth", old, new, "said so") for old, new in steps)
        )
    )

    assert states(study, Smooth) == {"accepted": 4}
    assert smooth_again(study, project) == (0, 0, 4)


def test_an_invalidation_beats_an_acceptance(study: DatabaseManager, project: Project) -> None:
    """What was set aside is computed again, whatever was accepted."""
    project.edit(*HARMLESS)
    study.accept("smooth", "only reordered")
    study.invalidate_cache("smooth", reason="the amplifier was broken")

    assert states(study, Smooth) == {"invalidated": 4}
    assert "the amplifier was broken" in study.status(Smooth, subject=1, trial=1).records[0].reason
    assert states(study, Mean) == {"input changed": 2}
    assert smooth_again(study, project) == (4, 0, 0)
    assert study.status().is_green


def test_the_new_code_set_aside(study: DatabaseManager, project: Project) -> None:
    """Results that stand in for those of a code are set aside with it."""
    project.edit(*HARMLESS)
    [accepted] = study.accept("smooth", "only reordered")
    study.invalidate_cache(function_hash=accepted.new_hash)

    assert states(study, Smooth) == {"invalidated": 4}
    assert smooth_again(study, project) == (4, 0, 0)


def test_another_change_is_not_accepted(study: DatabaseManager, project: Project) -> None:
    """An acceptance holds for two codes, and for no third one."""
    project.edit(*HARMLESS)
    study.accept("smooth", "only reordered")
    project.edit("0.2", "0.3")

    assert states(study, Smooth) == {"code changed": 4}
    assert smooth_again(study, project) == (4, 0, 0)


def test_kept_in_the_file(tmp_path: Path, project: Project) -> None:
    """An acceptance is there for the next process, too."""
    path = tmp_path / "study.duckdb"
    with scidb.open(path, ["subject", "trial"]) as db:
        db.save(Force, [1.0, 2.0], subject=1, trial=1)
        project.run(db)
        project.edit(*HARMLESS)
        db.accept("smooth", "only reordered")
    with scidb.open(path) as db:
        assert states(db) == {"accepted": 1, "saved by hand": 1, "up to date": 2}
        assert smooth_again(db, project) == (0, 0, 1)


def test_nothing_to_accept(study: DatabaseManager, project: Project) -> None:
    """Code that did not change, or was accepted already, needs no acceptance."""
    assert study.accept("smooth", "why not") == []
    project.edit(*HARMLESS)
    study.accept("smooth", "only reordered")
    assert study.accept("smooth", "again") == []


def test_refusals(study: DatabaseManager, project: Project) -> None:
    """A reason is needed, a function that made something, and its code of today."""
    for reason in ("", "  ", None):
        with pytest.raises(SciDBError, match="needs a reason"):
            study.accept("smooth", reason)  # type: ignore[arg-type]
    with pytest.raises(NotFoundError, match="Did you mean 'smooth'"):
        study.accept("smoth", "only reordered")
    project.forget()
    with pytest.raises(SciDBError, match="not imported here"):
        study.accept("smooth", "only reordered")
    assert states(study, Peak) == {"code not checked": 4}


def test_verified_first(study: DatabaseManager, project: Project) -> None:
    """With verify=n, results are computed again and compared exactly: with values, lists and defaults."""
    for name, old, new in (
        ("smooth", *HARMLESS),
        ("mean", "sum(x) / len(x)", "float(sum(x)) / len(x)"),
        ("peak", "max(x)", "sorted(x)[-1]"),
    ):
        project.edit(old, new)
        assert len(study.accept(name, "the same in another way", verify=100)) == 1

    assert states(study, Smooth, Peak, Mean) == {"accepted": 10}


def test_verification_refuses_what_alters_a_result(study: DatabaseManager, project: Project) -> None:
    """A change that gives another value, fails or returns something else is not accepted, and nothing is noted."""
    for old, new, said in (
        ("max(x)", "min(x)", r"peak\(\) gives another result now for Peak"),
        ("min(x)", "x[17]", r"peak\(\) raised IndexError"),
        ("x[17]", "max(x) + 1e-12", "gives another result"),
    ):
        project.edit(old, new)
        with pytest.raises(SciDBError, match=said):
            study.accept("peak", "harmless, surely", verify=4)

    assert states(study, Peak) == {"code changed": 4}


def test_what_cannot_be_verified(db: DatabaseManager, project: Project) -> None:
    """A call whose arguments cannot be had again is not taken for verified."""
    db.save(Force, [1.0, 2.0], subject=1)
    with db.as_current():
        smooth, peak = thunk(project.module.smooth), thunk(project.module.peak)
        Peak.save(peak(smooth(Force.load_one(subject=1))), subject=1)
    project.edit("max(x)", "sorted(x)[-1]")

    with pytest.raises(SciDBError, match="cannot be computed again"):
        db.accept("peak", "the same in another way", verify=1)
    with pytest.raises(SciDBError, match="say how many"):
        db.accept("peak", "the same in another way", verify=-1)
    assert len(db.accept("peak", "the same in another way")) == 1


def test_verified_with_custom_storage_metadata_and_tables(db: DatabaseManager, project: Project) -> None:
    """Whole configurations are computed again: tables, keys that are passed, and what a class stores its own way."""
    project.write("def total(x, gain, subject):\n    return gain * x['Force'].sum() + subject\n")
    for trial in (1, 2):
        db.save(Force, 1.5 * trial, subject=1, trial=trial)
    inputs = {"x": Force, "gain": 2.5}
    for_each(project.module.total, inputs, [Mean], subject=[], db=db, progress=False, as_table=True, pass_metadata=True)
    assert states(db, Mean) == {"up to date": 1}
    project.edit("gain * x['Force'].sum()", "x['Force'].sum() * gain")

    assert len(db.accept("total", "reordered", verify=1)) == 1
    project.edit("+ subject", "- subject")
    with pytest.raises(SciDBError, match="gives another result"):
        db.accept("total", "harmless", verify=1)
