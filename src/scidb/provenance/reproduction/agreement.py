"""How well a value that was computed again agrees with the stored one: by column, with the largest differences."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np

from scidb.exceptions import SciDBError, UnhashableValueError
from scidb.hashing.canonical.encode import canonical_hash

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["ColumnAgreement", "State", "Tolerance", "agreement", "worst"]

State: TypeAlias = Literal["equal", "within tolerance", "different"]

_ORDER: Final = ("equal", "within tolerance", "different")
# A sum in another order differs in the last few digits of its precision.
_RELATIVE: Final = {2: 1e-2, 4: 1e-5}
_RELATIVE_OF_DOUBLES: Final = 1e-9
_MOST_ITEMS: Final = 1_000
_WHOLE: Final = "the value"


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far floating-point numbers may be apart: at most ``atol + rtol * abs(stored)``.

    Parameters
    ----------
    rtol
        None is 1e-9, or 1e-5 for 32-bit and 1e-2 for 16-bit numbers.
    atol
        None is `rtol` times the largest number of the column, so that what is zero but for rounding passes.

    """

    rtol: float | None = None
    atol: float | None = None

    def __post_init__(self) -> None:
        """Refuse a tolerance that is none."""
        for name, given in (("rtol", self.rtol), ("atol", self.atol)):
            if given is not None and not given >= 0:
                raise SciDBError(f"{name}={given!r}: a tolerance is a number from 0 on, or None for the default.")

    def allowed(self, stored: Any) -> Any:
        """Return how far each number may be from the stored one."""
        itemsize = stored.dtype.itemsize // (2 if stored.dtype.kind == "c" else 1)
        rtol = _RELATIVE.get(itemsize, _RELATIVE_OF_DOUBLES) if self.rtol is None else self.rtol
        size = np.abs(stored)
        size = np.where(np.isfinite(size), size, 0)
        atol = rtol * float(size.max(initial=0)) if self.atol is None else self.atol
        return atol + rtol * size


@dataclass(frozen=True, slots=True)
class ColumnAgreement:
    """One column of a table, one array, or one item of a dict or list.

    The differences are of its numbers, the largest ones; None where it has no numbers that can be compared.
    """

    name: str
    state: State
    largest_absolute: float | None = None
    largest_relative: float | None = None
    note: str = ""

    @classmethod
    def whole(cls) -> ColumnAgreement:
        """Return the line of a value that is equal by content."""
        return cls(_WHOLE, "equal", 0.0, 0.0)

    def __str__(self) -> str:
        parts = [self.note]
        if self.state != "equal" and self.largest_absolute is not None:
            parts.insert(0, f"by {self.largest_absolute:.3g} at most (relative: {self.largest_relative:.3g})")
        said = "; ".join(filter(None, parts))
        return f"{self.name}: {self.state}{f', {said}' if said else ''}"


def worst(states: Iterator[State]) -> State:
    """Return the state of a whole by the states of its parts."""
    return max(states, key=_ORDER.index, default="equal")


def agreement(stored: Any, made: Any, tolerance: Tolerance) -> tuple[ColumnAgreement, ...]:
    """Compare a value with the stored one, column by column.

    Values that are equal by content are one line; missing numbers are equal to one another.

    Examples
    --------
    >>> for line in agreement({"a": 1.0, "b": 2.0}, {"a": 1.0, "b": 2.0 + 1e-12}, Tolerance()):
    ...     print(line)
    ['a']: equal
    ['b']: within tolerance, by 1e-12 at most (relative: 5e-13)

    """
    if _is_same(stored, made):
        return (ColumnAgreement.whole(),)
    first, second = dict(_named(_parts(stored))), dict(_named(_parts(made)))
    found = [_other_type(stored, made), *_missing(first, second)]
    found += [_leaf(name, first[name], second[name], tolerance) for name in first if name in second]
    lines = tuple(line for line in found if line is not None)
    if worst(line.state for line in lines) == "equal":
        # What no part shows, such as attributes or the kind of an index, differs all the same.
        return (*lines, ColumnAgreement(_WHOLE, "different", note="equal numbers, with other labels or attributes"))
    return lines


def _is_same(stored: Any, made: Any) -> bool:
    try:
        return canonical_hash(stored) == canonical_hash(made)
    except UnhashableValueError:
        return False


def _other_type(stored: Any, made: Any) -> ColumnAgreement | None:
    if type(stored) is type(made):
        return None
    return ColumnAgreement(_WHOLE, "different", note=f"stored as {type(stored).__name__}, now {type(made).__name__}")


def _missing(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[ColumnAgreement]:
    for name in first.keys() - second.keys():
        yield ColumnAgreement(name, "different", note="not there any more")
    for name in second.keys() - first.keys():
        yield ColumnAgreement(name, "different", note="not there before")


# ------------------------------------------------------------------ the parts of a value


def _named(parts: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Tell parts of one name apart by a number, as a table may have columns of one label."""
    seen: Counter[str] = Counter()
    for name, part in parts:
        seen[name] += 1
        yield (name if seen[name] == 1 else f"{name} ({seen[name]})"), part


def _parts(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the columns of tables, the items of dicts and lists, and everything else as it is."""
    kind = type(value)
    library = kind.__module__.partition(".")[0]
    if kind.__name__ == "DataFrame" and library == "pandas":
        yield f"{path}index", value.index
        yield from ((f"{path}{label}", value.iloc[:, number]) for number, label in enumerate(value.columns))
    elif library == "pandas" and kind.__name__ == "Series":
        yield f"{path}index", value.index
        yield path or _WHOLE, value
    elif library == "polars" and kind.__name__ == "DataFrame":
        yield from ((f"{path}{name}", value[name]) for name in value.columns)
    elif library == "pyarrow" and kind.__name__ == "Table":
        columns = zip(value.column_names, value.columns, strict=True)
        yield from ((f"{path}{name}", column.to_pandas()) for name, column in columns)
    elif library == "xarray":
        yield from _labelled(value, path)
    elif kind is dict:
        for key, item in value.items():
            yield from _parts(item, f"{path}[{key!r}]")
    elif kind in (list, tuple) and not _is_row(value) and len(value) <= _MOST_ITEMS:
        for number, item in enumerate(value):
            yield from _parts(item, f"{path}[{number}]")
    else:
        yield path or _WHOLE, value


def _labelled(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if hasattr(value, "data_vars"):
        yield from ((f"{path}{name}", value[name].values) for name in value.data_vars)
    else:
        yield path or _WHOLE, value.values
    yield from ((f"{path}{name}", value[name].values) for name in value.coords)


def _is_row(items: Any) -> bool:
    """Tell whether a list or tuple is a row of numbers, which counts as one array."""
    return len(items) > 0 and set(map(type, items)) == {float}


# ------------------------------------------------------------------ one part


def _leaf(name: str, stored: Any, made: Any, tolerance: Tolerance) -> ColumnAgreement:
    if _is_same(stored, made):
        return ColumnAgreement(name, "equal", 0.0, 0.0)
    first, second = _array(stored), _array(made)
    kinds = _described(stored), _described(made)
    note = "" if kinds[0] == kinds[1] else f"stored as {kinds[0]}, now {kinds[1]}"
    if first.shape != second.shape:
        return ColumnAgreement(name, "different", note=note or f"stored with {first.shape}, now {second.shape}")
    if first.dtype.kind in "iufc" and second.dtype.kind in "iufc":
        return _numbers(name, first, second, tolerance, note)
    differing = sum(not _is_same(a, b) for a, b in zip(first.ravel().tolist(), second.ravel().tolist(), strict=True))
    return ColumnAgreement(
        name, "different", note="; ".join(filter(None, [note, f"{differing} of {first.size} differ"]))
    )


def _array(value: Any) -> Any:
    """Return a part as an array; missing values of a nullable column of numbers as NaN."""
    dtype = getattr(value, "dtype", None)
    if dtype is not None and not isinstance(dtype, np.dtype) and getattr(dtype, "kind", "O") in "iuf":
        return value.to_numpy(dtype=np.float64, na_value=np.nan)
    if type(value) in (bool, int, float, complex):
        return np.asarray(value, dtype=None if -(2**63) <= value.real < 2**63 else object)
    if type(value) in (list, tuple) and not _is_row(value):
        return np.fromiter(value, dtype=object, count=len(value))
    if dtype is None and not isinstance(value, list | tuple):
        holder = np.empty((), dtype=object)
        holder[()] = value
        return holder
    return np.asarray(value)


def _described(value: Any) -> str:
    dtype = getattr(value, "dtype", None)
    return type(value).__name__ if dtype is None else f"{dtype}"


def _numbers(name: str, stored: Any, made: Any, tolerance: Tolerance, note: str) -> ColumnAgreement:
    wide = np.result_type(stored.dtype, made.dtype, np.float64)
    stored, made = np.atleast_1d(stored), np.atleast_1d(made)
    first, second = stored.astype(wide), made.astype(wide)
    with np.errstate(all="ignore"):
        apart = np.abs(second - first)
        same = (stored == made) | (np.isnan(first) & np.isnan(second))
        apart[same] = 0
        relative = np.where(same, 0, apart / np.abs(first))
        is_exact = stored.dtype.kind in "iu" or made.dtype.kind in "iu"
        near = same if is_exact else same | (apart <= tolerance.allowed(stored))
    apart, relative = np.where(np.isnan(apart), np.inf, apart), np.where(np.isnan(relative), np.inf, relative)
    is_equal = same.all() and not _other_signs(first, second)
    state: State = "different" if note or not near.all() else "equal" if is_equal else "within tolerance"
    missing = int(np.count_nonzero(np.isnan(first) != np.isnan(second)))
    far = int(np.count_nonzero(~near))
    said = [
        note,
        f"{far} of {near.size} differ" if far and near.size > 1 else "",
        f"{missing} missing in one" if missing else "",
    ]
    return ColumnAgreement(
        name, state, float(apart.max(initial=0)), float(relative.max(initial=0)), "; ".join(filter(None, said))
    )


def _other_signs(first: Any, second: Any) -> bool:
    """Tell whether a zero has another sign."""
    zeros = (first == 0) & (second == 0)
    return any(np.any(np.signbit(part(first[zeros])) != np.signbit(part(second[zeros]))) for part in (np.real, np.imag))
