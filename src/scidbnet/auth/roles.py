"""Roles: which of them may do what, by verb and by kind of event. Whatever no table names, only an admin may do."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from scidb.exceptions import PermissionDeniedError, SettingsError, did_you_mean
from scidb.store import model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scidb.store.model import Batch, Event

__all__ = ["EVENT_ROLES", "PATH_VERBS", "VERB_ROLES", "Caller", "Role", "check_batch", "check_verb", "verb_of_path"]


class Role(enum.IntEnum):
    """What somebody may do; each role may do what those before it may."""

    READER = 1
    WRITER = 2
    ADMIN = 3

    def __str__(self) -> str:
        return self.name.lower()

    @classmethod
    def named(cls, name: str) -> Role:
        """Return the role of that name.

        Examples
        --------
        >>> Role.named("writer") < Role.ADMIN
        True

        Raises
        ------
        SettingsError
            When there is none.

        """
        known = {str(role): role for role in cls}
        if name not in known:
            raise SettingsError(
                f"{name!r} is no role. There are {', '.join(known)}.{did_you_mean(str(name), known)}", role=name
            )
        return known[name]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks."""

    name: str  # of the token; without tokens what the client says, which nobody has checked
    role: Role
    is_verified: bool
    token_id: str | None = None


VERB_ROLES: Final[Mapping[str, Role]] = {
    "describe": Role.READER,
    "types": Role.READER,
    "find": Role.READER,
    "fetch": Role.READER,
    "trace": Role.READER,
    "sql": Role.READER,  # where it is allowed at all
    "metrics": Role.READER,
    "docs": Role.READER,
    "close": Role.READER,  # a session of one's own
    "register": Role.WRITER,
    "write": Role.WRITER,  # and what each event of the batch takes
    "claim": Role.WRITER,
    "maintain": Role.ADMIN,
    "backup": Role.ADMIN,
    "tokens": Role.ADMIN,
}
"""The least role for each verb."""

EVENT_ROLES: Final[Mapping[type[Event], Role]] = {
    model.RunStarted: Role.WRITER,
    model.RunEnded: Role.WRITER,
    model.Failed: Role.WRITER,
    model.SourceSeen: Role.WRITER,
    model.EdgesSeen: Role.WRITER,
    model.EnvironmentSeen: Role.WRITER,
    model.KeyTyped: Role.WRITER,  # by the first value that is saved
    model.Hit: Role.WRITER,
    model.Answered: Role.WRITER,  # which the server adds
    model.Exported: Role.WRITER,
    model.Tagged: Role.WRITER,
    model.Grouped: Role.WRITER,
    model.Ungrouped: Role.WRITER,
    model.Flagged: Role.WRITER,
    model.Unflagged: Role.WRITER,
    model.BackedUp: Role.ADMIN,
    # These change what the scripts of all others mean or compute.
    model.KeyAdded: Role.ADMIN,
    model.Renamed: Role.ADMIN,
    model.Accepted: Role.ADMIN,
    model.Invalidated: Role.ADMIN,
}
"""The least role for each kind of event in a batch."""

PATH_VERBS: Final[Mapping[str, str]] = {
    **{f"/store/{verb}": verb for verb in ("describe", "types", "find", "fetch", "trace", "register", "write")},
    **{f"/ability/claims/{action}": "claim" for action in ("claim", "renew", "release")},
    **{f"/ability/maintenance/{action}": "maintain" for action in ("check", "prune", "erase", "compact")},
    "/ability/sql": "sql",
    "/ability/snapshot": "backup",
    "/tokens": "tokens",
    "/metrics": "metrics",
    "/docs": "docs",
    "/openapi.json": "docs",
    # The routes for people with curl.
    "/register": "register",
    "/save": "write",
    "/save_ephemeral_lineage": "write",
    "/load": "fetch",
    "/load_all": "fetch",
    "/find_by_lineage": "fetch",
    "/export_to_csv": "fetch",
    "/list_versions": "find",
    "/has_lineage": "find",
    "/pipeline_structure": "find",
    "/provenance": "trace",
    "/provenance_by_schema": "trace",
    "/close": "close",
}
"""The verb behind each path of the API."""


def verb_of_path(path: str) -> str:
    """Return the verb behind a path; a path that nobody thought of is its own, for an admin alone.

    Examples
    --------
    >>> verb_of_path("/store/write"), verb_of_path("/tokens/anna")
    ('write', '/tokens/anna')

    """
    return PATH_VERBS.get(path, path)


def check_verb(caller: Caller, verb: str) -> None:
    """Refuse a verb that the caller's role does not allow.

    Examples
    --------
    >>> check_verb(Caller("anna", Role.READER, is_verified=True), "find")

    Raises
    ------
    PermissionDeniedError
        With the code ``forbidden``.

    """
    _check(caller, VERB_ROLES.get(verb, Role.ADMIN), verb)


def check_batch(caller: Caller, batch: Batch) -> None:
    """Refuse a batch with any event that the caller's role does not allow.

    Raises
    ------
    PermissionDeniedError
        With the code ``forbidden``.

    """
    check_verb(caller, "write")
    for kind in {type(event) for event in batch.events}:
        _check(caller, EVENT_ROLES.get(kind, Role.ADMIN), kind.__name__)


def _check(caller: Caller, least: Role, what: str) -> None:
    if caller.role < least:
        raise PermissionDeniedError(
            f"{caller.name!r} has the role {caller.role} here, and {what} takes the role {least}. Nothing was done. "
            f"Ask whoever runs the server for another token: scidb token create NAME --role {least}",
            role=str(caller.role),
            needed=str(least),
        )
