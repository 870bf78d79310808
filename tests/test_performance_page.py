"""What was measured gets into the page about performance, and nothing else of the page changes."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.harness import Amounts, Comparison, Result, table, to_json
from benchmarks.page import with_table

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"


def test_the_table_is_written_between_its_marks() -> None:
    """Promises come first, by number; writing again puts the new figures in place of the old ones."""
    results: list[Result] = [
        Comparison("beside: save a number", "pickle files", ours=[0.002], theirs=[0.001]),
        Amounts("S9: file of a frame", "its Parquet file", 1.1, 3_000_000, 2_000_000),
        Comparison("S1: save 2,000 scalars", "by hand", 2.0, [0.010, 0.030, 0.020], [0.020], floor="never told"),
        Comparison("S6: a combination", "SELECT 1", 0.5, [0.010], [0.010], floor="its rows by hand take 0.8"),
    ]
    page = PAGE.read_text(encoding="utf-8")
    written = with_table(page, json.loads(to_json(results)))
    rows = [line for line in written.splitlines() if line.startswith("|")]

    assert rows[2] == "| S1 | save 2,000 scalars | by hand | 20 ms | 20 ms | 1.00 | <= 2 | yes |"
    assert rows[3] == (
        "| S6 | a combination | SELECT 1 | 10 ms | 10 ms | 1.00 | <= 0.5 | **no**: its rows by hand take 0.8 |"
    )
    assert rows[4] == "| S9 | file of a frame | its Parquet file | 3.0 MB | 2.0 MB | 1.50 | <= 1.1 | **no** |"
    assert rows[5] == "|  | save a number | pickle files | 2 ms | 1 ms | 2.00 |  |  |"
    assert with_table(written, json.loads(to_json(results))) == written
    assert written.split("<!--")[0] == page.split("<!--")[0]


def test_a_floor_is_told_where_a_promise_is_not_kept() -> None:
    """A row says why it cannot be better; one that is kept has nothing to excuse."""
    broken = Comparison("S6: a combination", "SELECT 1", 0.5, [0.010], [0.010], floor="its rows by hand take 0.8")
    kept = Amounts("S9: file", "raw", 1.1, 1, 1, floor="never told")

    assert [line for line in table([broken, kept]).splitlines() if "floor" in line] == [
        "  floor: its rows by hand take 0.8"
    ]
