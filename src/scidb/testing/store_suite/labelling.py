"""Names for instants and for groups of variables, and what changed between two instants."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from scidb.exceptions import ConflictError, NotFoundError, NotRegisteredError, SchemaKeyError, SciDBError
from scidb.store.model import (
    Batch,
    Changes,
    Group,
    Grouped,
    Groups,
    KeyTyped,
    Latest,
    Location,
    Locations,
    Match,
    Renamed,
    Tag,
    Tagged,
    Tags,
    TypeInfo,
    Ungrouped,
)
from scidb.testing.store_suite.base import StoreCases
from scidb.testing.store_suite.samples import KEYS, Clock, again, record, save, scalars

if TYPE_CHECKING:
    from pathlib import Path

    from scidb.store.model import Change, Event, Record
    from scidb.store.protocol import Store

__all__ = ["ChangingCases", "GroupCases", "TagCases"]


def write(store: Store, *events: Event) -> None:
    """Write events alone."""
    store.write(Batch(events=events))


def tag(store: Store, name: str) -> str:
    """Tag this instant and return it."""
    write(store, Tagged(name))
    return next(found.timestamp for found in store.find(Tags()) if found.name == name)


class TagCases(StoreCases):
    """Cases of ``Tagged`` and ``Tags``."""

    def test_a_tag_holds_what_was_saved_so_far(self, store: Store) -> None:
        """A tag's instant is that of its own write: not before what is saved, and before all that will be."""
        before = save(store, "Force", 1.0, subject=1)
        first = tag(store, "first")
        after = save(store, "Force", 2.0, subject=1)

        assert before.timestamp < first < after.timestamp
        assert store.find(Latest(Match(as_of=first))) == [before]

    def test_tags_last(self, store: Store) -> None:
        """Tags come back, oldest instant first, with who gave them; an earlier instant may be named."""
        entry = save(store, "Force", 1.0, subject=1)
        now = tag(store, "now-ish")
        write(store, Tagged("first value", entry.timestamp, "ada"))
        store = self.reopen(store)

        assert store.find(Tags()) == [Tag("first value", entry.timestamp, "ada"), Tag("now-ish", now, None)]

    def test_a_tag_in_the_write_that_it_names(self, store: Store) -> None:
        """What the same write saves is in."""
        entry = record("Force", 1.0, {"subject": 1})
        [stored] = store.write(Batch(chunks=(scalars([entry], [1.0]),), events=(Tagged("one"),)))
        assert store.find(Tags()) == [Tag("one", stored.timestamp, None)]

    def test_a_tag_never_moves(self, store: Store) -> None:
        """A tag that exists is refused with its instant, and stays."""
        then = tag(store, "submitted")
        save(store, "Force", 1.0, subject=1)
        with pytest.raises(ConflictError, match=then):
            write(store, Tagged("submitted"))
        with pytest.raises(ConflictError):
            write(store, Tagged("twice"), Tagged("twice"))
        assert store.find(Tags()) == [Tag("submitted", then, None)]

    @pytest.mark.parametrize("name", ["", " ", "a ", "a\nb", "2026", "2026-03", "2026-03-01T12:00:00.000000Z", "1"])
    def test_names_that_are_no_tags(self, store: Store, name: str) -> None:
        """Nothing that looks like an instant, or like the beginning of one, can be a tag."""
        with pytest.raises(SciDBError):
            write(store, Tagged(name))
        assert store.find(Tags()) == []

    @pytest.mark.parametrize("then", ["9999-01-01T00:00:00.000000Z", "2026-01-01", "yesterday"])
    def test_instants_that_cannot_be_named(self, store: Store, then: str) -> None:
        """An instant that is to come would name more with every save; another text is no instant."""
        with pytest.raises(SciDBError, match=then):
            write(store, Tagged("then", then))

    def test_a_tag_while_the_clock_goes_back(self, tmp_path: Path) -> None:
        """What is saved after a tag is later than the tag, whatever the clock shows, also after reopening (A6)."""
        clock = Clock()
        clock.move(1e9)  # so that it goes back also where the store is opened again with a clock that is right
        with closing(self.make_clocked_store(KEYS, tmp_path, clock)) as store:
            store.register(TypeInfo("Force"))
            before = save(store, "Force", 1.0, subject=1)
            clock.move(-3600)
            then = tag(store, "then")
            clock.move(-3600)
            reopened = self.reopen(store)
            with closing(reopened):
                after = save(reopened, "Force", 2.0, subject=1)
                assert before.timestamp < then < after.timestamp
                assert reopened.find(Latest(Match(as_of=then))) == [before]


class GroupCases(StoreCases):
    """Cases of ``Grouped``, ``Ungrouped`` and ``Groups``."""

    def test_groups_last(self, store: Store) -> None:
        """A group has its variables by name, each once, however often it joins; types say so, too."""
        write(store, Grouped("signals", ("Force", "Emg", "Force")))
        write(store, Grouped("signals", ("Emg",)), Grouped("all", ("Force",)))
        store = self.reopen(store)

        assert store.find(Groups()) == [Group("all", ("Force",)), Group("signals", ("Emg", "Force"))]
        assert {info.name: info.groups for info in store.types()} == {"Emg": ("signals",), "Force": ("all", "signals")}

    def test_leaving_a_group(self, store: Store) -> None:
        """A variable leaves one group only; a group without variables is gone, and may begin anew."""
        write(store, Grouped("a", ("Force", "Emg")), Grouped("b", ("Force",)))
        write(store, Ungrouped("a", ("Force",)), Ungrouped("b", ("Force",)))
        assert store.find(Groups()) == [Group("a", ("Emg",))]
        write(store, Ungrouped("a", ("Emg",)), Grouped("a", ("Emg",)))
        assert store.find(Groups()) == [Group("a", ("Emg",))]

    def test_what_cannot_be_grouped(self, store: Store) -> None:
        """Unknown variables and groups are refused with the nearest name, and nothing changes."""
        write(store, Grouped("signals", ("Force",)))
        with pytest.raises(NotRegisteredError, match="'Force'"):
            write(store, Grouped("signals", ("Emg", "Forse")))
        with pytest.raises(NotRegisteredError, match="'Force'"):
            write(store, Ungrouped("signals", ("Forse",)))
        with pytest.raises(NotFoundError, match="'signals'"):
            write(store, Ungrouped("signal", ("Force",)))
        with pytest.raises(NotFoundError, match="Emg is not in"):
            write(store, Ungrouped("signals", ("Force", "Emg")))
        with pytest.raises(SciDBError, match="named"):
            write(store, Grouped("", ("Force",)))
        assert store.find(Groups()) == [Group("signals", ("Force",))]

    def test_renaming_keeps_membership(self, store: Store) -> None:
        """A variable with another name is in the same groups; registering it again changes nothing either."""
        write(store, Grouped("signals", ("Force",)))
        write(store, Renamed("Force", "Push"))
        store.register(TypeInfo("Push", 2, "harder"))
        assert store.find(Groups()) == [Group("signals", ("Push",))]


def ids(changes: list[Change]) -> list[tuple[str | None, str | None, bool]]:
    """Return what identifies changes."""
    return [
        (one.before.record_id if one.before else None, one.after.record_id if one.after else None, one.is_return)
        for one in changes
    ]


class ChangingCases(StoreCases):
    """Cases of ``Changes``, and of locations as they were."""

    def test_added_changed_and_returned(self, store: Store) -> None:
        """A place that is new, one with another record, one with a former record; unchanged ones are left out (A4)."""
        same = save(store, "Force", 1.0, subject=1)
        old = save(store, "Force", 2.0, subject=2)
        former = save(store, "Force", 3.0, subject=10)
        other = save(store, "Force", 4.0, subject=10)
        since = tag(store, "since")
        again(store, same)
        new = save(store, "Force", 2.5, subject=2)
        back = again(store, former)
        added = save(store, "Emg", 1.0, subject=3)

        changes = store.find(Changes(since))

        assert [(one.before, one.after) for one in changes] == [(None, added), (old, new), (other, back)]
        assert [one.is_return for one in changes] == [False, False, True]
        assert store.find(Changes(since, Match(as_of=since))) == []
        assert ids(store.find(Changes(since, Match(as_of=new.timestamp)))) == [(old.record_id, new.record_id, False)]

    def test_changes_that_match(self, store: Store) -> None:
        """Variables, places and version keys narrow; a key that does not exist is refused."""
        since = tag(store, "since")
        force = save(store, "Force", 1.0, subject=1)
        gain = save(store, "Force", 1.0, '{"gain":1}', subject=1)
        emg = save(store, "Emg", 1.0, subject=2)

        def after(match: Match) -> list[Record | None]:
            return [change.after for change in store.find(Changes(since, match))]

        assert after(Match()) == [emg, gain, force]
        assert after(Match(("Force",))) == [gain, force]
        assert after(Match(schema={"subject": (2,)})) == [emg]
        assert after(Match(version={"gain": ("1",)})) == [gain]
        with pytest.raises(SchemaKeyError):
            store.find(Changes(since, Match(schema={"nowhere": (1,)})))

    def test_fewer_pieces(self, store: Store) -> None:
        """A piece beyond the newest count is no longer there, and may come back."""
        save(store, "Force", 1.0, piece=1, pieces=2, subject=1, trial=1)
        second = save(store, "Force", 2.0, piece=2, pieces=2, subject=1, trial=2)
        two = tag(store, "two")
        only = save(store, "Force", 1.5, piece=1, pieces=1, subject=1, trial=1)
        one = tag(store, "one")
        changes = store.find(Changes(two))
        assert [(c.before and c.before.schema["trial"], c.after) for c in changes] == [(1, only), (2, None)]
        assert changes[1].before == second

        again(store, second)
        assert store.find(Changes(two, Match(as_of=one))) == changes
        [back] = store.find(Changes(one))
        assert (back.before, back.after and back.after.record_id, back.is_return) == (None, second.record_id, True)

    def test_renamed_is_not_changed(self, store: Store) -> None:
        """Another name, or another type of a key that has none yet, is no other value."""
        save(store, "Force", 1.0, subject=1)
        since = tag(store, "since")
        write(store, Renamed("Force", "Push"), KeyTyped("subject", "int"))
        assert store.find(Changes(since)) == []

    def test_locations_as_they_were(self, store: Store) -> None:
        """Locations of later values are left out."""
        first = save(store, "Force", 1.0, subject=9)
        save(store, "Force", 1.0, subject=10)
        assert store.find(Locations(("subject",), first.timestamp)) == [Location({"subject": 9})]
        assert store.find(Locations(("subject",))) == [Location({"subject": 9}), Location({"subject": 10})]
        assert store.find(Locations(("subject",), "2000-01-01T00:00:00.000000Z")) == []
