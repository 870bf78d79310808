"""The chain of the log: each line's link must follow from the line and from the link before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from scidb.hashing.ids import chain_link, line_digest
from scidb.store.duck.checking.findings import UNREADABLE
from scidb.store.duck.lines import log_line
from scidb.store.duck.sql import quote
from scidb.store.duck.state import TAIL

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from scidb.store.duck.checking.findings import Findings

__all__ = ["check_chain"]

MOST: Final = 100
_COLUMNS: Final = (
    "timestamp", "seq", "record_id", "identity", "version_keys", "content_hash", "lineage_id", "schema_version",
    "user_id", "call_id", "output_num", "piece", "pieces", "chain", "line",
)  # fmt: skip


def check_chain(found: Findings, noted: str | None = None) -> str | None:
    """Walk the log in its order, removed lines included; return the last link, or None where it cannot be read.

    A link that was noted earlier must still be there: so it shows that lines were cut off at the end, and that all was
    written anew with a chain of its own, neither of which the chain itself can tell.
    """
    if not found.has("_record_metadata", "_erased", "_schema", "_registered_types"):
        return None
    walk = _Walk(found, noted)

    def begin() -> Callable[[pa.RecordBatch], None]:
        nonlocal walk
        walk = _Walk(found, noted)
        return walk.take

    try:
        found.connection.stream(_lines(found), begin)
    except UNREADABLE as error:
        found.unreadable("_record_metadata", error)
        return None
    _check_end(found)
    found.counts["entries"] = walk.entries
    found.counts["links"] = walk.entries + walk.removed
    if walk.breaks > MOST:
        found.add("chain", f"The chain is broken at {walk.breaks - MOST:,} more places.", table="_record_metadata")
    if walk.gaps:
        found.notes.append(
            f"The log has {walk.gaps:,} gaps where lines were lost before the file was recovered; the chain begins "
            "anew after each."
        )
    if not walk.has_noted:
        found.add(
            "chain",
            f"The log does not hold the link {str(noted)[:12]} that was noted earlier: lines of its end were "
            "removed, or all of it was written anew.",
            table="_record_metadata",
        )
    return walk.link


def _check_end(found: Findings) -> None:
    """Check that the newest line is at the end, where opening looks for it."""
    rows = found.ask(
        "_record_metadata",
        "SELECT record_id, 'The newest line, of ' || timestamp || ', is not at the end of the log, where SciDB writes; "
        "the next one would not follow it. Open a backup.' FROM _record_metadata "
        f"WHERE timestamp > (SELECT max(timestamp) FROM {TAIL}) ORDER BY timestamp DESC, seq DESC LIMIT 1",
    )
    found.add_each("log", rows, "_record_metadata")


def _lines(found: Findings) -> str:
    keys = [quote(key.name) for key in found.keys]
    given = "".join(f", s.{key} AS k{number}" for number, key in enumerate(keys))
    nothing = "".join(f", NULL AS k{number}" for number in range(len(keys)))
    return (
        "SELECT m.timestamp, m.seq, m.record_id, t.identity_name AS identity, m.version_keys, m.content_hash, "
        "m.lineage_id, m.schema_version, m.user_id, m.call_id, m.output_num, m.piece, m.pieces, m.chain, NULL AS line"
        f"{given} FROM _record_metadata m LEFT JOIN _schema s USING (schema_id) "
        "LEFT JOIN _registered_types t ON t.type_name = m.variable_name UNION ALL "
        "SELECT timestamp, seq, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, chain, line"
        f"{nothing} FROM _erased ORDER BY timestamp, seq, record_id NULLS FIRST"
    )


class _Walk:
    """What is known on the way: the last link, and where it did not follow."""

    def __init__(self, found: Findings, noted: str | None) -> None:
        self._found, self._noted = found, noted
        self.has_noted = not noted
        self._names = [key.name for key in found.keys]
        self.link: str | None = ""
        self.entries = self.removed = self.breaks = self.gaps = 0

    def take(self, batch: pa.RecordBatch) -> None:
        """Go on over some lines."""
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            self._step(dict(zip(_COLUMNS, row, strict=False)), row[len(_COLUMNS) :])

    def _step(self, line: dict[str, Any], texts: tuple[str | None, ...]) -> None:
        self.has_noted = self.has_noted or line["chain"] == self._noted
        is_removed = line["record_id"] is None
        if is_removed:
            self.removed += line["line"] is not None
            digest = line["line"]
        else:
            self.entries += 1
            digest = line_digest(_said(line, dict(zip(self._names, texts, strict=True))))
        if digest is None:  # what stood here is lost, and so is what the next link follows from
            self.gaps += 1
            self.link = line["chain"]
            return
        if self.link is not None and chain_link(self.link, digest) != line["chain"]:
            self._broken(line, is_removed=is_removed)
        self.link = line["chain"]

    def _broken(self, line: dict[str, Any], *, is_removed: bool) -> None:
        self.breaks += 1
        if self.breaks > MOST:
            return
        where = f"{line['timestamp']} (number {line['seq']} of that write)"
        what = "a removed line" if is_removed else "this line"
        first = "The chain of the log is broken from here on" if self.breaks == 1 else "The chain is broken here, too"
        self._found.add(
            "chain",
            f"{first}: {what}, of {where}, is not as it was written, or lines before it were removed, added or put in "
            "another order.",
            record_id=line["record_id"],
            timestamp=line["timestamp"],
            table="_erased" if is_removed else "_record_metadata",
        )


def _said(line: dict[str, Any], texts: dict[str, str | None]) -> list[object]:
    given = {name: text for name, text in texts.items() if text is not None}
    return log_line(
        line["record_id"], line["timestamp"], line["identity"], given, line["version_keys"], line["content_hash"],
        line["lineage_id"], line["schema_version"], line["user_id"], line["seq"], line["call_id"], line["output_num"],
        line["piece"], line["pieces"],
    )  # fmt: skip
