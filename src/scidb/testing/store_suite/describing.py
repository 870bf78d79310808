"""A store describes itself and its variable types."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from scidb.exceptions import VariableDefinitionError
from scidb.store.model import Latest, TypeInfo
from scidb.testing.store_suite.base import StoreCases
from scidb.testing.store_suite.samples import KEYS, again, save

if TYPE_CHECKING:
    from pathlib import Path

    from scidb.store.protocol import Store

__all__ = ["DescribingCases"]


class DescribingCases(StoreCases):
    """Cases of ``describe``, ``register`` and ``types``."""

    def test_describe_names_the_keys(self, store: Store) -> None:
        """The schema keys come back in their order and with their types."""
        info = store.describe()
        assert info.schema_keys == KEYS
        assert info.target
        assert not info.read_only

    def test_store_without_keys(self, tmp_path: Path) -> None:
        """A database without schema keys holds one value per variable and version keys."""
        with closing(self.make_store((), tmp_path)) as store:
            store.register(TypeInfo("Force"))
            entry = save(store, "Force", 1.5)
            assert store.find(Latest()) == [entry]

    def test_register_returns_the_type_as_stored(self, tmp_path: Path) -> None:
        """A new type has an identity_name, a time of creation and no records."""
        with closing(self.make_store(KEYS, tmp_path)) as store:
            info = store.register(TypeInfo("Force", 2, "push", "N"))
            assert (info.name, info.schema_version, info.description, info.units) == ("Force", 2, "push", "N")
            assert info.identity_name == "Force"
            assert info.created_at.endswith("Z")
            assert (info.records, info.entries, info.last_change, info.schema_level) == (0, 0, None, None)
            assert store.types() == [info]

    def test_register_again_updates(self, store: Store) -> None:
        """What the class declares is replaced; what the store counted, and the identity_name, stay."""
        first = store.register(TypeInfo("Force", 1, "push", {"x": "N"}))
        save(store, "Force", 1.5, subject=1)
        second = store.register(TypeInfo("Force", 2, "pull", "kN"))
        assert (second.schema_version, second.description, second.units) == (2, "pull", "kN")
        assert (second.identity_name, second.created_at) == (first.identity_name, first.created_at)
        assert (second.records, second.entries) == (1, 1)

    def test_register_ignores_what_the_store_fills(self, store: Store) -> None:
        """Counts and identity_name given by the caller have no effect."""
        info = store.register(TypeInfo("Force", identity_name="Other", records=7, entries=9, last_change="x"))
        assert (info.identity_name, info.records, info.entries, info.last_change) == ("Force", 0, 0, None)

    def test_types_count_records_and_entries(self, store: Store) -> None:
        """Records are counted once, entries each time; the newest entry is the last change."""
        entry = save(store, "Force", 1.5, subject=1)
        save(store, "Force", 2.5, subject=1, trial=2)
        newest = again(store, entry)
        emg, force = store.types()
        assert (emg.name, emg.records, emg.entries, emg.last_change) == ("Emg", 0, 0, None)
        assert (force.name, force.records, force.entries) == ("Force", 2, 3)
        assert force.last_change == newest.timestamp
        assert force.schema_level == "trial"

    @pytest.mark.parametrize("name", ["force", "FORCE"])
    def test_names_that_differ_in_case(self, store: Store, name: str) -> None:
        """A second variable whose name differs only in case is refused (A9)."""
        with pytest.raises(VariableDefinitionError, match="Force"):
            store.register(TypeInfo(name))
        assert [info.name for info in store.types()] == ["Emg", "Force"]

    @pytest.mark.parametrize("name", ["", "my var", "1st", "_hidden", "X_data", "X_data_2", "X__rows", 'a"b'])
    def test_names_that_are_not_allowed(self, store: Store, name: str) -> None:
        """A name that could clash with the tables, or is no identifier, is refused (A9)."""
        with pytest.raises(VariableDefinitionError):
            store.register(TypeInfo(name))

    @pytest.mark.parametrize("name", ["select", "order", "Größe", "Table"])
    def test_names_that_sql_knows(self, store: Store, name: str) -> None:
        """A variable named like a keyword, or in another script, works (A9)."""
        store.register(TypeInfo(name))
        entry = save(store, name, 1.5, subject=1)
        assert store.find(Latest()) == [entry]
