"""Metadata of a save or a read, split into location and version keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scidb.addressing.names import check_key_name, near_miss
from scidb.addressing.values import convert_key, infer_key_type, key_values_within
from scidb.exceptions import SchemaKeyError
from scidb.hashing.ids import canonical_json
from scidb.hashing.version_keys import AnyOf, version_value, wanted_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from scidb.store.model import KeyType, KeyValue, SchemaKey

__all__ = ["Address", "Wanted", "read_address", "write_address"]


@dataclass(frozen=True, slots=True)
class Address:
    """One location, one set of version keys, and the keys whose type this very value decides."""

    schema: dict[str, KeyValue]
    version: dict[str, Any]
    version_keys: str  # canonical JSON of `version`
    typed: dict[str, KeyType]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a read asks for: per key, the values of which any will do; None among them means "not set"."""

    schema: dict[str, tuple[KeyValue | None, ...]]
    version: dict[str, tuple[str | None, ...]]


def write_address(
    keys: Collection[SchemaKey],
    metadata: Mapping[str, object],
    known_version_keys: Callable[[], Collection[str]],
    params: Mapping[str, object] | None = None,
) -> Address:
    """Split the metadata of a save into location and version keys.

    `params` names version keys on purpose: they are not checked for near misses.

    Raises
    ------
    SchemaKeyError, ReservedMetadataKeyError
        Naming the key, the value and what to do.

    """
    schema: dict[str, KeyValue] = {}
    typed: dict[str, KeyType] = {}
    for key in keys:
        if key.name in metadata:
            value = metadata[key.name]
            kind = key.value_type
            if kind is None:
                kind = typed[key.name] = infer_key_type(key.name, value)
            schema[key.name] = convert_key(key.name, value, kind)
    if len(schema) == len(metadata) and not params:
        _checked_params(params)
        return Address(schema, {}, "{}", typed)
    remaining = {name: metadata[name] for name in metadata if name not in schema}
    version = _version_keys(keys, remaining, params, known_version_keys)
    for name, value in version.items():
        if isinstance(value, AnyOf | slice):
            raise SchemaKeyError(
                f"{name}={value!r} asks for several values, and a value is saved under one. Save each by itself, or "
                f"a list under its own name: {name}=[...].",
                key=name,
            )
    version = {name: version_value(name, value) for name, value in version.items()}
    return Address(schema, version, canonical_json(version) if version else "{}", typed)


def read_address(
    keys: Collection[SchemaKey],
    metadata: Mapping[str, object],
    known_version_keys: Callable[[], Collection[str]],
    params: Mapping[str, object] | None = None,
    values_of: Callable[[str], Iterable[KeyValue]] = lambda _: (),
) -> Wanted:
    """Turn the metadata of a read into what is wanted of each key.

    For a schema key whatever holds several values means any of them, and a slice the ones from its start up to
    and including its stop, among `values_of` the key; None means "not set". A version key matches its exact value.
    Through `params` a read may also name the keys of for_each's own configuration, such as ``__inputs``.

    Raises
    ------
    SchemaKeyError, ReservedMetadataKeyError
        Naming the key, the value and what to do.

    """
    schema: dict[str, tuple[KeyValue | None, ...]] = {}
    remaining = dict(metadata)
    for key in keys:
        if key.name in remaining:
            schema[key.name] = _wanted_values(key, remaining.pop(key.name), values_of)
    params = _checked_params(params)
    own = {name: value for name, value in params.items() if name.startswith("__")}
    named = {name: value for name, value in params.items() if name not in own}
    version = {**_version_keys(keys, remaining, named, known_version_keys), **own}
    return Wanted(schema, {name: wanted_texts(name, value) for name, value in version.items()})


def _wanted_values(
    key: SchemaKey, value: object, values_of: Callable[[str], Iterable[KeyValue]]
) -> tuple[KeyValue | None, ...]:
    if isinstance(value, slice):
        return key_values_within(key.name, value, key.value_type, values_of(key.name))
    if isinstance(value, AnyOf):
        value = value.values
    is_one = isinstance(value, str | bytes | Mapping) or getattr(value, "ndim", 1) != 1
    items: Iterable[object] = [value] if is_one or not hasattr(value, "__iter__") else value
    return tuple(None if item is None else convert_key(key.name, item, key.value_type) for item in items)


def _version_keys(
    keys: Collection[SchemaKey],
    remaining: Mapping[str, object],
    params: Mapping[str, object] | None,
    known_version_keys: Callable[[], Collection[str]],
) -> dict[str, object]:
    if not remaining and not params:
        return {}
    params = _checked_params(params)
    names = tuple(key.name for key in keys)
    for name in remaining:
        check_key_name(name)
        if (near := near_miss(name, names)) is not None and name not in known_version_keys():
            raise SchemaKeyError(
                f"{name!r} is not a schema key of this database ({', '.join(names)}). Did you mean {near!r}? "
                f"If {name!r} really is a version key, say so: params={{{name!r}: ...}}.",
                key=name,
                suggestion=near,
            )
    for name in params:
        check_key_name(name)
        if name in names or name in remaining:
            what = "a schema key: pass it as a keyword" if name in names else "given twice"
            raise SchemaKeyError(f"params={{{name!r}: ...}}: {name!r} is {what}.", key=name)
    return {**remaining, **params}


def _checked_params(params: object) -> Mapping[str, object]:
    """Refuse what is no dict of names; none at all is an empty one."""
    if params is None:
        return {}
    if not isinstance(params, Mapping) or not all(isinstance(name, str) and name for name in params):
        raise SchemaKeyError(f"params={params!r}: give a dict of version keys by name, such as params={{'gain': 2}}.")
    return params
