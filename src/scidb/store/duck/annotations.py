"""What people name in the file: instants (tags) and groups of variables."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from scidb.store.duck.insert import insert_rows
from scidb.store.duck.sql import Condition
from scidb.store.duck.tables import TABLES
from scidb.store.labels import check_group, check_tag, not_in_group
from scidb.store.model import Group, Tag, Ungrouped

if TYPE_CHECKING:
    from scidb.store.duck.connection import Connection
    from scidb.store.duck.state import State
    from scidb.store.model import Grouped, Tagged

__all__ = ["find_groups", "find_tags", "group_variables", "tag_instant"]


def tag_instant(connection: Connection, event: Tagged, stamp: str) -> None:
    """Give an instant a name."""
    check_tag(event, stamp, {tag.name: tag.timestamp for tag in find_tags(connection)})
    insert_rows(connection, TABLES["_tags"], [(event.name, event.timestamp or stamp, event.user_id)])


def find_tags(connection: Connection) -> list[Tag]:
    """Return every tag, oldest instant first."""
    rows = connection.rows("SELECT tag, timestamp, user_id FROM _tags")
    # By name in the order of Python, where an engine might know better.
    return sorted((Tag(*row) for row in rows), key=lambda tag: (tag.timestamp, tag.name))


def group_variables(connection: Connection, draft: State, event: Grouped | Ungrouped) -> None:
    """Put variables into a group, or take them out of it."""
    check_group(event, draft.variables)
    rows = connection.rows("SELECT variable_name FROM _variable_groups WHERE group_name = ?", [event.group])
    members = {name for (name,) in rows}
    if not isinstance(event, Ungrouped):
        new = [(event.group, name) for name in dict.fromkeys(event.variables) if name not in members]
        insert_rows(connection, TABLES["_variable_groups"], new)
        return
    if not members.issuperset(event.variables):
        raise not_in_group(event, members, {group.name for group in find_groups(connection)})
    leaving = Condition()
    leaving.one_of("variable_name", list(dict.fromkeys(event.variables)))
    connection.execute(
        f"DELETE FROM _variable_groups WHERE group_name = ? AND {leaving.text()}", [event.group, *leaving.parameters]
    )


def find_groups(connection: Connection) -> list[Group]:
    """Return every group with its variables, by name."""
    rows = sorted(connection.rows("SELECT group_name, variable_name FROM _variable_groups"))
    return [
        Group(name, tuple(variable for _, variable in members))
        for name, members in itertools.groupby(rows, key=lambda row: row[0])
    ]
