"""What every group of facade methods shares: the store, the schema keys, the registered types."""

from __future__ import annotations

import inspect
import json
import re
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from scidb.addressing import (
    RESERVED_KEYS,
    convert_key,
    infer_key_type,
    key_values_within,
    read_address,
    write_address,
)
from scidb.exceptions import (
    NotRegisteredError,
    PipelineError,
    SchemaKeyError,
    SciDBError,
    SciDBWarning,
    UnitError,
    did_you_mean,
)
from scidb.hashing import ids
from scidb.hashing.version_keys import constant_key
from scidb.memo import Memo
from scidb.records import class_named, instant
from scidb.registry import known_classes
from scidb.settings import user_name
from scidb.store.labels import listed, looks_like_an_instant
from scidb.store.model import Entries, Latest, Locations, Match, Tags, TypeInfo
from scidb.store.names import check_not_renamed
from scidb.variable import BaseVariable
from scidb.variable.units import same_units, units_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from scidb.addressing import Address
    from scidb.filters import Filter
    from scidb.store.model import Record, SchemaKey, StoreInfo
    from scidb.store.protocol import Store
    from scidb.variable.units import Units

__all__ = ["Core", "LineageMode", "VariableLike", "check_lineage_mode"]

LineageMode: TypeAlias = Literal["strict", "ephemeral"]
VariableLike: TypeAlias = type[BaseVariable] | str
_LINEAGE_MODES: Final = ("strict", "ephemeral")
# The names in a text such as Fixed(Emg, side='left'), but neither keywords nor what is quoted.
_VARIABLE: Final = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|(?P<name>\b[^\W\d]\w*\b)(?!=)""")


def check_lineage_mode(mode: object) -> None:
    """Refuse what is none.

    Raises
    ------
    SciDBError
        Saying which there are.

    """
    if mode not in _LINEAGE_MODES:
        raise SciDBError(f"lineage_mode={mode!r}: use 'strict' or 'ephemeral'.")


class Core:
    """State of one open database, and the rules that all methods follow."""

    def __init__(self, store: Store, *, lineage_mode: LineageMode = "strict") -> None:
        check_lineage_mode(lineage_mode)
        self._store = store
        self._lineage_mode = lineage_mode
        self._memo = Memo(store)
        self._types_seen: dict[str, TypeInfo] | None = None  # counting the log is for those who ask, not for opening
        self._begun: set[str] = set()  # runs of for_each that are noted, and under way

    # -------------------------------------------------------------- what the database is

    @property
    def _info(self) -> StoreInfo:
        # Asked each time: another handle on the same file may have added to it.
        return self._store.describe()

    @property
    def target(self) -> str:
        """The path or address of the database."""
        return self._info.target

    @property
    def read_only(self) -> bool:
        """Whether writing is refused."""
        return self._info.read_only

    @property
    def lineage_mode(self) -> LineageMode:
        """``"strict"`` or ``"ephemeral"``."""
        return self._lineage_mode

    @property
    def schema_keys(self) -> tuple[str, ...]:
        """The names of the schema keys, in order."""
        return tuple(key.name for key in self._keys)

    @property
    def _keys(self) -> tuple[SchemaKey, ...]:
        return self._info.schema_keys

    @property
    def _user(self) -> str:
        return self._info.user_id or user_name()

    # -------------------------------------------------------------- variable types

    def register(self, variable: VariableLike) -> TypeInfo:
        """Make a variable type known to the database; saving does so by itself.

        What the class declares (description, units, display) is then what the database says; so a unit that
        was misnamed is corrected on purpose.

        Raises
        ------
        VariableDefinitionError
            When the database has a variable whose name differs only in case.

        """
        self._register([info := self._declared(variable)])
        return self._types[info.name]

    def _declared(self, variable: VariableLike) -> TypeInfo:
        """Return a variable as its class declares it, or as the database knows it where there is no class."""
        name, cls = self._named(variable)
        known = self._known(name)
        if cls is BaseVariable:
            return known or self._registered(name)
        description = inspect.cleandoc(cls.__dict__.get("__doc__") or "")
        identity = known.identity_name if known else name
        return TypeInfo(name, cls.schema_version, description, cls.units, cls.display, identity)

    def _known(self, name: str) -> TypeInfo | None:
        """Return what the database knows of a variable, which another handle may have registered or renamed."""
        if self._types_seen is None or name not in self._types_seen:
            self._types_seen = self._all_types()
        return self._types_seen.get(name)

    @property
    def _types(self) -> dict[str, TypeInfo]:
        """Every variable that was known when one was last looked for in vain."""
        if self._types_seen is None:
            self._types_seen = self._all_types()
        return self._types_seen

    def _all_types(self) -> dict[str, TypeInfo]:
        return {info.name: info for info in self._store.types()}

    def _register(self, declared: Iterable[TypeInfo]) -> None:
        """Make the database know these types as they are declared now."""
        for info in declared:
            known = self._types.get(info.name)
            if known is None or _declaration(known) != _declaration(info):
                self._types[info.name] = self._store.register(info)

    def types(self) -> list[TypeInfo]:
        """Return every variable of the database with its counts and its last change."""
        return self._store.types()

    def _named(self, variable: object) -> tuple[str, type[BaseVariable]]:
        """Return name and class of what a caller named either way."""
        if isinstance(variable, str):
            name, cls = variable, class_named(variable)
        elif isinstance(variable, type) and variable is not BaseVariable and issubclass(variable, BaseVariable):
            name, cls = variable.__name__, variable
        else:
            raise SciDBError(f"Expected a variable class or its name, got {variable!r}.")
        check_not_renamed(name, self._info.renamed)
        return name, cls

    def _stored(self, variable: object) -> tuple[str, type[BaseVariable]]:
        """Return name and class of a variable that the database has; warn when the class labels it otherwise."""
        name, cls = self._named(variable)
        known = self._registered(name)
        is_labelled = None not in (known.units, cls.units) and known.schema_version == cls.schema_version
        if is_labelled and not same_units(known.units, cls.units):
            warnings.warn(_other_units(known, cls.units), SciDBWarning, stacklevel=2)
        return name, cls

    def _check_units(self, declared: TypeInfo) -> None:
        """Refuse to add values in another unit to those that are stored under the same schema_version.

        Raises
        ------
        UnitError
            Saying how to state that the unit has changed, and how, that it was wrong.

        """
        known = self._types.get(declared.name)
        if known is None or known.units is None or known.schema_version != declared.schema_version:
            return
        if not same_units(known.units, declared.units):
            raise UnitError(
                _other_units(known, declared.units), variable=known.name, units=known.units, given=declared.units
            )

    def _registered(self, name: str) -> TypeInfo:
        """Return what the database knows of a variable.

        Raises
        ------
        NotRegisteredError
            When it knows nothing, with the nearest name that it does know.

        """
        found = self._known(name)
        if found is None:
            known = sorted(self._types)
            hint = did_you_mean(name, known) or f" It has {', '.join(known[:20]) or 'no variables yet'}."
            unsaved = " Nothing of it was saved yet." if name in known_classes() else ""
            raise NotRegisteredError(
                f"This database has no variable {name!r}.{unsaved}{hint}", variable=name, target=self.target
            )
        return found

    # -------------------------------------------------------------- addresses

    def key_value(self, key: str, value: object) -> Any:
        """Convert a value to the type of a schema key.

        Raises
        ------
        SchemaKeyError
            When the key does not exist, or the conversion would change the value.

        """
        return convert_key(key, value, self._key(key).value_type)

    def key_values(self, key: str, values: Sequence[object] | slice) -> list[Any]:
        """Convert several values to one type: that of their key, or that of the first where it has none yet.

        A slice stands for those that occur in the database from its start up to and including its stop.
        """
        kind = self._key(key).value_type
        if isinstance(values, slice):
            return list(key_values_within(key, values, kind, self._values_of(key)))
        if kind is None and values:
            kind = infer_key_type(key, values[0])
        return [convert_key(key, value, kind) for value in values]

    def _key(self, name: str) -> SchemaKey:
        for known in self._keys:
            if known.name == name:
                return known
        raise SchemaKeyError(
            f"{name!r} is not a schema key of this database ({', '.join(self.schema_keys)})."
            f"{did_you_mean(name, self.schema_keys)}",
            key=name,
        )

    def _values_of(self, key: str, as_of: str | None = None) -> list[Any]:
        """Return the values of a schema key that occur in the database (until `as_of`), in natural order."""
        return [found.schema[key] for found in self._store.find(Locations((key,), as_of))]

    def version_text(self, version_keys: Mapping[str, Any]) -> str:
        """Return version keys as the canonical JSON under which they are stored.

        A constant without identity is named by its type; the calls that use it are never recognised.
        """
        keys = {name: constant_key(name, value) for name, value in version_keys.items()}
        if self._info.renamed and isinstance(inputs := keys.get("__inputs"), str):
            keys["__inputs"] = self._by_first_names(inputs)
        return ids.canonical_json(keys)

    def _by_first_names(self, inputs: str) -> str:
        """Return the inputs of a for_each call with each variable named as when its first results were stored.

        So that a call after a renaming belongs to the same variant of its outputs as one before.
        """

        def first(found: re.Match[str]) -> str:
            known = self._known(name) if (name := found["name"]) else None
            return known.identity_name if known else found[0]

        texts = {name: _VARIABLE.sub(first, text) for name, text in json.loads(inputs).items()}
        return json.dumps(texts, sort_keys=True, ensure_ascii=False)

    def check_constant(self, name: str) -> None:
        """Refuse the name of a constant that would be stored as a schema key or as a reserved key.

        Raises
        ------
        PipelineError
            Saying what to rename.

        """
        if name in self.schema_keys or name in RESERVED_KEYS or name.startswith("__"):
            reason = "is a schema key of this database" if name in self.schema_keys else "is reserved by SciDB"
            raise PipelineError(
                f"The constant {name!r} would be stored as a version key of that name, and {name!r} {reason}. Rename "
                f"the parameter of the function, for example to {name.strip('_')}_value."
            )

    def _address(
        self,
        name: str,
        metadata: Mapping[str, Any],
        params: Mapping[str, Any] | None = None,
        keys: Sequence[SchemaKey] | None = None,
    ) -> Address:
        """Return where a value is to be saved; who saves many asks for the schema keys once."""
        known = self._keys if keys is None else keys
        return write_address(known, metadata, lambda: self._known_version_keys(name), params)

    def _match(
        self,
        name: str,
        metadata: Mapping[str, Any],
        params: Mapping[str, Any] | None = None,
        as_of: object = None,
        record_prefix: str | None = None,
        where: Filter | None = None,
    ) -> Match:
        return replace(self._match_all((name,), metadata, params, as_of), record_prefix=record_prefix, where=where)

    def _match_all(
        self,
        names: tuple[str, ...] | None,
        metadata: Mapping[str, Any],
        params: Mapping[str, Any] | None = None,
        as_of: object = None,
    ) -> Match:
        """Return what several variables, or all, must each match."""

        def known() -> set[str]:
            return {key for name in names or tuple(self._types) for key in self._known_version_keys(name)}

        wanted = read_address(self._keys, metadata, known, params, self._values_of)
        return Match(variables=names, schema=wanted.schema, version=wanted.version, as_of=self._instant(as_of))

    def _instant(self, moment: object) -> str | None:
        """Return a moment as the store writes it: an instant, or the one that a tag names; None is now.

        Raises
        ------
        SciDBError
            When it is neither, with the tags that there are.

        """
        if isinstance(moment, str) and not looks_like_an_instant(moment):
            tags = {tag.name: tag.timestamp for tag in self._store.find(Tags())}
            if moment not in tags:
                raise SciDBError(
                    f"{moment!r} is no moment in time, and no tag of this database.{did_you_mean(moment, tags)} "
                    f"The tags are: {listed(tags)}. Moments are written as '2026-01-31T12:00' (UTC)."
                )
            return tags[moment]
        return instant(moment)

    def _known_version_keys(self, name: str) -> set[str]:
        """Return the version keys under which this variable was ever saved; asked for only when in doubt."""
        entries = self._store.find(Entries(Match(variables=(name,))))
        return {key for text in {entry.version_keys for entry in entries} for key in json.loads(text)}

    def _closest(self, name: str) -> list[Record]:
        """Return a few latest records of a variable, for error messages."""
        return self._store.find(Latest(Match(variables=(name,))))[:5]


def _declaration(info: TypeInfo) -> tuple[object, ...]:
    return info.schema_version, info.description, info.units, info.display


def _other_units(known: TypeInfo, units: Units) -> str:
    return (
        f"The class {known.name} declares the units {units_text(units)}, and the database has "
        f"{units_text(known.units)} for schema_version {known.schema_version}. If values are in another unit from now "
        f"on, set schema_version = {known.schema_version + 1} and convert older ones in migrate(cls, value, "
        f"from_version). If the numbers are right and the unit was only misnamed, call db.register({known.name}) once."
    )
