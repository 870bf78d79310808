"""What a parameter may have been given: a value with its form, columns of it, or a table merged of several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from scidb.filters import ColumnSelection
from scidb.foreach.columns import selected
from scidb.foreach.merged import Matches, Part, merged, merged_by_place
from scidb.hashing.ids import columns_form
from scidb.variable import BaseVariable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from scidb.hashing.ids import Form
    from scidb.provenance.noted import NotedInput
    from scidb.store.model import Record

__all__ = ["Argument", "MergedPart", "columns_of", "one_table", "table_of_places", "values_of"]


class Argument(NamedTuple):
    """One way in which an argument may have been given: its form, and the value on demand."""

    form: Form
    value: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class MergedPart:
    """One part of a merge: what it was, what its column may be called, and its values."""

    noted: NotedInput
    name: str
    records: Sequence[Record]
    items: Sequence[Argument]

    @property
    def label(self) -> str | int:
        """What its column is called, where the value does not say it."""
        return self.noted.columns[0] if self.noted.is_single else self.name

    @property
    def places(self) -> list[dict[str, Any]]:
        """Return by which keys the values go with those of other parts."""
        return [
            {key: value for key, value in record.schema.items() if key not in self.noted.fixed}
            for record in self.records
        ]

    @property
    def own(self) -> list[Argument]:
        """Return the values, or the columns of them."""
        return columns_of(self.items, self.noted) if self.noted.columns else list(self.items)

    def form(self) -> tuple[str, Form]:
        """Return how it enters the identity of a table of one place."""
        return "" if self.noted.columns else self.name, self.own[0].form

    def form_of_all(self) -> tuple[str, Form]:
        """Return how it enters the identity of a table of several places."""
        rows = [[item.form, place] for item, place in zip(self.own, self.places, strict=True)]
        return "" if self.noted.columns else self.name, ["list", rows]


def columns_of(items: Sequence[Argument], noted: NotedInput) -> list[Argument]:
    """Return the arguments that were columns of these."""
    labels: list[str | int] | str | int = noted.columns[0] if noted.is_single else list(noted.columns)
    columns = ColumnSelection(BaseVariable, labels)
    return [
        Argument(
            columns_form(noted.columns, item.form, single=noted.is_single),
            lambda item=item: selected(item.value(), columns),  # type: ignore[misc]  # bound at once
        )
        for item in items
    ]


def one_table(parts: Sequence[MergedPart]) -> Any:
    """Return the table of one place."""
    return merged([Part(part.name, part.label, part.own[0].value()) for part in parts])


def table_of_places(parts: Sequence[MergedPart], keys: Sequence[str]) -> Any:
    """Return the table of several places."""
    return merged_by_place([Matches(part.name, part.label, part.places, values_of(part.own)) for part in parts], keys)


def values_of(items: Sequence[Argument], make: Callable[[Iterable[Any]], Any] = list) -> Any:
    """Return the values of several arguments."""
    return make(item.value() for item in items)
