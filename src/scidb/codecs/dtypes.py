"""Dtypes of numpy as JSON types and back, structured ones too; without byte order and metadata."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import numpy as np

from scidb.codecs.literals import LITERALS, UNTAG_LITERALS
from scidb.codecs.primitive import dtype_from_text, dtype_text

__all__ = ["dtype_from_json", "dtype_to_json"]


def dtype_to_json(dtype: np.dtype[Any]) -> Any:
    """Return a dtype as JSON types.

    Examples
    --------
    >>> dtype_to_json(np.dtype([("x", "f4"), ("at", "M8[s]", (2,))]))
    {'fields': [['x', 'float32'], ['at', {'base': 'datetime64[s]', 'shape': [2]}]]}

    """
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return {"base": dtype_to_json(base), "shape": list(shape)}
    if dtype.names is None or dtype.fields is None:
        return "O" if dtype.kind == "O" else dtype_text(dtype)
    text = LITERALS[str]
    fields = [dtype.fields[name] for name in dtype.names]
    said: dict[str, Any] = {"fields": [[text(name), dtype_to_json(dtype[name])] for name in dtype.names]}
    offsets = [field[1] for field in fields]
    if [*offsets, dtype.itemsize] != list(accumulate((field[0].itemsize for field in fields), initial=0)):
        said.update(offsets=offsets, itemsize=dtype.itemsize)
    if any(len(field) == 3 for field in fields):
        said["titles"] = [text(field[2]) if len(field) == 3 else None for field in fields]
    if dtype.type is np.record:
        said["record"] = True
    return said


def dtype_from_json(said: Any) -> np.dtype[Any]:
    """Return the dtype of `dtype_to_json`, in native byte order."""
    if isinstance(said, str):
        return np.dtype(object) if said == "O" else dtype_from_text(said)
    if "base" in said:
        return np.dtype((dtype_from_json(said["base"]), tuple(said["shape"])))
    spec: Any = {
        "names": [_text(name) for name, _ in said["fields"]],
        "formats": [dtype_from_json(item) for _, item in said["fields"]],
    }
    spec.update({key: said[key] for key in ("offsets", "itemsize") if key in said})
    if "titles" in said:
        spec["titles"] = [_text(title) for title in said["titles"]]
    dtype = np.dtype(spec)
    return np.dtype((np.record, dtype)) if said.get("record") else dtype


def _text(said: Any) -> Any:
    # Names come as plain text, or tagged for lone surrogates.
    return UNTAG_LITERALS["$str"](said["$str"]) if isinstance(said, dict) else said
