"""What is known of a variable: what its class says, and what a database has of it."""

from __future__ import annotations

import html
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scidb.current import current
from scidb.variable.facade import database_or_current

if TYPE_CHECKING:
    from scidb.store.model import TypeInfo
    from scidb.variable.base import BaseVariable
    from scidb.variable.units import Units

__all__ = ["Description", "describe"]


@dataclass(frozen=True, slots=True)
class Description:
    """A variable in words; what only a database knows is empty without one.

    Shown as a small table at a prompt and in a notebook.
    """

    name: str
    description: str
    schema_version: int
    units: Units
    display: Mapping[str, object]
    level: str | None = None
    dtype: str = ""
    records: int = 0
    entries: int = 0
    last_change: str | None = None
    groups: tuple[str, ...] = ()

    def columns(self) -> dict[str, dict[str, object]]:
        """Return what is said of single columns: the unit, and the hints, by column."""
        units = self.units if isinstance(self.units, Mapping) else {}
        found: dict[str, dict[str, object]] = {column: {"units": unit} for column, unit in units.items()}
        for name, hints in self.display.items():
            if isinstance(hints, Mapping):
                found.setdefault(name, {}).update(hints)
        return found

    def _lines(self) -> list[tuple[str, str]]:
        lines = [("description", self.description), ("units", self.units if isinstance(self.units, str) else "")]
        whole = {name: hint for name, hint in self.display.items() if not isinstance(hint, Mapping)}
        lines += [("display", _pairs(whole)), *((column, _pairs(said)) for column, said in self.columns().items())]
        lines += [("level", self.level or ("the whole dataset" if self.entries else "")), ("stored as", self.dtype)]
        saved = f"{self.entries} times" if self.entries != 1 else "once"
        lines += [("records", str(self.records)), ("saved", saved), ("last change", self.last_change or "")]
        lines.append(("groups", ", ".join(self.groups)))
        lines.append(("version", str(self.schema_version) if self.schema_version > 1 else ""))
        return [(name, text) for name, text in lines if text]

    def __repr__(self) -> str:
        lines = self._lines()
        width = max(len(name) for name, _ in lines) + 2
        indent = "\n  " + " " * width
        shown = [f"  {name:<{width}}{indent.join(text.splitlines())}" for name, text in lines]
        return "\n".join(line.rstrip() for line in "\n".join([self.name, *shown]).splitlines())

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><th style="text-align:left">{html.escape(name)}</th>'
            f'<td style="text-align:left;white-space:pre-line">{html.escape(text)}</td></tr>'
            for name, text in self._lines()
        )
        return f"<table><caption>{html.escape(self.name)}</caption>{rows}</table>"


def _pairs(said: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in said.items())


def describe(cls: type[BaseVariable], db: object | None) -> Description:
    """Describe a variable by its class and by `db`, or the current database if there is one."""
    text = inspect.cleandoc(cls.__dict__.get("__doc__") or "")
    said = (cls.__name__, text, cls.schema_version, cls.units, cls.display)
    found = _found(cls.__name__, db)
    if found is None:
        return Description(*said)
    counted = (found.schema_level, found.dtype, found.records, found.entries, found.last_change)
    return Description(*said, *counted, groups=found.groups)


def _found(name: str, db: object | None) -> TypeInfo | None:
    if db is None and current() is None:
        return None
    return next((info for info in database_or_current(db).types() if info.name == name), None)
