"""Metadata become addresses by one set of rules."""

from __future__ import annotations

import datetime as dt
import inspect
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scidb import BaseVariable, DatabaseManager, for_each
from scidb.addressing import (
    RESERVED_KEYS,
    Address,
    any_of,
    convert_key,
    infer_key_type,
    read_address,
    schema_keys_from,
    version_value,
    write_address,
)
from scidb.exceptions import ReservedMetadataKeyError, SchemaKeyError
from scidb.hashing.ids import content_hash
from scidb.store.model import KeyType, SchemaKey

KEYS = (SchemaKey("subject", "int"), SchemaKey("session", "str"), SchemaKey("trial"))


def address(known: frozenset[str] = frozenset(), /, **metadata: object) -> Address:
    return write_address(KEYS, metadata, lambda: known)


def test_metadata_split_into_location_and_version_keys() -> None:
    """Schema keys come in schema order whatever the order of writing; the rest are version keys."""
    found = address(gain=2, trial=1, subject=3)

    assert found.schema == {"subject": 3, "trial": 1}
    assert list(found.schema) == ["subject", "trial"]
    assert found.version_keys == '{"gain":2}'
    assert found.typed == {"trial": "int"}


@pytest.mark.parametrize("typo", ["subjct", "Subject", "sub_ject", "subjects", "sbuject", "sessions", "trail"])
def test_misspelt_schema_keys_are_refused_by_name(typo: str) -> None:
    """A1: a near miss is never a silent new version key."""
    with pytest.raises(SchemaKeyError, match="Did you mean"):
        address(**{typo: 1})


def test_a_near_miss_may_be_said_on_purpose() -> None:
    """A1: ``params`` names a version key explicitly, and one that exists already is no misspelling."""
    assert write_address(KEYS, {}, frozenset, {"subjct": 1}).version == {"subjct": 1}
    assert address(frozenset({"subjct"}), subjct=1).version == {"subjct": 1}


def test_names_that_are_merely_different_are_version_keys() -> None:
    """A1: only near misses are refused."""
    assert address(smoothing=0.2, window="hann").version == {"smoothing": 0.2, "window": "hann"}


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (1, "int", 1),
        (1.0, "int", 1),
        ("1", "int", 1),
        (np.int64(7), "int", 7),
        (np.float32(2), "int", 2),
        ("01", "str", "01"),
        ("S01", "str", "S01"),
        (1, "str", "1"),
        (2, "float", 2.0),
        ("1.5", "float", 1.5),
        ("2020-01-02", "date", dt.date(2020, 1, 2)),
        (np.datetime64("2020-01-02"), "date", dt.date(2020, 1, 2)),
        (pd.Timestamp("2020-01-02T03:04"), "datetime", dt.datetime(2020, 1, 2, 3, 4)),  # noqa: DTZ001 - naive on purpose
    ],
)
def test_values_convert_when_nothing_is_lost(value: object, kind: KeyType, expected: object) -> None:
    """A2: a value comes back with the type of its key."""
    found = convert_key("k", value, kind)

    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("01", "int"),
        (1.5, "int"),
        ("1.0", "int"),
        ("x", "float"),
        (2**53 + 1, "float"),
        ("yesterday", "date"),
        (1, "date"),
        (dt.date(2020, 1, 1), "datetime"),
    ],
)
def test_values_that_would_change_are_refused(value: object, kind: KeyType) -> None:
    """A2: never 01 -> 1, never 1.5 -> 1."""
    with pytest.raises(SchemaKeyError, match="cannot be converted without changing it"):
        convert_key("k", value, kind)


@pytest.mark.parametrize("value", [None, True, np.True_, float("nan"), np.nan, pd.NaT, pd.NA, [1], {}, float("inf")])
def test_what_no_key_can_hold_is_refused(value: object) -> None:
    """A2: None, NaN and bool are refused when writing, by the name of the key."""
    with pytest.raises(SchemaKeyError, match="subject="):
        address(subject=value)


@given(st.integers() | st.text() | st.dates() | st.datetimes() | st.floats(allow_nan=False, allow_infinity=False))
def test_a_first_value_keeps_its_type(value: object) -> None:
    """A2: the type inferred from a value converts that value to itself."""
    found = convert_key("k", value, infer_key_type("k", value))

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("name", ["data", "record_id", "version", "__fn", "where", "db"])
def test_reserved_names_are_refused(name: str) -> None:
    """A metadata key that SciDB needs for itself is refused, also through params."""
    with pytest.raises(ReservedMetadataKeyError, match="reserved"):
        address(**{name: 1})
    with pytest.raises(ReservedMetadataKeyError, match="reserved"):
        write_address(KEYS, {}, frozenset, {name: 1})


# What a table to be saved is made of, and what is asked of a log or a graph: keys may be called so, but not there.
_OWN = {
    "all", "data_column", "depth", "df", "direction", "limit", "metadata_columns", "n", "pin", "reason", "root_folder",
    "variable",
}  # fmt: skip


@pytest.mark.parametrize("owner", [BaseVariable, DatabaseManager])
def test_every_keyword_of_the_public_calls_is_reserved(owner: type) -> None:
    """A keyword that a call takes for itself can never be stored as metadata."""
    calls: dict[str, Any] = {name: getattr(owner, name) for name in dir(owner) if not name.startswith("_")}
    calls |= {"save": BaseVariable._save_data, "for_each": for_each}
    found = {name: inspect.signature(call).parameters.values() for name, call in calls.items() if callable(call)}
    taken = {
        name: {p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.POSITIONAL_ONLY)} - {"self", "cls"}
        for name, parameters in found.items()
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    }
    assert {"save", "load", "load_one", "load_all", "list_versions", "head", "for_each"} <= taken.keys()
    assert set().union(*taken.values()) <= RESERVED_KEYS | _OWN


@pytest.mark.parametrize("keys", [["data"], ["_x"], [""], ["row"], ["value"], ["a", "a"], ["a", "A"], [1], "subject"])
def test_impossible_schema_keys_are_refused(keys: list[str]) -> None:
    """A9: a key that could not work is refused when the database is made."""
    with pytest.raises(SchemaKeyError):
        schema_keys_from(keys)


def test_unusual_schema_keys_work() -> None:
    """A9: SQL keywords and blanks are fine."""
    assert [key.name for key in schema_keys_from(["order", "My Key"])] == ["order", "My Key"]
    assert schema_keys_from({"subject": str}) == (SchemaKey("subject", "str"),)
    with pytest.raises(SchemaKeyError, match="no key type"):
        schema_keys_from({"subject": list})


def test_reads_accept_lists_and_unset_keys() -> None:
    """In a read a list means any of, and None means not set."""
    wanted = read_address(KEYS, {"subject": [1, "2"], "trial": None, "gain": any_of(1, 1.0)}, frozenset)

    assert wanted.schema == {"subject": (1, 2), "trial": (None,)}
    assert wanted.version == {"gain": ("1", "1.0")}


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_json_version_keys_are_themselves(value: object) -> None:
    """Version keys that are JSON come back from their text as they were."""
    assert json.loads(json.dumps(version_value("k", value))) == value


def test_version_keys_beyond_json_enter_by_their_hash() -> None:
    """A constant that JSON cannot hold is told apart by content."""
    first, second = version_value("k", np.arange(3)), version_value("k", np.arange(4))

    assert first == {"__hash__": content_hash(np.arange(3)), "kind": "int64 array (3)"}
    assert first["__hash__"] != second["__hash__"]
    assert version_value("k", np.float64(0.5)) == 0.5
    with pytest.raises(SchemaKeyError, match="no identity"):
        version_value("k", object())
