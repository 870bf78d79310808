"""The canonical hash: one digest for one value, in every process, on every Python, numpy and pandas.

A value is encoded as deterministic CBOR (`scidb.hashing.canonical.cbor`), and the digest is taken of the version
string, a zero byte and the encoding. Changing a rule means a new version string, never a silent change:
users' ids depend on every byte.

This module holds the dispatch, and the kinds of values that Python has without an import. Other kinds are
written by siblings (``canonical.numpy`` and so on), imported when the first value of their library appears.

Decisions
---------
- Dispatch is by exact type. A subclass may behave differently in code, so it has to be known or to say
  what it is; it is never taken for its base.
- Contents of ``bytes`` and ``bytearray`` above 4 MiB enter as chunk digests, as those of arrays do.
- ``OrderedDict`` is a kind of its own and keeps its order; the order of a ``dict`` is ignored.
- Two NaN keys of one dict, or members of one set, stay two; they are ordered by what they map to.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import sha256
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from scidb.exceptions import UnhashableValueError
from scidb.hashing.canonical.cbor import NULL, array, head, integer, mapping, payload, real, text, typed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "VERSION",
    "Active",
    "Refusal",
    "Writer",
    "canonical_hash",
    "encode",
    "encode_items",
    "encode_map",
    "encode_pairs",
    "has_writer",
    "hash_of",
    "in_brackets",
    "preimage",
]

VERSION: Final = "scidb-canonical-hash/1"

Active: TypeAlias = set[int]
"""The identities of the containers around the value that is being encoded, to notice recursion."""

Writer: TypeAlias = "Callable[[Any, Active], bytes]"
"""Encodes values of one kind."""

_PREFIX: Final = VERSION.encode() + b"\0"


class Refusal(Exception):  # noqa: N818
    """A value has no canonical encoding; containers add where it is on the way out."""

    def __init__(self, reason: str, *trail: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.trail = list(trail)


def canonical_hash(value: object) -> str:
    """Return the identity of a value by its content, as 64 hexadecimal digits.

    Raises
    ------
    UnhashableValueError
        When the value, or something inside it, has no identity by content; ``path`` says where.

    Examples
    --------
    >>> canonical_hash([1, {"a": 2.0}])[:8]
    'fe203eac'
    >>> canonical_hash({"a": 1, "b": 2}) == canonical_hash({"b": 2, "a": 1})
    True
    >>> canonical_hash(1) == canonical_hash(1.0)
    False

    """
    return hash_of(preimage(value))


def hash_of(encoded: bytes) -> str:
    """Return the canonical hash of a value that is encoded already."""
    digest = sha256(_PREFIX)
    digest.update(encoded)
    return digest.hexdigest()


def preimage(value: object) -> bytes:
    """Return the bytes that identify a value: what `canonical_hash` digests after the version string."""
    try:
        return encode(value, set())
    except Refusal as refusal:
        path = "".join(reversed(refusal.trail))
        reason = refusal.reason
    except RecursionError:
        path, reason = "", "it is nested more deeply than Python can follow"
    where = f" at {path}" if path else ""
    raise UnhashableValueError(
        f"The value{where} has no identity by content: {reason}. Expected plain data: numbers, text, "
        "containers, dates, numpy arrays, pandas or Arrow tables, dataclasses. Pass such data instead, or "
        "give the class a method __scidb_hash__() that returns what identifies an instance.",
        path=path,
    )


def has_writer(kind: type) -> bool:
    """Say whether instances of a class have an identity by content without a word of their own."""
    return _WRITERS.knows(kind)


def encode(value: object, active: Active) -> bytes:
    """Encode one value, or raise `Refusal`."""
    return _WRITERS[type(value)](value, active)


def encode_items(owner: object, items: Iterable[object], active: Active) -> list[bytes]:
    """Encode the items of a container `owner`, in order."""
    key = id(owner)
    if key in active:
        raise Refusal("it contains itself")
    active.add(key)
    parts: list[bytes] = []
    try:
        for item in items:
            parts.append(_WRITERS[type(item)](item, active))  # noqa: PERF401
    except Refusal as refusal:
        refusal.trail.append(f"[{len(parts)}]")
        raise
    active.discard(key)
    return parts


def encode_pairs(
    owner: object, pairs: Iterable[tuple[object, object]], active: Active, label: Callable[[Any], str]
) -> list[tuple[bytes, bytes]]:
    """Encode the names and the parts of an `owner`, in order; `label` writes a name as part of a path."""
    key = id(owner)
    if key in active:
        raise Refusal("it contains itself")
    active.add(key)
    encoded: list[tuple[bytes, bytes]] = []
    for name, item in pairs:
        try:
            encoded.append((_WRITERS[type(name)](name, active), _WRITERS[type(item)](item, active)))
        except Refusal as refusal:
            refusal.trail.append(label(name))
            raise
    active.discard(key)
    return encoded


def encode_map(
    owner: object, pairs: Iterable[tuple[object, object]], active: Active, label: Callable[[Any], str]
) -> bytes:
    """Encode the names and the parts of an `owner` as a map, whose order does not count."""
    return mapping(sorted(encode_pairs(owner, pairs, active, label)))


def in_brackets(key: object) -> str:
    """Write a key as part of a path, for people."""
    if type(key) is str:
        return f'["{key}"]'
    shown = str(key) if key is None or type(key) in (int, float, bool) else f"<{type(key).__name__}>"
    return f"[{shown}]"


# ---------------------------------------------------------------- kinds without an import


def _list(value: list[object], active: Active) -> bytes:
    parts = encode_items(value, value, active)
    return head(4, len(parts)) + b"".join(parts)


def _tuple(value: tuple[object, ...], active: Active) -> bytes:
    parts = encode_items(value, value, active)
    return typed("tuple", len(parts)) + b"".join(parts)


def _set(value: set[object] | frozenset[object], active: Active) -> bytes:
    parts = sorted(encode_items(value, value, active))
    return typed(type(value).__name__, len(parts)) + b"".join(parts)


def _dict(value: dict[Any, object], active: Active) -> bytes:
    return encode_map(value, value.items(), active, in_brackets)


def _ordered_dict(value: OrderedDict[Any, object], active: Active) -> bytes:
    pairs = encode_pairs(value, value.items(), active, in_brackets)
    return typed("OrderedDict", len(pairs)) + b"".join(map(array, pairs))


def _complex(value: complex, _: Active) -> bytes:
    return typed("complex", 2) + real(value.real) + real(value.imag)


def _range(value: range, _: Active) -> bytes:
    return typed("range", 3) + integer(value.start) + integer(value.stop) + integer(value.step)


def _slice(value: slice, active: Active) -> bytes:
    return typed("slice", 3) + b"".join(encode_items(value, (value.start, value.stop, value.step), active))


_FAMILIES: Final = {
    "numpy": "scidb.hashing.canonical.numpy",
    "pandas": "scidb.hashing.canonical.pandas",
    "polars": "scidb.hashing.canonical.polars",
    "pyarrow": "scidb.hashing.canonical.arrow",
    "xarray": "scidb.hashing.canonical.xarray",
    **dict.fromkeys(
        ("datetime", "decimal", "fractions", "pathlib", "uuid", "zoneinfo"), "scidb.hashing.canonical.stdlib"
    ),
}
"""Which module writes the types of which library."""


class _Writers(dict[type, Writer]):
    """The writers by type; those of a library arrive with its first value."""

    def knows(self, kind: type) -> bool:
        """Say whether a type has a writer here or in the module of its library."""
        family = _FAMILIES.get(str(kind.__module__).partition(".")[0])
        if family is not None and kind not in self:
            self.update(import_module(family).WRITERS)
        return kind in self

    def __missing__(self, kind: type) -> Writer:
        if self.knows(kind):
            return self[kind]
        # Writers of users' classes are found anew each time: to keep them would keep the classes alive.
        from scidb.hashing.canonical.classes import class_writer

        return class_writer(kind)


_WRITERS: Final = _Writers(
    {
        type(None): lambda _value, _active: NULL,
        bool: lambda value, _: b"\xf5" if value else b"\xf4",
        int: lambda value, _: integer(value),
        float: lambda value, _: real(value),
        str: lambda value, _: text(value),
        bytes: lambda value, _: payload(value),
        bytearray: lambda value, _: typed("bytearray", 1) + payload(value),
        complex: _complex,
        list: _list,
        tuple: _tuple,
        dict: _dict,
        OrderedDict: _ordered_dict,
        set: _set,
        frozenset: _set,
        range: _range,
        slice: _slice,
    }
)
