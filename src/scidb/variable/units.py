"""Units: whether what a value says of itself fits what its variable says.

Classes of other libraries are told by the name of their module, so that none is imported for a value of
another kind.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from scidb.exceptions import UnitError, UnsupportedValueError
from scidb.hashing.inputs import preview

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Units", "check_own_units", "same_units", "units_text"]

Units: TypeAlias = str | Mapping[str, str] | None
"""One unit, or one per column."""


def units_text(units: Units) -> str:
    """Return units as people read them.

    Examples
    --------
    >>> units_text("m"), units_text({"x": "m", "t": "s"}), units_text(None)
    ('m', 'x in m, t in s', 'none')

    """
    if units is None:
        return "none"
    return units if isinstance(units, str) else ", ".join(f"{column} in {unit}" for column, unit in units.items())


def same_units(one: Units, other: Units) -> bool:
    """Say whether two declarations mean the same; other spellings only where pint is installed.

    Examples
    --------
    >>> same_units("m", " m "), same_units("m", "mm"), same_units({"x": "m"}, "m")
    (True, False, False)

    """
    if isinstance(one, str) and isinstance(other, str):
        return _same(one, other)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(unit, other[column]) for column, unit in one.items())
    return one is None and other is None


def check_own_units(variable: str, declared: Units, value: object) -> None:
    """Refuse a value whose own unit contradicts its variable, and quantities of pint altogether.

    A value that names no unit is taken to be in that of the variable.

    Raises
    ------
    UnitError
        Naming both units.
    UnsupportedValueError
        When the value is a quantity of pint, saying what to save instead.

    """
    library = type(value).__module__.partition(".")[0]
    if library == "pint" and hasattr(value, "magnitude"):
        _refuse_quantity(variable, declared, value)
    if declared is None or library not in {"pandas", "xarray"}:
        return
    for column, own in _own_units(value, declared):
        for name, unit in _wanted(declared, column):
            if not _same(own, unit):
                raise _contradiction(variable, unit, own, name)


def _refuse_quantity(variable: str, declared: Units, quantity: Any) -> None:
    own = str(quantity.units)
    if isinstance(declared, str) and not _same(own, declared):
        raise _contradiction(variable, declared, own, None)
    unit = declared if isinstance(declared, str) else own
    raise UnsupportedValueError(
        f"{variable} cannot be saved as {preview(quantity)}: a quantity of pint is not stored. Save its number with "
        f"q.to({unit!r}).magnitude, and say units = {unit!r} in the class.",
        path="",
    )


def _contradiction(variable: str, declared: str, own: str, column: str | None) -> UnitError:
    where = "" if column is None else f", column {column!r}"
    return UnitError(
        f"{variable}{where} is in {declared!r}, and the value says that it is in {own!r}. Nothing was saved. Convert "
        "the value, or correct its units.",
        variable=variable,
        units=declared,
        given=own,
        column=column,
    )


def _own_units(value: Any, declared: str | Mapping[str, str]) -> Iterator[tuple[str | None, str]]:
    """Yield the units in the attrs of a value: per column or, with None, of the whole."""
    own = getattr(value, "attrs", {}).get("units")
    if isinstance(own, Mapping):
        yield from ((str(column), str(unit)) for column, unit in own.items() if unit is not None)
    elif own is not None:
        yield None, str(own)
    parts = dict(getattr(value, "data_vars", {}))  # of an xarray Dataset
    if isinstance(declared, Mapping):  # a single unit is that of the data, not that of its coordinates
        parts.update(getattr(value, "coords", {}))
    for name, part in parts.items():
        if (unit := part.attrs.get("units")) is not None:
            yield str(name), str(unit)


def _wanted(declared: str | Mapping[str, str], column: str | None) -> Iterator[tuple[str | None, str]]:
    """Yield the declared units that a column, or the whole of a value, is to have."""
    if isinstance(declared, str):
        yield column, declared
    elif column is None:
        yield from declared.items()
    elif column in declared:
        yield column, declared[column]


def _same(one: str, other: str) -> bool:
    one, other = one.strip(), other.strip()
    if one == other:
        return True
    if importlib.util.find_spec("pint") is None:
        return False
    pint = importlib.import_module("pint")
    parse = pint.get_application_registry().Unit
    try:
        return bool(parse(one) == parse(other))
    except (pint.errors.PintError, ValueError, TypeError, SyntaxError, ArithmeticError, LookupError):
        return False  # no unit that pint knows; then the text decides
