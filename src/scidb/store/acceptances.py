"""Which code stands for which: what was accepted, followed through chains. Knows no store."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from scidb.store.model import Acceptance

__all__ = ["vouched"]


def vouched(acceptances: Iterable[Acceptance], new_hash: str) -> Mapping[str, tuple[Acceptance, ...]]:
    """Return the codes whose results stand for those of a new one, each with the acceptances that lead there.

    Of several ways the shortest one counts, and of several acceptances of one step the latest. Nothing stands
    for itself, so that cycles end.

    Examples
    --------
    >>> from scidb.store.model import Acceptance
    >>> def step(old, new):
    ...     return Acceptance("f", old, new, "only renamed", "2026-01-02T03:04:05.000000Z", "ada")
    >>> found = vouched([step("a", "b"), step("b", "c"), step("c", "a")], "c")
    >>> {old: [one.new_hash for one in chain] for old, chain in found.items()}
    {'b': ['c'], 'a': ['b', 'c']}

    """
    steps: dict[str, dict[str, Acceptance]] = defaultdict(dict)
    for one in acceptances:
        steps[one.new_hash][one.old_hash] = one
    found: dict[str, tuple[Acceptance, ...]] = {}
    pending: list[tuple[str, tuple[Acceptance, ...]]] = [(new_hash, ())]
    for code, chain in pending:  # grows while it is walked: nearest first
        for old, one in steps.get(code, {}).items():
            if old != new_hash and old not in found:
                found[old] = (one, *chain)
                pending.append((old, found[old]))
    return found
