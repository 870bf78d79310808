"""Numbers that only this file knows: of computations, which the log has, too, and of records, which inputs have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from scidb.store.duck.checking.findings import Findings
    from scidb.store.duck.connection import Connection

__all__ = ["NUMBERS", "check_numbers", "number_anew"]

NUMBERS: Final = "number anew what names records and computations"


def check_numbers(found: Findings) -> None:
    """Check that computations have different numbers, and that lines have the number of what they name."""
    if found.has("_computations"):
        rows = found.ask(
            "_computations",
            "SELECT NULL, CASE WHEN computation_no IS NULL THEN count(*) || ' computations have no number.' "
            "ELSE count(*) || ' computations have the number ' || computation_no || '.' END FROM _computations "
            "GROUP BY computation_no HAVING count(*) > 1 OR computation_no IS NULL",
        )
        found.add_each("number", rows, "_computations", repair=NUMBERS)
    if found.has("_computations", "_record_metadata"):
        rows = found.ask(
            "_record_metadata",
            "SELECT m.record_id, 'The log has another number of a computation than the computation itself, at ' || "
            "m.timestamp || '.' FROM _record_metadata m LEFT JOIN _computations c ON c.lineage_id = m.lineage_id "
            "WHERE m.computation_no IS DISTINCT FROM c.computation_no",
        )
        found.add_each("number", rows, "_record_metadata", repair=NUMBERS)
    if found.has("_call_inputs", "_records", "_removals"):
        rows = found.ask(
            "_call_inputs",
            "SELECT i.record_id, 'An input of a call has the number ' || coalesce(i.record_no::VARCHAR, 'NULL') "
            "|| ', and its record the number ' || r.record_no || '.' FROM _call_inputs i JOIN _records r "
            "ON r.record_id = i.record_id WHERE i.record_no IS DISTINCT FROM r.record_no AND "
            # One that was removed and saved again has another number now.
            "(NOT EXISTS (SELECT 1 FROM _removals) OR i.record_no IN (SELECT record_no FROM _records))",
        )
        found.add_each("number", rows, "_call_inputs", repair=NUMBERS)


def number_anew(connection: Connection) -> None:
    """Give computations numbers in the order in which they stand, and lines of the log and inputs theirs."""
    connection.execute(
        "UPDATE _computations SET computation_no = n.number FROM (SELECT lineage_id, "
        "row_number() OVER (ORDER BY rowid) - 1 AS number FROM _computations) n "
        "WHERE n.lineage_id = _computations.lineage_id"
    )
    connection.execute("UPDATE _record_metadata SET computation_no = NULL WHERE computation_no IS NOT NULL")
    connection.execute(
        "UPDATE _record_metadata SET computation_no = c.computation_no FROM _computations c "
        "WHERE c.lineage_id = _record_metadata.lineage_id"
    )
    connection.execute(
        "UPDATE _call_inputs SET record_no = r.record_no FROM _records r WHERE r.record_id = _call_inputs.record_id"
    )
