"""The questions, events and answers of the store's verbs, as JSON."""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from scidb.store import model
from scidb.store.model import Query, Record
from scidbnet.wire.coding import Coder, coder_of, dump, load, tagged_coder
from scidbnet.wire.records import records_from_json, records_to_json

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

__all__ = [
    "EVENTS",
    "FETCHED",
    "QUERIES",
    "ROWS",
    "TRACE_QUERY",
    "answer_from_json",
    "answer_to_json",
    "trace_from_json",
    "trace_to_json",
]

Json: TypeAlias = Any

_KINDS: Final = [kind for name in model.__all__ if isinstance(kind := getattr(model, name), type)]
# What a server notes for itself: nobody asks for that, and nobody else says so.
_OWN: Final = {model.Answers, model.Answered}
_QUERIES: Final = [kind for kind in _KINDS if issubclass(kind, Query) and kind not in {Query, *_OWN}]

QUERIES: Final[Coder] = tagged_coder(_QUERIES)
"""Every question for `find`."""

FETCHED: Final[Coder] = tagged_coder([model.Latest, model.Records, model.Entries, model.Stored])
"""Every question for `fetch`: those that records answer."""

EVENTS: Final[Coder] = tagged_coder(kind for kind in typing.get_args(model.Event) if kind not in _OWN)
"""Every event of a batch."""

TRACE_QUERY: Final[Coder] = coder_of(model.TraceQuery)


def _answering(query: type[Query[Any]]) -> type[Any]:
    """Return the class of the rows that answer a question, which its class says."""
    [base] = query.__orig_bases__  # type: ignore[attr-defined]
    [kind] = typing.get_args(base)
    return kind  # type: ignore[no-any-return]


ROWS: Final[tuple[Coder, ...]] = tuple(
    coder_of(cast("Hashable", kind)) for kind in dict.fromkeys(map(_answering, _QUERIES)) if kind is not Record
)
"""The rows that answer questions; records go by column instead."""


def answer_to_json(query: Query[Any], rows: Sequence[Any]) -> Json:
    """Return the answer to a question; records by column."""
    if _answering(type(query)) is Record:
        return {"records": records_to_json(rows)}
    return {"rows": [dump(row) for row in rows]}


def answer_from_json(query: Query[Any], data: Json) -> list[Any]:
    """Return the rows that `answer_to_json` wrote.

    Raises
    ------
    SerializationError
        When they are something else.

    """
    kind = _answering(type(query))
    if kind is Record:
        return list(records_from_json(_part(data, "records")))
    rows = _part(data, "rows")
    return [load(row, kind, f"row {number}") for number, row in enumerate(rows if isinstance(rows, list) else [rows])]


def trace_to_json(trace: model.Trace) -> Json:
    """Return a walk through provenance; its records by column."""
    calls, edges = ([dump(one) for one in part] for part in (trace.calls, trace.edges))
    return {"calls": calls, "records": records_to_json(trace.records), "edges": edges}


def trace_from_json(data: Json) -> model.Trace:
    """Return the walk that `trace_to_json` wrote.

    Raises
    ------
    SerializationError
        When it is something else.

    """
    several = {"calls": tuple[model.Call, ...], "edges": tuple[model.Edge, ...]}
    parts = {name: coder_of(hint).read(_part(data, name), name) for name, hint in several.items()}
    return model.Trace(parts["calls"], tuple(records_from_json(_part(data, "records"))), parts["edges"])


def _part(data: Json, name: str) -> Json:
    return data.get(name) if isinstance(data, dict) else None
