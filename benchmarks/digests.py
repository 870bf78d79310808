"""The canonical hash, against SHA-256 of the same bytes, and against joblib.hash where that is installed."""

from __future__ import annotations

import hashlib
import importlib.util
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from benchmarks.harness import Comparison, measure
from scidb.hashing.canonical.encode import canonical_hash

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["run"]

_SAMPLES: Final = 12_500_000
_ROWS: Final = 200_000


def run(folder: Path, rounds: int) -> list[Comparison]:
    """Measure S7; a rate of at least 0.9 is a time of at most 1 / 0.9."""
    del folder
    rng = np.random.default_rng(0)
    array = rng.random(_SAMPLES)
    words = [f"sample number {n} of {_ROWS}" for n in range(_ROWS)]
    frame = pd.DataFrame({"name": pd.Series(words, dtype=object), "other": pd.Series(words[::-1], dtype=object)})
    text = "".join([*words, *words[::-1]]).encode()
    found = [
        _compare("S7: hash of 100 MB float64", "SHA-256 of its bytes", 1 / 0.9, array, lambda: _sha(array), rounds),
        _compare("S7: hash of a DataFrame of texts", "SHA-256 of its text", 1 / 0.6, frame, lambda: _sha(text), rounds),
    ]
    if importlib.util.find_spec("joblib") is None:
        return found
    joblib = importlib.import_module("joblib")
    nested = {
        f"subject {s}": {"age": 20 + s, "mass": 70.5 + s, "trials": [{"n": t, "ok": True} for t in range(20)]}
        for s in range(200)
    }
    return [
        *found,
        _compare("S7: hash of a nested dict", "joblib.hash", 1 / 3, nested, lambda: joblib.hash(nested), rounds),
    ]


def _sha(data: Any) -> str:
    return hashlib.sha256(data).hexdigest()


def _compare(work: str, limit: str, promised: float, value: Any, theirs: Callable[[], Any], rounds: int) -> Comparison:
    return measure(Comparison(work, limit, promised), lambda _: lambda: canonical_hash(value), lambda _: theirs, rounds)
