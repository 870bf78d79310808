"""The names that a store has: of physical columns, of variables, of schema keys.

Codecs name the columns of their tables by these rules, stores rely on them; nothing here knows SQL.
"""

from __future__ import annotations

import json
import keyword
import re
from typing import TYPE_CHECKING, Final

from scidb.exceptions import NotRegisteredError, SchemaKeyError, VariableDefinitionError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from scidb.store.model import SchemaKey

__all__ = [
    "RESERVED_COLUMNS",
    "check_new_name",
    "check_no_version_key",
    "check_not_renamed",
    "check_renaming",
    "check_same_keys",
    "check_variable_name",
    "renamed_now",
    "unique_columns",
]

RESERVED_COLUMNS: Final = ("record_no", "row", "record_id", "timestamp", "version_keys")
"""Columns that data tables and views have for themselves."""

_RESERVED_ENDING = re.compile(r"(_data(_\d+)?|__rows)\Z", re.IGNORECASE)


def unique_columns(labels: Sequence[str], reserved: Iterable[str] = ()) -> list[str]:
    """Return one column name per label, unique ignoring case and distinct from the reserved ones.

    Parameters
    ----------
    labels
        The names that the data would have by themselves, in order.
    reserved
        Names to stay clear of besides `RESERVED_COLUMNS`.

    Examples
    --------
    >>> unique_columns(["a", "A", "row", ""])
    ['a', 'A_2', 'row_2', 'column']

    """
    taken = {name.casefold() for name in (*RESERVED_COLUMNS, *reserved)}
    next_suffix: dict[str, int] = {}
    names = []
    for label in labels:
        # A name must be valid UTF-8 wherever it goes; the exact label is kept beside the data.
        base = label.encode("utf-8", "replace").decode().replace("\x00", "_") or "column"
        name, folded = base, base.casefold()
        suffix = next_suffix.get(folded, 2)
        while name.casefold() in taken:
            name = f"{base}_{suffix}"
            suffix += 1
        next_suffix[folded] = suffix
        taken.add(name.casefold())
        names.append(name)
    return names


def check_no_version_key(name: str, versions: Iterable[tuple[str, str]]) -> None:
    """Refuse a new schema key that records already have as a version key; given are variables and version keys.

    Raises
    ------
    SchemaKeyError
        Naming the variables.

    """
    several = {pair for pair in versions if pair[1] != "{}"}
    users = sorted({variable for variable, text in several if name.casefold() in map(str.casefold, json.loads(text))})
    if users:
        raise SchemaKeyError(
            f"Schema key {name!r} cannot be added: records of {', '.join(users)} have a version key of that name, by "
            "which they would not be found any more. Choose another name, or save those values under another version "
            "key into a new database.",
            name=name,
            variables=users,
        )


def check_variable_name(name: str) -> None:
    """Refuse a variable name that cannot be a table's, or that a table of another variable may need.

    Examples
    --------
    >>> check_variable_name("StepLength")

    Raises
    ------
    VariableDefinitionError
        When the name is not an identifier, begins with an underscore, or ends like one of our own tables.

    """
    if not name.isidentifier() or keyword.iskeyword(name):
        problem = "is not a Python identifier"
        remedy = "Use letters, digits and underscores, beginning with a letter"
    elif name.startswith("_"):
        problem = "begins with an underscore, as SciDB's own tables do"
        remedy = f"Call it {name.lstrip('_') or 'Variable'!r}"
    elif ending := _RESERVED_ENDING.search(name):
        problem = f"ends in {ending.group()!r}, as the tables and views of another variable may"
        remedy = f"Call it {name[: ending.start()].rstrip('_') or 'Variable'!r}, or end it in another word"
    else:
        return
    raise VariableDefinitionError(f"The variable name {name!r} {problem}. {remedy}.", variable=name)


def check_new_name(name: str, others: Iterable[str]) -> None:
    """Refuse the name of a variable that differs from another one only in case.

    Raises
    ------
    VariableDefinitionError
        Naming the other variable.

    """
    for other in others:
        if other != name and other.casefold() == name.casefold():
            raise VariableDefinitionError(
                f"{name!r} differs from the registered variable {other!r} only in case, and tables cannot be "
                f"told apart by case. Use {other!r}, or choose another name.",
                name=name,
                other=other,
            )


def check_not_renamed(name: str, renamed: Mapping[str, str]) -> None:
    """Refuse a former name of a variable.

    Raises
    ------
    NotRegisteredError
        Saying what the variable is called now.

    """
    if name in renamed:
        raise NotRegisteredError(
            f"The variable {name!r} was renamed to {renamed[name]!r}. Use that name, and rename the class: "
            f"class {renamed[name]}(BaseVariable).",
            name=name,
            renamed_to=renamed[name],
        )


def check_renaming(old: str, new: str, variables: Iterable[str], renamed: Mapping[str, str]) -> None:
    """Refuse to rename a variable that is not there, or to a name that it cannot have.

    Raises
    ------
    NotRegisteredError
        When there is no variable `old`.
    VariableDefinitionError
        When `new` is no name for a variable, or is taken.

    """
    known = set(variables)
    check_not_renamed(old, renamed)
    if old not in known:
        raise NotRegisteredError(
            f"There is no variable {old!r} to rename.{did_you_mean(old, known) or f' There are: {sorted(known)}.'}",
            name=old,
        )
    check_variable_name(new)
    own = {former for former, now in renamed.items() if now == old}
    if new in known or new in set(renamed) - own:
        taken = f"was the name of {renamed[new]!r}" if new in renamed else "is a variable of this database already"
        raise VariableDefinitionError(
            f"{old!r} cannot be renamed to {new!r}, which {taken}. Choose a name that was never used.",
            name=new,
            other=old,
        )
    check_new_name(new, {*known, *renamed} - {new})


def renamed_now(renamed: Mapping[str, str], old: str, new: str) -> dict[str, str]:
    """Return the former names of all variables, once `old` is called `new`.

    Examples
    --------
    >>> renamed_now({"A": "B"}, "B", "C"), renamed_now({"A": "B"}, "B", "A")
    ({'A': 'C', 'B': 'C'}, {'B': 'A'})

    """
    moved = {former: new if now == old else now for former, now in {**renamed, old: new}.items()}
    return {former: now for former, now in moved.items() if former != now}


def check_same_keys(target: Path | str, actual: Sequence[SchemaKey], given: Sequence[SchemaKey] | None) -> None:
    """Refuse schema keys that are not those of an existing database; None takes what it has.

    Raises
    ------
    SchemaKeyError
        Showing both lists.

    """
    names = [key.name for key in actual]
    if given is not None and [key.name for key in given] != names:
        raise SchemaKeyError(
            f"{target} has the schema keys {names}, but {[key.name for key in given]} were given. Pass the same keys "
            "in the same order, or leave them out: the database knows its own.",
            expected=names,
            given=[key.name for key in given],
        )
