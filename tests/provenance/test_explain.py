"""Why one result is in its state, in words: down to the root cause, with what differs in the code."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

import pytest
from tests.hashing.code_changes import Study, cases
from tests.provenance.conftest import Force, Mean, Peak, Smooth

from scidb import DatabaseManager
from scidb.exceptions import NotFoundError
from scidb.hashing.code.fingerprint import fingerprint
from scidb.hashing.code.reference import reference_of
from scidb.hashing.code.seen import note_seen
from scidb.provenance import why
from scidb.store.memory import MemoryStore
from scidb.store.model import Batch, Call, Computation, SourceSeen, TypeInfo
from scidb.testing.store_suite.samples import KEYS, record, scalars

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.hashing.code_changes import Case
    from tests.provenance.conftest import Project

pytestmark = pytest.mark.above_stores


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Study]:
    """Return a project whose modules are written and imported anew."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    made = Study(tmp_path)
    yield made
    made.forget()


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.group}: {case.name}")
def test_every_reason_of_the_table(lab: Study, case: Case) -> None:
    """For each of the changes in the table, a result is stale for that reason; for none, it is up to date."""
    f = lab.load(case.before).f
    note_seen(f)  # as for_each and thunks do
    code = fingerprint(f)
    computation = Computation("l", code.name, code.hash, "i", "1")
    store = MemoryStore(KEYS)
    store.register(TypeInfo("Emg"))
    made = record("Emg", 1.0, {"subject": 1}, lineage_id="l", call_id="c", output_num=0)
    reference = reference_of(f)
    seen = SourceSeen(code.hash, code.name, code.manifest, code.sources, reference)
    chunk = scalars([made], [1.0])
    store.write(Batch(chunks=(chunk,), calls=(Call("c", computation, (), function_ref=reference),), events=(seen,)))
    with DatabaseManager(store) as db:
        first = db.explain("Emg", subject=1).record.state
        f = lab.load(case.after).f
        if "<" in getattr(f, "__qualname__", "<"):
            gc.collect()  # the functions of the former module hold each other
        note_seen(f)
        explained = db.explain("Emg", subject=1)

    assert first == "up to date"
    assert explained.record.state == ("code changed" if case.is_change else "up to date")
    for reason in case.why:
        assert reason in str(explained)


def test_down_to_the_root_cause(study: DatabaseManager, project: Project) -> None:
    """Each step is said, and at the end what differs in the code."""
    project.edit("0.2", "0.3")

    found = study.explain(Mean, subject=1)

    said = str(found).splitlines()
    assert said[0].startswith("Mean (subject=1) [")
    assert said[0].endswith("]: input changed")
    assert said[1].startswith("  made by mean() on ")
    assert said[2] == "  x = Peak (subject=1, trial=1) is not up to date (input changed)"
    assert said[3] == "    because x = Smooth (subject=1, trial=1) is not up to date (code changed)"
    assert said[4] == "      because constant 0.2 -> 0.3 in smooth(), line 6"
    assert "          -    return [GAIN * x * 0.2 for x in force]" in said
    assert "          +    return [GAIN * x * 0.3 for x in force]" in said
    assert not found.is_green
    assert "-    return [GAIN * x * 0.2" in found.to_dict()["source_diffs"][0]
    assert "<pre>Mean (subject=1)" in found._repr_html_()


def test_what_is_fine(study: DatabaseManager, project: Project) -> None:
    """Of what is up to date, or was saved by hand, that is said."""
    assert "its code and all that it was made from are as they were" in str(study.explain(Peak, subject=1, trial=1))
    assert "saved by hand on " in str(study.explain(Force, subject=1, trial=1))


def test_which_record_is_meant(study: DatabaseManager, project: Project) -> None:
    """A value, an id or its beginning, or a variable and keys name the record."""
    value = study.load_one(Smooth, subject=1, trial=2)
    found = study.explain(Smooth, subject=1, trial=2)

    assert found.record.record_id == value.record_id
    assert str(study.explain(value)) == str(study.explain(str(value.record_id)[:12])) == str(found)
    with pytest.raises(NotFoundError):
        study.explain(Smooth, subject=9)


def test_a_record_that_is_not_the_latest(study: DatabaseManager, project: Project) -> None:
    """Of a superseded record its own state is said, and which one is the latest."""
    old = study.load_one(Smooth, subject=1, trial=1)
    project.edit("0.2", "0.3")
    project.run(study)

    found = study.explain(old)

    new = study.load_one(Smooth, subject=1, trial=1)
    assert (found.record.state, found.superseded_by) == ("code changed", new.record_id)
    assert f"it is not the latest any more; that is {str(new.record_id)[:12]}" in str(found)
    assert study.explain(new).is_green


def test_what_was_saved_by_hand_needs_only_its_place(study: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is explained as by a look at everything, and in few questions: the latest, older ones, and those of before."""
    study.tag("before")
    Force.save(study.load_one(Force, subject=1, trial=1).data, subject=1, trial=1, variant="other")
    Force.save([7.0, 8.0], subject=1, trial=1)
    Mean.save(-1.0, subject=1)  # where results were computed
    told: list[dict[str, str]] = []
    for everything in (False, True):
        if everything:
            monkeypatch.setattr(why, "gather_by_hand", lambda *_: None)
        ids = dict.fromkeys(one.record_id for variable in (Force, Mean) for one in study.log(variable))
        now = {one: str(study.explain(one).to_dict()) for one in ids}
        then = {f"{one} then": str(study.explain(one, as_of="before").to_dict()) for one in list(ids)[-2:]}
        told.append({**now, **then})
    assert told[0] == told[1]
    assert sum("saved by hand" in one for one in told[0].values()) >= 4
