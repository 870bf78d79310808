"""Groups of variables, and what the database says of a variable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from scidb import BaseVariable, exceptions

if TYPE_CHECKING:
    from scidb import DatabaseManager

pytestmark = pytest.mark.above_stores


class Emg(BaseVariable):
    """Muscle activity."""

    units = "mV"


class Force(BaseVariable):
    """Ground reaction."""


class Unsaved(BaseVariable):
    """Never saved."""


@pytest.fixture(autouse=True)
def _saved(db: DatabaseManager) -> None:
    Emg.save(1.0, subject=1)
    Force.save(2.0, subject=1, trial=1)


def test_groups_take_classes_and_names(db: DatabaseManager) -> None:
    """A variable, its name, or several of either join and leave; joining twice is joining once."""
    db.add_to_var_group("signals", Emg)
    db.add_to_var_group("signals", ["Force", Emg])
    db.add_to_var_group("a", "Force")

    assert db.list_var_groups() == ["a", "signals"]
    assert db.get_var_group("signals") == ["Emg", "Force"]
    db.remove_from_var_group("signals", [Force])
    assert db.get_var_group("signals") == ["Emg"]
    db.remove_from_var_group("signals", "Emg")
    assert db.list_var_groups() == ["a"]


def test_unknown_groups_and_variables_are_named(db: DatabaseManager) -> None:
    """A8: what is misspelt is an error with the nearest name, and nothing changes."""
    db.add_to_var_group("signals", Emg)
    with pytest.raises(exceptions.NotFoundError, match="Did you mean 'signals'"):
        db.get_var_group("signal")
    with pytest.raises(exceptions.NotFoundError, match="Did you mean 'signals'"):
        db.remove_from_var_group("Signal", Emg)
    with pytest.raises(exceptions.NotFoundError, match="Force is not in"):
        db.remove_from_var_group("signals", [Emg, Force])
    with pytest.raises(exceptions.NotRegisteredError, match="Did you mean 'Force'"):
        db.add_to_var_group("signals", [Emg, "Forse"])
    with pytest.raises(exceptions.NotRegisteredError, match="Nothing of it was saved yet"):
        db.add_to_var_group("signals", Unsaved)
    assert db.get_var_group("signals") == ["Emg"]


@pytest.mark.parametrize("odd", [5, None, [5], ""])
def test_what_is_no_group_and_no_variable(db: DatabaseManager, odd: Any) -> None:
    """Odd arguments are errors of our own."""
    for wrong in (
        lambda: db.add_to_var_group("signals", odd),
        lambda: db.add_to_var_group(odd, Emg),
        lambda: db.get_var_group(odd),
        lambda: db.tag(odd),
        lambda: db.diff("2020-01-01", variable=[odd]),
    ):
        with pytest.raises(exceptions.SciDBError):
            wrong()
    assert (db.list_var_groups(), db.tags()) == ([], {})


def test_a_renamed_variable_stays_in_its_groups(db: DatabaseManager) -> None:
    """Groups follow a variable to its new name."""
    db.add_to_var_group("signals", [Emg, Force])
    db.admin.rename_variable(Emg, "Activity")
    assert db.get_var_group("signals") == ["Activity", "Force"]
    with pytest.raises(exceptions.NotRegisteredError, match="renamed"):
        db.add_to_var_group("others", "Emg")


def test_types_say_everything(db: DatabaseManager) -> None:
    """Counts, level, last change, description, units and groups are in types(); describe() shows them."""
    db.add_to_var_group("signals", Emg)
    Emg.save(1.0, subject=1)
    newest = Emg.load_one().timestamp

    emg, force = db.types()

    assert (emg.name, emg.records, emg.entries, emg.schema_level) == ("Emg", 1, 2, "subject")
    assert (emg.description, emg.units, emg.groups, emg.last_change) == ("Muscle activity.", "mV", ("signals",), newest)
    assert (force.schema_level, force.groups) == ("trial", ())
    assert "groups       signals" in repr(Emg.describe())
    assert "groups" not in repr(Force.describe())
