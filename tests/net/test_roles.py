"""Roles: every verb and every kind of event has one, and nothing that nobody thought of is for everybody."""

from __future__ import annotations

import typing

import pytest

from scidb.exceptions import PermissionDeniedError
from scidb.store import model
from scidb.store.memory import MemoryStore
from scidb.store.model import Batch
from scidb.store.protocol import Store
from scidbnet.auth import Caller, Role, check_batch, check_verb, verb_of_path
from scidbnet.auth.roles import EVENT_ROLES, PATH_VERBS, VERB_ROLES
from scidbnet.server.app import store_app
from scidbnet.server.guard.security import PUBLIC
from scidbnet.server.routes import aliases
from scidbnet.wire.versions import PREFIX

CALLERS = {role: Caller(str(role), role, is_verified=True) for role in Role}


def test_every_event_has_a_role() -> None:
    """Whoever adds a kind of event says who may store it."""
    assert set(EVENT_ROLES) == set(typing.get_args(model.Event))


def test_every_verb_has_a_role() -> None:
    """The verbs of the store are all there, and so are those behind paths."""
    verbs = {name for name in vars(Store) if not name.startswith("_")}

    assert verbs - {"close"} <= set(VERB_ROLES)
    assert set(PATH_VERBS.values()) <= set(VERB_ROLES)


def test_every_route_has_a_verb() -> None:
    """Whoever adds a route says which verb it is; until then it is for admins."""
    paths = [*store_app(MemoryStore([])).openapi()["paths"], "/docs", "/openapi.json"]

    unknown = {
        path
        for path in paths
        if path not in PUBLIC
        and path.removeprefix(PREFIX) not in PATH_VERBS
        and not path.startswith(f"{PREFIX}/tokens/")
    }
    assert not unknown


def test_the_routes_for_curl_take_the_role_that_they_say() -> None:
    """What the description of a route says is what is checked."""
    assert {path: str(VERB_ROLES[PATH_VERBS[path]]) for path in aliases.ROLES} == aliases.ROLES


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        (Role.READER, {"describe", "types", "find", "fetch", "trace", "sql", "metrics", "docs", "close"}),
        (
            Role.WRITER,
            {
                *("describe", "types", "find", "fetch", "trace", "sql", "metrics", "docs", "close"),
                *("register", "write", "claim"),
            },
        ),
        (Role.ADMIN, set(VERB_ROLES)),
    ],
)
def test_what_each_role_may_do(role: Role, allowed: set[str]) -> None:
    """N4: a reader reads, a writer also writes, an admin does the rest; anything else is for admins."""
    caller = CALLERS[role]
    for verb in VERB_ROLES:
        if verb in allowed:
            check_verb(caller, verb)
        else:
            with pytest.raises(PermissionDeniedError, match=verb) as caught:
                check_verb(caller, verb)
            assert caught.value.code == "forbidden"
    if role is not Role.ADMIN:
        with pytest.raises(PermissionDeniedError):
            check_verb(caller, verb_of_path("/something/new"))


def test_a_batch_takes_the_most_that_any_of_its_events_takes() -> None:
    """An invalidation among other events makes the batch one for admins; none makes it one for readers."""
    plain = Batch(events=(model.Tagged("now"), model.Hit("l1", 1)))
    mixed = Batch(events=(*plain.events, model.Invalidated("f")))

    check_batch(CALLERS[Role.WRITER], plain)
    check_batch(CALLERS[Role.ADMIN], mixed)
    with pytest.raises(PermissionDeniedError, match="Invalidated takes the role admin"):
        check_batch(CALLERS[Role.WRITER], mixed)
    for batch in (Batch(), plain):
        with pytest.raises(PermissionDeniedError):
            check_batch(CALLERS[Role.READER], batch)
