"""The levels of a MultiIndex in the canonical hash."""

from __future__ import annotations

import pandas as pd

from scidb.hashing import canonical_hash


def test_levels_whose_names_are_numbers() -> None:
    """M8: a level called 1 is not taken for the second one, so each level counts."""
    one = pd.MultiIndex.from_arrays([[1, 2], ["a", "b"]], names=["x", 0])
    other = pd.MultiIndex.from_arrays([[3, 4], ["a", "b"]], names=["x", 0])

    assert canonical_hash(one) != canonical_hash(other)
