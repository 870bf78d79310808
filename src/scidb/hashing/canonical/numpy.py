"""Canonical encoding of numpy arrays and scalars.

Ignored, because it is storage: memory layout, strides, byte order, the width of ``U`` and ``S``, padding,
offsets and titles of structured fields, dtype metadata, the read-only flag. NaNs are one NaN.

Decisions
---------
- The payload of a structured array is the array of its fields' payloads, each as if it stood alone.
- ``np.memmap`` is where an array lives, not another value: it hashes as the array. ``np.matrix`` and
  ``np.recarray`` behave differently and are kinds of their own.
- A masked array is its data with the masked places emptied, its mask, its fill value unless that is
  numpy's default, and whether the mask is hard. No mask and a mask of False are the same.
- ``StringDType`` is ``["T"]``, or ``["T", na]`` when it has a missing value.
- ``np.longdouble`` and its complex are refused: their bits differ between machines.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from scidb.hashing.canonical.cbor import (
    CHUNK,
    NULL,
    array,
    binary,
    chunked,
    digests,
    head,
    integer,
    payload,
    payload_parts,
    text,
    typed,
)
from scidb.hashing.canonical.encode import Active, Refusal, Writer, encode, encode_items

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scidb.hashing.canonical.cbor import Parts

__all__ = [
    "WRITERS",
    "differences",
    "encode_dtype",
    "encode_strings",
    "numeric_parts",
    "numeric_payload",
    "numeric_runs",
]

AnyArray: TypeAlias = np.ndarray[Any, np.dtype[Any]]


def _ndarray(value: AnyArray, active: Active) -> bytes:
    shape = array(map(integer, value.shape))
    dtype = encode_dtype(value.dtype, active)
    return b"".join((typed("ndarray", 3), dtype, shape, _contents(value, active)))


def encode_dtype(dtype: np.dtype[Any], active: Active) -> bytes:  # noqa: PLR0911 (one line a kind)
    """Encode a dtype by what can be seen of it in values."""
    kind = dtype.kind
    if kind in "biufc" and dtype.itemsize <= (16 if kind == "c" else 8):
        return text(f"{kind}{dtype.itemsize}")
    if kind in "USO":
        return text(kind)
    if kind in "Mm":
        unit, count = np.datetime_data(dtype)
        return text(f"{kind}[{count}{unit}]")
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return array([text("sub"), encode_dtype(base, active), array(map(integer, shape))])
    if dtype.names is not None:
        fields = [array([text(name), encode_dtype(dtype[name], active)]) for name in dtype.names]
        return array([text("struct"), array(fields)])
    if kind == "V":
        return text(f"V{dtype.itemsize}")
    if kind == "T":
        missing = [encode(dtype.na_object, active)] if hasattr(dtype, "na_object") else []
        return array([text("T"), *missing])
    raise Refusal(f"numpy's dtype {dtype} is not the same on every machine, or unknown here")


def _contents(value: AnyArray, active: Active) -> bytes:
    kind = value.dtype.kind
    if kind == "O":
        return array(encode_items(value, value.ravel().tolist() if value.ndim else [value.item()], active))
    if value.dtype.names is not None:
        return array([_contents(value[name], active) for name in value.dtype.names])
    if kind in "US":
        return _fixed_text(value)
    if kind == "T":
        return _variable_text(value)
    return numeric_payload(value)


def _fixed_text(value: AnyArray) -> bytes:
    """Encode ``U`` and ``S`` in the widest width that is used."""
    size = 4 if value.dtype.kind == "U" else 1
    width = int(np.strings.str_len(value).max(initial=0)) if value.dtype.itemsize else 0
    if width == 0:
        return typed("text", 2) + integer(0) + binary(b"")
    exact = np.dtype(f"<U{width}" if size == 4 else f"S{width}")
    narrow = np.ascontiguousarray(value.astype(exact, copy=False))
    return typed("text", 2) + integer(width) + payload(narrow.reshape(-1).view("u1").data)


def _variable_text(value: AnyArray) -> bytes:
    return encode_strings([item if type(item) is str else None for item in value.ravel().tolist()])


def encode_strings(items: list[str | None]) -> bytes:
    """Encode texts, some of which may be missing, as one run of UTF-8 and their lengths."""
    missing = None in items
    present = [item or "" for item in items] if missing else items
    joined = "".join(present).encode("utf-8", "surrogatepass")  # type: ignore[arg-type]
    lengths = np.fromiter(map(len, present), "<i8", len(items))  # type: ignore[arg-type]
    if int(lengths.sum()) != len(joined):
        sizes = (len(item.encode("utf-8", "surrogatepass")) for item in present)  # type: ignore[union-attr]
        lengths = np.fromiter(sizes, "<i8", len(items))
    valid = NULL
    if missing:
        valid = payload(np.packbits([item is not None for item in items], bitorder="little").data)
    return b"".join((typed("strs", 3), valid, payload(lengths.data), payload(joined)))


# ---------------------------------------------------------------- numbers, in chunks


def numeric_payload(value: AnyArray, convert: Callable[[AnyArray], AnyArray] | None = None) -> bytes:
    """Encode the numbers of an array in C order and little endian, copying a chunk at a time at most.

    With `convert`, each run of numbers goes through it first; it keeps the size of an item.
    """
    return b"".join(numeric_parts(value, convert))


def numeric_parts(value: AnyArray, convert: Callable[[AnyArray], AnyArray] | None = None) -> Parts:
    """Return what `numeric_payload` encodes as parts that are not joined yet."""
    if value.dtype.kind == "V":
        return payload_parts(np.ascontiguousarray(value).tobytes())

    def final(run: AnyArray) -> AnyArray:
        # Dates have no buffer of their own, hence bytes.
        return _one_nan(run if convert is None else convert(run)).view("u1")

    def digest(run: AnyArray) -> bytes:
        return sha256(final(run).data).digest()

    runs = numeric_runs(value)
    if value.nbytes <= CHUNK:
        return (head(2, value.nbytes), *(final(run).data for run in runs))
    return (chunked(value.nbytes, digests(digest, runs, value.nbytes)),)


def differences(ends: AnyArray) -> Parts:
    """Encode what lies between each number and the next one, without making all of it at once."""
    count = CHUNK // ends.dtype.itemsize
    runs = (np.diff(ends[start : start + count + 1]).view("u1") for start in range(0, ends.size - 1, count))
    size = (ends.size - 1) * ends.dtype.itemsize
    if size <= CHUNK:
        return (head(2, size), *(run.data for run in runs))
    return (chunked(size, digests(lambda run: sha256(run.data).digest(), runs, size)),)


def numeric_runs(value: AnyArray) -> Iterator[AnyArray]:
    """Yield the items as flat little-endian arrays of one chunk each, the last one shorter."""
    exact = value.dtype.newbyteorder("<")
    count = CHUNK // value.dtype.itemsize
    if value.flags.c_contiguous:
        flat = value.reshape(-1)
        for start in range(0, flat.size, count):
            yield flat[start : start + count].astype(exact, copy=False)
    elif value.size:
        yield from _gathered(value, exact, count)


def _gathered(value: AnyArray, exact: np.dtype[Any], count: int) -> Iterator[AnyArray]:
    """Yield chunks of an array that does not lie in order; numpy's iterator alone does not fill them."""
    flags: Any = ["external_loop", "buffered"]
    chunk, filled = np.empty(min(count, value.size), exact), 0
    pieces: Any = np.nditer(value, flags=flags, order="C", op_dtypes=[exact], casting="equiv", buffersize=1 << 16)
    for piece in pieces:
        taken = 0
        while taken < piece.size:
            part = piece[taken : taken + count - filled]
            chunk[filled : filled + part.size] = part
            taken, filled = taken + part.size, filled + part.size
            if filled == count:
                yield chunk
                chunk, filled = np.empty(count, exact), 0
    if filled:
        yield chunk[:filled]


def _one_nan(run: AnyArray) -> AnyArray:
    """Return the run with the usual NaN for every NaN, and 0 or 1 for every bool."""
    kind = run.dtype.kind
    if kind == "b":
        raw = run.view("u1")
        return run if raw.max(initial=0) <= 1 else raw != 0
    if kind == "c":
        return _one_nan(run.view(f"<f{run.dtype.itemsize // 2}"))
    if kind == "f" and run.size:
        # The minimum is NaN when any item is, and is faster to find than a mask; signalling NaNs would warn.
        with np.errstate(invalid="ignore"):
            lowest = run.min()
        if lowest != lowest:  # noqa: PLR0124
            return np.where(np.isnan(run), run.dtype.type(np.nan), run)
    return run


# ---------------------------------------------------------------- scalars


def _scalar(value: np.generic, active: Active) -> bytes:
    return typed("npscalar", 1) + _ndarray(np.asarray(value), active)


def _text_scalar(value: np.str_ | np.bytes_, _: Active) -> bytes:
    # An array would drop trailing zeros, which a scalar has.
    raw = value.encode("utf-32-le", "surrogatepass") if isinstance(value, str) else bytes(value)
    contents = typed("text", 2) + integer(len(value)) + payload(raw)
    kind = text("U" if isinstance(value, str) else "S")
    return typed("npscalar", 1) + typed("ndarray", 3) + kind + head(4, 0) + contents


# ---------------------------------------------------------------- numpy's own subclasses


def _masked_array(value: Any, active: Active) -> bytes:
    mask = np.ma.getmaskarray(value)
    data = _emptied(np.ma.getdata(value, subok=False), mask)
    usual = encode(np.asarray(np.ma.zeros(0, value.dtype).fill_value), active)
    fill = encode(np.asarray(value.fill_value), active)
    contents = _ndarray(data, active) + _ndarray(mask, active) + (NULL if fill == usual else fill)
    return typed("np.ma", 4) + contents + encode(value.hardmask, active)


def _emptied(data: AnyArray, mask: AnyArray) -> AnyArray:
    """Return the data with zeros wherever it is masked: what lies there is not part of the value."""
    if data.dtype.names is None:
        return np.where(mask, np.zeros((), data.dtype), data)
    emptied = data.copy()
    for name in data.dtype.names:
        emptied[name] = _emptied(data[name], mask[name])
    return emptied


WRITERS: Final[dict[type, Writer]] = {
    **dict.fromkeys(set(np.sctypeDict.values()), _scalar),
    np.str_: _text_scalar,
    np.bytes_: _text_scalar,
    np.ndarray: _ndarray,
    np.memmap: lambda value, active: _ndarray(np.asarray(value), active),
    np.matrix: lambda value, active: typed("np.matrix", 1) + _ndarray(np.asarray(value), active),
    np.recarray: lambda value, active: typed("np.recarray", 1) + _ndarray(np.asarray(value), active),
    np.ma.MaskedArray: _masked_array,
    type(np.ma.masked): lambda _value, _active: typed("np.ma.masked", 0),
}
