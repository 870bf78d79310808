"""What is asked of computations: the calls behind entries, equal inputs, several contents, accepted changes.

Each question is one statement, however many calls it is about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from scidb.store.duck.sql import Condition
from scidb.store.model import Acceptance, Call, CallInput, Computation, Timing
from scidb.store.model.kept import WRITES_FILE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scidb.store.duck.connection import Connection
    from scidb.store.duck.state import State
    from scidb.store.model import Calls, CallsGiven, Computations, GeneratedFiles, Timings, Varying

__all__ = [
    "find_acceptances",
    "find_calls",
    "find_calls_given",
    "find_computations",
    "find_generated",
    "find_timings",
    "find_varying",
]

_COMPUTATION: Final = "p.lineage_id, p.function_name, p.function_hash, p.inputs_hash, p.outputs, p.kind"
_THESE: Final = "SELECT unnest(?) AS call_id"
_CALLS: Final = (
    "WITH RECURSIVE wanted AS ({first} UNION SELECT i.input_call_id FROM wanted w "
    "JOIN _call_inputs i ON i.call_id = w.call_id WHERE i.input_call_id IS NOT NULL AND (i.kind = 'computation' "
    "OR starts_with(i.record_id, 'generated:') OR starts_with(i.record_id, 'ephemeral:'))) "
    "SELECT c.call_id, c.run_id, c.user_id, c.environment_id, c.seconds, c.recalled_from, c.timestamp, "
    "c.function_ref, "
    f"{_COMPUTATION}, i.name, i.kind, i.record_id, i.input_call_id, i.output_num, i.type_name, i.content_hash, "
    "i.value_repr, i.root, i.literal, i.code_hash, i.is_default, i.key "
    "FROM wanted w JOIN _calls c ON c.call_id = w.call_id "
    "JOIN _computations p ON p.lineage_id = c.lineage_id LEFT JOIN _call_inputs i ON i.call_id = c.call_id "
    "ORDER BY c.timestamp, c.seq, i.position"
)


def find_calls(connection: Connection, query: Calls) -> list[Call]:
    """Return calls and what handed them results unsaved, in the order of storing."""
    if not query.call_ids:
        return []
    return _with_upstream(connection, _THESE, [list(dict.fromkeys(query.call_ids))])


def find_calls_given(connection: Connection, query: CallsGiven) -> list[Call]:
    """Return the calls that got these constants, in the order of storing."""
    if not query.constants:
        return []
    named = " OR ".join(["(name = ? AND value_repr = ?)"] * len(query.constants))
    rows = connection.rows(
        f"SELECT call_id FROM _call_inputs WHERE kind = 'constant' AND ({named}) GROUP BY call_id "
        f"HAVING count(DISTINCT name) = {len(query.constants)}",
        [part for pair in query.constants.items() for part in pair],
    )
    wanted = {call_id for (call_id,) in rows}
    found = _with_upstream(connection, _THESE, [list(wanted)]) if wanted else []
    return [call for call in found if call.call_id in wanted]


def find_generated(connection: Connection, query: GeneratedFiles) -> list[Call]:
    """Return the newest execution of each computation that wrote files, and what handed them results unsaved."""
    condition = Condition(["c.recalled_from IS NULL"])
    condition.add("(p.kind = 'generated' OR (p.kind = 'uncacheable' AND p.outputs = ?))", WRITES_FILE)
    if query.lineage_ids is not None:
        condition.one_of("c.lineage_id", query.lineage_ids)
    if query.as_of is not None:
        condition.add("c.timestamp <= ?", query.as_of)
    first = (
        "SELECT call_id FROM (SELECT c.call_id FROM _calls c JOIN _computations p ON p.lineage_id = c.lineage_id "
        f"WHERE {condition.text()} "
        "QUALIFY row_number() OVER (PARTITION BY c.lineage_id ORDER BY c.timestamp DESC, c.seq DESC) = 1)"
    )
    return _with_upstream(connection, first, condition.parameters)


def _with_upstream(connection: Connection, first: str, parameters: Sequence[Any]) -> list[Call]:
    """Return the calls that a statement selects, and those that handed them results unsaved, with their inputs."""
    rows: dict[str, list[tuple[Any, ...]]] = {}
    for row in connection.rows(_CALLS.format(first=first), parameters):
        rows.setdefault(row[0], []).append(row)
    return [_call(own) for own in rows.values()]


def _call(rows: list[tuple[Any, ...]]) -> Call:
    """Return a call from its rows, one for each input, or one for none."""
    inputs = tuple([CallInput(*row[14:]) for row in rows if row[14] is not None])
    first = rows[0]
    return Call(first[0], Computation(*first[8:14]), inputs, *first[1:8])


def find_computations(connection: Connection, query: Computations) -> list[Computation]:
    """Return the computations by one of these codes on one of these inputs."""
    condition = Condition()
    condition.one_of("p.function_hash", query.function_hashes)
    condition.one_of("p.inputs_hash", query.inputs_hashes)
    rows = connection.rows(
        f"SELECT {_COMPUTATION} FROM _computations p WHERE {condition.text()} ORDER BY p.lineage_id",
        condition.parameters,
    )
    return [Computation(*row) for row in rows]


def find_varying(connection: Connection, query: Varying) -> list[Computation]:
    """Return the computations of which one output has several contents."""
    condition = Condition(["m.lineage_id IS NOT NULL"])
    if query.as_of is not None:
        condition.add("m.timestamp <= ?", query.as_of)
    rows = connection.rows(
        f"SELECT {_COMPUTATION} FROM _computations p WHERE p.lineage_id IN (SELECT m.lineage_id "
        f"FROM _record_metadata m WHERE {condition.text()} "
        "GROUP BY m.lineage_id, m.output_num, m.variable_name, m.schema_version, m.piece "
        "HAVING min(m.content_hash) <> max(m.content_hash) OR min(m.pieces) <> max(m.pieces)) ORDER BY p.lineage_id",
        condition.parameters,
    )
    return [Computation(*row) for row in rows]


def find_timings(connection: Connection, query: Timings) -> list[Timing]:
    """Return how long the calls of a function took, for each of the codes that it had."""
    rows = connection.rows(
        "SELECT p.function_hash, count(*), avg(c.seconds) FROM _computations p "
        "JOIN _calls c ON c.lineage_id = p.lineage_id WHERE p.function_name = ? AND c.seconds IS NOT NULL "
        "GROUP BY p.function_hash ORDER BY p.function_hash",
        [query.function_name],
    )
    return [Timing(*row) for row in rows]


def find_acceptances(connection: Connection, state: State) -> list[Acceptance]:
    """Return every change of code that was accepted, in that order."""
    if not state.has_accepted:  # asked for at every call that is not known
        return []
    rows = connection.rows(
        "SELECT function_name, old_hash, new_hash, reason, timestamp, user_id FROM _accepted ORDER BY timestamp, rowid"
    )
    return [Acceptance(*row) for row in rows]
