"""A variable gets another name, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from scidb.exceptions import NotFoundError, NotRegisteredError, VariableDefinitionError
from scidb.store.model import Batch, Edge, Entries, Latest, Match, Renamed, RunEnded, TraceQuery, TypeInfo
from scidb.testing.store_suite.base import StoreCases
from scidb.testing.store_suite.samples import again, call, record, save, scalars, used, values

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scidb.store.model import Record
    from scidb.store.protocol import Store

__all__ = ["RenamingCases"]


def rename(store: Store, old: str, new: str) -> None:
    """Rename a variable as a write of its own."""
    assert store.write(Batch(events=(Renamed(old, new),))) == []


def called(entries: Iterable[Record], name: str) -> list[Record]:
    """Return the entries as they are under another name."""
    return [replace(entry, variable=name) for entry in entries]


class RenamingCases(StoreCases):
    """Cases of the event ``Renamed``."""

    def test_records_and_payloads_go_by_the_new_name(self, store: Store) -> None:
        """Every entry is found under the new name as it was, none under the old one; data of any shape is there."""
        entries = [save(store, "Force", value, subject=subject) for subject, value in ((1, 1.5), (2, 2.5), (1, 3.5))]
        whole = record("Force", 7, {"subject": 3}, encoding='{"kind":"int"}')
        entries += store.write(Batch(chunks=(scalars([whole], [7]),)))
        other = save(store, "Emg", 9.5, subject=1)
        rename(store, "Force", "Push")

        found = store.find(Entries(Match(("Push",))))

        assert found == called(reversed(entries), "Push")
        assert values(store, Latest(Match(("Push",)))) == [3.5, 2.5, 7]
        assert store.find(Entries(Match(("Force",)))) == []
        assert store.find(Latest(Match(("Emg",)))) == [other]

    def test_the_type_keeps_what_it_has(self, store: Store) -> None:
        """identity_name, time of creation, what the class declares and the counts stay."""
        store.register(TypeInfo("Force", 3, "push", {"x": "N"}, {"precision": 1}))
        save(store, "Force", 1.5, subject=1)
        before = store.types()[1]
        rename(store, "Force", "Push")

        [_, after] = store.types()

        assert after == replace(before, name="Push")
        assert after.identity_name == "Force"
        assert store.describe().renamed == {"Force": "Push"}

    def test_pieces_of_a_renamed_variable(self, store: Store) -> None:
        """Pieces that are not the latest any more are not so under the new name either, beside whole results."""
        for piece in (1, 2):
            save(store, "Force", float(piece), subject=1, trial=piece, piece=piece, pieces=2)
        whole = save(store, "Emg", 9.5, subject=1, trial=2)
        rename(store, "Force", "Push")
        store = self.reopen(store)
        one = save(store, "Push", 3.0, subject=1, trial=1, piece=1, pieces=1)

        for names in (("Push",), ("Emg", "Push"), None):
            found = store.find(Latest(Match(names)))
            assert [entry for entry in found if entry.variable == "Push"] == [one]
        assert store.find(Latest(Match(("Emg",)))) == [whole]
        place = {"subject": (1,), "trial": (2,)}
        assert store.find(Latest(Match(("Push",), place))) == []
        assert store.find(Latest(Match(("Emg",), place))) == [whole]

    def test_saving_goes_on(self, store: Store) -> None:
        """Under the new name more is saved, in old shapes and new ones, and old records are logged again."""
        first = save(store, "Force", 1.5, subject=1)
        rename(store, "Force", "Push")
        [first] = called([first], "Push")
        again(store, first)
        save(store, "Push", 2.5, subject=1)
        whole = record("Push", 7, {"subject": 2}, encoding='{"kind":"int"}')
        store.write(Batch(chunks=(scalars([whole], [7]),)))
        store = self.reopen(store)

        assert values(store, Latest()) == [2.5, 7]
        assert values(store, Entries()) == [7, 2.5, 1.5, 1.5]
        assert store.register(TypeInfo("Push", 2)).identity_name == "Force"

    def test_the_pipeline_stays_connected(self, store: Store) -> None:
        """Edges and the inputs of calls name the variable as it is called now."""
        raw = save(store, "Force", 1.5, subject=1)
        made = call("c1", used(raw))
        edges = (Edge("Force", "Emg", "f", "h"), Edge("Emg", "Force", "g", "h"), Edge("Force", "Force", "k", "h"))
        result = replace(record("Emg", 2.5, {"subject": 1}), call_id="c1", lineage_id=made.computation.lineage_id)
        store.write(Batch((scalars([result], [2.5]),), (made,), edges))
        rename(store, "Force", "Push")
        store = self.reopen(store)

        trace = store.trace(TraceQuery((result.record_id,), edges=True))

        assert [(edge.source, edge.target) for edge in trace.edges] == [
            ("Push", "Emg"),
            ("Emg", "Push"),
            ("Push", "Push"),
        ]
        assert [one.type_name for one in trace.calls[0].inputs] == ["Push"]
        assert {entry.variable for entry in trace.records} == {"Emg", "Push"}

    def test_renamed_again_and_back(self, store: Store) -> None:
        """Each former name leads to the present one; the first name may come back."""
        entry = save(store, "Force", 1.5, subject=1)
        rename(store, "Force", "Push")
        rename(store, "Push", "Pull")
        store = self.reopen(store)
        assert store.describe().renamed == {"Force": "Pull", "Push": "Pull"}
        rename(store, "Pull", "Force")
        store = self.reopen(store)

        assert store.describe().renamed == {"Push": "Force", "Pull": "Force"}
        assert store.find(Latest()) == [entry]
        assert values(store, Latest()) == [1.5]

    def test_a_former_name_is_refused(self, store: Store) -> None:
        """Nothing can be registered, saved or renamed under a former name, whose identity it would share."""
        rename(store, "Force", "Push")
        store = self.reopen(store)

        with pytest.raises(NotRegisteredError, match="renamed to 'Push'"):
            store.register(TypeInfo("Force"))
        with pytest.raises(NotRegisteredError):
            save(store, "Force", 1.5, subject=1)
        with pytest.raises(NotRegisteredError, match="renamed to 'Push'"):
            rename(store, "Force", "Pull")
        with pytest.raises(VariableDefinitionError, match="name of 'Push'"):
            rename(store, "Emg", "Force")
        with pytest.raises(VariableDefinitionError, match="case"):
            store.register(TypeInfo("force"))

    @pytest.mark.parametrize("new", ["Emg", "emg", "Force", "FORCE", "", "my var", "_hidden", "X_data", "Emg__rows"])
    def test_names_that_cannot_be_given(self, store: Store, new: str) -> None:
        """A taken name, one that differs in case only, and one that no variable may have, change nothing (A9)."""
        save(store, "Force", 1.5, subject=1)
        before = store.types(), store.find(Entries())

        with pytest.raises(VariableDefinitionError):
            rename(store, "Force", new)

        assert (store.types(), store.find(Entries())) == before
        assert store.describe().renamed == {}

    def test_an_unknown_variable(self, store: Store) -> None:
        """What is not there cannot be renamed; the nearest name is offered."""
        with pytest.raises(NotRegisteredError, match="'Force'"):
            rename(store, "Forse", "Push")

    def test_all_or_nothing(self, store: Store) -> None:
        """A write that fails after its renaming leaves the old name (the run that it ends never started)."""
        entry = save(store, "Force", 1.5, subject=1)

        with pytest.raises(NotFoundError):
            store.write(Batch(events=(Renamed("Force", "Push"), RunEnded("r", 0, 0, 0, 0, 0))))

        assert store.find(Latest(Match(("Force",)))) == [entry]
        assert values(store, Latest()) == [1.5]
        assert store.describe().renamed == {}
