"""Write docs/reference/values.md: what can be saved, how it is stored, and how it looks in SQL.

Every row is a value that this script saves, loads and queries: ``python docs/generate_values.py``. The page
is checked in, and a test compares it with what this script would write.
"""

from __future__ import annotations

import ast
import datetime as dt
import decimal
import io
import json
import tempfile
import types
import uuid
import zoneinfo
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import xarray as xr

import scidb
from scidb import BaseVariable
from scidb.codecs import encode
from scidb.testing.looks import look

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scidb import DatabaseManager

__all__ = ["PAGE", "SECTIONS", "codecs_shown", "render"]

PAGE: Final = Path(__file__).parent / "reference" / "values.md"

INTRODUCTION: Final = """\
# What can be saved

Each row is a value, how it is stored, and what the view `V` shows of it. Every value here was saved,
loaded again, and found to be the same: equal value, type, dtype, shape, index, names, order and attrs.
What is not here is refused when it is saved, with the path to it inside the value; nothing is written then.

There are three ways of storing a value. A **scalar** is one cell of one typed column. A **table** (arrays, Series,
frames) has one row per sample in typed columns: the view `V` shows them as lists, `V__rows` as rows. A **document**
(dicts, mixed lists) is JSON text where JSON is exact; arrays and tables inside it stand beside the text, in Arrow's
own format.

This page is written by `python docs/generate_values.py`. Do not edit it.
"""

SECTIONS: Final[dict[str, list[Any]]] = {
    "Python": [
        None,
        True,
        1,
        2**70,
        2.5,
        float("nan"),
        1 + 2j,
        "text",
        b"bytes",
        dt.date(2024, 2, 29),
        dt.datetime(2024, 2, 29, 12),  # noqa: DTZ001
        dt.datetime(2024, 2, 29, 12, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")),
        dt.timedelta(seconds=90),
        decimal.Decimal("1.10"),
        uuid.UUID(int=1),
    ],
    "Containers": [
        [1, 2, 3],
        [1, 2.5, None, "x"],
        (1, 2),
        {1, 2},
        {"cutoff": 6.0, "order": 4},
        {1: "left", 2: "right"},
        OrderedDict(b=1, a=2),
        [np.arange(3.0), np.arange(2.0)],
        {"emg": np.arange(3), "rate": 1000},
    ],
    "numpy": [
        np.float32(1.5),
        np.arange(3.0),
        np.array([True, False]),
        np.eye(2),
        np.zeros((2, 2, 2), "f4"),
        np.zeros((0, 3)),
        np.array([1 + 2j]),
        np.array(["a", "bc"]),
        np.array(["2024-02-29"], "M8[D]"),
        np.array([(1, 2.5)], [("trial", "i4"), ("peak", "f8")]),
        np.ma.array([1.0, 2.0], mask=[False, True]),
        np.array([1, "x", None], object),
    ],
    "pandas": [
        pd.DataFrame({"side": ["L", "R"], "length": [0.71, 0.69]}, index=pd.Index([10, 20], name="ms")),
        pd.Series([1.5, None], name="speed"),
        pd.Series(["a", None]),
        pd.Series([1, None], dtype="Int64"),
        pd.Series(pd.Categorical(["L", "R"], ["R", "L", "both"])),
        pd.Series(pd.date_range("2024-03-01", periods=2, tz="Europe/Berlin")),
        pd.Series(pd.period_range("2024-01", periods=2, freq="M")),
        pd.Series(pd.interval_range(0, 2)),
        pd.Index(["a", "b"], name="side"),
    ],
    "polars, Arrow, xarray": [
        pl.DataFrame({"side": ["L", "R"], "length": [0.71, 0.69]}),
        pl.Series("speed", [1.5, None]),
        pa.table({"length": [0.71, 0.69]}),
        pa.table({"steps": [[1, 2], [3]]}),
        xr.DataArray([1.0, 2.0], {"time": [0.0, 0.5]}, ["time"], attrs={"units": "mV"}),
        xr.Dataset({"emg": ("time", [1.0, 2.0])}),
    ],
}


def codecs_shown() -> set[str]:
    """Return the names of the codecs that store the examples."""
    return {_codec(value) for values in SECTIONS.values() for value in values}


def render() -> str:
    """Return the whole page."""
    parts = [INTRODUCTION]
    texts = _texts()
    with tempfile.TemporaryDirectory() as folder, scidb.open(Path(folder) / "values.duckdb", ["subject"]) as db:
        for section, values in SECTIONS.items():
            parts += [f"## {section}\n", "| value | stored as | in SQL |", "|---|---|---|"]
            for text, value in zip(texts[section], values, strict=True):
                parts.append(_row(db, f"V{len(parts)}", text, value))
            parts.append("")
    return "\n".join([*parts, *_refused()])


def _texts() -> dict[str, list[str]]:
    """Return the examples as this file writes them, so that the page shows what was saved."""
    found: dict[str, list[str]] = {}
    for statement in ast.parse(Path(__file__).read_text(encoding="utf-8")).body:
        match statement:
            case ast.AnnAssign(target=ast.Name("SECTIONS"), value=ast.Dict(keys, values)):
                for key, value in zip(keys, values, strict=True):
                    if isinstance(key, ast.Constant) and isinstance(value, ast.List):
                        found[str(key.value)] = list(map(ast.unparse, value.elts))
            case ast.AnnAssign(target=ast.Name("_REFUSED"), value=ast.List(values)):
                found["refused"] = list(map(ast.unparse, values))
    return found


def _row(db: DatabaseManager, name: str, text: str, value: object) -> str:
    variable: Any = type(name, (BaseVariable,), {"__doc__": text})
    variable.save(value, subject=1, db=db)
    if look(variable.load_one(subject=1, db=db).data) != look(value):
        raise SystemExit(f"docs/generate_values.py: {text} came back as another value.")
    shown = db.query(f"SELECT * EXCLUDE (subject, version_keys, record_id, timestamp) FROM {name}").to_arrow()
    described = db.query(f"DESCRIBE {name}").to_arrow()
    kinds = dict(zip(*(described.column(name).to_pylist() for name in ("column_name", "column_type")), strict=True))
    cells = "; ".join(
        f"{name} {kinds[name]}: `{_cell(column[0].as_py())}`"
        for name, column in zip(shown.column_names, shown.columns, strict=True)
    )
    return f"| `{_escaped(text)}` | {_family(value)} (`{_codec(value)}`) | {_escaped(cells)} |"


def _cell(value: object) -> str:
    if isinstance(value, bytes):
        return f"{len(value)} bytes" if len(value) > 20 else repr(value)
    return str(value) if not isinstance(value, str) else repr(value)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _codec(value: object) -> str:
    (part,) = encode([value])
    return str(json.loads(part.encoding)["codec"])


def _family(value: object) -> str:
    (part,) = encode([value])
    kinds = [field.type for field in part.table.schema]
    if kinds and all(pa.types.is_list(kind) or pa.types.is_large_list(kind) for kind in kinds):
        return "table"
    return "document" if _codec(value) in _DOCUMENTS else "scalar"


_DOCUMENTS: Final = {"nested", "tree", "objects"}


def _refused() -> Iterator[str]:
    yield "## Refused\n"
    yield "| value | the error says |\n|---|---|"
    for text, value in zip(_texts()["refused"], _REFUSED, strict=True):
        try:
            encode([value])
        except scidb.UnsupportedValueError as error:
            yield f"| `{_escaped(text)}` | {_escaped(str(error).partition('. ')[0])} |"
        else:
            raise SystemExit(f"docs/generate_values.py: {text} is not refused.")
    yield ""


_REFUSED: Final[list[Any]] = [
    io.StringIO("an open file"),
    (x for x in range(3)),
    {"fit": lambda x: x},
    [1, types.SimpleNamespace(fit=1)],
    np.array([1, types.SimpleNamespace(fit=1)], object),
    pl.LazyFrame({"x": [1]}),
]


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
