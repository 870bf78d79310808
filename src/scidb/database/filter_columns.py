"""Which physical column a comparison means, in all the forms that the records of a variable have."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from scidb.codecs import Compared, physical_value
from scidb.exceptions import FilterError, did_you_mean
from scidb.filters import ColumnFilter, InFilter, MissingFilter, VariableFilter, comparison, kind_of
from scidb.records import contents_of
from scidb.store.filter_checks import in_words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from scidb.codecs import Contents, StoredColumn
    from scidb.filters import Filter, Value

__all__ = ["VariableLeaf", "resolve_leaf", "undecided"]

VariableLeaf: TypeAlias = VariableFilter | ColumnFilter | InFilter | MissingFilter


@dataclass(frozen=True, slots=True)
class _Found:
    """The one physical column behind what a leaf names, and what it compares with."""

    column: str
    compared: Compared


def resolve_leaf(leaf: VariableLeaf, encodings: Sequence[str]) -> Filter:
    """Return a comparison as a store decides it, given how the variable's records are encoded.

    Raises
    ------
    FilterError
        When there is no such column, or it cannot be compared so.

    """
    if not encodings:
        return leaf  # nothing was saved; the store says so
    found = _find(leaf, [contents_of(encoding) for encoding in encodings])
    # By itself, a variable means the column "value".
    is_plain = found.column == "value" and (isinstance(leaf, VariableFilter) or leaf.column is None)
    column = None if is_plain else found.column
    match leaf:
        case MissingFilter():
            return replace(leaf, column=column)
        case InFilter(values=values):
            stored = tuple(_value(leaf, value, found.compared) for value in values)
            return replace(leaf, column=column, values=stored)
    if leaf.op not in ("==", "!=") and not found.compared.ordered:
        raise undecided(leaf, "the order of categories is not known to a filter; use ==, != or isin([...])")
    value = _value(leaf, leaf.value, found.compared)
    return comparison(leaf.variable, column, leaf.op, value, leaf.reduce, leaf.version)


def _value(leaf: VariableLeaf, value: Value, compared: Compared) -> Value:
    if compared.kind not in (None, kind_of(value)):
        what, other = in_words(leaf), kind_of(value)
        kinds = {str(compared.kind), str(other)}
        hint = ""
        if kinds == {"datetime", "datetime with a time zone"}:
            hint = " A naive time has no instant; give both a time zone, or neither."
        elif "date" in kinds and any(kind.startswith("datetime") for kind in kinds):
            hint = f" Compare with a {compared.kind}: a day has no time."
        hint = " True and False are no numbers." if "bool" in (other, compared.kind) else hint
        raise undecided(
            leaf, f"{what} holds {_plural(compared.kind)}, which cannot be compared with a {other} ({value!r}).{hint}"
        )
    return physical_value(value, compared)


def _find(leaf: VariableLeaf, known: Sequence[Contents]) -> _Found:
    """Return the column that a leaf names, which must be the same one in all records."""
    label = None if isinstance(leaf, VariableFilter) else leaf.column
    forms = {contents.form for contents in known}
    if label is None:
        _check_one_column(leaf, forms, known)
    columns = [column for contents in known for column in _named(leaf, label, contents)]
    if not columns:
        raise _no_column(leaf, label, known)
    if any(column.compared is None for column in columns):
        raise undecided(leaf, f"what is stored for {in_words(leaf)} cannot be compared{_why_not(columns)}")
    names = sorted({column.name for column in columns})
    if len(names) > 1 or _is_another(names[0], label, known):
        raise undecided(
            leaf,
            f"{in_words(leaf)} is not stored in the same column of all records ({', '.join(names)}), because some "
            "have an index or another column of nearly that name. Save them with the same columns",
        )
    return _Found(names[0], _unified(leaf, [column.compared for column in columns if column.compared]))


def _unified(leaf: VariableLeaf, compared: Sequence[Compared]) -> Compared:
    told = list(dict.fromkeys(one for one in compared if one.kind is not None))
    kinds = sorted({str(one.kind) for one in told})
    if len(kinds) > 1 or len({one.unit for one in told}) > 1:
        what = " and ".join(kinds) if len(kinds) > 1 else f"{_plural(told[0].kind)} in several units"
        raise undecided(leaf, f"{in_words(leaf)} is stored as {what}, depending on the record. Save all of one type")
    if not told:
        return Compared(None)
    return replace(told[0], ordered=all(one.ordered for one in told))


def _check_one_column(leaf: VariableLeaf, forms: AbstractSet[str], known: Sequence[Contents]) -> None:
    """Refuse to compare as one value what is none."""
    name = leaf.variable
    if "table" in forms:
        labels = _labels(known)
        raise undecided(
            leaf,
            f"{name} holds tables. Compare one of their columns: {', '.join(f'{name}[{n!r}]' for n in labels[:5])}",
        )
    if "other" in forms:
        raise undecided(
            leaf,
            f"{name} holds values that are neither single ones nor of one dimension. Save a summary of {name}, and "
            "filter by that",
        )
    if "items" in forms and (isinstance(leaf, MissingFilter) or leaf.reduce is None):
        raise undecided(
            leaf,
            f"{name} holds arrays or Series. Say which of their values have to fulfil it: {name}.any() or {name}.all()",
        )


def _named(leaf: VariableLeaf, label: object, contents: Contents) -> list[StoredColumn]:
    if label is None:
        return list(contents.columns)
    if contents.form != "table":
        return []
    found = [one for one in contents.columns if _is_labelled(one, label)]
    if len(found) > 1:
        raise undecided(leaf, f"{leaf.variable} has {len(found)} columns of the label {label!r}")
    return found


def _is_another(name: str, label: object, known: Sequence[Contents]) -> bool:
    """Say whether that physical column is a column of another label, or one of the index, in some records."""
    return any(
        other.casefold() == name.casefold()
        for contents in known
        for other in (*(one.name for one in contents.columns if not _is_labelled(one, label)), *contents.hidden)
    )


def _is_labelled(column: StoredColumn, label: object) -> bool:
    # By type, too, since 1 == True.
    return type(column.label) is type(label) and column.label == label


def _labels(known: Sequence[Contents]) -> list[object]:
    return list(dict.fromkeys(one.label for contents in known for one in contents.columns))


def _no_column(leaf: VariableLeaf, label: object, known: Sequence[Contents]) -> FilterError:
    labels = [one for one in _labels(known) if one is not None]
    if not labels:
        return undecided(leaf, f"{leaf.variable} holds no tables, and so no columns. Compare {leaf.variable} itself")
    hint = did_you_mean(label, [one for one in labels if isinstance(one, str)]) if isinstance(label, str) else ""
    hidden = any(label in contents.hidden for contents in known)
    index = f" {label!r} is in the index, which filters do not see; save it as a column." if hidden else ""
    shown = ", ".join(map(repr, labels[:20])) + (", ..." if len(labels) > 20 else "")
    return undecided(leaf, f"{leaf.variable} has no column {label!r}; its columns are {shown}.{hint}{index}")


def _why_not(columns: Sequence[StoredColumn]) -> str:
    some = any(column.compared is not None for column in columns)
    where = " in some records" if some else ""
    return f"{where}: a filter compares numbers, texts, booleans, dates, datetimes and timedeltas"


def _plural(kind: object) -> str:
    return {"bool": "True and False", "datetime with a time zone": "datetimes with a time zone"}.get(
        str(kind), f"{kind}s"
    )


def undecided(leaf: VariableLeaf, why: str) -> FilterError:
    """Return the error for a comparison that makes no sense, saying why."""
    end = "" if why.endswith((".", "?")) else "."
    return FilterError(f"The filter {leaf.to_key()} cannot be decided: {why}{end}", filter=leaf.to_key())
