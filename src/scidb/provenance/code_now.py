"""The code that made results against today's: the same, changed, vouched for, or not here to be compared."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from scidb.exceptions import SciDBError, UnhashableValueError
from scidb.hashing.arguments import Parameters
from scidb.hashing.code.changes import differences, source_diffs
from scidb.hashing.code.fingerprint import fingerprint
from scidb.hashing.code.manifest import Manifest
from scidb.provenance.live import has_moved, live_code, why_not_here
from scidb.records import class_named
from scidb.store.acceptances import vouched
from scidb.thunk import Thunk
from scidb.variable import BaseVariable
from scidb.variable.migration import restoring_code, restoring_functions, restoring_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from scidb.hashing.code.changes import CodeChange, SourceDiff
    from scidb.hashing.code.fingerprint import Fingerprint
    from scidb.provenance.live import Live
    from scidb.store.model import Acceptance, Call, Source

__all__ = ["CodeNow", "Codes"]

Comparison: TypeAlias = Literal["same", "changed", "library", "accepted", "unknown"]


@dataclass(frozen=True, slots=True)
class CodeNow:
    """How today's code of a function compares with the code that was recorded.

    `library`: the code is the same, and a library changed that counts by policy.
    """

    comparison: Comparison
    recorded: Source | None = None
    now: Fingerprint | None = None
    function: Callable[..., Any] | None = None
    changes: tuple[CodeChange, ...] = ()  # those that count
    diffs: tuple[SourceDiff, ...] = ()
    remarks: tuple[str, ...] = ()
    accepted: tuple[Acceptance, ...] = ()  # the chain from the recorded code to today's
    why_unknown: str = ""

    def default(self, name: str) -> tuple[str | None, str] | None:
        """Return identity and description of a parameter's default today; None where that cannot be told."""
        function = self.function.__wrapped__ if isinstance(self.function, Thunk) else self.function
        if function is None:
            return None
        try:
            parameter = inspect.signature(function).parameters.get(name)
        except (TypeError, ValueError):
            return None
        if parameter is None:  # which is a change of the code itself
            return None
        if parameter.default is parameter.empty:
            return "", "none"
        try:
            [origin] = Parameters(function).identify(name, parameter.default).origins
        except (UnhashableValueError, ValueError):
            return None
        return origin.content_hash, origin.value_repr or ""


class Codes:
    """Compares each code that was recorded with today's, once."""

    def __init__(self, sources: Iterable[Source], acceptances: Iterable[Acceptance]) -> None:
        self._sources: dict[str, dict[str, Source]] = {}
        for source in sources:
            self._sources.setdefault(source.function_hash, {})[source.function_ref] = source
        self._acceptances = tuple(acceptances)
        self._known: dict[tuple[str, str, str | None], CodeNow] = {}
        self._defaults: dict[tuple[str, str, str | None, str], tuple[str | None, str] | None] = {}
        self._restoring: dict[tuple[str, int, str], CodeNow] = {}

    def of(self, call: Call) -> CodeNow:
        """Return how today's code of the function of a call compares with what it ran."""
        key = (call.computation.function_hash, call.computation.function_name, call.function_ref)
        if key not in self._known:
            self._known[key] = self._compare(*key)
        return self._known[key]

    def default(self, call: Call, name: str) -> tuple[str | None, str] | None:
        """Return identity and description of a default of the function today; None where that cannot be told."""
        key = (call.computation.function_hash, call.computation.function_name, call.function_ref, name)
        if key not in self._defaults:
            self._defaults[key] = self.of(call).default(name)
        return self._defaults[key]

    def restoring(self, variable: str, schema_version: int, recorded: str) -> CodeNow:
        """Return how the code compares by which a variable's class restores values of a version, such as from_db."""
        key = (variable, schema_version, recorded)
        if key not in self._restoring:
            self._restoring[key] = self._compare_restoring(*key)
        return self._restoring[key]

    def _compare(self, function_hash: str, name: str, reference: str | None) -> CodeNow:
        known = self._sources.get(function_hash, {})
        named = (one for one in known.values() if one.function_name == name)
        recorded = known.get(reference or "") or next(named, None)
        if recorded is None:
            return CodeNow("unknown", why_unknown=f"the code of {name}() was not recorded, so it was not checked")
        try:
            warnings = Manifest.read(recorded.manifest).warnings
        except SciDBError:  # damaged: it says nothing of the code
            return CodeNow("unknown", why_unknown=f"what is recorded of the code of {name}() cannot be read")
        place, live = next(((one, live) for one in self._places(recorded) if (live := _live(one))), (recorded, None))
        if live is None:
            why = why_not_here(recorded.manifest, recorded.function_ref, name)
            return CodeNow("unknown", recorded, why_unknown=why)
        moved = f"{recorded.function_ref} is gone; the same code was used later as {place.function_ref}"
        found = differences(place, live.fingerprint)
        remarks = (
            *([moved] if place is not recorded else []),
            *(str(one) for one in found if not one.counts),
            *(f"not fully known: {one}" for one in warnings),
        )
        if live.fingerprint.hash == function_hash:
            return CodeNow("same", place, live.fingerprint, live.function, remarks=remarks)
        counting = tuple(one for one in found if one.counts)
        accepted = vouched(self._acceptances, live.fingerprint.hash).get(function_hash, ())
        comparison: Comparison = "accepted" if accepted else "changed"
        if not accepted and counting and all(one.kind == "policy" for one in counting):
            comparison = "library"
        diffs = source_diffs(place, live.fingerprint)
        return CodeNow(
            comparison=comparison,
            recorded=place,
            now=live.fingerprint,
            function=live.function,
            changes=counting,
            diffs=diffs,
            remarks=remarks,
            accepted=accepted,
        )

    def _places(self, recorded: Source) -> Iterator[Source]:
        """Yield where a function may be found now: where it stood, or where it surely has moved from there."""
        yield recorded
        yield from (one for one in self._sources[recorded.function_hash].values() if has_moved(recorded, one))

    def _compare_restoring(self, variable: str, schema_version: int, recorded: str) -> CodeNow:
        cls = class_named(variable)
        if cls is BaseVariable:
            why = f"the class {variable} is not imported here, so how its values are restored was not checked"
            return CodeNow("unknown", why_unknown=f"{why}: import it, or name its file with --import")
        if restoring_code(cls, schema_version) == recorded:
            return CodeNow("same")
        parts = [one for part in restoring_parts(recorded) for one in self._sources.get(part, {}).values()]
        now = {function.__name__: fingerprint(function) for function in restoring_functions(cls, schema_version)}
        pairs = [(one, now[one.function_name]) for one in parts if one.function_name in now]
        changes = tuple(change for pair in pairs for change in differences(*pair) if change.counts)
        return CodeNow("changed", changes=changes, diffs=tuple(diff for pair in pairs for diff in source_diffs(*pair)))


def _live(source: Source) -> Live | None:
    return live_code(source.manifest, source.function_ref)
