"""The code that made results against today's: the same, changed, vouched for, or not here to be compared."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from scidb.exceptions import SciDBError, UnhashableValueError
from scidb.hashing.arguments import Parameters
from scidb.hashing.code.changes import differences, source_diffs
from scidb.hashing.code.manifest import Manifest
from scidb.provenance.live import fingerprint_now, live_function
from scidb.store.acceptances import vouched
from scidb.thunk import Thunk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from scidb.hashing.code.changes import CodeChange, SourceDiff
    from scidb.hashing.code.fingerprint import Fingerprint
    from scidb.store.model import Acceptance, Computation, Source

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

    def default(self, name: str) -> tuple[str | None, str] | None:
        """Return identity and description of a parameter's default today; None where it has none."""
        function = self.function.__wrapped__ if isinstance(self.function, Thunk) else self.function
        if function is None:
            return None
        try:
            parameter = inspect.signature(function).parameters.get(name)
        except (TypeError, ValueError):
            return None
        if parameter is None or parameter.default is parameter.empty:
            return None
        try:
            [origin] = Parameters(function).identify(name, parameter.default).origins
        except (UnhashableValueError, ValueError):
            return None
        return origin.content_hash, origin.value_repr or ""


class Codes:
    """Compares each code that was recorded with today's, once."""

    def __init__(self, sources: Mapping[str, Source], acceptances: Iterable[Acceptance]) -> None:
        self._sources = sources
        self._acceptances = tuple(acceptances)
        self._known: dict[tuple[str, str], CodeNow] = {}
        self._defaults: dict[tuple[str, str, str], tuple[str | None, str] | None] = {}

    def of(self, computation: Computation) -> CodeNow:
        """Return how today's code compares with that of a computation."""
        key = (computation.function_hash, computation.function_name)
        if key not in self._known:
            self._known[key] = self._compare(*key)
        return self._known[key]

    def default(self, computation: Computation, name: str) -> tuple[str | None, str] | None:
        """Return identity and description of a default of the function today; None where it has none."""
        key = (computation.function_hash, computation.function_name, name)
        if key not in self._defaults:
            self._defaults[key] = self.of(computation).default(name)
        return self._defaults[key]

    def _compare(self, function_hash: str, name: str) -> CodeNow:
        recorded = self._sources.get(function_hash)
        if recorded is None:
            return CodeNow("unknown")
        try:
            warnings = Manifest.read(recorded.manifest).warnings
        except SciDBError:  # damaged: it says nothing of the code
            return CodeNow("unknown")
        manifest = recorded.manifest if recorded.function_name == name else _renamed(recorded, name)
        now, function = fingerprint_now(manifest), live_function(manifest)
        if now is None or function is None:
            return CodeNow("unknown", recorded)
        found = differences(recorded, now)
        remarks = (*(str(one) for one in found if not one.counts), *(f"not fully known: {one}" for one in warnings))
        if now.hash == function_hash:
            return CodeNow("same", recorded, now, function, remarks=remarks)
        counting = tuple(one for one in found if one.counts)
        accepted = vouched(self._acceptances, now.hash).get(function_hash, ())
        comparison: Comparison = "accepted" if accepted else "changed"
        if not accepted and counting and all(one.kind == "policy" for one in counting):
            comparison = "library"
        diffs = source_diffs(recorded, now)
        return CodeNow(comparison, recorded, now, function, counting, diffs, remarks, accepted)


def _renamed(recorded: Source, name: str) -> str:
    """Return the manifest of code that another function of the module had, too, and that was first seen as that."""
    manifest = json.loads(recorded.manifest)
    for unit in manifest["units"]:
        head, dot, last = unit["name"].rpartition(".")
        if last == recorded.function_name:
            unit["name"] = f"{head}{dot}{name}"
    return json.dumps(manifest)
