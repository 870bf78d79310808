"""What reproducing found, in words."""

from __future__ import annotations

from scidb.provenance.reproduction.result import Outcome, ReproducedRecord, Reproduction


def _records(count: int, outcome: Outcome, variable: str = "Step", reason: str = "") -> tuple[ReproducedRecord, ...]:
    return tuple(
        ReproducedRecord(f"r{number}", variable, {"trial": number}, "step", outcome, reason)
        for number in range(1, count + 1)
    )


def test_many_are_told_together() -> None:
    """What is the same of many records of one variable is said once; the record itself always by its place."""
    found = Reproduction(
        (
            *_records(100, "equal"),
            *_records(5, "not reproduced", reason="its file is gone"),
            *_records(3, "equal", "Peak"),
            *_records(1, "equal"),
        )
    )
    assert str(found).splitlines() == [
        "Step (100 records), by step(): equal",
        "Step (5 records), by step(): not reproduced",
        "  its file is gone",
        "Peak (trial=1), by step(): equal",
        "Peak (trial=2), by step(): equal",
        "Peak (trial=3), by step(): equal",
        "Step (trial=1), by step(): equal",
        "",
        "Of 109 records, the worst is not reproduced.",
    ]


def test_differences_keep_their_places() -> None:
    """Of many records that differ, the first are shown one by one, and how many more there are."""
    lines = str(Reproduction((*_records(10, "different"), *_records(1, "different", "Mean")))).splitlines()
    assert lines[:4] == [
        "Step (trial=1), by step(): different",
        "Step (trial=2), by step(): different",
        "Step (trial=3), by step(): different",
        "and 7 more of Step that are different",
    ]
    assert lines[4].startswith("Mean")
