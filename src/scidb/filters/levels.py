"""At which levels a filter can be decided."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scidb.filters.leaves import KeyFilter, KeyInFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scidb.filters.tree import Filter

__all__ = ["coarser_than"]


def coarser_than(where: Filter, looked_at: Iterable[Iterable[str]]) -> Callable[[Iterable[str]], bool]:
    """Return how to tell that a level is coarser than everything that a filter looks at.

    What is stored at such a level serves every finer location, and is left as it is.

    Parameters
    ----------
    where
        The filter.
    looked_at
        The levels of its variables, each by its keys.

    Examples
    --------
    >>> from scidb.filters import VariableFilter
    >>> is_coarser = coarser_than(VariableFilter("Side", "==", "L"), [("subject", "trial")])
    >>> is_coarser(["subject"]), is_coarser(["subject", "trial"])
    (True, False)

    """
    levels = [frozenset(level) for level in looked_at]
    keys = {leaf.key for leaf in where.leaves() if isinstance(leaf, KeyFilter | KeyInFilter)}

    def is_coarser(level: Iterable[str]) -> bool:
        own = frozenset(level)
        # What SQL looks at is not known: it may be the variable itself.
        return bool(levels or keys) and all(own < other for other in levels) and not own & keys

    return is_coarser
