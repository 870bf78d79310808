"""Schema keys that get their type, or join, after the store was made."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from scidb.exceptions import SchemaKeyError
from scidb.store.model import Batch, KeyAdded, KeyTyped, Latest, Match, SchemaKey, TypeInfo
from scidb.testing.store_suite.base import StoreCases
from scidb.testing.store_suite.samples import KEYS, assert_refused, log, record, save, scalars

if TYPE_CHECKING:
    from pathlib import Path

    from scidb.store.protocol import Store

__all__ = ["KeyCases"]


class KeyCases(StoreCases):
    """Cases of schema keys that get their type, or join, after records were stored."""

    def test_first_value_gives_the_type(self, tmp_path: Path) -> None:
        """A key without a type gets one by an event of the batch that brings its first value (A2)."""
        with closing(self.make_store([SchemaKey("subject"), SchemaKey("trial")], tmp_path)) as store:
            store.register(TypeInfo("Force"))
            assert store.describe().schema_keys == (SchemaKey("subject"), SchemaKey("trial"))
            entry = record("Force", 1.0, {"subject": "01"})
            store.write(Batch(chunks=(scalars([entry], [1.0]),), events=(KeyTyped("subject", "str"),)))
            assert store.describe().schema_keys == (SchemaKey("subject", "str"), SchemaKey("trial"))
            assert [one.schema for one in store.find(Latest())] == [{"subject": "01"}]
            assert_refused(store, record("Force", 1.0, {"subject": 1}), SchemaKeyError)

    def test_type_of_a_key_stays(self, store: Store) -> None:
        """A key with a type may be given the same type again, as by two writers at once, but no other."""
        store.write(Batch(events=(KeyTyped("subject", "int"),)))
        with pytest.raises(SchemaKeyError, match="subject"):
            store.write(Batch(events=(KeyTyped("subject", "str"),)))
        with pytest.raises(SchemaKeyError, match="other"):
            store.write(Batch(events=(KeyTyped("other", "str"),)))
        assert store.describe().schema_keys == KEYS

    def test_added_key(self, store: Store) -> None:
        """A key can be added later: old records have it empty, new ones sort by it in its place (A11)."""
        old = save(store, "Force", 1.0, subject=2, trial=1)
        condition = SchemaKey("condition", "str")
        entries = [
            record("Force", 2.0, {"subject": 2, "condition": "left", "trial": 1}),
            record("Force", 3.0, {"subject": 1, "trial": 9}, seq=1),
        ]
        new, other = store.write(
            Batch(chunks=(scalars(entries, [2.0, 3.0]),), events=(KeyAdded(condition, after="subject"),))
        )
        assert store.describe().schema_keys == (KEYS[0], condition, KEYS[1], KEYS[2])
        assert store.find(Latest()) == [other, old, new]
        assert list(new.schema) == ["subject", "condition", "trial"]
        assert log(store)[0].schema == {"subject": 2, "trial": 1}

    def test_added_key_in_front_and_behind(self, store: Store) -> None:
        """A key without `after` goes in front; several can be added at once."""
        first, last = SchemaKey("lab", "str"), SchemaKey("step", "int")
        store.write(Batch(events=(KeyAdded(first), KeyAdded(last, after="trial"))))
        assert store.describe().schema_keys == (first, *KEYS, last)
        assert save(store, "Force", 1.0, lab="a", step=1).schema == {"lab": "a", "step": 1}
        many = [record("Emg", float(n), {"lab": "b", "subject": n, "step": 9 - n}, seq=n) for n in range(9)]
        written = store.write(Batch(chunks=(scalars(many, [float(n) for n in range(9)]),)))
        assert [one.schema for one in written] == [{"lab": "b", "subject": n, "step": 9 - n} for n in range(9)]
        assert store.find(Latest(Match(variables=("Emg",)))) == written
        assert store.types()[1].schema_level == "step"

    def test_added_key_that_is_a_version_key(self, store: Store) -> None:
        """A key that records have as a version key is refused, since they would not be found by it any more (A11)."""
        save(store, "Force", 1.0, '{"gain":1}', subject=1)
        for name in ("gain", "Gain"):
            with pytest.raises(SchemaKeyError, match="Force"):
                store.write(Batch(events=(KeyAdded(SchemaKey(name)),)))
        assert store.describe().schema_keys == KEYS

    @pytest.mark.parametrize(
        "event",
        [
            KeyAdded(SchemaKey("subject", "int")),
            KeyAdded(SchemaKey("Subject", "int")),
            KeyAdded(SchemaKey("lab", "str"), after="nowhere"),
        ],
    )
    def test_key_that_cannot_be_added(self, store: Store, event: KeyAdded) -> None:
        """A key that exists but for case, or that has no place, is refused (A9)."""
        with pytest.raises(SchemaKeyError):
            store.write(Batch(events=(event,)))
        assert store.describe().schema_keys == KEYS

    @pytest.mark.parametrize("name", ["order", "My Key", "größe", 'a"b', "select", "it's"])
    def test_keys_with_awkward_names(self, tmp_path: Path, name: str) -> None:
        """Keys named like keywords, or with spaces and quotes, work (A9)."""
        with closing(self.make_store([SchemaKey(name, "int")], tmp_path)) as store:
            store.register(TypeInfo("Force"))
            entries = [record("Force", n, {name: n}, seq=n) for n in (10, 9)]
            store.write(Batch(chunks=(scalars(entries, [10, 9]),)))
            assert [entry.schema for entry in store.find(Latest())] == [{name: 9}, {name: 10}]
