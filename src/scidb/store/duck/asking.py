"""SQL that a user wrote: what it may be, its parameters, and what is said when it fails.

Several fences, since no single one is complete: the words of the query, the types of its statements, a
transaction that cannot write (opened by the connection), and settings that keep DuckDB from files, network
and Python variables.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import duckdb
import numpy as np
import pyarrow as pa

from scidb.exceptions import QueryError, did_you_mean
from scidb.store.duck.limits import limited
from scidb.store.texts import is_unicode

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Parameters", "answer", "check_condition", "check_query", "explained", "plain_parameters"]

Parameters = Sequence[object] | Mapping[str, object]

_LONGEST: Final = 100_000
"""Characters of a query; far longer ones can be nested so deeply that DuckDB crashes."""

_READING: Final = frozenset(
    ("select", "with", "from", "values", "table", "describe", "desc", "summarize", "show", "explain")
) | frozenset(("pivot", "pivot_wider", "unpivot", "pivot_longer"))
_ALLOWED: Final = (
    "Allowed is one statement that reads: SELECT, WITH, FROM, VALUES, PIVOT, DESCRIBE, SUMMARIZE, SHOW or EXPLAIN; "
    "nothing in it may change the database or reach outside it, and data are changed by saving only"
)
_STATEMENTS: Final = frozenset(("SELECT", "EXPLAIN"))
_OF_PIVOT: Final = frozenset(("SELECT", "EXPLAIN", "CREATE", "MULTI"))

# DuckDB keeps these from other files, but not from the database's own.
_FILES: Final = re.compile(
    r"read_(single_)?(blob|csv|duckdb|json|ndjson|parquet|text|xlsx)\w*|glob|sniff_csv|parquet_\w+|"
    r"(sqlite|postgres|mysql|iceberg|delta)_(scan|query|attach|execute)\w*"
)
# A function that runs another text would run it unchecked; the others change what outlives the query.
_EFFECTS: Final = re.compile(
    r"query|json_execute_serialized_(sql|plan)|(force_)?checkpoint|truncate_duckdb_logs|write_log|"
    r"(enable|disable)_(logging|profil\w+|optimizer|object_cache|checkpoint\w*|\w*progress_bar|\w*verif\w+)|"
    r"(de|un)?register_external_\w+|(create|destroy)_external_\w+|(import|copy)_database|add_parquet_key|"
    r"getenv|duckdb_secrets|which_secret|(arrow|pandas|python_arrow|seq)_scan\w*|python_map_function|setval"
)
_WORD: Final = re.compile(rb'"(?:[^"]|"")*"|[\w\x80-\xff]+')
_MISSING_TABLE: Final = re.compile(r"Table with name (\S+) does not exist!(?:\nDid you mean [^\n]*)?")
_MISSING_COLUMN: Final = re.compile(r'(?:Referenced column|have a column named) "([^"]+)"')
_VIEWS: Final = "SELECT view_name FROM duckdb_views() WHERE NOT internal"


# ------------------------------------------------------------------ before it runs


def check_query(cursor: duckdb.DuckDBPyConnection, query: str, parameters: Parameters) -> None:
    """Refuse what is not one statement that only reads.

    Raises
    ------
    QueryError
        Saying what is allowed.

    """
    if not isinstance(query, str):
        raise QueryError(f"A query is a text, not {type(query).__name__}.")
    if not is_unicode(query):
        raise QueryError(f"A query cannot hold text with lone surrogates: {query[:200]!r}. Leave those characters out.")
    if len(query) > _LONGEST:
        raise QueryError(
            f"A query of {len(query):,} characters is longer than {_LONGEST:,}. Give values as parameters instead of "
            "writing them into it; a list takes one: WHERE subject IN (SELECT unnest(?)).",
            query=query[:200],
        )
    words = list(_words(query))
    if len(words) - words.count(";") == 0:
        raise _refused("is empty", query)
    if ";" in [word for word, _ in itertools.zip_longest(words, words[1:]) if _ not in (None, ";")]:
        raise _refused("is more than one statement", query)
    first = _first(words)
    if first not in _READING:
        raise _refused(f"begins with {first.upper()!r}" if first else "is incomplete", query)
    _check_functions(words, query)
    _check_statements(cursor, query, parameters, is_pivot=any(word.startswith("pivot") for word in words))


def check_condition(condition: str) -> None:
    """Refuse a condition whose brackets close what it did not open, and which so becomes part of something else.

    Raises
    ------
    QueryError
        Saying so.

    """
    depth = 0
    for word in _words(condition):
        depth += (word == "(") - (word == ")")
        if depth < 0:
            break
    if depth or not condition.strip():
        raise QueryError(f"The brackets of the condition {condition[:200]!r} do not match, or it is empty.")


def _words(query: str) -> Iterator[str]:
    """Yield the words of a query in lower case, quoted names without their quotes, and other signs."""
    text = query.encode()
    for start, kind in duckdb.tokenize(query):
        found = _WORD.match(text, start)
        if found is None or kind in (duckdb.token_type.string_const, duckdb.token_type.comment):
            if kind != duckdb.token_type.comment:
                yield chr(text[start])
            continue
        word = found.group().decode()
        yield (word[1:-1].replace('""', '"') if word.startswith('"') else word).casefold()


def _first(words: list[str]) -> str:
    """Return the word that says what a statement does: what is explained, if it explains."""
    rest = iter(words)
    first = next((word for word in rest if word != "("), "")
    while first == "explain":
        first = next(rest, "")
        if first in ("analyze", "analyse", "verbose"):
            first = next(rest, "")
        if first == "(":
            first = next(rest, "")
            if first not in _READING:  # options in brackets
                first = next(itertools.islice(itertools.dropwhile(lambda word: word != ")", rest), 1, None), "")
    return first


def _check_functions(words: list[str], query: str) -> None:
    for name, following in itertools.pairwise(words):
        if following == "(" and _FILES.fullmatch(name):
            raise _refused(f"calls {name}(); read files in Python and save what is in them", query)
        if following == "(" and _EFFECTS.fullmatch(name):
            raise _refused(f"calls {name}(), which does more than read variables", query)


def _check_statements(cursor: duckdb.DuckDBPyConnection, query: str, parameters: Parameters, *, is_pivot: bool) -> None:
    statements = cursor.extract_statements(query)
    kinds = {str(statement.type).rpartition(".")[2] for statement in statements}
    if not kinds <= (_OF_PIVOT if is_pivot else _STATEMENTS):
        raise _refused(f"is a statement of the kind {', '.join(sorted(kinds))}", query)
    if "MULTI" in kinds:
        return  # such a statement does not know its parameters
    wanted = set().union(*(statement.named_parameters for statement in statements))
    given = set(parameters) if isinstance(parameters, Mapping) else {str(n + 1) for n in range(len(parameters))}
    if wanted != given:
        raise QueryError(
            f"The query has {_count(wanted)}, and {_count(given)} given. Give a list with one value for each ?, or a "
            "dict with one for each $name.",
            query=query[:200],
        )


def _count(names: set[str]) -> str:
    named = sorted(name for name in names if not name.isdigit())
    if named:
        return f"the parameters {', '.join(f'${name}' for name in named)}"
    return f"{len(names)} parameter{'' if len(names) == 1 else 's'}"


def _refused(what: str, query: str) -> QueryError:
    return QueryError(
        f"This query {what}. {_ALLOWED}. It was: {query[:200]!r}",
        query=query,
    )


# ------------------------------------------------------------------ parameters


def plain_parameters(parameters: Parameters) -> list[object] | dict[str, object]:
    """Return parameters as DuckDB takes them: numpy's scalars as Python's.

    Raises
    ------
    QueryError
        When they are neither a list nor a dict, or a text among them is none.

    """
    if isinstance(parameters, str | bytes) or not isinstance(parameters, Sequence | Mapping | np.ndarray):
        raise QueryError(
            f"The parameters of a query are a list or a dict, not {type(parameters).__name__}: for one value, [value]."
        )
    if isinstance(parameters, Mapping):
        return {str(name): _plain(value) for name, value in parameters.items()}
    return [_plain(value) for value in parameters]


def _plain(value: object) -> object:
    if isinstance(value, str) and not is_unicode(value):
        raise QueryError(f"A query cannot hold text with lone surrogates: {value!r}. Leave those characters out.")
    if isinstance(value, np.generic) and not isinstance(value, np.datetime64 | np.timedelta64):
        return value.item()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


# ------------------------------------------------------------------ while it runs


def answer(
    cursor: duckdb.DuckDBPyConnection,
    query: str,
    parameters: list[object] | dict[str, object],
    max_rows: int | None = None,
) -> pa.Table:
    """Run a query that `check_query` let pass, and return its rows, of which there may be only so many.

    Raises
    ------
    QueryError
        When it cannot be understood, or reaches for what it may not have.

    """
    try:
        if max_rows is not None:
            return limited(cursor, query, parameters, max_rows)
        relation = cursor.sql(query, params=parameters) if parameters else cursor.sql(query)
        return relation.to_arrow_table()
    except duckdb.PermissionException as error:
        raise _refused(f"reaches outside the database ({_said(error)})", query) from error
    except duckdb.TransactionException as error:
        raise _refused("writes", query) from error
    except duckdb.NotImplementedException as error:
        raise QueryError(f"{_said(error)}. Parameters are plain values: numbers, texts, dates, lists.") from error
    except duckdb.CatalogException as error:
        raise QueryError(_with_table(cursor, str(error))) from error
    except duckdb.BinderException as error:
        raise QueryError(_with_column(cursor, str(error))) from error
    except pa.ArrowException as error:
        raise QueryError(f"The result cannot be shown as a table: {_said(error)}.") from error
    except UnicodeDecodeError as error:  # DuckDB 1.x about its own file
        raise _refused("fails, for a reason that DuckDB cannot put into text", query) from error


@contextmanager
def explained(query: str) -> Iterator[None]:
    """Raise what DuckDB says of a query, its line and caret included, as QueryError."""
    try:
        yield
    except (duckdb.ProgrammingError, duckdb.DataError, duckdb.NotSupportedError) as error:
        raise QueryError(str(error), query=query[:200]) from error


def _said(error: Exception) -> str:
    return str(error).split("\n", maxsplit=1)[0].rstrip(".")


def _with_table(cursor: duckdb.DuckDBPyConnection, said: str) -> str:
    """Name the nearest variable, where DuckDB names the nearest of all tables."""
    missing = _MISSING_TABLE.search(said)
    if missing is None:
        return said
    views = cursor.execute(f"{_VIEWS} ORDER BY ALL").fetchall()
    hint = did_you_mean(missing[1], [name for (name,) in views])
    return f"{said[: missing.start()]}There is no variable {missing[1]}.{hint}{said[missing.end() :]}"


def _with_column(cursor: duckdb.DuckDBPyConnection, said: str) -> str:
    """Name the nearest column of all variables, where DuckDB names none."""
    missing = _MISSING_COLUMN.search(said)
    if missing is None or "Did you mean" in said:
        return said
    columns = cursor.execute(
        f"SELECT DISTINCT column_name FROM duckdb_columns() WHERE table_name IN ({_VIEWS}) AND column_name <> ? "
        "ORDER BY ALL",
        [missing[1]],
    ).fetchall()
    hint = did_you_mean(missing[1], [name for (name,) in columns])
    return f"{said}\n{hint.strip()}" if hint else said
