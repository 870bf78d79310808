"""The registry of codecs: how Python values become Arrow tables, one row per value, and come back.

A codec says in *parameters* what its table does not: exact type, dtype, shape, labels. Values with equal
parameters share an *encoding* and so a table. Nothing here knows any particular type, nor a store.

Codecs of other packages are found by the entry point group ``scidb.codecs`` (the name is the codec's, the
object its class). They are asked last, so that installing a package never changes how a value is stored
that could be stored before.
"""

from __future__ import annotations

import functools
import json
import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias

import pyarrow as pa

from scidb.codecs.contents import Contents
from scidb.exceptions import SciDBWarning, SerializationError, UnsupportedValueError
from scidb.extras import require

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.metadata import EntryPoint

__all__ = ["Codec", "Encoded", "Parameters", "canonical_json", "contents", "decode", "encode", "unsupported"]

Parameters: TypeAlias = dict[str, Any]
"""What restores a value besides its table; JSON types only."""

# What reading damaged or hostile data can raise in Arrow, numpy, pandas and json.
_MISFITS: Final = (
    pa.ArrowException,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
# The codecs of libraries that are imported only when a value of theirs is met: codec by library.
_LIBRARIES: Final = {"polars": "polars", "pyarrow": "arrow", "xarray": "xarray"}


@dataclass(frozen=True, slots=True)
class Encoded:
    """The values of one encoding: which of the given ones they are, their table, and their sizes."""

    encoding: str
    positions: tuple[int, ...]
    table: pa.Table
    nbytes: tuple[int, ...]


class Codec(ABC):
    """One way of storing values; defining a subclass registers it.

    The table of a codec is of one of three families, told by its column types: a single typed column
    `value` (scalars), columns of lists of a primitive type which in one row are equally long (arrays and
    frames), or a single text column `value` holding JSON (documents).
    """

    name: ClassVar[str]
    types: ClassVar[tuple[type, ...]] = ()
    """Exact types whose values are this codec's whatever they hold."""

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            return  # a base for other codecs
        known = _CODECS.get(cls.name)
        if known is not None and _class_id(type(known)) != _class_id(cls):
            raise TypeError(
                f"Two codecs are named {cls.name!r}: {_class_id(type(known))} and {_class_id(cls)}. "
                "The name is stored with every value, so give one of them another."
            )
        codec = cls()
        _CODECS[cls.name] = codec
        _BY_TYPE.update(dict.fromkeys(cls.types, codec))

    def accepts(self, value: object) -> bool:
        """Say whether values like this one are this codec's."""
        return type(value) in self.types

    @abstractmethod
    def describe(self, value: object) -> Parameters:
        """Return what restores the value besides its row of the table."""

    @abstractmethod
    def encode(self, values: Sequence[Any], parameters: Parameters) -> pa.Table:
        """Return one row per value; the table may share memory with the values."""

    @abstractmethod
    def decode(self, table: pa.Table, parameters: Parameters) -> list[Any]:
        """Return one value per row; nothing in them shares memory that somebody could write to."""

    def adopt(self, table: pa.Table, parameters: Parameters) -> list[Any]:
        """Return one value per row as `decode` does, of a table that nobody else holds.

        Overridden where a value can keep the memory of the table, which then is not needed twice.
        """
        return self.decode(table, parameters)

    @abstractmethod
    def nbytes(self, values: Sequence[Any], table: pa.Table) -> tuple[int, ...]:
        """Return the size of each value, which is also a row of the table."""

    def contents(self, parameters: Parameters) -> Contents:  # noqa: ARG002 - used where it is overridden
        """Return what filters can compare in values of these parameters; overridden where that is something."""
        return Contents("other")

    def partition(self, values: Sequence[object]) -> list[tuple[Parameters, Sequence[int]]]:
        """Group the values by equal parameters; overridden where that needs no look at each of them."""
        groups: dict[str, tuple[Parameters, list[int]]] = {}
        for position, value in enumerate(values):
            parameters = self.describe(value)
            groups.setdefault(canonical_json(parameters), (parameters, []))[1].append(position)
        return list(groups.values())


_CODECS: dict[str, Codec] = {}
_BY_TYPE: dict[type, Codec] = {}


def encode(values: Sequence[object]) -> list[Encoded]:
    """Encode values, those of one encoding together and in their order.

    The tables may share memory with the values: whoever keeps one beyond the call copies it.

    Examples
    --------
    >>> [(part.encoding, part.positions) for part in encode([1.5, "a", 2.5])]
    [('{"codec":"scalar","type":"float"}', (0, 2)), ('{"codec":"scalar","type":"str"}', (1,))]

    Raises
    ------
    UnsupportedValueError
        When a value cannot be stored; ``path`` says where inside it.

    """
    parts = []
    for codec, chosen in _choose(values):
        own = values if len(chosen) == len(values) else [values[position] for position in chosen]
        for parameters, members in codec.partition(own):
            whole = len(members) == len(own)
            group = own if whole else [own[member] for member in members]
            positions = tuple(chosen) if whole else tuple(chosen[member] for member in members)
            encoding = canonical_json({"codec": codec.name, **parameters})
            table = codec.encode(group, parameters)
            parts.append(Encoded(encoding, positions, table, codec.nbytes(group, table)))
    return parts


def decode(encoding: str, table: pa.Table, *, given: bool = False) -> list[object]:
    """Restore one value per row of a table; of a table that is `given`, values may keep the memory.

    Examples
    --------
    >>> (part,) = encode([(1, "a")])
    >>> decode(part.encoding, part.table)
    [(1, 'a')]

    Raises
    ------
    SerializationError
        When the codec is unknown, or the table is not what the encoding says.

    """
    name, parameters = _parse(encoding)
    codec = _codec_named(name)
    try:
        return codec.adopt(table, parameters) if given else codec.decode(table, parameters)
    except _MISFITS as error:
        raise SerializationError(
            f"A stored value does not fit its encoding {encoding[:200]}: {error}. The data are damaged, or "
            "were written by a newer version of SciDB or of a library.",
            encoding=encoding,
        ) from error


def contents(encoding: str) -> Contents:
    """Return what filters can compare in the values of an encoding: columns and what they compare with.

    Examples
    --------
    >>> (part,) = encode([1.5])
    >>> contents(part.encoding).columns
    (StoredColumn(label=None, name='value', compared=Compared(kind='number', unit='', ordered=True)),)

    Raises
    ------
    SerializationError
        When the codec is unknown, or the encoding is none.

    """
    name, parameters = _parse(encoding)
    codec = _codec_named(name)
    try:
        return codec.contents(parameters)
    except _MISFITS as error:
        raise SerializationError(f"Not an encoding: {encoding[:200]!r}: {error}.", encoding=encoding) from error


def canonical_json(value: object) -> str:
    """Return the one JSON text of parameters: keys sorted, no blanks.

    Examples
    --------
    >>> canonical_json({"b": 1, "a": [True]})
    '{"a":[true],"b":1}'

    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def unsupported(what: str, path: str = "") -> UnsupportedValueError:
    """Return the error for a value, or a part of one, that cannot be stored.

    Examples
    --------
    >>> str(unsupported("a generator", '["k"]')).split(". ")[0]
    'Cannot store a generator (at ["k"] inside the value)'

    """
    where = f" (at {path} inside the value)" if path else ""
    return UnsupportedValueError(
        f"Cannot store {what}{where}. Supported are None, numbers, text, bytes, dates, numpy arrays, tables and "
        "columns of pandas, polars and Arrow, xarray, and dicts, lists, tuples and sets of all these. Convert it to "
        "one of them (a dataclass with dataclasses.asdict(), a namedtuple with _asdict(), an Enum by its value), or "
        "give the variable class to_db() and from_db().",
        path=path,
        what=what,
    )


def _choose(values: Sequence[object]) -> list[tuple[Codec, Sequence[int]]]:
    if len(kinds := set(map(type, values))) == 1 and (codec := _BY_TYPE.get(kinds.pop())):
        return [(codec, range(len(values)))]
    chosen: dict[str, tuple[Codec, list[int]]] = {}
    for position, value in enumerate(values):
        codec = _BY_TYPE.get(type(value)) or _codec_for(value)
        chosen.setdefault(codec.name, (codec, []))[1].append(position)
    return list(chosen.values())


def _codec_for(value: object) -> Codec:
    # The newest is asked first, so that a codec may specialise another.
    found = _first_accepting(value)
    if found is None and _load_library(str(type(value).__module__).partition(".")[0]):
        found = _BY_TYPE.get(type(value)) or _first_accepting(value)
    if found is None and _load_plugins():
        found = _BY_TYPE.get(type(value)) or _first_accepting(value)
    if found is None:
        raise unsupported(f"an object of type {_class_id(type(value))}")
    return found


def _first_accepting(value: object) -> Codec | None:
    return next((codec for codec in reversed(_CODECS.values()) if codec.accepts(value)), None)


def _codec_named(name: str) -> Codec:
    if name not in _CODECS:
        for library in (library for library, codec in _LIBRARIES.items() if codec == name):
            require(library, library)
            _load_library(library)
    if name not in _CODECS and name in (points := _plugins()):
        _load_plugin(points[name])
    if name not in _CODECS:
        raise SerializationError(
            f"The value was stored with the codec {name!r}, which is not here. Known are "
            f"{', '.join(sorted({*_CODECS, *_LIBRARIES.values()}))}. Import the package that defines it, or update "
            "SciDB.",
            codec=name,
        )
    return _CODECS[name]


# ------------------------------------------------------------------ codecs that are imported late


def _load_library(library: str) -> bool:
    """Import the codec of a library whose value was met; say whether that brought one."""
    name = _LIBRARIES.get(library)
    if name is None or name in _CODECS:
        return False
    import_module(f"scidb.codecs.{name}")
    return True


@functools.cache
def _plugins() -> dict[str, EntryPoint]:
    """Return the codecs that installed packages offer, by name."""
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group="scidb.codecs"):
        other = found.setdefault(point.name, point)
        if other.value != point.value:
            raise SerializationError(
                f"Two installed packages offer a codec named {point.name!r}: {_origin(other)} and {_origin(point)}. "
                "The name is stored with every value, so uninstall one of them.",
                codec=point.name,
            )
    return found


def _load_plugins() -> bool:
    """Import all codecs of installed packages; say whether that brought any."""
    missing = [point for name, point in _plugins().items() if name not in _CODECS]
    for point in missing:
        try:
            _load_plugin(point)
        except SerializationError as error:
            # Somebody else's broken package; the value may be of yet another one.
            warnings.warn(str(error), SciDBWarning, stacklevel=2)
    return bool(missing)


def _load_plugin(point: EntryPoint) -> None:
    try:
        codec = point.load()
    except Exception as error:
        raise SerializationError(
            f"The codec {point.name!r} of {_origin(point)} cannot be imported: {type(error).__name__}: {error}. "
            "Update or uninstall that package.",
            codec=point.name,
        ) from error
    if not (isinstance(codec, type) and issubclass(codec, Codec) and getattr(codec, "name", None) == point.name):
        raise SerializationError(
            f"{_origin(point)} offers {point.value} as the codec {point.name!r}; expected a subclass of "
            f"scidb.codecs.Codec whose name is {point.name!r}.",
            codec=point.name,
        )


def _origin(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value


@functools.lru_cache(maxsize=256)
def _parse(encoding: str) -> tuple[str, Parameters]:
    try:
        parameters = json.loads(encoding)
        return str(parameters.pop("codec")), parameters
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise SerializationError(f"Not an encoding: {encoding[:200]!r}.", encoding=encoding) from error


def _class_id(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
