"""The value objects of `scidb.store.model` as JSON and back, by their type hints.

One coder per hint does three things: write, read (refusing what does not fit), and say as a JSON Schema what it reads.
So what is documented is what is checked. Nothing is looked up by a name that somebody sent, but for the fixed
tables of queries and events.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime as dt
import functools
import types
import typing
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from scidb.exceptions import FilterError, SerializationError
from scidb.filters import Filter
from scidb.store import model
from scidbnet.wire.plain import Json, misfit, plain_from_json, plain_to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

__all__ = ["Coder", "coder_of", "dump", "load", "tagged_coder"]

T = TypeVar("T")

# Names that the modules of the model import for type checkers alone.
_NAMES: Final = {**vars(typing), **vars(collections.abc), **vars(model), "dt": dt, "Filter": Filter}


class Coder:
    """How the values of one type hint are written, read, and described."""

    def write(self, value: Any) -> Json:
        """Return a value as JSON types."""
        return value

    def read(self, data: Json, where: str) -> Any:
        """Return the value that JSON types stand for.

        Raises
        ------
        SerializationError
            When they are something else; `where` says where that was.

        """
        raise NotImplementedError

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of what is read."""
        raise NotImplementedError


def load(data: Json, kind: type[T], where: str) -> T:
    """Return the dataclass that JSON types stand for.

    Examples
    --------
    >>> load({"name": "subject", "value_type": "int"}, model.SchemaKey, "key")
    SchemaKey(name='subject', value_type='int')

    Raises
    ------
    SerializationError
        When they are something else.

    """
    return cast("T", _fields_of(kind).read(data, where))


def dump(value: object) -> Json:
    """Return a dataclass as JSON types; what has its default is left out.

    Examples
    --------
    >>> dump(model.SchemaKey("subject"))
    {'name': 'subject'}

    """
    return _fields_of(type(value)).write(value)


def _fields_of(kind: type[Any]) -> Coder:
    return coder_of(cast("Hashable", kind))


@functools.cache
def coder_of(hint: Hashable) -> Coder:
    """Return the coder for a type hint."""
    if hint in _ALONE:
        return _ALONE[hint]()
    if dataclasses.is_dataclass(hint):
        return _Fields(cast("type[Any]", hint))
    arguments = typing.get_args(hint)
    match typing.get_origin(hint):
        case typing.Literal:
            return _Literal(arguments)
        case types.UnionType | typing.Union:
            return _union(arguments)
        case collections.abc.Mapping:
            return _Named(coder_of(arguments[1]))
    return _Several(coder_of(arguments[0]))


def _union(members: tuple[Any, ...]) -> Coder:
    # A key's value is a union of its own, which Python has dissolved in the one around it.
    parts = set(typing.get_args(model.KeyValue))
    if parts <= set(members):
        members = (model.KeyValue, *(member for member in members if member not in parts))
    return _OneOf(tuple(coder_of(member) for member in members))


# ------------------------------------------------------------------ single values

_SIMPLE: Final[dict[Any, tuple[str, str]]] = {
    str: ("string", "a text"),
    int: ("integer", "an integer"),
    float: ("number", "a number"),
    bool: ("boolean", "true or false"),
    type(None): ("null", "null"),
}


@dataclasses.dataclass(frozen=True, slots=True)
class _Simple(Coder):
    kind: Any

    def read(self, data: Json, where: str) -> Any:
        if type(data) is self.kind:
            return data
        if self.kind is float and type(data) is int and abs(data) < 2**53:
            return float(data)
        raise misfit(where, _SIMPLE[self.kind][1], data)

    def schema(self) -> dict[str, Any]:
        return {"type": _SIMPLE[self.kind][0]}


@dataclasses.dataclass(frozen=True, slots=True)
class _Literal(Coder):
    values: tuple[object, ...]

    def read(self, data: Json, where: str) -> Any:
        if type(data) is str and data in self.values:
            return data
        raise misfit(where, f"one of {', '.join(map(str, self.values))}", data)

    def schema(self) -> dict[str, Any]:
        return {"enum": list(self.values)}


class _Anything(Coder):
    """JSON as it is: what somebody stored for the people who read it."""

    def write(self, value: Any) -> Json:
        if isinstance(value, collections.abc.Mapping):  # of any class, of which JSON knows one
            return {name: self.write(one) for name, one in value.items()}
        return value

    def read(self, data: Json, where: str) -> Any:  # noqa: ARG002 - as its base
        return data

    def schema(self) -> dict[str, Any]:
        return {}


class _KeyValue(Coder):
    """A value of a schema key: a number or a text as it is, another one under its type."""

    def write(self, value: Any) -> Json:
        return plain_to_json(value)

    def read(self, data: Json, where: str) -> Any:
        value = plain_from_json(data, where)
        if not isinstance(value, int | float | str | dt.date):  # of which a store refuses some itself
            raise misfit(where, "the value of a schema key", data)
        return value

    def schema(self) -> dict[str, Any]:
        texts = {"type": "string"}
        tagged = [
            {"type": "object", "properties": {name: texts}, "required": [name], "additionalProperties": False}
            for name in ("date", "datetime", "float")
        ]
        return {"anyOf": [{"type": "integer"}, {"type": "number"}, texts, *tagged]}


class _Filter(Coder):
    def write(self, value: Any) -> Json:
        return value.to_json()

    def read(self, data: Json, where: str) -> Any:
        try:
            return Filter.from_json(data)
        except (FilterError, SerializationError):
            raise
        except (TypeError, ValueError, LookupError, RecursionError, AttributeError) as error:
            raise misfit(where, "a filter", data) from error

    def schema(self) -> dict[str, Any]:
        return {"type": "object", "properties": {"filter": {"type": "string"}}, "required": ["filter"]}


# ------------------------------------------------------------------ several values


@dataclasses.dataclass(frozen=True, slots=True)
class _Several(Coder):
    inner: Coder

    def write(self, value: Any) -> Json:
        return [self.inner.write(one) for one in value]

    def read(self, data: Json, where: str) -> Any:
        if not isinstance(data, list):
            raise misfit(where, "a list", data)
        return tuple(self.inner.read(one, f"{where}[{number}]") for number, one in enumerate(data))

    def schema(self) -> dict[str, Any]:
        return {"type": "array", "items": self.inner.schema()}


@dataclasses.dataclass(frozen=True, slots=True)
class _Named(Coder):
    inner: Coder

    def write(self, value: Any) -> Json:
        return {name: self.inner.write(one) for name, one in value.items()}

    def read(self, data: Json, where: str) -> Any:
        if not isinstance(data, dict):
            raise misfit(where, "an object", data)
        return {name: self.inner.read(one, f"{where}.{name}") for name, one in data.items()}

    def schema(self) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": self.inner.schema()}


@dataclasses.dataclass(frozen=True, slots=True)
class _OneOf(Coder):
    members: tuple[Coder, ...]

    def write(self, value: Any) -> Json:
        if value is None or isinstance(value, str | bool):
            return value
        return next(member for member in self.members if _writes(member, value)).write(value)

    def read(self, data: Json, where: str) -> Any:
        for member in self.members:
            try:
                return member.read(data, where)
            except SerializationError as error:
                last = error
        raise last

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [member.schema() for member in self.members]}


def _writes(member: Coder, value: object) -> bool:
    """Say whether a value is of the type of a coder, as far as members of a union differ."""
    kind: Any
    match member:
        case _Simple() | _Fields():
            kind = member.kind
        case _KeyValue():
            kind = int | float | dt.date
        case _Filter():
            kind = Filter
        case _Several():
            kind = list | tuple
        case _:
            kind = collections.abc.Mapping
    return isinstance(value, kind)


# ------------------------------------------------------------------ dataclasses


class _Fields(Coder):
    """A dataclass as an object; a field that has its default is left out."""

    def __init__(self, kind: type[Any]) -> None:
        self.kind = kind
        hints = typing.get_type_hints(kind, localns=_NAMES)
        self._fields = [
            (one.name, coder_of(hints[one.name]), _default(one)) for one in dataclasses.fields(kind) if one.init
        ]
        self._known = {name for name, _, _ in self._fields}

    def write(self, value: Any) -> Json:
        found = ((name, coder, default, getattr(value, name)) for name, coder, default in self._fields)
        return {name: coder.write(one) for name, coder, default, one in found if not _is_default(one, default)}

    def read(self, data: Json, where: str) -> Any:
        if not isinstance(data, dict):
            raise misfit(where, f"a {self.kind.__name__}", data)
        if not data.keys() <= self._known:
            raise misfit(f"{where}.{min(data.keys() - self._known)}", f"a part of a {self.kind.__name__}", data)
        values = {}
        for name, coder, default in self._fields:
            if name in data:
                values[name] = coder.read(data[name], f"{where}.{name}")
            elif default is dataclasses.MISSING:
                raise misfit(where, f"a {self.kind.__name__}: {name!r} is missing", data)
        return self.kind(**values)

    def schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {name: coder.schema() for name, coder, _ in self._fields},
            "required": [name for name, _, default in self._fields if default is dataclasses.MISSING],
            "additionalProperties": False,
        }


def _default(one: dataclasses.Field[Any]) -> Any:
    if one.default_factory is not dataclasses.MISSING:
        return one.default_factory()
    return one.default


def _is_default(value: object, default: object) -> bool:
    return default is not dataclasses.MISSING and type(value) is type(default) and value == default


class _Tagged(Coder):
    """One of several dataclasses, which says of which kind it is."""

    def __init__(self, kinds: Mapping[str, type[Any]]) -> None:
        self._kinds = kinds

    def write(self, value: Any) -> Json:
        return {"kind": type(value).__name__, **dump(value)}

    def read(self, data: Json, where: str) -> Any:
        name = data.get("kind") if isinstance(data, dict) else None
        if not isinstance(name, str) or name not in self._kinds:
            raise misfit(where, f"one of {', '.join(self._kinds)}", data)
        return load({key: one for key, one in data.items() if key != "kind"}, self._kinds[name], f"{where}.{name}")

    def schema(self) -> dict[str, Any]:
        return {"oneOf": [self._of_kind(name, kind) for name, kind in self._kinds.items()]}

    @staticmethod
    def _of_kind(name: str, kind: type[Any]) -> dict[str, Any]:
        schema = _fields_of(kind).schema()
        return schema | {
            "properties": {"kind": {"const": name}, **schema["properties"]},
            "required": ["kind", *schema["required"]],
        }


def tagged_coder(kinds: collections.abc.Iterable[type[Any]]) -> Coder:
    """Return the coder for any one of some dataclasses."""
    return _Tagged({kind.__name__: kind for kind in kinds})


_ALONE: Final[dict[Any, Callable[[], Coder]]] = {
    **{kind: functools.partial(_Simple, kind) for kind in _SIMPLE},
    model.KeyValue: _KeyValue,
    object: _Anything,
    Filter: _Filter,
}
"""How a coder is made for hints that are made of no others."""
