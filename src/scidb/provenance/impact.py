"""Everything that was made from records, down to the files that left the database."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from scidb.hashing.ids import generated_id
from scidb.listing import Listing
from scidb.records import place, version_keys_of
from scidb.store.model import Entries, Exports, Latest, Marks, Match, TraceQuery

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from scidb.store.model import Call, Record
    from scidb.store.protocol import Store

__all__ = ["Affected", "AffectedKind", "Impact", "impact_of"]

AffectedKind: TypeAlias = Literal["record", "generated file", "export"]


@dataclass(frozen=True, slots=True)
class Affected:
    """Something that was made from the records in question.

    Attributes
    ----------
    kind
        ``"record"``; ``"generated file"``: a function wrote it, from what it was given; ``"export"``: records were
        written into this file.
    name
        The variable, the function that wrote the file, or the path of the export.
    metadata
        Schema keys and version keys of a record.
    record_id
        The record, if it is one; of a generated file the id that stands for it.
    function, timestamp, user_id
        What made it, when, and for whom.
    is_latest
        Whether a record is what loads now; False when it is superseded, None for files.
    flags
        The reasons for which it is flagged, or something that it was made from.

    """

    kind: AffectedKind
    name: str
    metadata: Mapping[str, Any]
    record_id: str | None
    function: str | None
    timestamp: str
    user_id: str | None
    is_latest: bool | None
    flags: tuple[str, ...] = ()


class Impact(Listing[Affected]):
    """Everything that was ever made from some records; what `DatabaseManager.impact` returns.

    A sequence of `Affected`, records first in the order of computing. What is superseded is among it, since it
    may have gone into a file or a paper meanwhile.
    """

    def __init__(self, roots: Sequence[Record], rows: Sequence[Affected]) -> None:
        super().__init__(rows)
        self._roots = tuple(roots)

    @property
    def records(self) -> tuple[Affected, ...]:
        """The records among it."""
        return tuple(row for row in self if row.kind == "record")

    @property
    def files(self) -> tuple[Affected, ...]:
        """The files among it: generated ones and exports."""
        return tuple(row for row in self if row.kind != "record")

    @property
    def title(self) -> str:
        """What was made from what, in one line."""
        first = self._roots[0]
        of = f"{first.variable} ({_where(first)})"
        if len(self._roots) > 1:
            of += f" and {len(self._roots) - 1:,} more"
        if not self:
            return f"Nothing was made from {of}"
        latest = sum(bool(row.is_latest) for row in self.records)
        parts = [f"{_counted(len(self.records), 'record')}, {latest:,} of them the latest"] if self.records else []
        parts += [_counted(len(self.files), "file")] if self.files else []
        return f"Made from {of}: {'; '.join(parts)}"

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        head = ["what", "where", "record", "made by", "when", "now", "flags"]
        rows = [
            [
                row.name if row.kind == "record" else f"{row.kind} {row.name}",
                place(row.metadata) if row.metadata or row.kind == "record" else "",
                "" if row.kind != "record" else (row.record_id or "")[:12],
                f"{row.function}()" if row.function else "",
                row.timestamp[:19].replace("T", " "),
                "" if row.is_latest is None else "latest" if row.is_latest else "superseded",
                "; ".join(row.flags),
            ]
            for row in self
        ]
        kept = [number for number, name in enumerate(head) if name != "flags" or any(row[number] for row in rows)]
        return [head[number] for number in kept], [[row[number] for number in kept] for row in rows]

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return one dict of plain data per row."""
        return [{**asdict(row), "metadata": dict(row.metadata), "flags": list(row.flags)} for row in self]


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _where(record: Record) -> str:
    return place({**record.schema, **version_keys_of(record)})


def impact_of(store: Store, roots: Sequence[Record], *, has_flags: bool) -> Impact:
    """Return everything that was ever made from records; one walk down the graph, and one question per kind of row."""
    ids = tuple(record.record_id for record in roots)
    calls = {call.call_id: call for call in store.trace(TraceQuery(ids, "down")).calls}
    # By the log, since a trace knows only what made a record last.
    entries = store.find(Entries(Match(call_ids=tuple(calls)))) if calls else []
    made = list({entry.record_id: entry for entry in entries[::-1] if entry.record_id not in ids}.values())
    made.sort(key=lambda record: (record.timestamp, record.seq))
    all_ids = (*ids, *(record.record_id for record in made))
    latest = {record.record_id for record in store.find(Latest(Match(record_ids=all_ids)))} if made else set()
    used = {call.call_id: _rests_on(call, calls) for call in calls.values() if call.computation.writes_file}
    exports = store.find(Exports(all_ids))
    others = [*used.values(), *(one.record_ids for one in exports)]
    asked = tuple(dict.fromkeys((*all_ids, *(record_id for ids in others for record_id in ids))))
    flags: dict[str, dict[str, None]] = {}
    for mark in store.find(Marks(asked)) if has_flags else ():
        flags.setdefault(mark.record_id, {})[mark.reason] = None

    def flags_of(record_ids: Iterable[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(reason for one in record_ids for reason in flags.get(one, ())))

    rows = [
        Affected(
            kind="record",
            name=one.variable,
            metadata={**one.schema, **version_keys_of(one)},
            record_id=one.record_id,
            function=calls[one.call_id or ""].computation.function_name,
            timestamp=one.timestamp,
            user_id=one.user_id,
            is_latest=one.record_id in latest,
            flags=flags_of([one.record_id]),
        )
        for one in made
    ]
    rows += [_generated(calls[call_id], flags_of(ids)) for call_id, ids in used.items()]
    rows += [
        Affected(
            kind="export",
            name=one.path,
            metadata={},
            record_id=None,
            function=None,
            timestamp=one.timestamp,
            user_id=one.user_id,
            is_latest=None,
            flags=flags_of(one.record_ids),
        )
        for one in exports
    ]
    return Impact(roots, rows)


def _rests_on(call: Call, calls: Mapping[str, Call]) -> tuple[str, ...]:
    """Return the records that a call used, or that those used which handed it results unsaved."""
    found: dict[str, None] = {}
    seen = {call.call_id}
    pending = [call]
    while pending:
        for one in pending.pop().inputs:
            if one.record_id is not None:
                found[one.record_id] = None
            elif (behind := calls.get(one.input_call_id or "")) is not None and behind.call_id not in seen:
                seen.add(behind.call_id)
                pending.append(behind)
    return tuple(found)


def _generated(call: Call, flags: tuple[str, ...]) -> Affected:
    """Return the file that a call wrote; which one it is, its arguments say."""
    function = call.computation.function_name
    given = {one.name: one.value_repr for one in call.inputs if one.kind in ("constant", "file")}
    lineage = generated_id(call.computation.lineage_id)
    return Affected(
        kind="generated file",
        name=f"of {function}()",
        metadata=given,
        record_id=lineage,
        function=function,
        timestamp=call.timestamp,
        user_id=call.user_id,
        is_latest=None,
        flags=flags,
    )
