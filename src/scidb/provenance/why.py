"""States of results and explanations of one, from a store and from the code and files of today."""

from __future__ import annotations

import html
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from scidb.hashing.ids import GENERATED_ID, generated_id
from scidb.provenance.code_now import Codes
from scidb.provenance.configured import configurations
from scidb.provenance.facts import gather, gather_by_hand, is_selected, place_of, written_file
from scidb.provenance.judging import FilesNow, Judge
from scidb.provenance.missing import gaps_of, never_made
from scidb.provenance.status import RecordStatus, Status
from scidb.store.model import GeneratedFiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from scidb.provenance.facts import Facts
    from scidb.provenance.missing import Gap
    from scidb.provenance.status import Reason
    from scidb.store.model import Match, Record
    from scidb.store.protocol import Store

__all__ = ["Explanation", "explanation_of", "explanation_of_file", "status_of"]

_DEEPEST: Final = 12  # steps that are still drawn further in
# Of many reasons, how many are named: those with one cause, and those that are all there is to say.
_SHOWN: Final = 3
_SHOWN_ALONE: Final = 20


def status_of(store: Store, match: Match, root_folder: Path | None = None) -> Status:
    """Return the state of the latest entries that match, and of what is missing among them.

    Parameters
    ----------
    store
        Where they are.
    match
        Which variables, locations and version keys; until which instant. Code and files are always those of today.
    root_folder
        Where the files of path inputs are; where they were if left out.

    """
    facts = gather(store, match.variables, match.as_of)
    judge, gaps = _judge(store, facts, match.as_of, root_folder)
    found = [
        judge.status_of(entry)
        for entry in facts.entries
        if is_selected(match, entry.variable, entry.schema, entry.version_keys)
    ]
    found += [
        gap.status() for gap in gaps if is_selected(match, gap.place.variable, gap.place.schema, gap.place.version_keys)
    ]
    found += [
        judge.status_of_file(file)
        for file in facts.generated
        if any(is_selected(match, one, file.schema, file.version_keys) for one in file.variables or (file.variable,))
    ]
    return Status(tuple(sorted(found, key=lambda one: one.variable)), as_of=match.as_of)


def _judge(store: Store, facts: Facts, as_of: str | None, root_folder: Path | None) -> tuple[Judge, list[Gap]]:
    candidates: dict[str, list[Record]] = defaultdict(list)
    for entry in facts.entries:
        candidates[entry.variable].append(entry)
    known = configurations(facts, candidates, root_folder)
    gaps = gaps_of(store, facts, known, candidates, as_of)
    codes, files = Codes(facts.sources, facts.acceptances), FilesNow(facts.calls.values(), root_folder)
    return Judge(facts, codes, files, known, gaps), [*gaps, *never_made(facts, known)]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one record is in its state; its `str` says it in words, with what differs in the code.

    Attributes
    ----------
    record
        State, reasons and remarks.
    superseded_by
        The record that is the latest at its place, when it is another one.
    made
        When and by whom it was made.

    """

    record: RecordStatus
    superseded_by: str | None = None
    made: str = ""

    @property
    def is_green(self) -> bool:
        """Whether nothing needs to be done."""
        return self.record.is_green

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            **self.record.to_dict(),
            "superseded_by": self.superseded_by,
            "made": self.made,
            "source_diffs": [str(diff) for reason in self.record.reasons for one in reason.path for diff in one.diffs],
        }

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        record = self.record
        yield f"{record.place} [{_short(record.record_id or '')}]: {record.state}"
        yield f"  {self.made}"
        if self.superseded_by:
            yield f"  it is not the latest any more; that is {_short(self.superseded_by)}"
        yield from _reason_lines([reason for reason in record.reasons if reason.kind != "by hand"])
        if record.state == "up to date":
            yield "  its code and all that it was made from are as they were"
        for remark in record.remarks:
            yield f"  remark: {remark}"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"

    __repr__ = __str__


def _short(record_id: str) -> str:
    prefix = GENERATED_ID if record_id.startswith(GENERATED_ID) else ""
    return record_id[: len(prefix) + 12]


def _reason_lines(reasons: Iterable[Reason]) -> Iterator[str]:
    """Yield reasons, and once for all that share it what is behind them: a mean has one for each person."""
    groups: dict[tuple[str, ...], list[Reason]] = defaultdict(list)
    for reason in reasons:
        groups[tuple(_behind(reason))].append(reason)
    for behind, alike in groups.items():
        shown = _SHOWN if behind else _SHOWN_ALONE
        yield from (f"  {reason.message}" for reason in alike[:shown])
        if len(alike) > shown:
            yield f"  and {len(alike) - shown:,} more{' for the same reason' if behind else ''}"
        yield from behind


def _behind(reason: Reason) -> Iterator[str]:
    """Yield what led to a reason, each step further in, with the code at the end of the way."""
    for depth, step in enumerate(reason.path):
        indent = "  " * min(depth + 1, _DEEPEST)
        if depth:
            yield f"{indent}because {step.message}"
        for diff in step.diffs:
            yield from (f"{indent}    {line}" for line in str(diff).splitlines())


def explanation_of(store: Store, entry: Record, as_of: str | None, root_folder: Path | None = None) -> Explanation:
    """Say why an entry is in its state, down to the root cause."""
    facts = gather_by_hand(store, entry, as_of) or gather(store, [entry.variable], as_of, [entry])
    judge, _ = _judge(store, facts, as_of, root_folder)
    latest = facts.latest_at(place_of(entry))
    is_latest = latest is not None and latest.record_id == entry.record_id
    status = judge.status_of(latest if latest is not None and is_latest else entry)
    by = f" by {entry.user_id}" if entry.user_id else ""
    maker = f"made by {status.function_name}()" if status.function_name else "saved by hand"
    when = entry.timestamp[:16].replace("T", " ")
    superseded = None if latest is None or is_latest else latest.record_id
    if latest is None and entry.piece is not None:
        gone = "it is not the latest any more: the result was split into fewer pieces since"
        status = replace(status, remarks=(*status.remarks, gone))
    return Explanation(status, superseded, f"{maker} on {when} UTC{by}")


def explanation_of_file(
    store: Store, record_id: str, as_of: str | None, root_folder: Path | None = None
) -> Explanation:
    """Say why a file that a function wrote is in its state, as `explanation_of` does of a record.

    Parameters
    ----------
    store, as_of, root_folder
        As for `explanation_of`.
    record_id
        The id that stands for the file, ``generated:...``, or the beginning of it.

    Raises
    ------
    NotFoundError, AmbiguousVersionError
        When it is not exactly one that functions wrote.

    """
    file = written_file(store, record_id, as_of)
    call = file.call
    name = call.computation.function_name
    alike = [one for one in store.find(GeneratedFiles(as_of=as_of)) if one.computation.function_name == name]
    standing = gather(store, [], as_of, lineage_ids=tuple(one.computation.lineage_id for one in alike)).generated
    facts = gather(store, [], as_of, lineage_ids=(call.computation.lineage_id,))
    judge, _ = _judge(store, facts, as_of, root_folder)
    superseded = None
    if all(one.call.call_id != call.call_id for one in standing):
        nearest = [one for one in standing if one.schema == file.schema] or standing
        superseded = generated_id(nearest[-1].call.computation.lineage_id)
    by = f" by {call.user_id}" if call.user_id else ""
    made = f"written by {name}() on {call.timestamp[:16].replace('T', ' ')} UTC{by}"
    return Explanation(judge.status_of_file(file), superseded, made)
