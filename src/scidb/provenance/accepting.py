"""Which recorded code of a function differs from today's, so that somebody can vouch for the results of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scidb.exceptions import NotFoundError, SciDBError, did_you_mean
from scidb.hashing.code.reference import reference_of
from scidb.provenance.code_now import Codes
from scidb.provenance.facts import gather

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from scidb.provenance.code_now import CodeNow
    from scidb.store.model import Call, Computation, Record
    from scidb.store.protocol import Store

__all__ = ["Outdated", "outdated_code"]


@dataclass(frozen=True, slots=True)
class Outdated:
    """Code that was recorded and differs from today's, with the latest results that it made."""

    computation: Computation
    code: CodeNow
    function: Callable[..., Any]
    new_hash: str
    made: tuple[tuple[Record, Call], ...]


def outdated_code(store: Store, name: str, reference: str = "") -> list[Outdated]:
    """Return every code of a function behind the latest results that is neither today's nor accepted.

    `reference` says which one is meant of several of that name: results count that were made by what stands there.

    Raises
    ------
    NotFoundError
        When no latest result was made by a function of that name, or by the one that is meant.
    SciDBError
        When the function is not imported here, so that nobody can say what would be accepted.

    """
    facts = gather(store, None, None)
    calls = {call.call_id: call for call in facts.calls.values() if call.computation.function_name == name}
    if not calls:
        known = sorted({call.computation.function_name for call in facts.calls.values()})
        raise NotFoundError(
            f"No latest result was made by {name}().{did_you_mean(name, known)} "
            f"The functions are: {', '.join(known[:20]) or 'none'}.",
            function=name,
        )
    codes = Codes(facts.sources, facts.acceptances)
    found: dict[tuple[str, str], Outdated] = {}
    unknown = False
    for one in _distinct(calls.values(), codes, name, reference):
        code = codes.of(one)
        unknown = unknown or code.comparison == "unknown"
        if code.comparison in {"changed", "library"} and code.now is not None and code.function is not None:
            made = tuple(
                (entry, call)
                for entry in facts.entries
                if (call := calls.get(entry.call_id or "")) is not None
                and entry.output_num is not None
                and call.function_ref == one.function_ref
                and call.computation.function_hash == one.computation.function_hash
            )
            key = (one.computation.function_hash, code.now.hash)
            made += found[key].made if key in found else ()  # the same change of equal code in another place
            found[key] = Outdated(one.computation, code, code.function, code.now.hash, made)
    if unknown and not found:
        raise SciDBError(
            f"{name}() is not imported here, so what it is today is not known. Import its module first, or name it on "
            "the command line: scidb accept --import FILE|MODULE.",
            function=name,
        )
    return list(found.values())


def _distinct(calls: Iterable[Call], codes: Codes, name: str, reference: str) -> list[Call]:
    """Return one call for each code in each place, of the function that is meant."""
    every = {(call.computation.function_hash, call.function_ref): call for call in calls}
    found = [
        call
        for call in every.values()
        if not reference or call.function_ref in {None, reference} or _stands_at(codes.of(call), reference)
    ]
    if not found:
        places = sorted({call.function_ref or "somewhere" for call in every.values()})
        raise NotFoundError(
            f"No latest result was made by {reference.replace(':', '.')}(). Results of functions named {name}() were "
            f"made by those of {', '.join(place.partition(':')[0] for place in places)}; give one of these.",
            function=reference,
        )
    return found


def _stands_at(code: CodeNow, reference: str) -> bool:
    """Tell whether today's function stands there, where what made a result has moved."""
    return code.function is not None and reference_of(code.function) == reference
