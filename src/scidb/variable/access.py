"""How values of a variable are saved and found: one call of the facade each, on the class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self, cast, overload

from scidb.variable.facade import database_or_current
from scidb.variable.operators import VariableMeta

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import pandas as pd

    from scidb.filters import Filter

__all__ = ["Access"]


class _Save:
    """Both spellings of saving: ``V.save(data, **metadata)`` and ``V(data).save(**metadata)``."""

    @overload
    def __get__(self, instance: None, owner: type[Access]) -> Callable[..., str]: ...

    @overload
    def __get__(self, instance: Access, owner: type[Access]) -> Callable[..., str]: ...

    def __get__(self, instance: Access | None, owner: type[Access]) -> Callable[..., str]:
        return owner._save_data if instance is None else instance._save_self  # noqa: SLF001 - one class in two parts


class Access(metaclass=VariableMeta):
    """The calls by which a variable class reaches a database."""

    save = _Save()

    @classmethod
    def _save_data(
        cls,
        data: Any,
        index: Any = None,
        db: object | None = None,
        params: Mapping[str, object] | None = None,
        **metadata: Any,
    ) -> str:
        """Save a value of this variable and return its record_id.

        Parameters
        ----------
        data
            A raw value, another variable, or the result of a thunk (whose lineage is recorded).
        index
            Becomes the index of a DataFrame or Series.
        db
            The database; the current one if left out.
        params
            Version keys by name, for names that look like misspelt schema keys.
        **metadata
            Schema keys say where the value belongs, all other keys which variant it is.

        Raises
        ------
        SchemaKeyError, ReservedMetadataKeyError
            When a key or its value does not fit this database.
        UnsupportedValueError
            When the value cannot be stored; nothing is written.

        """
        return database_or_current(db).save(cls, data, index=index, params=params, **metadata)

    def _save_self(
        self,
        index: Any = None,
        db: object | None = None,
        params: Mapping[str, object] | None = None,
        **metadata: Any,
    ) -> str:
        """Save this value and return its record_id; see ``save`` of the class."""
        return database_or_current(db).save(type(self), self, index=index, params=params, **metadata)

    @classmethod
    def save_many(
        cls,
        items: Iterable[tuple[Any, Mapping[str, object]]],
        /,
        db: object | None = None,
        **common: Any,
    ) -> list[str]:
        """Save many values in one transaction: pairs of a value and its metadata.

        Returns
        -------
        list of str
            The record ids, in the order of the items.

        """
        return database_or_current(db).save_many(cls, items, **common)

    @classmethod
    def save_from_dataframe(
        cls, df: Any, data_column: str, metadata_columns: Sequence[str], db: object | None = None, **common: Any
    ) -> list[str]:
        """Save each row of a table as one record, all in one transaction.

        Parameters
        ----------
        df
            A DataFrame of pandas or polars, or an Arrow table.
        data_column
            The column whose cells are the values. Numbers are saved as Python's, as a loop over the rows would.
        metadata_columns
            The columns that say where each value belongs and which variant it is, under their own names.
        db, **common
            The database, and metadata that all rows have.

        Returns
        -------
        list of str
            The record ids, in the order of the rows.

        Raises
        ------
        SciDBError
            When a column is not there, or two rows have one place. Nothing is saved then.
        SchemaKeyError
            When a row has no value, or an unsuitable one, in a metadata column.

        """
        return database_or_current(db).save_from_dataframe(cls, df, data_column, metadata_columns, **common)

    @classmethod
    def load(
        cls,
        version: str = "latest",
        loc: Any = None,
        iloc: Any = None,
        as_table: bool = False,
        *,
        where: Filter | None = None,
        as_of: Any = None,
        exclude: bool | str | Iterable[str] = (),
        db: object | None = None,
        params: Mapping[str, object] | None = None,
        **metadata: Any,
    ) -> Any:
        """Load what matches: one instance for one match, a list for several.

        Handy at a prompt; scripts say `load_one` or `load_all`, whose result does not depend on the data.

        Parameters
        ----------
        version
            ``"latest"``, or a record_id or a unique prefix of one.
        loc, iloc
            Rows of a DataFrame, Series or array, selected after loading as in pandas.
        as_table
            Return a DataFrame of keys, version keys and a column named after the class.
        where
            A filter, such as ``Side == "L"``: only what is at locations for which it holds. Of what `for_each`
            made there, the results under this very filter, or else those under none.
        as_of
            Look at the database as it was then: a tag, a timestamp text or a datetime (naive means UTC).
        exclude
            Flags to leave out, by their reasons, or True for any: what is flagged so, and everything that was made
            from it. What is left out is as if it were not there; nothing older takes its place.
        db, params, **metadata
            As in `save`. A key that is not given matches anything; a list of schema values means any of them.

        Raises
        ------
        NotFoundError
            When nothing matches, or the filter leaves nothing of it.
        FilterError
            When the filter does not fit what is to be loaded.

        """
        return database_or_current(db).load(
            cls,
            version=version,
            loc=loc,
            iloc=iloc,
            as_table=as_table,
            where=where,
            as_of=as_of,
            exclude=exclude,
            params=params,
            **metadata,
        )

    @classmethod
    def load_one(
        cls,
        version: str = "latest",
        loc: Any = None,
        iloc: Any = None,
        *,
        where: Filter | None = None,
        as_of: Any = None,
        exclude: bool | str | Iterable[str] = (),
        db: object | None = None,
        params: Mapping[str, object] | None = None,
        **metadata: Any,
    ) -> Self:
        """Load exactly one value.

        Raises
        ------
        NotFoundError
            When nothing matches.
        AmbiguousVersionError
            When several records match; the message lists what distinguishes them.

        """
        found = database_or_current(db).load_one(
            cls,
            version=version,
            loc=loc,
            iloc=iloc,
            where=where,
            as_of=as_of,
            exclude=exclude,
            params=params,
            **metadata,
        )
        return cast("Self", found)

    @overload
    @classmethod
    def load_all(cls, as_df: Literal[True], include_record_id: bool = ..., **request: Any) -> pd.DataFrame: ...

    @overload
    @classmethod
    def load_all(cls, as_df: Literal[False] = ..., include_record_id: bool = ..., **request: Any) -> Iterator[Self]: ...

    @classmethod
    def load_all(
        cls,
        as_df: bool = False,
        include_record_id: bool = False,
        version_id: str = "latest",
        *,
        where: Filter | None = None,
        as_of: Any = None,
        exclude: bool | str | Iterable[str] = (),
        db: object | None = None,
        params: Mapping[str, object] | None = None,
        **metadata: Any,
    ) -> Iterator[Self] | pd.DataFrame:
        """Load everything that matches: a lazy iterator in bounded memory, or a DataFrame.

        Parameters
        ----------
        as_df
            Return a DataFrame of keys, version keys and a column named after the class.
        include_record_id
            Add a column ``record_id`` to the DataFrame.
        version_id
            ``"latest"``: the latest record per location and version keys. ``"all"``: each distinct record once.
        where, as_of, exclude, db, params, **metadata
            As in `load`.

        """
        found = database_or_current(db).load_all(
            cls,
            as_df=as_df,
            include_record_id=include_record_id,
            version_id=version_id,
            where=where,
            as_of=as_of,
            exclude=exclude,
            params=params,
            **metadata,
        )
        return cast("Iterator[Self]", found)

    @classmethod
    def head(
        cls,
        n: int = 5,
        *,
        as_of: Any = None,
        exclude: bool | str | Iterable[str] = (),
        db: object | None = None,
        params: Mapping[str, object] | None = None,
        **metadata: Any,
    ) -> pd.DataFrame:
        """Return the first `n` values in natural order as a DataFrame; no others are loaded."""
        found = database_or_current(db).head(cls, n, as_of=as_of, exclude=exclude, params=params, **metadata)
        return cast("pd.DataFrame", found)

    def to_csv(self, path: str | os.PathLike[str], *, db: object | None = None) -> None:
        """Write this value into a CSV file: its keys and the value, one row, or one per sample or frame row.

        The file is replaced at once when it is complete. The database notes that this record was exported.

        Raises
        ------
        UnsupportedValueError
            When the value has no form of rows and columns.
        StorageError
            When the file cannot be written.

        """
        database_or_current(db).export_value_to_csv(self, path)

    @classmethod
    def list_versions(
        cls,
        *,
        as_of: Any = None,
        db: object | None = None,
        params: Mapping[str, object] | None = None,
        **metadata: Any,
    ) -> list[dict[str, Any]]:
        """Return one dict per log entry, newest first.

        Each has record_id, vhash (the same), schema, version_keys, version (the same), timestamp and user_id.
        """
        return database_or_current(db).list_versions(cls, as_of=as_of, params=params, **metadata)
