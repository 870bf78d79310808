"""DataArrays, Datasets and Variables of xarray: the data as samples, and what goes with them beside.

The data are columns as those of a numpy array are, and so is everything that has the same rows: the other
variables of a Dataset with the same dims, and coordinates along the first dim where a row is a place on
it. The rest (coordinates of other lengths, attrs) is one Arrow stream in the first row of the column
``parts``. Which coordinates, dims and indexes there are is in the parameters.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import xarray as xr

from scidb.codecs.base import Codec, Parameters, canonical_json, decode, encode
from scidb.codecs.primitive import cells, lists
from scidb.codecs.tagged import from_json, inside, path_text, to_json
from scidb.exceptions import SerializationError, UnsupportedValueError
from scidb.hashing.canonical.encode import Refusal
from scidb.hashing.canonical.xarray import contents, index_groups
from scidb.store.names import unique_columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["XarrayCodec"]

Pieces: TypeAlias = "list[_Piece]"

_KINDS: Final = {
    xr.DataArray: "DataArray",
    xr.Dataset: "Dataset",
    xr.Variable: "Variable",
    xr.IndexVariable: "IndexVariable",
}


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part that is stored by the codec of its own type: data, a coordinate, an index or attrs."""

    label: str
    path: str
    value: Any
    dims: tuple[Any, ...] | None = None  # None: no samples


class XarrayCodec(Codec):
    """One list element per sample of the data, or per place on the first of two dims if the second is short."""

    name = "xarray"
    types: ClassVar[tuple[type, ...]] = (*_KINDS, xr.DataTree)

    def describe(self, value: object) -> Parameters:
        """Return dims, names and indexes, and of each part its encoding and where it is."""
        skeleton, pieces = _taken_apart(value)
        tables = [_encoded(piece, [piece.value]) for piece in pieces]
        in_rows = _in_rows(skeleton, pieces, [table for _, table in tables])
        labels = [
            _column_label(piece.label, name, table.num_columns)
            for number, (piece, (_, table)) in enumerate(zip(pieces, tables, strict=True))
            if number in in_rows
            for name in table.column_names
        ]
        if len(in_rows) < len(pieces) or not labels:
            labels.append("parts")
        return {
            "type": _KINDS[type(value)],
            **skeleton,
            "parts": [{"encoding": json.loads(encoding), "columns": table.column_names} for encoding, table in tables],
            "rows": in_rows,
            "physical": unique_columns(labels),
        }

    def encode(self, values: Sequence[Any], parameters: Parameters) -> pa.Table:
        """Return one row of lists per value."""
        taken = [_taken_apart(value)[1] for value in values]
        tables = [_encoded(pieces[0], [piece.value for piece in pieces])[1] for pieces in zip(*taken, strict=True)]
        in_rows = set(parameters["rows"])
        columns = [column for number in parameters["rows"] for column in tables[number].columns]
        if len(columns) < len(parameters["physical"]):
            beside = [table for number, table in enumerate(tables) if number not in in_rows]
            lengths = columns[0].combine_chunks().value_lengths().to_numpy() if columns else [1] * len(values)
            columns.append(_first_of_each([_stream(beside, row) for row in range(len(values))], lengths))
        return pa.table(columns, names=parameters["physical"])

    def decode(self, table: pa.Table, parameters: Parameters) -> list[Any]:
        """Return objects whose data own their memory."""
        count = len(parameters["parts"])
        names = iter(parameters["physical"])
        by_part: dict[int, list[Any]] = {}
        for number in parameters["rows"]:
            part = parameters["parts"][number]
            own = table.select([next(names) for _ in part["columns"]]).rename_columns(part["columns"])
            by_part[number] = decode(canonical_json(part["encoding"]), own)
        beside = [number for number in range(count) if number not in by_part]
        streams = cells(table.column(next(names))) if beside else iter([None] * table.num_rows)
        restored = []
        for row, cell in enumerate(streams):
            found = {number: values[row] for number, values in by_part.items()}
            if cell is not None:
                own_parts = [parameters["parts"][number] for number in beside]
                found.update(zip(beside, _from_stream(cell[0].as_py(), own_parts), strict=True))
            restored.append(_put_together(parameters, [found[number] for number in range(count)]))
        return restored

    def nbytes(self, values: Sequence[Any], table: pa.Table) -> tuple[int, ...]:  # noqa: ARG002
        """Return the bytes of the data and the coordinates."""
        return tuple(int(value.nbytes) for value in values)


# ------------------------------------------------------------------ taking apart


def _taken_apart(value: Any) -> tuple[Parameters, Pieces]:
    """Return the skeleton of an object, and the parts to which it refers by number."""
    pieces: Pieces = []
    try:
        return _skeleton(value, pieces), pieces
    except Refusal as refusal:
        path = "".join(reversed(refusal.trail))
        where = f" (at {path} inside the value)" if path else ""
        raise UnsupportedValueError(
            f"Cannot store an xarray {type(value).__name__}{where}: {refusal.reason}.", path=path
        ) from None


def _skeleton(value: Any, pieces: Pieces) -> Parameters:
    if isinstance(value, xr.DataTree):
        raise Refusal("it is many datasets; save to_dict() of it")
    if isinstance(value, xr.Variable):
        return {"data": [_variable("value", "", value, pieces)]}
    if isinstance(value, xr.DataArray):
        label = "value" if value.name is None else str(value.name)
        data = [{"name": to_json(value.name), **_variable(label, "", value.variable, pieces)}]
        return {"data": data, **_coordinates(value, pieces)}
    data = [
        {"name": to_json(name), **_variable(str(name), path_text(name), one.variable, pieces)}
        for name, one in value.data_vars.items()
    ]
    return {"data": data, **_coordinates(value, pieces), **_attrs(value.attrs, "", pieces)}


def _variable(label: str, path: str, variable: xr.Variable, pieces: Pieces) -> Parameters:
    try:
        data = contents(variable)
    except Refusal as refusal:
        refusal.trail.append(path)
        raise
    pieces.append(_Piece(label, path, data, variable.dims))
    described = {"dims": to_json(list(variable.dims)), "part": len(pieces) - 1}
    return {**described, **_attrs(variable.attrs, path, pieces)}


def _attrs(attrs: Any, path: str, pieces: Pieces) -> Parameters:
    if not attrs:
        return {}
    pieces.append(_Piece("attrs", f"{path}.attrs", dict(attrs)))
    return {"attrs": len(pieces) - 1}


def _coordinates(value: xr.DataArray | xr.Dataset, pieces: Pieces) -> Parameters:
    groups = index_groups(value)
    indexes: list[Parameters] = []
    indexed: set[Any] = set()
    for kind, index, names in groups:
        label = index.dim if kind == "multi" else names[0]
        pieces.append(_Piece(str(label), path_text(label), index.index, (index.dim,)))
        described: Parameters = {"dim": to_json(index.dim), "part": len(pieces) - 1}
        if kind == "multi":
            described["levels"] = [
                [to_json(name), _dtype_text(dtype)] for name, dtype in index.level_coords_dtype.items()
            ]
        else:
            described["dtype"] = _dtype_text(index.coord_dtype)
        indexes.append(described)
        indexed.update(names)
    coords = []
    for name, one in value.coords.items():
        variable, path = one.variable, path_text(name)
        own: Parameters = {"name": to_json(name)}
        if name in indexed:
            own.update(_attrs(variable.attrs, path, pieces))
        else:
            own.update(_variable(str(name), path, variable, pieces))
        coords.append(own)
    return {"coords": coords, "indexes": indexes} if coords else {}


def _dtype_text(dtype: Any) -> str | None:
    """Return the dtype of a coordinate where numpy has it; else it is that of the index."""
    return dtype.str.lstrip("<>=|") if isinstance(dtype, np.dtype) else None


# ------------------------------------------------------------------ parts and where they are


def _encoded(piece: _Piece, values: list[Any]) -> tuple[str, pa.Table]:
    try:
        (part,) = encode(values)
    except UnsupportedValueError as error:
        raise inside(error, piece.path) from None
    return part.encoding, part.table


def _in_rows(skeleton: Parameters, pieces: Pieces, tables: Sequence[pa.Table]) -> list[int]:
    """Return the parts that have the rows of the largest of the data."""
    data = [described["part"] for described in skeleton["data"]]
    main = max(data, key=lambda number: np.size(pieces[number].value), default=None)
    if main is None or not (length := _length(tables[main])):
        return []
    first = (pieces[main].dims or ())[:1]
    return [
        number
        for number, (piece, table) in enumerate(zip(pieces, tables, strict=True))
        if piece.dims is not None and piece.dims[:1] == first and _length(table) == length
    ]


def _length(table: pa.Table) -> int | None:
    """Return how many rows a single value has, if it has its lists in columns."""
    if not table.num_columns or not all(pa.types.is_large_list(field.type) for field in table.schema):
        return None
    return len(table.column(0)[0])


def _column_label(label: str, column: str, count: int) -> str:
    return label if count == 1 else f"{label}_{column.removeprefix('value_')}"


def _stream(tables: Sequence[pa.Table], row: int) -> bytes:
    """Return one row of several tables as an Arrow stream."""
    columns = [column.slice(row, 1).combine_chunks() for table in tables for column in table.columns]
    batch = pa.record_batch(columns, names=[str(number) for number in range(len(columns))])
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, batch.schema, options=options) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def _from_stream(stream: bytes, parts: Sequence[Parameters]) -> Iterator[Any]:
    try:
        with pa.ipc.open_stream(stream) as reader:
            table = reader.read_all()
    except OSError as error:
        raise SerializationError(f"The parts of a stored xarray object cannot be read: {error}.") from error
    table.validate(full=True)  # a list that claims to be longer than its items would read foreign memory
    columns = iter(table.columns)
    for part in parts:
        own = pa.table([next(columns) for _ in part["columns"]], names=part["columns"])
        yield decode(canonical_json(part["encoding"]), own)[0]


def _first_of_each(contents_of: Sequence[bytes], lengths: Any) -> pa.LargeListArray:
    """Return lists of these lengths, each with bytes in its first element and nothing in the others."""
    ends = np.cumsum(lengths)
    sizes = np.zeros(int(ends[-1]), np.int64)
    sizes[ends - lengths] = [len(one) for one in contents_of]
    offsets = np.concatenate(([0], np.cumsum(sizes)))
    valid = np.packbits(sizes > 0, bitorder="little")
    buffers = [pa.py_buffer(valid), pa.py_buffer(offsets), pa.py_buffer(b"".join(contents_of))]
    return lists(pa.Array.from_buffers(pa.large_binary(), len(sizes), buffers), lengths)


# ------------------------------------------------------------------ putting together


def _put_together(parameters: Parameters, parts: Sequence[Any]) -> Any:
    kind = parameters["type"]
    variables = [_restored(described, parts) for described in parameters["data"]]
    if kind in ("Variable", "IndexVariable"):
        variable = variables[0]
        return variable if kind == "Variable" else variable.to_index_variable()
    coords = _restored_coordinates(parameters, parts)
    names = [from_json(described["name"]) for described in parameters["data"]]
    if kind == "DataArray":
        return xr.DataArray(variables[0], coords, name=names[0])
    return xr.Dataset(dict(zip(names, variables, strict=True)), coords, attrs=_restored_attrs(parameters, parts))


def _restored(described: Parameters, parts: Sequence[Any]) -> xr.Variable:
    data, dims = parts[described["part"]], from_json(described["dims"])
    attrs = _restored_attrs(described, parts)
    if type(data) is np.ndarray:
        # By itself, xarray looks for text and times in objects, and finds others under each pandas.
        return xr.Variable(dims, data, attrs, fastpath=True)
    # It makes objects of zoned times, unless they come as an index.
    zoned = isinstance(data.dtype, pd.DatetimeTZDtype)
    return xr.Variable(dims, pd.DatetimeIndex(data) if zoned else data, attrs)


def _restored_attrs(described: Parameters, parts: Sequence[Any]) -> Any:
    return parts[described["attrs"]] if "attrs" in described else None


def _restored_coordinates(parameters: Parameters, parts: Sequence[Any]) -> xr.Coordinates:
    indexes: dict[Any, Any] = {}
    made: dict[Any, xr.Variable] = {}
    for described in parameters.get("indexes", ()):
        index = _restored_index(described, parts)
        variables = index.create_variables()
        made.update(variables)
        indexes.update(dict.fromkeys(variables, index))
    coords: dict[Any, xr.Variable] = {}
    for described in parameters.get("coords", ()):
        name = from_json(described["name"])
        coords[name] = made[name] if name in made else _restored(described, parts)
        if name in made:
            coords[name].attrs.update(_restored_attrs(described, parts) or {})
    return xr.Coordinates(coords, indexes)


def _restored_index(described: Parameters, parts: Sequence[Any]) -> Any:
    index, dim = parts[described["part"]], from_json(described["dim"])
    if "levels" not in described:
        return xr.indexes.PandasIndex(index, dim, _dtype(described["dtype"], index))
    levels = [(from_json(name), text) for name, text in described["levels"]]
    dtypes = {name: _dtype(text, index.get_level_values(name)) for name, text in levels}
    return xr.indexes.PandasMultiIndex(index, dim, dtypes)


def _dtype(text: str | None, index: Any) -> Any:
    return index.dtype if text is None else np.dtype(text)
