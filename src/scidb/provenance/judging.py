"""Which state each result is in: its code, its inputs and theirs, the files that it read, and what failed since."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from scidb.hashing.ids import UNCACHEABLE, generated_id, is_lineage_alone
from scidb.provenance.generated import Newcomers, written_by
from scidb.provenance.status import GREEN, STATES, Reason, RecordStatus
from scidb.records import combination_of, version_keys_of, words_of
from scidb.store.model import Call

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from scidb.provenance.code_now import CodeNow, Codes
    from scidb.provenance.configured import Configuration
    from scidb.provenance.facts import Facts
    from scidb.provenance.generated import GeneratedFile
    from scidb.provenance.missing import Gap
    from scidb.provenance.status import ReasonKind, State
    from scidb.store.model import CallInput, Record

__all__ = ["FilesNow", "Judge"]

_READERS: Final = 4
_LISTED: Final = 5

Found: TypeAlias = "tuple[State, Reason]"
Node: TypeAlias = "Record | Call"


class FilesNow:
    """The files that calls read, as they are now; each is read once, several at a time."""

    def __init__(self, calls: Iterable[Call], root_folder: Path | None) -> None:
        self._root = root_folder
        # A file without a content is one that the call has written.
        inputs = [one for call in calls for one in call.inputs if one.kind == "file" and one.content_hash]
        paths = list(dict.fromkeys(path for one in inputs if (path := self.path(one)) is not None))
        with ThreadPoolExecutor(_READERS) as pool:
            self._found = dict(zip(paths, pool.map(_digest, paths), strict=True)) if paths else {}

    def path(self, one: CallInput) -> Path | None:
        """Return where a file should be; None when nobody noted that."""
        root = self._root or (Path(one.root) if one.root else None)
        return None if root is None or one.value_repr is None else root / one.value_repr

    def is_there(self, one: CallInput) -> bool:
        """Tell whether a file that a call has written is where it was written, or under the folder that is given."""
        written = Path(one.root or ".") / (one.value_repr or "")
        return written.exists() or (self._root is not None and (self._root / (one.value_repr or "")).exists())

    def digest(self, path: Path) -> str | None:
        """Return the identity of a file's content; None when it cannot be read."""
        return self._found.get(path)


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb", buffering=0) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


@dataclass(slots=True)
class _Verdict:
    found: list[Found] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def add(self, state: State, kind: ReasonKind, message: str, subject: str = "", **more: Any) -> None:
        """Note a state and why."""
        self.found.append((state, Reason(kind, message, subject, **more)))

    @property
    def state(self) -> State:
        return min((state for state, _ in self.found), key=STATES.index) if self.found else "up to date"

    def reasons(self) -> tuple[Reason, ...]:
        """Return the reasons, worst first."""
        if len(self.found) < 2:
            return tuple([reason for _, reason in self.found])
        return tuple(reason for _, reason in sorted(self.found, key=lambda one: STATES.index(one[0])))


# What is said of most results, once for all of them.
_UP_TO_DATE: Final = _Verdict()
_BY_HAND: Final = _Verdict([("saved by hand", Reason("by hand", "saved by hand"))])


class Judge:
    """Says of entries in which state they are; each is decided once, however many depend on it."""

    def __init__(
        self,
        facts: Facts,
        codes: Codes,
        files: FilesNow,
        known: Mapping[str, Configuration],
        gaps: Iterable[Gap],
    ) -> None:
        self._facts, self._codes, self._files = facts, codes, files
        self._configurations = known
        self._gaps = {id(gap.place): gap for gap in gaps}
        self._verdicts: dict[int, _Verdict] = {}
        self._own_keys: dict[str, dict[str, Any]] = {}
        self._newcomers: Newcomers | None = None

    def status_of(self, entry: Record) -> RecordStatus:
        """Return the state of an entry, and why."""
        verdict = self._decide(entry)
        call = self._call_of(entry)
        if entry.version_keys not in self._own_keys:
            self._own_keys[entry.version_keys] = version_keys_of(entry)
        return RecordStatus(
            variable=entry.variable,
            schema=entry.schema,
            version_keys=self._own_keys[entry.version_keys],
            state=verdict.state,
            reasons=verdict.reasons(),
            remarks=tuple(dict.fromkeys(verdict.remarks)),
            function_name=call.computation.function_name if call else None,
            record_id=entry.record_id,
            timestamp=entry.timestamp,
        )

    def status_of_file(self, file: GeneratedFile) -> RecordStatus:
        """Return the state of what a call wrote, and why."""
        verdict = self._decide(file.call)
        written = _Verdict(list(verdict.found), list(verdict.remarks))
        self._check_written(written, file.call)
        return RecordStatus(
            variable=file.variable,
            schema=file.schema,
            version_keys=file.constants,
            state=written.state,
            reasons=written.reasons(),
            remarks=tuple(dict.fromkeys(written.remarks)),
            function_name=file.call.computation.function_name,
            record_id=generated_id(file.call.computation.lineage_id),
            timestamp=file.call.timestamp,
        )

    # -------------------------------------------------------------- what depends on what

    def _decide(self, start: Node) -> _Verdict:
        """Decide on a node after everything that it depends on; a lineage may be deeper than Python's own stack."""
        verdicts = self._verdicts
        stack = [start]
        under_way: set[int] = set()  # without what waits: a value may be made from what stood at its own place
        while stack:
            node = stack[-1]
            if id(node) not in verdicts and id(node) not in under_way:
                under_way.add(id(node))
                before = [one for one in self._before(node) if id(one) not in verdicts and id(one) not in under_way]
                if before:
                    stack += before
                    continue
            stack.pop()
            if id(node) not in verdicts:
                verdicts[id(node)] = self._verdict(node)
        return verdicts[id(start)]

    def _before(self, node: Node) -> Iterator[Node]:
        """Yield what a node depends on: the latest at the place of each input, and calls that handed on results."""
        call = self._call_of(node)
        for one in call.inputs if call else ():
            further = self._behind(one)
            if further is not None:
                yield further

    def _behind(self, one: CallInput) -> Node | None:
        if one.record_id is not None and not is_lineage_alone(one.record_id):
            return self._facts.now_at(one.record_id)[1]
        return self._facts.calls.get(one.input_call_id) if one.input_call_id is not None else None

    def _call_of(self, node: Node) -> Call | None:
        if isinstance(node, Call):
            return node
        return self._facts.calls.get(node.call_id) if node.call_id else None

    # -------------------------------------------------------------- one node

    def _verdict(self, node: Node) -> _Verdict:
        call = self._call_of(node)
        entry = None if isinstance(node, Call) else node
        if entry is not None and entry.call_id is None:
            return _BY_HAND
        verdict = _Verdict()
        if call is None:
            verdict.add("code not checked", "unchecked", "what made it is not in the database")
            return verdict
        code = self._codes.of(call)
        self._check_code(verdict, call, code)
        self._check_set_aside(verdict, call, entry, code)
        self._check_inputs(verdict, call, entry)
        self._check_defaults(verdict, call)
        if entry is not None:
            self._check_failures(verdict, call, entry, code)
        if call.computation.lineage_id in self._facts.varying:
            message = f"{_called(call)} gave several results for the same inputs"
            verdict.add("not reproducible", "varying", message, _called(call))
        return verdict if verdict.found or verdict.remarks else _UP_TO_DATE

    def _check_code(self, verdict: _Verdict, call: Call, code: CodeNow) -> None:
        name = _called(call)
        verdict.remarks += code.remarks
        match code.comparison:
            case "changed":
                self._add_change(verdict, "code changed", "code", _changes_text(name, code), name, code)
            case "library":
                self._add_change(verdict, "library changed", "library", _changes_text(name, code), name, code)
            case "accepted":
                said = "; ".join(f"{one.reason} ({one.user_id}, {one.timestamp[:10]})" for one in code.accepted)
                message = f"a change of {name} was accepted: {said}"
                self._add_change(verdict, "accepted", "acceptance", message, name, code)
            case "unknown":
                verdict.add("code not checked", "unchecked", code.why_unknown, name)
        if call.computation.lineage_id.startswith(UNCACHEABLE):
            message = f"calls of {name} cannot be recognised, because an argument or the code is not fully known"
            verdict.add("code not checked", "unchecked", message, name)

    def _check_set_aside(self, verdict: _Verdict, call: Call, entry: Record | None, code: CodeNow) -> None:
        """Note that somebody set the result aside; that outweighs that a change of its code was accepted."""
        if not self._facts.invalidations:
            return
        codes = {call.computation.function_hash, *(one.new_hash for one in code.accepted)}
        made = entry.timestamp if entry is not None else call.timestamp
        aside = self._facts.set_aside(call.computation, codes, made)
        if aside is not None:
            why = f": {aside.reason}" if aside.reason else ""
            message = f"results of {_called(call)} were set aside{why} ({aside.user_id}, {aside.timestamp[:10]})"
            verdict.add("invalidated", "invalidated", message, _called(call))

    @staticmethod
    def _add_change(verdict: _Verdict, state: State, kind: ReasonKind, message: str, name: str, code: CodeNow) -> None:
        verdict.add(state, kind, message, name, changes=code.changes, diffs=code.diffs)

    # -------------------------------------------------------------- inputs

    def _check_inputs(self, verdict: _Verdict, call: Call, entry: Record | None) -> None:
        for one in call.inputs:
            if one.kind == "file" and one.content_hash is not None:
                self._check_file(verdict, one)
            elif one.record_id is not None and not is_lineage_alone(one.record_id):
                self._check_record(verdict, one)
            else:  # never saved: nobody can say what it would be today, unless a call made it
                self._inherit(verdict, one, self._behind(one))
        configuration = self._configurations.get(entry.version_keys) if entry is not None else None
        if entry is not None and configuration is not None:
            self._check_matches(verdict, call, entry, configuration)

    def _check_file(self, verdict: _Verdict, one: CallInput) -> None:
        path = self._files.path(one)
        if path is None:
            message = f"the file {one.value_repr} was not checked, because its folder is not known: give root_folder="
            verdict.add("code not checked", "unchecked", message, one.name)
            return
        digest = self._files.digest(path)
        if digest is None:
            verdict.add("input changed", "file", f"the file {path} is gone", one.name)
        elif digest != one.content_hash:
            verdict.add("input changed", "file", f"the file {path} has changed", one.name)

    def _check_record(self, verdict: _Verdict, one: CallInput) -> None:
        used, latest = self._facts.now_at(one.record_id or "")
        if used is not None and one.code_hash is not None:
            self._check_restoring(verdict, one, used)
        if used is None:
            message = f"{one.name} = {one.type_name}, which is not in the database any more"
            verdict.add("input changed", "input", message, one.name)
            return
        removed = self._facts.removed.get(used.record_id)
        note = f", which was removed on {removed[:10]}," if removed else ""
        if latest is None:
            message = f"{one.name} = {words_of(used)} is not there any more"
            verdict.add("input changed", "input", message, one.name)
        elif latest.content_hash != used.content_hash:
            when = latest.timestamp[:16].replace("T", " ")
            by = self._call_of(latest)
            how = f"by {_called(by)}" if by else "by hand"
            message = f"{one.name} = {words_of(used)}{note} has another value since {when} UTC, saved {how}"
            cause = self._inherited(latest)
            verdict.add("input changed", "input", message, one.name, cause=cause[1] if cause else None)
        else:
            self._inherit(verdict, one, latest)

    def _check_restoring(self, verdict: _Verdict, one: CallInput, used: Record) -> None:
        """Note that the class restores an input by other code now: the function would receive another value."""
        code = self._codes.restoring(used.variable, used.schema_version, one.code_hash or "")
        name = f"{used.variable}.from_db()"
        if code.comparison == "unknown":
            verdict.add("code not checked", "unchecked", f"{one.name}: {code.why_unknown}", name)
        elif code.comparison == "changed":
            message = f"{one.name} = {used.variable} is restored by other code: {_changes_text(name, code)}"
            self._add_change(verdict, "code changed", "code", message, name, code)

    def _inherit(self, verdict: _Verdict, one: CallInput, behind: Node | None) -> None:
        """Take over that an input is not up to date, with the way to the root cause."""
        inherited = None if behind is None else self._inherited(behind)
        if inherited is None:
            return
        what = f"the result of {_called(behind)}" if isinstance(behind, Call) else words_of(cast("Record", behind))
        state, cause = inherited
        if state == "code not checked":
            verdict.add(state, "unchecked", f"{one.name} = {what} was not checked", one.name, cause=cause)
        else:
            message = f"{one.name} = {what} is not up to date ({state})"
            verdict.add("input changed", "input", message, one.name, cause=cause)

    def _check_written(self, verdict: _Verdict, call: Call) -> None:
        """Note files that a call wrote and that are gone, and values that it would be given beside the others now."""
        files = written_by(call)
        for one in files:
            if not self._files.is_there(one):
                said = f"the file {one.value_repr} that {_called(call)} wrote is gone"
                verdict.add("missing", "file", said, one.name)
        if not files:
            verdict.remarks.append(f"which files {_called(call)} wrote is not known: pass them as Path arguments")
        used = {one.record_id: self._facts.now_at(one.record_id)[0] for one in call.inputs if one.record_id}
        records = {record_id: record for record_id, record in used.items() if record is not None}
        if self._newcomers is None:
            entries = (one for one in self._facts.entries if one.record_id not in self._facts.flagged)
            self._newcomers = Newcomers(entries)
        for name, fresh in self._newcomers.of(call, records):
            self._add_listed(verdict, name, fresh, "would now be used, too")

    def _inherited(self, behind: Node) -> Found | None:
        """Return why something is not up to date; that it varies by itself makes nothing out of date."""
        verdict = self._verdicts.get(id(behind))
        if verdict is None:
            return None
        found = [one for one in verdict.found if one[0] not in GREEN and one[0] != "not reproducible"]
        return None if not found else min(found, key=lambda one: STATES.index(one[0]))

    def _check_matches(self, verdict: _Verdict, call: Call, entry: Record, configuration: Configuration) -> None:
        """Note what for_each would give the function now, and did not, such as one more trial to average."""
        location = combination_of(entry)
        for name, origins in configuration.by_input(call.inputs).items():
            then = [self._facts.now_at(one.record_id)[0] for one in origins if one.record_id is not None]
            records = [record for record in then if record is not None]
            if not records:
                continue
            if configuration.where is not None:
                if len(records) > 1 and configuration.last_change_of_filtered > call.timestamp:
                    message = f"which values of {name} the filter {configuration.where} leaves now was not checked"
                    verdict.add("code not checked", "unchecked", message, name)
                continue
            found = configuration.matches(name, location)
            if found is None or [one.record_id for one in found] == [one.record_id for one in records]:
                continue
            known = {_where(one) for one in records}
            fresh = [one for one in found if _where(one) not in known and one.record_id not in self._facts.flagged]
            now = {_where(one) for one in found}
            gone = [one for one in records if _where(one) not in now]
            if not fresh and not gone:
                continue
            absent = [one for one in fresh if not one.record_id]
            fresh = [one for one in fresh if one.record_id]
            for what, some in (
                ("would now be used, too", fresh),
                ("would not be used any more", gone),
                ("would be used, too, and is missing", absent),
            ):
                self._add_listed(verdict, name, some, what)

    def _add_listed(self, verdict: _Verdict, name: str, some: Sequence[Record], what: str) -> None:
        if some:
            more = f" and {len(some) - _LISTED} more" if len(some) > _LISTED else ""
            listed = ", ".join(words_of(one) for one in some[:_LISTED])
            gap = self._gaps.get(id(some[0]))
            cause = gap.reason if gap else None
            verdict.add("input changed", "input", f"{name}: {listed}{more} {what}", name, cause=cause)

    def _check_defaults(self, verdict: _Verdict, call: Call) -> None:
        """Note defaults on which the call relied and that have changed: they count as arguments, not as code."""
        for one in call.inputs:
            if not one.is_default:
                continue
            now = self._codes.default(call, one.name)
            if now is not None and now[0] != one.content_hash:
                message = f"default of {one.name} in {_called(call)}: {one.value_repr} -> {now[1]}"
                verdict.add("code changed", "default", message, one.name)

    # -------------------------------------------------------------- failures

    def _check_failures(self, verdict: _Verdict, call: Call, entry: Record, code: CodeNow) -> None:
        """Note a newer run that failed here, unless its code or inputs are not those of today any more."""
        if not self._facts.failures:
            return
        failure = self._facts.failure_at(entry.version_keys, combination_of(entry))
        if failure is None or failure.timestamp <= entry.timestamp:
            return
        is_repeat = failure.lineage_id == entry.lineage_id
        if verdict.state in GREEN and not is_repeat:
            return  # what failed was taken back
        run = self._facts.runs.get(failure.run_id)
        if not is_repeat and code.now is not None and run is not None and run.function_hash != code.now.hash:
            verdict.remarks.append(f"{_called(call)} failed here with other code: {failure.error}: {failure.message}")
            return
        message = f"{_called(call)} failed here after this result: {failure.error}: {failure.message}"
        verdict.add("failed", "failure", message, _called(call))


def _changes_text(name: str, code: CodeNow) -> str:
    said = [str(change) for change in code.changes]
    more = f" and {len(said) - _LISTED} more changes" if len(said) > _LISTED else ""
    return ("; ".join(said[:_LISTED]) or f"the code of {name} changed") + more


def _called(call: Call) -> str:
    return f"{call.computation.function_name}()"


def _where(entry: Record) -> tuple[str, frozenset[tuple[str, Any]]]:
    return entry.version_keys, frozenset(entry.schema.items())
