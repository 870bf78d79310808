"""``python -m benchmarks.page FIGURES.json``: write the measured table into docs/performance.md, between its marks."""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any, Final

__all__ = ["main", "rows_of", "with_table"]

_PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
_START, _END = "<!-- measured: written by python -m benchmarks.page -->", "<!-- end of what was measured -->"


def main(figures: str) -> None:
    """Put what was measured in place of what stands on the page."""
    measured = json.loads(Path(figures).read_text(encoding="utf-8"))
    _PAGE.write_text(with_table(_PAGE.read_text(encoding="utf-8"), measured), encoding="utf-8")


def with_table(page: str, measured: dict[str, Any]) -> str:
    """Return a page with other figures between its marks."""
    before, _, rest = page.partition(_START)
    _, mark, after = rest.partition(_END)
    if not mark:
        raise SystemExit(f"{_PAGE.name} lacks its marks {_START!r} and {_END!r}.")
    versions = ", ".join(f"{name} {version}" for name, version in measured["environment"].items())
    rounds = max((len(one["ours"]) for one in measured["results"] if isinstance(one["ours"], list)), default=1)
    lines = ["", f"Measured in up to {rounds} rounds with {versions}.", "", *rows_of(measured["results"]), ""]
    return "\n".join([before + _START, *lines, _END + after])


def rows_of(results: list[dict[str, Any]]) -> list[str]:
    """Return the lines of the table, those with a promise first, by its number."""
    found = [
        "| # | what | compared with | ours | theirs | ratio | promised | kept |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in sorted(results, key=_order):
        number, _, work = one["work"].rpartition(": ") if ": " in one["work"] else ("", "", one["work"])
        promised, kept = _verdict(one)
        ours, theirs = (_amount(one[side], one["unit"]) for side in ("ours", "limit_measured"))
        number = "" if number == "beside" else number
        cells = (number, work, one["limit"], ours, theirs, f"{one['ratio']:.2f}", promised, kept)
        found.append(f"| {' | '.join(cells)} |")
    return found


def _verdict(one: dict[str, Any]) -> tuple[str, str]:
    """Return what was promised and whether it is kept; if not, at which floor it stands."""
    if one["promised"] is None:
        return "", ""
    floor = f": {one['floor']}" if one["floor"] else ""
    return f"<= {one['promised']:.3g}", "yes" if one["holds"] else f"**no**{floor}"


def _order(one: dict[str, Any]) -> tuple[bool, int, str]:
    number = one["work"].partition(":")[0]
    digits = "".join(letter for letter in number if letter.isdigit())
    is_promise = number.startswith("S") and bool(digits)
    return (not is_promise, int(digits) if is_promise else 0, number if is_promise else "")


def _amount(measured: Any, unit: str) -> str:
    if unit == "bytes":
        return f"{measured / 1e6:.1f} MB"
    seconds = statistics.median(measured)
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"


if __name__ == "__main__":
    main(sys.argv[1])
