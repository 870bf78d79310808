"""The content hash of an array that is hashed again and again, such as an argument of a thunk that is called often.

An array may have been changed in place since it was hashed last, and only its bytes can tell. To compare them with a
copy takes a tenth of the time of a digest and is exact; so a copy is kept of small arrays that come a second time.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

from scidb.hashing.ids import content_hash

__all__ = ["repeated_hash"]

# Of one array, and of all copies together; a larger array is digested each time.
_LARGEST: Final = 1 << 20
_MOST: Final = 32 << 20
# What an entry takes beside its copy.
_ENTRY: Final = 512
# Equal bytes of these kinds are equal values, whatever else the dtype says.
_KINDS: Final = frozenset("biufcmMUS")


_Key: TypeAlias = tuple[int, Callable[[object], str]]


class _Hashed(NamedTuple):
    """An array as it was: of the first time only that it came, then a copy of its bytes and their hash."""

    array: weakref.ref[Any]
    dtype: Any
    shape: tuple[int, ...]
    data: bytes
    digest: str


class _Copies:
    """Arrays that were hashed lately, by identity and kind of hash, up to some bytes; those that are gone go first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[_Key, _Hashed] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def get(self, array: object, hash_of: Callable[[object], str]) -> _Hashed | None:
        """Return what is known of an array."""
        known = self._kept.get((id(array), hash_of))
        # The id of an array that is gone may be that of another one now.
        return known if known is not None and known.array() is array else None

    def put(self, array: object, hash_of: Callable[[object], str], hashed: _Hashed) -> None:
        """Note what is known of an array now."""
        key = id(array), hash_of
        with self._lock:
            self._drop(key)
            self._kept[key] = hashed
            self._size += len(hashed.data) + _ENTRY
            if self._size > _MOST:
                for gone in [key for key, one in self._kept.items() if one.array() is None]:
                    self._drop(gone)
            while self._size > _MOST:
                self._drop(next(iter(self._kept)))

    def _drop(self, key: _Key) -> None:
        dropped = self._kept.pop(key, None)
        if dropped is not None:
            self._size -= len(dropped.data) + _ENTRY


_copies: Final = _Copies()


def repeated_hash(value: object, hash_of: Callable[[object], str] = content_hash) -> str:
    """Return the hash of a value, by content; of an array that comes again unchanged, without a digest.

    Raises
    ------
    UnhashableValueError
        When the value has no identity by content.

    Examples
    --------
    >>> import numpy as np
    >>> array = np.arange(3.0)
    >>> hashes = [repeated_hash(array) for _ in range(3)]
    >>> array[0] = 9.0
    >>> hashes.count(hashes[0]), repeated_hash(array) == hashes[0]
    (3, False)

    """
    numpy: Any = sys.modules.get("numpy")  # no value can be an array of a library that is not imported
    if numpy is None or type(value) is not numpy.ndarray:
        return hash_of(value)
    return _array_hash(value, hash_of, numpy)


def _array_hash(value: Any, hash_of: Callable[[object], str], numpy: Any) -> str:
    if not 0 < value.nbytes <= _LARGEST or value.dtype.kind not in _KINDS:
        return hash_of(value)
    known = _copies.get(value, hash_of)
    if known is None:
        _copies.put(value, hash_of, _Hashed(weakref.ref(value), value.dtype, value.shape, b"", ""))
        return hash_of(value)
    data = value.tobytes()
    dtype, shape = value.dtype, value.shape
    if known.data == data and known.dtype == dtype and known.shape == shape:
        return known.digest
    # Hashed is what is kept, since another thread may be changing the array meanwhile.
    digest = hash_of(numpy.ndarray(shape, dtype, data))
    _copies.put(value, hash_of, _Hashed(known.array, dtype, shape, data, digest))
    return digest
