"""Which recorded code of a function differs from today's, so that somebody can vouch for the results of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scidb.exceptions import NotFoundError, SciDBError, did_you_mean
from scidb.provenance.code_now import Codes
from scidb.provenance.facts import gather

if TYPE_CHECKING:
    from collections.abc import Callable
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

    `reference` says which one is meant of several of that name, where some results were made by it.

    Raises
    ------
    NotFoundError
        When no latest result was made by a function of that name.
    SciDBError
        When the function is not imported here, so that nobody can say what would be accepted.

    """
    facts = gather(store, None, None)
    calls = {call.call_id: call for call in facts.calls.values() if call.computation.function_name == name}
    calls = {key: call for key, call in calls.items() if call.function_ref == reference} or calls
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
    for one in {(call.computation.function_hash, call.function_ref): call for call in calls.values()}.values():
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
            new = Outdated(one.computation, code, code.function, code.now.hash, made)
            found.setdefault((one.computation.function_hash, code.now.hash), new)
    if unknown and not found:
        raise SciDBError(
            f"{name}() is not imported here, so what it is today is not known. Import its module first, or name it on "
            "the command line: scidb accept --import FILE|MODULE.",
            function=name,
        )
    return list(found.values())
