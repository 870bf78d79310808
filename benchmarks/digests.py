"""The canonical hash, against SHA-256 of the same bytes, and against joblib.hash where that is installed."""

from __future__ import annotations

import hashlib
import importlib.util
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks.harness import Comparison, measure
from scidb.hashing.canonical.encode import canonical_hash

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["run"]

_SAMPLES: Final = 12_500_000
_ROWS: Final = 1_000_000
_SHA: Final = "SHA-256 of its text"
_FLOOR: Final = "each text is an object of Python: to gather them by hand, and SHA-256, is the row beside"


def run(folder: Path, rounds: int) -> list[Comparison]:
    """Measure S7; a rate of at least 0.9 is a time of at most 1 / 0.9."""
    del folder
    array = np.random.default_rng(0).random(_SAMPLES)
    found = [
        _compare(
            Comparison("S7: hash of 100 MB float64", "SHA-256 of its bytes", 1 / 0.9),
            array,
            lambda: _sha(array),
            rounds,
        ),
        *_texts(rounds),
    ]
    if importlib.util.find_spec("joblib") is None:
        return found
    joblib = importlib.import_module("joblib")
    nested = {
        f"subject {s}": {"age": 20 + s, "mass": 70.5 + s, "trials": [{"n": t, "ok": True} for t in range(20)]}
        for s in range(200)
    }
    comparison = Comparison("S7: hash of a nested dict", "joblib.hash", 1 / 3)
    return [*found, _compare(comparison, nested, lambda: joblib.hash(nested), rounds)]


def _texts(rounds: int) -> list[Comparison]:
    """Measure tables of texts: as pandas makes them (Arrow since pandas 3), and in columns of objects."""
    words = [f"sample number {n} of {_ROWS}" for n in range(_ROWS)]
    columns = {"name": words, "other": words[::-1]}
    usual, objects = pd.DataFrame(columns), pd.DataFrame(columns, dtype=object)
    text = "".join([*words, *words[::-1]]).encode()
    shape = f"a DataFrame of texts, {_ROWS:,} x 2"
    floor = _FLOOR if usual["name"].dtype == object else ""  # before pandas 3
    return [
        _compare(Comparison(f"S7: hash of {shape}", _SHA, 1 / 0.6, floor=floor), usual, lambda: _sha(text), rounds),
        _compare(
            Comparison(f"S7: hash of {shape}, dtype object", _SHA, 1 / 0.6, floor=_FLOOR),
            objects,
            lambda: _sha(text),
            rounds,
        ),
        measure(
            Comparison("beside: texts of dtype object to Arrow by hand, and SHA-256", _SHA),
            lambda _: lambda: _by_hand(objects),
            lambda _: lambda: _sha(text),
            rounds,
        ),
    ]


def _by_hand(frame: pd.DataFrame) -> list[str]:
    """Digest the texts of each column; what is not text, is missing, or is how long goes unseen."""
    columns = [pa.array(frame[name].to_numpy(), pa.large_string()) for name in frame.columns]
    return [_sha(column.buffers()[2]) for column in columns]


def _sha(data: Any) -> str:
    return hashlib.sha256(data).hexdigest()


def _compare(comparison: Comparison, value: Any, theirs: Callable[[], Any], rounds: int) -> Comparison:
    return measure(comparison, lambda _: lambda: canonical_hash(value), lambda _: theirs, rounds)
