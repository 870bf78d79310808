"""`BaseVariable`: what a scientist subclasses."""

from __future__ import annotations

import html
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, cast

from scidb.exceptions import UnhashableValueError, UnsupportedValueError
from scidb.hashing.ids import content_hash, custom_form, record_form, value_form
from scidb.hashing.inputs import CallInput, Input, is_tracked, preview
from scidb.hashing.repeated import repeated_hash
from scidb.registry import register_class
from scidb.store.names import check_variable_name
from scidb.variable.access import Access
from scidb.variable.definition import check_definition
from scidb.variable.description import Description, describe
from scidb.variable.facade import database_or_current
from scidb.variable.migration import is_migrated, restoring_code

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from scidb.hashing.code.listing import SourceCode
    from scidb.store.model import KeyValue, Record
    from scidb.variable.units import Units

__all__ = ["BaseVariable"]


class BaseVariable(Access):
    """A kind of value that an analysis keeps: subclass it once per kind.

    The docstring of the subclass is the variable's description. Values are stored by their own type;
    a class that wants another form defines both ``to_db(self) -> DataFrame`` and
    ``from_db(cls, df)``. A class whose stored values change their form or their meaning raises its
    ``schema_version``, and brings older ones up to date with ``migrate(cls, df, from_version)``.

    ``units`` is one unit, or a unit per column. ``display`` holds hints for tables and plots, also per column.

    Examples
    --------
    >>> class StepLength(BaseVariable):
    ...     \"\"\"Distance between successive heel strikes.\"\"\"
    ...     units = "m"
    >>> step = StepLength(0.71)
    >>> step.data, step.record_id is None
    (0.71, True)

    """

    schema_version: ClassVar[int] = 1
    units: Units = None
    display: ClassVar[Mapping[str, object]] = {}

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        check_variable_name(cls.__name__)
        check_definition(cls)
        register_class(cls)

    def __init__(self, data: Any) -> None:
        self.data = data
        self.type_name = type(self).__name__
        self._record: Record | None = None
        # What it was when loaded: its hash as this instance stores it, and the one that identifies it as an input.
        self._loaded: tuple[str, str] | None = None
        self._flags: tuple[str, ...] = ()

    @classmethod
    def describe(cls, *, db: object | None = None) -> Description:
        """Return what is known of this variable: what the class says, and what the database has of it.

        Works without a database, too.
        """
        return describe(cls, db)

    # -------------------------------------------------------------- what is known of this value

    @property
    def record_id(self) -> str | None:
        """The content-addressed id, once saved or loaded."""
        return self._record.record_id if self._record else None

    @property
    def vhash(self) -> str | None:
        """Another name of `record_id`."""
        return self.record_id

    @property
    def schema(self) -> dict[str, KeyValue]:
        """Where the value belongs: its schema keys."""
        return dict(self._record.schema) if self._record else {}

    @property
    def version_keys(self) -> dict[str, Any]:
        """Which variant it is; for_each's own keys, which begin with two underscores, left out."""
        return {name: value for name, value in self._all_version_keys.items() if not name.startswith("__")}

    @property
    def _all_version_keys(self) -> dict[str, Any]:
        return cast("dict[str, Any]", json.loads(self._record.version_keys)) if self._record else {}

    @property
    def version(self) -> dict[str, Any]:
        """Another name of `version_keys`."""
        return self.version_keys

    @property
    def metadata(self) -> dict[str, Any]:
        """Schema keys and version keys together."""
        return {**self.schema, **self.version_keys}

    @property
    def content_hash(self) -> str | None:
        """The identity of the stored value, wherever it is stored."""
        return self._record.content_hash if self._record else None

    @property
    def lineage_id(self) -> str | None:
        """The computation that made it, if one did."""
        return self._record.lineage_id if self._record else None

    @property
    def timestamp(self) -> str | None:
        """When this entry was saved (UTC)."""
        return self._record.timestamp if self._record else None

    @property
    def flags(self) -> tuple[str, ...]:
        """For what reasons it was flagged when it was loaded, or something that it was made from."""
        return self._flags

    @property
    def source(self) -> SourceCode | None:
        """The code that made this value, as the current database has it; None when no function made it.

        Raises
        ------
        SciDBError
            When it was never saved.
        DatabaseNotConfiguredError, NotFoundError
            When there is no current database, or it does not have this value; then ask ``db.get_source(v)``.

        """
        return database_or_current(None).get_source(self)

    @classmethod
    def table_name(cls) -> str:
        """Return the name of the first data table of this variable."""
        return f"{cls.__name__}_data"

    @classmethod
    def view_name(cls) -> str:
        """Return the name of the view with one row per record."""
        return cls.__name__

    # -------------------------------------------------------------- storage and identity

    @classmethod
    def has_custom_storage(cls) -> bool:
        """Say whether the class stores its values through ``to_db`` and ``from_db``."""
        return hasattr(cls, "to_db")

    def stored_value(self) -> Any:
        """Return the value in the form that is stored and hashed.

        Raises
        ------
        UnsupportedValueError
            When the class's own ``to_db`` fails, or returns anything but a DataFrame.

        """
        if not self.has_custom_storage():
            return self.data
        try:
            stored = self.to_db()  # type: ignore[attr-defined]
        except Exception as error:
            raise UnsupportedValueError(
                f"{self.type_name}.to_db() failed on {preview(self.data)}: {type(error).__name__}: {error}",
                path="",
            ) from error
        if type(stored).__name__ != "DataFrame":
            raise UnsupportedValueError(
                f"{self.type_name}.to_db() returned {preview(stored)}, where a DataFrame was expected.",
                path="",
            )
        return stored

    @classmethod
    def input_from(cls, name: str, record: Record, *, unwrap: bool) -> Input:
        """Return identity and origin of a stored record of this class as the input `name` of a call."""
        origin = cls.origin_from(name, record, unwrap=unwrap)
        return Input(cls.form_from(record, unwrap=unwrap), (origin,))

    @classmethod
    def origin_from(cls, name: str, record: Record, *, unwrap: bool) -> CallInput:
        """Return where the input `name` of a call comes from that is given a stored record of this class."""
        return CallInput(
            name,
            "record",
            record_id=record.record_id,
            input_call_id=record.call_id,
            output_num=record.output_num,
            type_name=record.variable,
            content_hash=record.content_hash,
            code_hash=(restoring_code(cls, record.schema_version) or None) if unwrap else None,
        )

    @classmethod
    def form_from(cls, record: Record, *, unwrap: bool) -> list[Any]:
        """Return how a stored record of this class enters the identity of a call."""
        if not unwrap:
            return record_form(record.record_id)
        return cls._content_form(record.content_hash, record.schema_version)

    @classmethod
    def _content_form(cls, content: str, schema_version: int) -> list[Any]:
        code = restoring_code(cls, schema_version)
        if not code:
            return value_form(content)
        return custom_form(cls.__dict__.get("__scidb_type__", cls.__name__), schema_version, code, content)

    def __scidb_input__(self, name: str, *, unwrap: bool) -> Input:
        """Return identity and origin of this value as the input `name` of a call."""
        if is_tracked(self.data):  # made of a thunk's result, which knows more than its value
            return self.data.__scidb_input__(name, unwrap=unwrap)
        content = repeated_hash(self.stored_value())
        if self._record is not None and self._loaded is not None and content == self._loaded[0]:
            return self._input_as_loaded(name, self._record, self._loaded[1], unwrap=unwrap)
        self._record = None  # never saved, or changed in place since: then it is no longer that record
        origin = CallInput(name, "record", type_name=self.type_name, content_hash=content)
        return Input(self._content_form(content, self.schema_version), (origin,))

    def _input_as_loaded(self, name: str, record: Record, content: str, *, unwrap: bool) -> Input:
        """Return identity and origin of a value that is still what was loaded, a selection of rows included."""
        whole = self.input_from(name, record, unwrap=unwrap)
        if content == record.content_hash:
            return whole
        form = self._content_form(content, self.schema_version) if unwrap else [*whole.form, content]
        return Input(form, tuple(replace(origin, content_hash=content) for origin in whole.origins))

    def note_flags(self, reasons: Iterable[str]) -> None:
        """Note for what reasons this value is flagged."""
        self._flags = tuple(dict.fromkeys(reasons))

    def came_from(self, record: Record, *, selected: bool = False) -> None:
        """Note the record that this value was saved as or loaded from; `selected`: only some of its rows."""
        self.type_name = record.variable
        self._record = record
        content = record.content_hash
        if not selected and record.schema_version == self.schema_version and not self.has_custom_storage():
            self._loaded = (content, content)  # as nearly everything
            return
        migrated = is_migrated(type(self), record.schema_version)
        if not migrated and record.schema_version < self.schema_version:
            self.units = None  # those of the class may not be those of then
        if selected or migrated or self.has_custom_storage():
            try:
                # A class may restore a value from which to_db makes a slightly different table.
                stored = content_hash(self.stored_value())
            except (UnsupportedValueError, UnhashableValueError):
                self._loaded = None  # as an input, it counts as never saved
            else:
                self._loaded = (stored, stored if selected else content)
        else:
            self._loaded = (content, content)

    # -------------------------------------------------------------- looks

    def __repr__(self) -> str:
        where = ", ".join(f"{key}={value!r}" for key, value in self.metadata.items())
        state = f"record {self.record_id[:12]}" if self.record_id else "not saved"
        state += f"; flagged: {'; '.join(self.flags)}" if self.flags else ""
        return f"{self.type_name}({preview(self.data)}{'; ' if where else ''}{where}) [{state}]"

    def _repr_html_(self) -> str:
        return f"<code>{html.escape(repr(self))}</code>"
