"""What people name in a database beside variables: instants (tags) and groups of variables.

The rules that every store follows; where they are kept is its own affair.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from scidb.exceptions import ConflictError, NotFoundError, NotRegisteredError, SciDBError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from scidb.store.model import Grouped, Tagged, Ungrouped

__all__ = ["check_group", "check_tag", "listed", "looks_like_an_instant", "not_in_group"]

# All that an instant, a date, a week or the beginning of one is made of; each begins with a digit.
_INSTANT: Final = re.compile(r"[0-9][0-9TWZtwz:.,+\- ]*")
_STAMP: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)


def looks_like_an_instant(text: str) -> bool:
    """Say whether a text is an instant, or the beginning of one; no tag is.

    Examples
    --------
    >>> looks_like_an_instant("2026-03"), looks_like_an_instant("submitted"), looks_like_an_instant("T1")
    (True, False, False)

    """
    return text == "" or _INSTANT.fullmatch(text) is not None


def check_tag(event: Tagged, now: str, known: Mapping[str, str]) -> None:
    """Refuse a tag that could be taken for an instant, is taken, or names what is not over yet.

    Parameters
    ----------
    event
        The tag.
    now
        The instant of the write.
    known
        The tags that there are, and their instants.

    Raises
    ------
    SciDBError
        When the name is none for a tag, or the instant is later than now.
    ConflictError
        When the tag exists, saying which instant it names.

    """
    _check_label("tag", event.name)
    if looks_like_an_instant(event.name):
        raise SciDBError(
            f"The tag {event.name!r} could be taken for a moment in time. Begin it with a letter, as in "
            f"{f'v{event.name}'!r}."
        )
    if event.name in known:
        raise ConflictError(
            f"The tag {event.name!r} names {known[event.name]} already, and a tag never moves. Choose another name.",
            name=event.name,
            timestamp=known[event.name],
        )
    if event.timestamp is None:
        return
    if not _STAMP.fullmatch(event.timestamp):
        raise SciDBError(f"{event.timestamp!r} is no instant as the store writes it, such as {now}.")
    if event.timestamp > now:
        raise SciDBError(
            f"The tag {event.name!r} cannot name {event.timestamp}: that is later than now ({now}), and what will be "
            "saved until then is not known."
        )


def check_group(event: Grouped | Ungrouped, variables: Collection[str]) -> None:
    """Refuse a group without a name, and variables that the store does not know.

    Raises
    ------
    SciDBError, NotRegisteredError
        Naming the group or the variable.

    """
    _check_label("group", event.group)
    for name in event.variables:
        if name not in variables:
            raise NotRegisteredError(
                f"The store knows no variable {name!r}, so it is in no group.{did_you_mean(name, variables)}", name=name
            )


def not_in_group(event: Ungrouped, members: Collection[str], groups: Collection[str]) -> NotFoundError:
    """Return the error for variables that are to leave a group and are not in it, or for a group that is none."""
    if not members:
        hint = did_you_mean(event.group, groups) or f" The groups are {listed(groups)}."
        return NotFoundError(f"There is no group {event.group!r}.{hint}", group=event.group)
    absent = next(name for name in event.variables if name not in members)
    return NotFoundError(
        f"{absent} is not in the group {event.group!r}, which has {listed(members)}. Nothing was changed.",
        group=event.group,
        name=absent,
    )


def listed(names: Iterable[str]) -> str:
    """Return names for an error message, at most twenty of them."""
    names = sorted(names)
    return ", ".join(names[:20]) + (", ..." if len(names) > 20 else "") if names else "none yet"


def _check_label(what: str, name: object) -> None:
    if not isinstance(name, str) or not name or name != name.strip() or not name.isprintable():
        raise SciDBError(f"A {what} cannot be named {name!r}. Use a word, as in {f'my-{what}'!r}.")
