"""Which entries a filter leaves, and which filters are refused."""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from scidb.exceptions import FilterError, NotRegisteredError, SchemaKeyError
from scidb.filters import (
    ColumnFilter,
    InFilter,
    KeyFilter,
    KeyInFilter,
    MissingFilter,
    VariableFilter,
)
from scidb.store.model import Batch, Chunk, Entries, Latest, Match, Records, Renamed, TypeInfo
from scidb.testing.store_suite.base import StoreCases
from scidb.testing.store_suite.samples import record, save, scalars, values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scidb.filters import Filter
    from scidb.store.model import KeyValue
    from scidb.store.protocol import Store

__all__ = ["FilterRefusalCases", "FilteringCases"]

NAN = math.nan
BIG = 2**53


def _put(store: Store, variable: str, value: object, of: pa.DataType | None = None, **schema: KeyValue) -> None:
    """Save one value in a column of some type."""
    store.register(TypeInfo(variable))
    entry = record(variable, (value, str(of)), schema, encoding=f'{{"kind":"{of}"}}')
    store.write(Batch(chunks=(scalars([entry], [value], of),)))


def _put_table(store: Store, variable: str, columns: dict[str, list[Any]], **schema: KeyValue) -> None:
    """Save a table of several rows."""
    store.register(TypeInfo(variable))
    entry = record(variable, columns, schema, encoding=f'{{"kind":"table {list(columns)}"}}')
    cells = {name: pa.array([cells], pa.list_(pa.array(cells or [0.5]).type)) for name, cells in columns.items()}
    store.write(Batch(chunks=(Chunk((entry,), pa.table(cells)),)))


def _subjects(store: Store, where: Filter, **conditions: Any) -> list[KeyValue | None]:
    """Return the subjects of the latest values of Force for which a filter holds."""
    match = Match(variables=("Force",), where=where, **conditions)
    return [entry.schema.get("subject") for entry in store.find(Latest(match))]


def _refused(store: Store, where: Filter, *words: str, error: type[Exception] = FilterError) -> None:
    """See that a filter is refused, with these words in what is said."""
    with pytest.raises(error) as refusal:
        _subjects(store, where)
    for word in words:
        assert word in str(refusal.value)


def _fill(store: Store, data: Sequence[object], of: pa.DataType | None = None) -> None:
    """Save a Force and a Side for each subject, in one batch."""
    store.register(TypeInfo("Side"))
    places = [{"subject": subject} for subject in range(1, len(data) + 1)]
    forces = [float(place["subject"]) for place in places]
    sides = [
        record("Side", (value, str(of)), place, encoding=f'{{"kind":"{of}"}}')
        for place, value in zip(places, data, strict=True)
    ]
    force = scalars([record("Force", value, place) for place, value in zip(places, forces, strict=True)], forces)
    store.write(Batch(chunks=(force, scalars(sides, data, of))))


class FilteringCases(StoreCases):
    """Cases of ``where`` that have an answer."""

    def test_comparison(self, store: Store) -> None:
        """Each operator compares the value of another variable at the same location; fetch agrees with find."""
        _fill(store, [1.5, 2.5, 3.5])
        expected = {"==": [2], "!=": [1, 3], "<": [1], "<=": [1, 2], ">": [3], ">=": [2, 3]}
        for op, subjects in expected.items():
            where = VariableFilter("Side", op, 2.5)  # type: ignore[arg-type]
            assert _subjects(store, where) == subjects
            assert values(store, Latest(Match(("Force",), where=where))) == [float(one) for one in subjects]
        assert _subjects(store, InFilter("Side", None, (1.5, 3.5, 9))) == [1, 3]
        assert _subjects(store, InFilter("Side", None, ())) == []

    def test_missing_values(self, store: Store) -> None:
        """A comparison with a missing value is false, and its negation true, whatever the operator."""
        _fill(store, [1.5, None, NAN, 3.5], pa.float64())
        for op, subjects in {"==": [], "!=": [1, 4], "<": [1], ">": [4], ">=": [4]}.items():
            where = VariableFilter("Side", op, 2)  # type: ignore[arg-type]
            assert _subjects(store, where) == subjects
            assert _subjects(store, ~where) == [one for one in (1, 2, 3, 4) if one not in subjects]
        assert _subjects(store, ~InFilter("Side", None, (1.5,))) == [2, 3, 4]
        assert _subjects(store, MissingFilter("Side", None, missing=True)) == [2, 3]
        assert _subjects(store, MissingFilter("Side", None, missing=False)) == [1, 4]
        assert _subjects(store, VariableFilter("Side", "<=", math.inf)) == [1, 4]

    @pytest.mark.parametrize(
        ("of", "data", "value", "equal", "above"),
        [
            (pa.int64(), [BIG, BIG + 1, BIG + 2], float(BIG), [1], [2, 3]),
            (pa.float64(), [float(BIG), float(BIG) + 2], BIG + 1, [], [2]),
            (pa.uint64(), [0, 2**63, 2**64 - 1], 2**64 - 1, [3], []),
            (pa.uint64(), [0, 2**63, 2**64 - 1], -0.5, [], [1, 2, 3]),
            (pa.int8(), [-128, 0, 127], 10**30, [], []),
            (pa.int8(), [-128, 0, 127], -0.5, [], [2, 3]),
            (pa.int64(), [1, 2], math.inf, [], []),
            (pa.float64(), [-math.inf, 0.0, math.inf], 10**400, [], [3]),
            (pa.float64(), [-math.inf, 0.0, math.inf], -(10**400), [], [2, 3]),
            (pa.float32(), [0.1, 0.5], 0.1, [], [1, 2]),
            (pa.float64(), [-0.0, 0.0], 0, [1, 2], []),
            (pa.string(), ["a", "B", "", "\N{GREEK SMALL LETTER MU}"], "B", [2], [1, 4]),
            (pa.bool_(), [True, False], False, [2], [1]),
            (pa.date32(), [dt.date(2024, 2, 29), dt.date(2024, 3, 1)], dt.date(2024, 2, 29), [1], [2]),
        ],
    )
    def test_exactly(
        self, store: Store, of: pa.DataType, data: list[object], value: Any, equal: list[int], above: list[int]
    ) -> None:
        """Numbers of different types compare exactly, text by its characters; nothing is rounded."""
        _fill(store, data, of)
        everyone = list(range(1, len(data) + 1))
        assert _subjects(store, VariableFilter("Side", "==", value)) == equal
        assert _subjects(store, InFilter("Side", None, (value,))) == equal
        assert _subjects(store, VariableFilter("Side", "!=", value)) == [one for one in everyone if one not in equal]
        assert _subjects(store, VariableFilter("Side", ">", value)) == above
        assert _subjects(store, VariableFilter("Side", "<=", value)) == [one for one in everyone if one not in above]
        assert _subjects(store, VariableFilter("Side", ">=", value)) == sorted(equal + above)

    @pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
    def test_times(self, store: Store, unit: str) -> None:
        """Times compare exactly with a datetime, whatever their unit, and with one that the unit cannot hold."""
        per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
        _fill(store, [0, per_second], pa.timestamp(unit))
        start = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - such columns have no zone
        tick = dt.timedelta(microseconds=1)
        assert _subjects(store, VariableFilter("Side", "==", start)) == [1]
        assert _subjects(store, VariableFilter("Side", ">", start + tick)) == [2]
        assert _subjects(store, VariableFilter("Side", "<", start + dt.timedelta(seconds=1, microseconds=1))) == [1, 2]
        assert _subjects(store, VariableFilter("Side", "<", start - tick)) == []
        assert _subjects(store, VariableFilter("Side", "<", dt.datetime.max)) == [1, 2]  # noqa: DTZ901
        assert _subjects(store, VariableFilter("Side", ">=", dt.datetime.min)) == [1, 2]  # noqa: DTZ901

    def test_coarser_values_hold_for_finer_places(self, store: Store) -> None:
        """A value of a subject, or of everything, counts for all trials of it."""
        for subject in (1, 2):
            for trial in (1, 2):
                save(store, "Force", 1.0, subject=subject, trial=trial)
            _put(store, "Side", "LR"[subject - 1], subject=subject)
        save(store, "Emg", 3.0)
        assert _subjects(store, VariableFilter("Side", "==", "R")) == [2, 2]
        assert _subjects(store, VariableFilter("Side", "==", "R") & VariableFilter("Emg", ">", 2)) == [2, 2]
        assert _subjects(store, VariableFilter("Emg", ">", 3)) == []

    def test_combinations(self, store: Store) -> None:
        """Filters are joined by and, or and not."""
        _fill(store, ["L", "R", "L", "R"])
        left, late = VariableFilter("Side", "==", "L"), VariableFilter("Force", ">", 2)
        assert _subjects(store, left & late) == [3]
        assert _subjects(store, left | late) == [1, 3, 4]
        assert _subjects(store, ~(left | late)) == [2]
        assert _subjects(store, left, schema={"subject": (1, 2)}) == [1]

    def test_latest_value(self, store: Store) -> None:
        """A filter compares the newest value, or the newest up to ``as_of``."""
        first = save(store, "Force", 1.0, subject=1)
        then = save(store, "Emg", 1.0, subject=1)
        save(store, "Emg", 2.0, subject=1)
        where = VariableFilter("Emg", "==", 2)
        assert _subjects(store, where) == [1]
        assert _subjects(store, where, as_of=then.timestamp) == []
        with pytest.raises(FilterError):
            _subjects(store, where, as_of=first.timestamp)

    def test_superseded_entries(self, store: Store) -> None:
        """Records and Entries are filtered by location too; a limit counts what the filter leaves."""
        old, new = (save(store, "Force", value, subject=1) for value in (1.0, 2.0))
        other = save(store, "Force", 3.0, subject=2)
        for subject in (1, 2):
            save(store, "Emg", float(subject), subject=subject)
        first = Match(("Force",), where=VariableFilter("Emg", "==", 1))
        assert store.find(Entries(first)) == [new, old]
        assert store.find(Records(first)) == [old, new]
        assert store.find(Entries(first, limit=1)) == [new]
        assert store.find(Latest(Match(record_ids=(other.record_id,), where=first.where))) == []

    def test_columns_and_rows(self, store: Store) -> None:
        """A column of one row is a value; several rows are reduced by any or all, and none give False and True."""
        store.register(TypeInfo("Side"))
        for subject, speeds in enumerate(([1.0, 3.0], [3.0, 4.0], [], [2.0, NAN]), start=1):
            save(store, "Force", 1.0, subject=subject)
            cells = {"speed": speeds, "Speed": [0.0] * len(speeds)}
            entry = record("Side", cells, {"subject": subject})
            table = pa.table({name: pa.array([cell], pa.list_(pa.float64())) for name, cell in cells.items()})
            store.write(Batch(chunks=(Chunk((entry,), table),)))
        fast = ColumnFilter("Side", "speed", ">", 2, "any")
        assert _subjects(store, fast) == [1, 2]
        assert _subjects(store, ColumnFilter("Side", "speed", ">", 2, "all")) == [2, 3]
        assert _subjects(store, ColumnFilter("Side", "Speed_2", ">", 2, "any")) == []
        assert _subjects(store, InFilter("Side", "speed", (2, 4), "any")) == [2, 4]
        _put_table(store, "Emg", {"side": ["L"]}, subject=1)
        one = _subjects(store, ColumnFilter("Emg", "side", "==", "L"), schema={"subject": (1,)})
        assert one == [1]

    def test_several_versions_and_levels(self, store: Store) -> None:
        """What has several values at a place is reduced by any or all over those of the finest level."""
        save(store, "Force", 1.0, subject=1, trial=1)
        save(store, "Emg", 1.0, '{"gain":1}', subject=1)
        save(store, "Emg", 2.0, '{"gain":2}', subject=1)
        save(store, "Emg", 3.0)
        assert _subjects(store, VariableFilter("Emg", "==", 2, "any")) == [1]
        assert _subjects(store, VariableFilter("Emg", "==", 3, "any")) == []
        assert _subjects(store, VariableFilter("Emg", "==", 2, "all")) == []
        assert _subjects(store, VariableFilter("Emg", "<", 3, "all")) == [1]

    def test_finer_values_are_not_looked_at(self, store: Store) -> None:
        """Where a variable has a value at the level of the target, finer ones do not count."""
        save(store, "Force", 1.0, subject=1)
        save(store, "Emg", 1.0, subject=1)
        save(store, "Emg", 9.0, subject=1, trial=1)
        assert _subjects(store, VariableFilter("Emg", "==", 9, "any")) == []

    def test_pieces(self, store: Store) -> None:
        """Pieces of a former distribution that the newest one no longer has have no value."""
        for pieces in (2, 1):
            for piece in range(1, pieces + 1):
                save(store, "Emg", float(pieces), subject=1, trial=piece, piece=piece, pieces=pieces)
        for trial in (1, 2):
            save(store, "Force", 1.0, subject=1, trial=trial)
        where = VariableFilter("Emg", "==", 1)
        assert _subjects(store, where, schema={"trial": (1,)}) == [1]
        with pytest.raises(FilterError, match="trial=2"):
            _subjects(store, where)

    def test_schema_keys(self, store: Store) -> None:
        """A schema key compares in its type, and one that is not set is missing."""
        save(store, "Force", 1.0)
        for subject in (9, 10):
            save(store, "Force", 1.0, subject=subject)
        assert _subjects(store, KeyFilter("subject", ">=", 9.5)) == [10]
        assert _subjects(store, KeyFilter("subject", "!=", 9)) == [10]
        assert _subjects(store, ~KeyFilter("subject", "==", 9)) == [None, 10]
        assert _subjects(store, KeyInFilter("subject", (9, 11.5))) == [9]
        assert _subjects(store, KeyFilter("session", "<", "z")) == []

    def test_missing_value_of_another_type(self, store: Store) -> None:
        """None is missing also among numbers, though it has a column of its own."""
        _fill(store, [1.5])
        save(store, "Force", 2.0, subject=2)
        _put(store, "Side", None, pa.bool_(), subject=2)
        assert _subjects(store, VariableFilter("Side", ">", 1)) == [1]
        assert _subjects(store, MissingFilter("Side", None, missing=True)) == [2]

    def test_nothing_to_filter(self, store: Store) -> None:
        """Of nothing, a filter leaves nothing."""
        store.register(TypeInfo("Side"))
        assert _subjects(store, VariableFilter("Side", "==", 1)) == []
        assert _subjects(store, KeyFilter("subject", "==", 1)) == []

    def test_renamed_variable(self, store: Store) -> None:
        """A filter finds a variable under its new name, and no longer under the former one."""
        _fill(store, ["L", "R"])
        store.write(Batch(events=(Renamed("Side", "Foot"),)))
        assert _subjects(store, VariableFilter("Foot", "==", "L")) == [1]
        _refused(store, VariableFilter("Side", "==", "L"), "Foot", error=NotRegisteredError)


class FilterRefusalCases(StoreCases):
    """Cases of ``where`` that cannot be decided: never an ignored filter, never a silently smaller result (A7)."""

    def test_finer_variable(self, store: Store) -> None:
        """A variable that is stored at finer locations is refused, with the places (A7)."""
        for subject in (1, 2, 3, 4):
            save(store, "Force", 1.0, subject=subject)
            save(store, "Emg", 1.0, subject=subject, trial=1)
        _refused(store, VariableFilter("Emg", "==", 1), "finer", "subject=1", "1 more", "trial=1")
        _refused(store, VariableFilter("Emg", "==", 1, "any"), "finer")
        _refused(store, MissingFilter("Emg", None, missing=True), "finer")

    def test_other_level(self, store: Store) -> None:
        """A variable whose locations cannot be compared with the target's is refused (A7)."""
        save(store, "Force", 1.0, subject=1)
        save(store, "Emg", 1.0, session="a")
        _refused(store, VariableFilter("Emg", "==", 1), "session", "subject=1", "cannot be compared")

    def test_uncovered_places(self, store: Store) -> None:
        """A variable without a value for some of the target's locations is refused; narrowed, it is not (A7)."""
        for subject in (1, 2):
            save(store, "Force", 1.0, subject=subject)
        save(store, "Emg", 1.0, subject=1)
        where = VariableFilter("Emg", "==", 1)
        _refused(store, where, "subject=2", "no value there")
        _refused(store, ~where, "subject=2")
        _refused(store, where | KeyFilter("subject", "==", 1), "subject=2")
        assert _subjects(store, where, schema={"subject": (1,)}) == [1]
        store.register(TypeInfo("Side"))
        _refused(store, VariableFilter("Side", "==", 1), "subject=1", "subject=2", "no values at all")

    def test_several_values(self, store: Store) -> None:
        """Several version keys, several levels or several rows are refused without any or all (A7)."""
        save(store, "Force", 1.0, subject=1)
        save(store, "Emg", 1.0, '{"gain":1}', subject=1)
        save(store, "Emg", 2.0, '{"gain":2}', subject=1)
        _refused(store, VariableFilter("Emg", "==", 1), "2 records", "Emg.any()", "Fixed(Emg", "subject=1")
        _refused(store, MissingFilter("Emg", None, missing=True), "summary")

    def test_the_finest_level_counts(self, store: Store) -> None:
        """Of values at several levels that cover a place, the finest counts; of levels side by side, none does (A7)."""
        save(store, "Force", 1.0, subject=1, session="a", trial=1)
        save(store, "Force", 2.0, subject=2, session="a", trial=1)
        save(store, "Emg", 0.0)
        save(store, "Emg", 1.0, subject=1)
        assert _subjects(store, VariableFilter("Emg", "==", 1)) == [1]
        assert _subjects(store, VariableFilter("Emg", "==", 0)) == [2]
        save(store, "Emg", 2.0, subject=1, session="a")
        save(store, "Emg", 3.0, subject=2, session="a", trial=1)
        assert _subjects(store, VariableFilter("Emg", ">=", 2)) == [1, 2]
        assert _subjects(store, VariableFilter("Emg", "<", 3, "all")) == [1]
        save(store, "Emg", 4.0, trial=1)
        assert _subjects(store, VariableFilter("Emg", "==", 3), schema={"subject": (2,)}) == [2]
        _refused(store, VariableFilter("Emg", "==", 2), "4 records", "level", "subject=1")
        assert _subjects(store, VariableFilter("Emg", "==", 4, "any"), schema={"subject": (1,)}) == [1]

    def test_one_variant_of_several(self, store: Store) -> None:
        """A comparison may name the version keys of the variant that it is about (A7)."""
        for subject in (1, 2):
            save(store, "Force", 1.0, subject=subject)
            save(store, "Emg", float(subject), '{"gain":1}', subject=subject)
            save(store, "Emg", 9.0, '{"gain":2}', subject=subject)
        save(store, "Emg", 7.0, subject=1)
        one, two, none = ((("gain", (text,)),) for text in ("1", "2", None))
        assert _subjects(store, VariableFilter("Emg", "==", 1, None, one)) == [1]
        assert _subjects(store, VariableFilter("Emg", "==", 9, None, two)) == [1, 2]
        both = VariableFilter("Emg", ">", 1, None, one) & ColumnFilter("Emg", "value", ">", 1, None, two)
        assert _subjects(store, both) == [2]
        assert _subjects(store, InFilter("Emg", None, (7,), None, none), schema={"subject": (1,)}) == [1]
        assert _subjects(store, ~MissingFilter("Emg", None, missing=True, version=one)) == [1, 2]
        _refused(store, VariableFilter("Emg", "==", 7, None, none), "subject=2", "no value there")
        _refused(store, VariableFilter("Emg", "==", 7, None, (("gain", ("3",)),)), "these version keys")
        either = VariableFilter("Emg", "==", 1, None, (("gain", ("1", "2")),))
        _refused(store, either, "2 records", "Fixed(Emg, gain=any_of(1, 2))")
        save(store, "Emg", 5.0, '{"gain":1}', subject=1)
        assert _subjects(store, VariableFilter("Emg", "==", 1, None, one)) == []

    def test_several_rows(self, store: Store) -> None:
        """Several rows, or none, are refused without any or all (A7)."""
        save(store, "Force", 1.0, subject=1)
        _put_table(store, "Side", {"speed": [1.0, 2.0]}, subject=1)
        _refused(store, ColumnFilter("Side", "speed", ">", 1), "2 rows", "Side['speed'].any()")
        _refused(store, MissingFilter("Side", "speed", missing=True), "2 rows")
        _put_table(store, "Side", {"speed": []}, subject=1)
        with pytest.raises(FilterError):
            _subjects(store, ColumnFilter("Side", "speed", ">", 1))

    def test_unknown_column(self, store: Store) -> None:
        """A misspelt column is refused with those that there are, even where there is nothing to filter (A7)."""
        _put_table(store, "Side", {"speed": [1.0], "load": [1.0]}, subject=1)
        where = ColumnFilter("Side", "sped", ">", 1)
        _refused(store, where, "'sped'", "'speed'", "'load'", "Did you mean")
        save(store, "Force", 1.0, subject=1)
        _refused(store, where, "'sped'")
        _refused(store, ColumnFilter("Side", "SPEED", ">", 1), "'SPEED'", "'speed'")
        _refused(store, ColumnFilter("Side", 0, ">", 1), "no column 0")
        _refused(store, VariableFilter("Side", ">", 1), "'value'")

    def test_column_that_some_lack(self, store: Store) -> None:
        """A column that was added later is refused where older records lack it (A10)."""
        for subject in (1, 2):
            save(store, "Force", 1.0, subject=subject)
        _put_table(store, "Side", {"speed": [1.0]}, subject=1)
        _put_table(store, "Side", {"speed": [1.0], "load": [2.0]}, subject=2)
        _refused(store, ColumnFilter("Side", "load", ">", 1), "subject=1")
        assert _subjects(store, ColumnFilter("Side", "load", ">", 1), schema={"subject": (2,)}) == [2]

    @pytest.mark.parametrize(
        ("value", "of", "other"),
        [
            (1.5, pa.float64(), "1.5"),
            (1.5, pa.float64(), True),
            ("1", pa.string(), 1),
            (True, pa.bool_(), 1),
            (b"1", pa.binary(), "1"),
            (dt.date(2024, 1, 1), pa.date32(), dt.datetime(2024, 1, 1)),  # noqa: DTZ001
            (0, pa.timestamp("us"), dt.date(1970, 1, 1)),
            (0, pa.timestamp("us"), dt.datetime(1970, 1, 1, tzinfo=dt.UTC)),
            (0, pa.timestamp("us"), "1970-01-01"),
            (1, pa.int64(), dt.timedelta(microseconds=1)),
            (dt.time(1), pa.time64("us"), "01:00:00"),
        ],
    )
    def test_other_type(self, store: Store, value: object, of: pa.DataType, other: Any) -> None:
        """A value of another type is refused: no text is a number, no bool is one, no date is a datetime."""
        save(store, "Force", 1.0, subject=1)
        _put(store, "Side", value, of, subject=1)
        for where in (VariableFilter("Side", "==", other), VariableFilter("Side", "<", other)):
            _refused(store, where, "subject=1")
            _refused(store, ~where, "subject=1")
        _refused(store, InFilter("Side", None, (other,)), "subject=1")
        assert _subjects(store, MissingFilter("Side", None, missing=False)) == [1]

    def test_unknown_names(self, store: Store) -> None:
        """A variable or a schema key that does not exist is refused by name (A7)."""
        save(store, "Force", 1.0, subject=1)
        _refused(store, VariableFilter("Emgg", "==", 1), "'Emgg'", "'Emg'", error=NotRegisteredError)
        _refused(store, KeyFilter("subjct", "==", 1), "'subjct'", "'subject'", error=SchemaKeyError)
        _refused(store, KeyInFilter("subjct", (1,)), error=SchemaKeyError)

    def test_schema_key_of_another_type(self, store: Store) -> None:
        """A schema key is not compared with another type."""
        _refused(store, KeyFilter("subject", "==", "1"), "int")
        _refused(store, KeyInFilter("session", (1, 2)), "str")

    def test_every_part_is_decided(self, store: Store) -> None:
        """A part that cannot be decided is refused also where the rest decides already (A7)."""
        save(store, "Force", 1.0, subject=1)
        bad = VariableFilter("Emg", "==", 1)
        for where in (KeyFilter("subject", "==", 2) & bad, KeyFilter("subject", "==", 1) | bad):
            _refused(store, where, "subject=1")

    def test_no_filter(self) -> None:
        """What is no filter is refused when it is asked with."""
        for value in (True, "Side == 'L'", VariableFilter):
            with pytest.raises(FilterError, match="takes a filter"):
                Match(where=value)  # type: ignore[arg-type]
