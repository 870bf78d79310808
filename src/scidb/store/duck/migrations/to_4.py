"""Format 4: computations have numbers, by which the log is read, and inputs of calls the number of their record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scidb.store.duck.migrations.step import Step

if TYPE_CHECKING:
    from scidb.store.duck.connection import Connection

__all__ = ["TO_4"]

_STATEMENTS: Final = (
    "ALTER TABLE _computations ADD COLUMN computation_no BIGINT",
    # Numbers without gaps, in the order in which the computations were stored.
    (
        "UPDATE _computations SET computation_no = n.number FROM (SELECT lineage_id, "
        "row_number() OVER (ORDER BY rowid) - 1 AS number FROM _computations) n "
        "WHERE n.lineage_id = _computations.lineage_id"
    ),
    "ALTER TABLE _record_metadata ADD COLUMN computation_no BIGINT",
    (
        "UPDATE _record_metadata SET computation_no = c.computation_no FROM _computations c "
        "WHERE c.lineage_id = _record_metadata.lineage_id"
    ),
    "ALTER TABLE _call_inputs ADD COLUMN record_no BIGINT",
    # The number that a record has now, and else one that it had before it was pruned.
    (
        "UPDATE _call_inputs SET record_no = p.record_no FROM (SELECT record_id, max(record_no) AS record_no "
        "FROM _pruned GROUP BY record_id) p WHERE p.record_id = _call_inputs.record_id"
    ),
    "UPDATE _call_inputs SET record_no = r.record_no FROM _records r WHERE r.record_id = _call_inputs.record_id",
)


def _add_numbers(connection: Connection) -> None:
    for statement in _STATEMENTS:
        connection.execute(statement)


TO_4: Final = Step(
    4,
    "numbers the computations, in _computations and in the log, and the inputs of calls by their records; no value, "
    "no id and no digest changes",
    _add_numbers,
)
