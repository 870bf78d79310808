"""Which entries answer a question, and in which order."""

from __future__ import annotations

import datetime as dt
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from scidb.exceptions import FilterError, NotRegisteredError, SchemaKeyError
from scidb.store.model import (
    Batch,
    Entries,
    Form,
    Forms,
    Latest,
    Level,
    Levels,
    Locations,
    Match,
    Records,
    SchemaKey,
    TypeInfo,
)
from scidb.testing.store_suite.base import StoreCases
from scidb.testing.store_suite.samples import again, log, record, save, scalars, values

if TYPE_CHECKING:
    from pathlib import Path

    from scidb.store.model import KeyValue, Record
    from scidb.store.protocol import Store

__all__ = ["MatchingCases", "OrderCases"]


def _subjects(store: Store, **conditions: Any) -> list[KeyValue | None]:
    """Return the subjects of the latest entries that fulfil the conditions."""
    return [entry.schema.get("subject") for entry in store.find(Latest(Match(**conditions)))]


class MatchingCases(StoreCases):
    """Cases of ``find`` with `Match`."""

    def test_by_variable(self, store: Store) -> None:
        """Any of the named variables matches; a name without records, or no name at all, matches nothing."""
        force, emg = save(store, "Force", 1.0, subject=1), save(store, "Emg", 2.0, subject=1)
        assert store.find(Latest(Match(variables=("Emg",)))) == [emg]
        assert store.find(Latest(Match(variables=("Emg", "Force")))) == [force, emg]
        assert store.find(Latest(Match(variables=("Other",)))) == []
        assert store.find(Latest(Match(variables=()))) == []

    def test_by_part_of_the_location(self, store: Store) -> None:
        """Keys that are not asked for may have any value, or none."""
        place = save(store, "Force", 1.0, subject=1)
        deeper = save(store, "Force", 2.0, subject=1, session="a")
        deepest = save(store, "Force", 3.0, subject=1, session="a", trial=1)
        save(store, "Force", 4.0, subject=2, session="a")
        assert store.find(Latest(Match(schema={"subject": (1,)}))) == [place, deeper, deepest]
        assert store.find(Latest(Match(schema={"subject": (1,), "session": ("a",)}))) == [deeper, deepest]
        assert store.find(Latest(Match(schema={"trial": (1,)}))) == [deepest]

    def test_locations(self, store: Store) -> None:
        """The values of some keys that occur together come once each, in natural order."""
        assert store.find(Locations(("subject",))) == []
        for subject, trial in ((10, 1), (9, 2), (9, 1)):
            save(store, "Force", 1.0, subject=subject, trial=trial)
        save(store, "Emg", 1.0, subject=11)
        assert [dict(found.schema) for found in store.find(Locations(("subject",)))] == [
            {"subject": 9},
            {"subject": 10},
            {"subject": 11},
        ]
        both = store.find(Locations(("trial", "subject")))
        assert [tuple(found.schema.values()) for found in both] == [(1, 9), (1, 10), (2, 9)]
        assert [dict(found.schema) for found in store.find(Locations(()))] == [{}]
        with pytest.raises(SchemaKeyError):
            store.find(Locations(("subjct",)))

    def test_forms(self, store: Store) -> None:
        """The distinct encodings, schema versions and levels of variables come once each, of all that was saved."""
        assert store.find(Forms(("Force",))) == []
        assert store.find(Levels(("Force",))) == []
        for subject in (1, 2):
            save(store, "Force", float(subject), subject=subject)
        save(store, "Force", 3.0, subject=1)  # supersedes
        save(store, "Force", 1.0, subject=1, trial=1)
        save(store, "Emg", 1.0)
        (encoding,) = {entry.encoding for entry in store.find(Latest())}
        save(store, "Force", 1.0, '{"gain":1}', session="a")
        force = [Level("Force", ("session",)), Level("Force", ("subject",)), Level("Force", ("subject", "trial"))]
        assert store.find(Forms(("Force",))) == [Form("Force", encoding, 1)]
        assert store.find(Levels(("Force",))) == force
        assert store.find(Forms(("Emg", "Force"))) == [Form("Emg", encoding, 1), Form("Force", encoding, 1)]
        assert store.find(Levels(("Emg", "Force"))) == [Level("Emg", ()), *force]
        assert store.find(Forms(())) == []
        assert store.find(Levels(())) == []

    def test_key_that_is_not_set(self, store: Store) -> None:
        """None asks for locations without that key."""
        everything = save(store, "Force", 0.0)
        place = save(store, "Force", 1.0, subject=1)
        trial = save(store, "Force", 2.0, subject=1, trial=1)
        assert store.find(Latest(Match(schema={"trial": (None,)}))) == [everything, place]
        assert store.find(Latest(Match(schema={"subject": (None,)}))) == [everything]
        assert store.find(Latest(Match(schema={"trial": (None, 1), "subject": (1,)}))) == [place, trial]

    def test_any_of_several_values(self, store: Store) -> None:
        """Of several values of one key any will do; of several keys all must hold."""
        for subject in (1, 2, 3, 10):
            save(store, "Force", float(subject), subject=subject, session="a" if subject < 3 else "b")
        assert _subjects(store, schema={"subject": (10, 2, 7)}) == [2, 10]
        assert _subjects(store, schema={"subject": (10, 2), "session": ("a",)}) == [2]
        assert _subjects(store, schema={"subject": ()}) == []

    def test_unknown_key(self, store: Store) -> None:
        """A condition on a key that does not exist is refused, never an empty result (A8)."""
        save(store, "Force", 1.0, subject=1)
        with pytest.raises(SchemaKeyError, match="subjct"):
            store.find(Latest(Match(schema={"subjct": (1,)})))

    def test_by_version_value(self, store: Store) -> None:
        """Version values match by canonical text: 1 is not 1.0, and neither is "1"."""
        texts = ("1", "1.0", '"1"', "true", "null", "[1,2]", '{"a":{"b":1}}', '"ß"')
        for subject, text in enumerate(texts):
            save(store, "Force", float(subject), f'{{"gain":{text},"order":2}}', subject=subject)
        for subject, text in enumerate(texts):
            assert _subjects(store, version={"gain": (text,)}) == [subject]
        assert _subjects(store, version={"gain": ("1.0", "true")}) == [1, 3]
        assert _subjects(store, version={"gain": ("1",), "order": ("2",)}) == [0]
        assert _subjects(store, version={"gain": ("1",), "order": ("3",)}) == []

    def test_version_key_that_is_not_set(self, store: Store) -> None:
        """None asks for entries without that version key, which is not the value null."""
        save(store, "Force", 1.0, "{}", subject=1)
        save(store, "Force", 2.0, '{"gain":null}', subject=2)
        save(store, "Force", 3.0, '{"gain":0.5}', subject=3)
        assert _subjects(store, version={"gain": (None,)}) == [1]
        assert _subjects(store, version={"gain": ("null",)}) == [2]
        assert _subjects(store, version={"gain": (None, "0.5")}) == [1, 3]
        assert _subjects(store, version={"other": (None,)}) == [1, 2, 3]

    def test_version_keys_with_awkward_names(self, store: Store) -> None:
        """Version keys with dots, quotes, dollars or spaces match like any other."""
        names = ["a.b", "a b", "$", "it's", "a[0]", "__fn", "Ä", "*", r"back\\slash", r"\"q\""]
        for subject, name in enumerate(names):
            save(store, "Force", 1.0, f'{{"{name}":1}}', subject=subject)
        plain = [name.replace(r"\\", "\\").replace(r"\"", '"') for name in names]
        assert [_subjects(store, version={name: ("1",)}) for name in plain] == [[n] for n in range(len(names))]

    def test_by_whole_version_keys(self, store: Store) -> None:
        """Whole texts of version keys match exactly, not as a part, and only the variables that are named."""
        save(store, "Force", 1.0, "{}", subject=1)
        save(store, "Force", 2.0, '{"a":1}', subject=2)
        save(store, "Force", 3.0, '{"a":1,"b":2}', subject=3)
        save(store, "Emg", 4.0, "{}", subject=4)
        assert _subjects(store, version_keys={"Force": ('{"a":1}',)}) == [2, 4]
        assert _subjects(store, version_keys={"Force": ("{}", '{"a":1,"b":2}')}) == [1, 3, 4]
        assert _subjects(store, version_keys={"Force": (), "Emg": ("{}",)}) == [4]
        assert _subjects(store, version_keys={"Force": ("{}",), "Emg": ('{"a":1}',), "\ud800": ()}) == [1]

    def test_by_record(self, store: Store) -> None:
        """Records are found by their ids, or by how an id begins."""
        entries = [save(store, "Force", float(subject), subject=subject) for subject in range(1, 6)]
        wanted = (entries[3].record_id, entries[1].record_id, "0" * 64)
        assert _subjects(store, record_ids=wanted) == [2, 4]
        assert _subjects(store, record_prefix=entries[2].record_id[:12]) == [3]
        assert _subjects(store, record_prefix="%") == []
        assert _subjects(store, record_prefix="_" * 12) == []

    def test_prefix_that_names_nothing(self, store: Store) -> None:
        """An empty prefix, or one that no id can have, matches nothing; one that is no text is refused."""
        save(store, "Force", 1.0, subject=1)
        for prefix in ("", "\ud800"):
            for query in (Latest, Records, Entries):
                assert store.find(query(Match(record_prefix=prefix))) == []
        wrong: Any = 7
        with pytest.raises(FilterError, match="7"):
            store.find(Records(Match(record_prefix=wrong)))

    def test_text_that_no_store_holds(self, store: Store) -> None:
        """What has lone surrogates is nowhere, and asking for it is no error."""
        save(store, "Force", 1.0, subject=1, session="a")
        text = "\ud800"
        for match in (
            Match(variables=(text,)),
            Match(schema={"session": (text,)}),
            Match(version={text: ("1",)}),
            Match(version={"gain": (text,)}),
            Match(version_keys={"Force": (text, "[]")}),
            Match(record_ids=(text,)),
            Match(lineage_ids=(text,)),
            Match(call_ids=(text,)),
        ):
            assert store.find(Latest(match)) == []
            assert store.find(Entries(match)) == []

    def test_by_computation_and_call(self, store: Store) -> None:
        """Entries are found by lineage_id and by call_id."""
        save(store, "Force", 0.0, subject=0)
        save(store, "Force", 1.0, subject=1, lineage_id="l1", call_id="c1")
        save(store, "Force", 2.0, subject=2, lineage_id="l1", call_id="c2")
        save(store, "Force", 3.0, subject=3, lineage_id="l2", call_id="c3")
        assert _subjects(store, lineage_ids=("l1",)) == [1, 2]
        assert _subjects(store, call_ids=("c2", "c3")) == [2, 3]
        assert _subjects(store, lineage_ids=("l1",), call_ids=("c2", "c3")) == [2]

    def test_latest_per_location_and_version(self, store: Store) -> None:
        """Each variable, location and set of version keys has its own latest."""
        save(store, "Force", 1.0, '{"gain":1}', subject=1)
        newest = save(store, "Force", 2.0, '{"gain":1}', subject=1)
        other_version = save(store, "Force", 3.0, '{"gain":2}', subject=1)
        other_place = save(store, "Force", 4.0, '{"gain":1}', subject=1, trial=1)
        other_variable = save(store, "Emg", 5.0, '{"gain":1}', subject=1)
        assert store.find(Latest()) == [newest, other_variable, other_version, other_place]

    def test_one_complete_location(self, store: Store) -> None:
        """Asked for one variable at one location, key by key, a store gives the latest of each version."""
        place = Match(("Force",), {"subject": (1,), "session": (None,), "trial": (2,)})
        assert store.find(Latest(place)) == []
        first = save(store, "Force", 1.0, '{"gain":1}', subject=1, trial=2)
        assert store.find(Latest(place)) == [first]
        save(store, "Force", 2.0, '{"gain":1}', subject=1, trial=2)
        other = save(store, "Force", 3.0, subject=1, trial=2)
        save(store, "Force", 4.0, subject=1, session="a", trial=2)
        save(store, "Emg", 5.0, subject=1, trial=2)
        newest = again(store, first)
        refused = record("Force", 6.0, {"subject": 1, "trial": 2}), record("Other", 7.0, {}, seq=1)
        with pytest.raises(NotRegisteredError):
            store.write(Batch(chunks=tuple(scalars([one], [0.0]) for one in refused)))
        assert store.find(Latest(place)) == [newest, other]
        assert values(store, Latest(place)) == [1.0, 3.0]
        assert store.find(Latest(replace(place, version={"gain": (None,)}))) == [other]
        assert store.find(Latest(replace(place, version_keys={"Force": ('{"gain":1}',)}))) == [newest]
        assert store.find(Latest(replace(place, as_of=first.timestamp))) == [first]
        assert store.find(Latest(replace(place, schema={**place.schema, "subject": (None,)}))) == []

    def test_newest_first_match_second(self, store: Store) -> None:
        """No condition brings a superseded entry back into the latest."""
        old = save(store, "Force", 1.0, subject=1, lineage_id="l1", call_id="c1")
        new = save(store, "Force", 2.0, subject=1, lineage_id="l2", call_id="c2")
        for match in (
            Match(record_ids=(old.record_id,)),
            Match(record_prefix=old.record_id),
            Match(lineage_ids=("l1",)),
            Match(call_ids=("c1",)),
        ):
            assert store.find(Latest(match)) == []
            assert store.find(Records(match)) == [old]
            assert store.find(Entries(match)) == [old]
        assert store.find(Latest(Match(record_ids=(old.record_id, new.record_id)))) == [new]

    def test_records_once_at_their_newest_match(self, store: Store) -> None:
        """Each distinct record comes once, at its newest entry among those that match."""
        first = save(store, "Force", 1.0, subject=1, call_id="c1")
        other = save(store, "Force", 2.0, subject=1, call_id="c2")
        newest = save(store, "Force", 1.0, subject=1, call_id="c3")
        assert store.find(Records()) == [other, newest]
        assert store.find(Records(Match(call_ids=("c1", "c2")))) == [first, other]

    def test_entries_newest_first(self, store: Store) -> None:
        """Entries come newest first, and `limit` keeps the newest."""
        entries = [save(store, "Force", float(n % 2), subject=1) for n in range(4)]
        save(store, "Emg", 1.0, subject=1)
        match = Match(variables=("Force",))
        assert store.find(Entries(match)) == entries[::-1]
        assert store.find(Entries(match, limit=2)) == [entries[3], entries[2]]
        assert store.find(Entries(match, limit=0)) == []
        assert store.find(Entries(match, limit=99)) == entries[::-1]

    def test_as_of_is_inclusive(self, store: Store) -> None:
        """Every question looks at entries up to and including the instant."""
        first = save(store, "Force", 1.0, subject=1)
        second = save(store, "Force", 2.0, subject=1)
        third = again(store, first)
        for query in (Latest, Records, Entries):
            assert store.find(query(Match(as_of="2000-01-01T00:00:00.000000Z"))) == []
        assert store.find(Latest(Match(as_of=first.timestamp))) == [first]
        assert store.find(Latest(Match(as_of=second.timestamp))) == [second]
        assert store.find(Latest(Match(as_of=third.timestamp))) == [third]
        assert store.find(Records(Match(as_of=second.timestamp))) == [first, second]
        assert store.find(Entries(Match(as_of=second.timestamp))) == [second, first]


class OrderCases(StoreCases):
    """Cases of natural key order."""

    def test_keys_in_natural_order(self, store: Store) -> None:
        """Locations come key by key, numbers as numbers, coarser ones first (A3)."""
        places: list[dict[str, KeyValue]] = [
            {},
            {"trial": 3},
            {"session": "a"},
            {"subject": -1},
            {"subject": 9},
            {"subject": 9, "trial": 2},
            {"subject": 9, "trial": 10},
            {"subject": 9, "session": "B"},
            {"subject": 9, "session": "a"},
            {"subject": 10},
        ]
        shuffled = [places[number] for number in (7, 3, 9, 0, 5, 6, 2, 8, 4, 1)]
        entries = [record("Force", 1.0, place, seq=seq) for seq, place in enumerate(shuffled)]
        store.write(Batch(chunks=(scalars(entries, [1.0] * len(entries)),)))
        assert [entry.schema for entry in store.find(Latest())] == places
        assert [entry.schema for entry in store.find(Records())] == places

    def test_then_version_keys_then_time(self, store: Store) -> None:
        """At one location the order is that of the version keys, then of time."""
        later_version = save(store, "Force", 1.0, '{"gain":2}', subject=1)
        force = save(store, "Force", 2.0, '{"gain":1}', subject=1)
        emg = save(store, "Emg", 3.0, '{"gain":1}', subject=1)
        assert store.find(Latest()) == [force, emg, later_version]

    @pytest.mark.parametrize(
        ("value_type", "ordered"),
        [
            ("int", [-(2**62), -1, 0, 9, 10, 2**62]),
            ("int", [-(10**60) - 1, -(10**60), -(2**70), -(2**63), -10, -9, 0, 2**63, 2**70, 10**60, 10**60 + 1]),
            ("float", [-1.5, 0.0, 1e-300, 9.0, 10.0, 1e300]),
            ("str", ["", "01", "1", "10", "9", "S01", "a", "ß", "日"]),
            ("date", [dt.date(999, 1, 1), dt.date(2024, 2, 29), dt.date(2024, 10, 1)]),
            (
                "datetime",
                [
                    dt.datetime(1969, 7, 20, 20, 17, 40),  # noqa: DTZ001
                    dt.datetime(2024, 1, 1),  # noqa: DTZ001
                    dt.datetime(2024, 1, 1, 0, 0, 0, 1),  # noqa: DTZ001
                ],
            ),
            ("datetime", [dt.datetime(2024, 1, 1, 9, tzinfo=dt.UTC), dt.datetime(2024, 1, 1, 10)]),  # noqa: DTZ001
        ],
    )
    def test_each_type_of_key(self, tmp_path: Path, value_type: Any, ordered: list[KeyValue]) -> None:
        """Values of a key come back with their type, match exactly, and sort by their own order (A2, A3)."""
        with closing(self.make_store([SchemaKey("key", value_type)], tmp_path)) as store:
            store.register(TypeInfo("Force"))
            entries: list[Record] = [record("Force", n, {"key": value}, seq=n) for n, value in enumerate(ordered[::-1])]
            store.write(Batch(chunks=(scalars(entries, [0.0] * len(entries)),)))
            found = [entry.schema["key"] for entry in store.find(Latest())]
            assert found == ordered
            assert [type(value) for value in found] == [type(value) for value in ordered]
            for value in ordered:
                [entry] = store.find(Latest(Match(schema={"key": (value,)})))
                assert entry.schema == {"key": value}
            assert len(log(store)) == len(ordered)

    def test_times_with_and_without_zone(self, tmp_path: Path) -> None:
        """Times without a zone are places of their own, sorted as UTC and before equal ones with a zone."""
        later = dt.datetime(2024, 1, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=1)))
        noon = dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC)
        ordered = [later, noon.replace(tzinfo=None), noon]
        with closing(self.make_store([SchemaKey("time", "datetime")], tmp_path)) as store:
            store.register(TypeInfo("Force"))
            for time in ordered:
                save(store, "Force", 1.0, time=time)
            found = store.find(Locations(("time",)))
            assert [location.schema["time"] for location in found] == ordered
            assert [entry.schema["time"] for entry in store.find(Latest())] == ordered
