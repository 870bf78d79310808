"""Flags: bad data is marked once, and everything that was made from it shows it, or is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import scidb
from scidb import BaseVariable, Fixed, for_each, thunk
from scidb.exceptions import NotFoundError, SciDBError, SciDBWarning, StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from scidb import DatabaseManager
    from scidb.foreach.report import ForEachReport

pytestmark = pytest.mark.above_stores

BAD = "electrode 7 bad"


class Raw(BaseVariable):
    """What was measured."""


class Peak(BaseVariable):
    """Its largest value."""


class Grand(BaseVariable):
    """The mean over everybody."""


def peak(raw: list[float]) -> float:
    return max(raw)


def grand(peaks: list[float]) -> float:
    return sum(peaks) / len(peaks)


@pytest.fixture
def study(db: DatabaseManager) -> DatabaseManager:
    """Three subjects, of whom the first two measured the same, their peaks and the mean of these."""
    Raw.save_many([([1.0, 2.0], {"subject": 1}), ([1.0, 2.0], {"subject": 2}), ([1.0, 5.0], {"subject": 3})])
    for_each(peak, {"raw": Raw}, [Peak], subject=[])
    for_each(grand, {"peaks": Peak}, [Grand])
    return db


def subjects(found: Any) -> list[Any]:
    return [one.schema["subject"] for one in found]


def states(report: ForEachReport) -> list[str]:
    return [item.state for item in report.combinations]


# ------------------------------------------------------------------ flagging


def test_a_flag_is_said_of_a_value_an_id_or_keys(study: DatabaseManager) -> None:
    """A record is named by a value, by its id or the beginning of it, or by variable and keys, and is one record."""
    value = Raw.load_one(subject=2)
    for named in (value, value.record_id or "", (value.record_id or "")[:12]):
        study.flag(named, BAD)
    study.flag(Raw, BAD, subject=2)
    study.flag("Raw", reason=f"  {BAD} ", subject=2)
    [flag] = study.flags()
    assert (flag.record_id, flag.reason, flag.is_pin) == (value.record_id, BAD, False)
    assert flag.user_id


def test_all_that_matches_is_flagged(study: DatabaseManager) -> None:
    """A variable and keys mean every latest value that matches, at once."""
    assert len(study.flag(Raw, BAD, subject=[1, 2])) == 2
    assert subjects(Raw.load_all(exclude=True)) == [3]


def test_what_cannot_be_flagged(study: DatabaseManager) -> None:
    """What is no record, was never saved, or has no reason is refused, and nothing is flagged."""
    for record in ("0000000000", Raw([9.0]), "Rwa"):
        with pytest.raises(SciDBError):
            study.flag(record, BAD)
    with pytest.raises(NotFoundError):
        study.flag(Raw, BAD, subject=9)
    for reason in ("", "  ", None, 3):
        with pytest.raises(SciDBError, match="in a few words"):
            study.flag(Raw, reason, subject=1)  # type: ignore[arg-type]
    with pytest.raises(SciDBError, match="pin"):
        study.flag(Raw, BAD, pin="yes", subject=1)  # type: ignore[arg-type]
    with pytest.raises(SciDBError, match="keys were given beside it"):
        study.flag(Raw.load_one(subject=1), BAD, subject=2)
    assert len(study.flags()) == 0


def test_a_value_of_another_database(study: DatabaseManager, tmp_path: Path) -> None:
    """A value that this database does not have cannot be flagged in it."""
    with scidb.open(tmp_path / "other.duckdb", ["subject"]) as other:
        Raw.save([3.0], subject=7, db=other)
        foreign = Raw.load_one(subject=7, db=other)
    with pytest.raises(NotFoundError, match="another one"):
        study.flag(foreign, BAD)


def test_flags_are_listed(study: DatabaseManager) -> None:
    """Flags are listed with reason, place, person and time, of some records or of all, as rows, text and table."""
    study.flag(Raw, BAD, subject=1)
    study.flag(Peak, "kept for the paper", pin=True, subject=3)
    found = study.flags()
    assert found.title == "1 flag, 1 pin"
    assert [(one["reason"], one["pin"], one["variable"], one["metadata"]) for one in found.to_dicts()] == [
        (BAD, False, "Raw", {"subject": 1}),
        ("kept for the paper", True, "Peak", {"subject": 3}),
    ]
    assert found.to_pandas()["reason"].tolist() == [BAD, "kept for the paper"]
    assert "(pinned)" in repr(found)
    assert "electrode" in found._repr_html_()
    assert [flag.reason for flag in study.flags(Peak)] == ["kept for the paper"]
    assert repr(study.flags(Raw, subject=3)) == "no flags"
    with pytest.raises(SciDBError, match="Say of which variable"):
        study.flags(subject=1)


def test_a_flag_is_taken_back(study: DatabaseManager) -> None:
    """A flag is taken back by its reason, or all flags of a record at once; pins go by themselves."""
    for reason in (BAD, "noise"):
        study.flag(Raw, reason, subject=1)
    study.flag(Raw, "for the paper", pin=True, subject=1)
    assert [flag.reason for flag in study.unflag(Raw, BAD, subject=1)] == [BAD]
    assert [flag.reason for flag in study.flags()] == ["noise", "for the paper"]
    study.unflag(Raw, subject=1)
    assert [flag.reason for flag in study.flags()] == ["for the paper"]
    study.unflag(Raw, pin=True, subject=1)
    assert list(study.flags()) == []
    assert subjects(Raw.load_all(exclude=True)) == [1, 2, 3]


def test_what_is_not_flagged_itself(study: DatabaseManager) -> None:
    """To take back a flag that is another record's says where it is."""
    raw = study.find_record(Raw, subject=1)
    with pytest.raises(NotFoundError, match="no flag of its own"):
        study.unflag(Raw, subject=1)
    study.flag(Raw, BAD, subject=1)
    with pytest.raises(NotFoundError, match=f"made from {raw.record_id[:12]}, which is flagged"):
        study.unflag(Peak, subject=1)


# ------------------------------------------------------------------ shown on what was made from it


def test_descendants_show_the_flag(study: DatabaseManager) -> None:
    """A flag shows on the record and on everything made from it, and on nothing beside (M6a)."""
    study.flag(Raw, BAD, subject=1)
    expected: list[tuple[type[BaseVariable], dict[str, Any], tuple[str, ...]]] = [
        (Raw, {"subject": 1}, (BAD,)),
        (Peak, {"subject": 1}, (BAD,)),
        (Grand, {}, (BAD,)),
        (Raw, {"subject": 2}, ()),
        (Peak, {"subject": 2}, ()),  # its number was recalled from that of subject 1
    ]
    for variable, keys, flags in expected:
        value = variable.load_one(**keys)
        assert value.flags == flags
        assert (f"flagged: {BAD}" in repr(value)) is bool(flags)
    study.unflag(Raw, subject=1)
    assert Grand.load_one().flags == ()


def test_tables_show_the_flag(study: DatabaseManager) -> None:
    """A table with flagged values has a column that says so, and only then."""
    for made in (Peak.load_all(as_df=True), Peak.load(as_table=True), study.to_dataframe([Peak])):
        assert "flags" not in made
    study.flag(Raw, BAD, subject=1)
    study.flag(Peak, "noise", subject=1)
    assert Peak.load_all(as_df=True)["flags"].tolist() == [f"{BAD}; noise", "", ""]
    assert Peak.load(as_table=True)["flags"].tolist() == [f"{BAD}; noise", "", ""]
    assert study.to_dataframe([Peak])["flags"].tolist() == [f"{BAD}; noise", "", ""]
    assert "flags" not in Peak.load_all(as_df=True, subject=[2, 3])
    assert "flags" not in study.to_dataframe([Peak], exclude=True)


def test_a_function_never_sees_the_column(study: DatabaseManager) -> None:
    """A table that a function gets as input is the same with flags, since these are no part of what identifies it."""

    def columns(peaks: Any) -> list[str]:
        return list(peaks.columns)

    study.flag(Raw, BAD, subject=1)
    for_each(columns, {"peaks": Peak}, [Grand], as_table=True)
    assert Grand.load_one(params={"__fn": "columns"}).data == ["subject", "Peak"]


# ------------------------------------------------------------------ exclude


@pytest.mark.every_store
def test_exclude_leaves_out_what_was_made_from_it(study: DatabaseManager) -> None:
    """`exclude` leaves out flagged records and everything derived from them: by name, by several, by any."""
    study.flag(Raw, BAD, subject=1)
    study.flag(Peak, "noise", subject=3)
    for exclude, raw, peaks in (
        ((), [1, 2, 3], [1, 2, 3]),
        (None, [1, 2, 3], [1, 2, 3]),
        (False, [1, 2, 3], [1, 2, 3]),
        (BAD, [2, 3], [2, 3]),
        ([BAD], [2, 3], [2, 3]),
        ({"noise"}, [1, 2, 3], [1, 2]),
        ([BAD, "noise"], [2, 3], [2]),
        (True, [2, 3], [2]),
    ):
        assert subjects(Raw.load_all(exclude=exclude)) == raw
        assert subjects(Peak.load_all(exclude=exclude)) == peaks
    assert Peak.load_all(as_df=True, exclude=True)["subject"].tolist() == [2]
    assert Peak.load(exclude=True).schema == {"subject": 2}
    assert study.to_dataframe([Peak], exclude=[BAD])["subject"].tolist() == [2, 3]
    assert len(Peak.load_all(as_df=True, version_id="all", exclude=True)) == 1
    assert Peak.head(1, exclude=[BAD])["subject"].tolist() == [2]


def test_nothing_older_comes_back(study: DatabaseManager) -> None:
    """Where the latest is left out there is nothing, not the value of before."""
    Raw.save([7.0], subject=1)
    study.flag(Raw, BAD, subject=1)
    with pytest.raises(NotFoundError, match=f"flagged '{BAD}'.*Load without exclude="):
        Raw.load_one(subject=1, exclude=True)
    with pytest.raises(NotFoundError, match="exclude= leaves nothing"):
        Raw.load(subject=1, exclude=BAD)
    assert list(Raw.load_all(subject=1, exclude=True)) == []


def test_exclude_says_what_is_behind_it(study: DatabaseManager) -> None:
    """What is left out for what it was made from says from what."""
    raw = study.flag(Raw, BAD, subject=1)[0].record_id
    with pytest.raises(NotFoundError, match=f"made from {raw[:12]}"):
        Grand.load_one(exclude=True)


def test_a_misspelt_reason_is_said(study: DatabaseManager) -> None:
    """A reason that nothing is flagged by is a warning with the nearest one, since bad data would pass unseen."""
    study.flag(Raw, BAD, subject=1)
    study.flag(Raw, "only pinned", pin=True, subject=1)
    with pytest.warns(SciDBWarning, match=f"no record is flagged 'electrode 7 bd'.*{BAD}"):
        assert len(list(Raw.load_all(exclude="electrode 7 bd"))) == 3
    with pytest.warns(SciDBWarning, match="only pinned"):
        Raw.load_one(subject=1, exclude=["only pinned"])
    for exclude in (3, [3], b"x"):
        with pytest.raises(SciDBError, match="reasons"):
            list(Raw.load_all(exclude=exclude))


def test_exclude_ignores_pins(study: DatabaseManager) -> None:
    """A pinned record is no bad one: it loads, and shows no flag."""
    study.flag(Raw, "for the paper", pin=True, subject=1)
    assert Raw.load_one(subject=1, exclude=True).flags == ()


def test_exclude_as_of(study: DatabaseManager) -> None:
    """As of an earlier instant the flags are those of then, so that a result of then can be had again."""
    study.tag("submitted")
    study.flag(Raw, BAD, subject=1)
    assert subjects(Peak.load_all(exclude=True, as_of="submitted")) == [1, 2, 3]
    assert Peak.load_one(subject=1, as_of="submitted").flags == ()
    assert len(study.flags(as_of="submitted")) == 0


def test_exports_leave_it_out(study: DatabaseManager, tmp_path: Path) -> None:
    """export_to_csv takes `exclude`, too."""
    study.flag(Raw, BAD, subject=1)
    assert study.export_to_csv(Peak, tmp_path / "peaks.csv", exclude=True) == 2


def test_made_anew_from_better_data(study: DatabaseManager) -> None:
    """What is computed anew from better data is free, also where the number stayed the same and nothing ran again."""
    study.flag(Raw, BAD, subject=1)
    Raw.save([0.5, 2.0], subject=1)  # the same peak
    assert states(for_each(peak, {"raw": Raw}, [Peak], subject=[])) == ["completed", "up_to_date", "up_to_date"]
    assert states(for_each(grand, {"peaks": Peak}, [Grand])) == ["up_to_date"]
    assert subjects(Peak.load_all(exclude=True)) == [1, 2, 3]
    assert Grand.load_one(exclude=True).flags == ()


# ------------------------------------------------------------------ for_each


def test_for_each_skips_and_says_why(study: DatabaseManager, caplog: pytest.LogCaptureFixture) -> None:
    """A combination whose input is left out is skipped, saying why; the others are as ever."""
    study.flag(Raw, BAD, subject=1)
    report = for_each(peak, {"raw": Raw}, [Peak], subject=[], exclude=True)
    assert states(report) == ["skipped", "up_to_date", "up_to_date"]
    assert report.combinations[0].reason == f"Raw at subject=1 is left out: flagged '{BAD}'"
    assert (report.skipped, report.excluded) == (1, 1)
    assert "1 skipped: an input is flagged" in str(report)
    assert not caplog.records  # its former result shows the flag, too
    assert states(for_each(peak, {"raw": Raw}, [Peak], subject=[], exclude=[BAD], dry_run=True))[0] == "skipped"
    assert states(for_each(peak, {"raw": Raw}, [Peak], subject=[])) == ["up_to_date"] * 3


def test_aggregation_goes_without_it(study: DatabaseManager) -> None:
    """A mean over all is computed anew without what is left out, and with it is the former one again."""
    study.flag(Raw, BAD, subject=1)
    assert Grand.load_one().data == 3.0
    assert states(for_each(grand, {"peaks": Peak}, [Grand], exclude=True)) == ["completed"]
    assert Grand.load_one().data == 3.5
    assert Grand.load_one(exclude=True).flags == ()
    assert states(for_each(grand, {"peaks": Peak}, [Grand], exclude=True)) == ["up_to_date"]
    assert states(for_each(grand, {"peaks": Peak}, [Grand])) == ["recalled"]
    assert Grand.load_one().data == 3.0


def test_fixed_inputs_are_left_out_too(study: DatabaseManager) -> None:
    """A Fixed input that is flagged is missing for all combinations."""

    def ratio(peak: float, first: float) -> float:
        return peak / first

    study.flag(Raw, BAD, subject=1)
    inputs = {"peak": Peak, "first": Fixed(Peak, subject=1)}
    assert states(for_each(ratio, inputs, [Grand], subject=[], exclude=BAD)) == ["skipped"] * 3


def test_nothing_coarser_takes_its_place(study: DatabaseManager) -> None:
    """A value of a trial that is left out is not replaced by that of the subject."""
    Raw.save([4.0], subject=4)
    Raw.save([5.0], subject=4, trial=1)
    study.flag(Raw, BAD, subject=4, trial=1)
    report = for_each(peak, {"raw": Raw}, [Peak], subject=[4], trial=[1], exclude=True)
    assert states(report) == ["skipped"]


def test_results_of_thunks_carry_flags(db: DatabaseManager) -> None:
    """A flag goes through results that were handed from thunk to thunk without being saved."""

    @thunk
    def largest(raw: list[float]) -> float:
        return max(raw)

    @thunk
    def half(value: float) -> float:
        return value / 2

    Raw.save([3.0, 4.0], subject=1)
    Peak.save(half(largest(Raw.load_one(subject=1))), subject=1)
    db.flag(Raw, BAD, subject=1)
    assert Peak.load_one(subject=1).flags == (BAD,)
    assert list(Peak.load_all(exclude=True)) == []


@pytest.mark.every_store
def test_exclude_joins_with_a_filter(study: DatabaseManager) -> None:
    """A filter and `exclude` both hold: of a load, of a table, and of the inputs of a run."""
    study.flag(Raw, BAD, subject=1)
    where = Peak <= 2.0
    assert subjects(Raw.load_all(where=where, exclude=True)) == [2]
    assert study.to_dataframe([Peak], where=where, exclude=True)["subject"].tolist() == [2]
    assert Peak.load_one(where=where, exclude=BAD).schema == {"subject": 2}
    report = for_each(peak, {"raw": Raw}, [Grand], subject=[], where=where, exclude=True)
    assert (report.recalled, report.excluded, report.left_out) == (1, 1, 1)
    with pytest.raises(NotFoundError, match="exclude= leaves nothing"):
        Raw.load_one(subject=1, where=where, exclude=True)


def test_flags_survive_a_renaming(study: DatabaseManager) -> None:
    """A flag stays with its record, and passes on, when a variable gets another name."""
    study.flag(Raw, BAD, subject=1)
    study.admin.rename_variable(Raw, "Measured")
    try:
        assert [one["variable"] for one in study.flags().to_dicts()] == ["Measured"]
        assert subjects(Peak.load_all(exclude=True)) == [2, 3]
    finally:
        study.admin.rename_variable("Measured", Raw)


def test_flags_are_kept_and_need_a_database_that_can_be_written(tmp_path: Path) -> None:
    """Flags are there when the file is opened again; one that is open for reading takes none."""
    with scidb.open(tmp_path / "study.duckdb", ["subject"]) as db:
        Raw.save([1.0], subject=1, db=db)
        db.flag(Raw, BAD, subject=1)
    with scidb.open(tmp_path / "study.duckdb", read_only=True) as db:
        assert db.load_one(Raw, subject=1).flags == (BAD,)
        assert list(db.load_all(Raw, exclude=True)) == []
        with pytest.raises(StorageError, match="read-only"):
            db.flag(Raw, "noise", subject=1)


# ------------------------------------------------------------------ impact


def test_impact_down_to_the_files(study: DatabaseManager, tmp_path: Path) -> None:
    """Impact lists every record that was made, what is superseded among them, and the files that they went into."""
    study.export_to_csv(Grand, tmp_path / "grand.csv")
    study.export_to_csv(Peak, tmp_path / "others.csv", subject=[2, 3])
    Raw.load_one(subject=1).to_csv(tmp_path / "raw.csv")
    study.flag(Raw, BAD, subject=1)
    for_each(grand, {"peaks": Peak}, [Grand], exclude=True)
    impact = study.impact(Raw, subject=1)
    assert [(row.name, dict(row.metadata), row.function, row.is_latest) for row in impact.records] == [
        ("Peak", {"subject": 1}, "peak", True),
        ("Grand", {}, "grand", False),
    ]
    assert {(row.kind, row.name) for row in impact.files} == {
        ("export", str(tmp_path / "grand.csv")),
        ("export", str(tmp_path / "raw.csv")),
    }
    assert [row.flags for row in impact.records] == [(BAD,)] * 2
    assert impact.title == "Made from Raw (subject=1): 2 records, 1 of them the latest; 2 files"


def test_impact_as_text_and_table(study: DatabaseManager) -> None:
    """Impact is a sequence, a text, a table and HTML; of a leaf it says that nothing was made from it."""
    study.flag(Raw, "<b>bad</b>", subject=3)
    impact = study.impact(Raw.load_one(subject=3))
    assert [row.name for row in impact] == ["Peak", "Grand"]
    assert len(impact) == len(impact.to_pandas()) == len(impact.to_dicts()) == 2
    assert impact[0].function == "peak"
    assert "superseded" not in impact.to_text()
    assert "the whole dataset" in impact.to_text()
    assert "&lt;b&gt;bad" in impact._repr_html_()
    nothing = study.impact(Grand)
    assert repr(nothing) == "Nothing was made from Grand (the whole dataset)"
    assert "<table" not in nothing._repr_html_()


def test_impact_of_several(study: DatabaseManager) -> None:
    """The impact of several records has what was made from any of them, once."""
    impact = study.impact(Raw, subject=[1, 3])
    assert [(row.name, row.metadata.get("subject")) for row in impact] == [("Peak", 1), ("Peak", 3), ("Grand", None)]
    assert "and 1 more" in impact.title


def test_impact_finds_what_was_made_again_since(study: DatabaseManager) -> None:
    """A record that another call has made since was made from these all the same."""
    first = study.find_record(Raw, subject=1)
    Raw.save([0.5, 2.0], subject=1)
    for_each(peak, {"raw": Raw}, [Peak], subject=[1])
    assert [(row.name, row.is_latest) for row in study.impact(first)] == [("Peak", True), ("Grand", True)]


# ------------------------------------------------------------------ what it costs


@pytest.fixture
def questions(study: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note which questions the store is asked."""
    asked: list[str] = []
    store = study._store
    for verb in ("find", "fetch", "trace"):
        original = getattr(store, verb)

        def ask(query: Any, original: Any = original) -> Any:
            asked.append(type(query).__name__)
            return original(query)

        monkeypatch.setattr(store, verb, ask)
    return asked


def test_without_flags_nothing_is_asked(study: DatabaseManager, questions: list[str]) -> None:
    """A database without flags pays nothing: no question more, with `exclude` or without."""
    for read in (
        lambda **more: Raw.load_one(subject=1, **more),
        lambda **more: list(Raw.load_all(**more)),
        lambda **more: Peak.load_all(as_df=True, **more),
        lambda **more: study.to_dataframe([Peak], **more),
        lambda **more: for_each(peak, {"raw": Raw}, [Peak], subject=[], **more),
    ):
        questions.clear()
        read()
        before = list(questions)
        questions.clear()
        read(exclude=["whatever", "else"])
        assert questions == before
        assert not {"Flags", "Marks"} & set(before)


def test_flags_are_asked_for_once(study: DatabaseManager, questions: list[str]) -> None:
    """With flags, a load and a run ask once what rests on them, however many values there are."""
    Raw.save_many([([float(n)], {"subject": n}) for n in range(10, 60)])
    study.flag(Raw, BAD, subject=1)
    questions.clear()
    Raw.load_all(as_df=True)
    assert questions.count("Marks") == 1
    questions.clear()
    for_each(peak, {"raw": Raw}, [Peak], subject=[], exclude=True)
    assert questions.count("Marks") == 1
