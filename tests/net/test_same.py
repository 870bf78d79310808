"""N1: every public call gives the same remotely as locally: result, exception class, message and attributes."""

from __future__ import annotations

import dataclasses
import re
import warnings
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.net.serving import serve

import scidb
from scidb import BaseVariable, DatabaseManager, for_each, raw_sql, thunk
from scidb.exceptions import SciDBError, StorageError
from scidb.store.model import SchemaKey
from scidbnet import RemoteDatabaseManager, configure_remote_database

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = [SchemaKey("subject"), SchemaKey("trial")]


class Lift(BaseVariable):
    """A height."""

    units = "cm"


class Pull(BaseVariable): ...


class LiftTwice(BaseVariable): ...


class Both(BaseVariable): ...


class NeverSaved(BaseVariable): ...


def twice(x: Any) -> Any:
    return x + x


def picky(x: float) -> float:
    if x > 2:
        raise ValueError(f"{x} is too much")
    return -x


def added(x: Any, y: Any) -> Any:
    return [x, y]


@thunk
def both(x: Any, y: Any) -> str:
    return f"{x} and {y}"


# ------------------------------------------------------------------ what is compared

_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.\d]*(Z|\+00:00)?")


class Side:
    """A database, and what it answers, without what may differ: when, where, and what is counted up at random."""

    def __init__(self, db: DatabaseManager) -> None:
        self.db = db
        self._ids: dict[str, str] = {}

    def __call__(self, work: Callable[[DatabaseManager], Any]) -> str:
        """Do some work, and return as a text what came of it."""
        with warnings.catch_warnings(record=True) as warned, self.db.as_current():
            warnings.simplefilter("always")
            try:
                came = repr(_shape(work(self.db)))
            except SciDBError as error:
                came = f"{type(error).__name__} {error} {_shape(error.details)}"
        said = sorted({f"{one.category.__name__}: {one.message}" for one in warned})
        text = f"{came} {said}".replace(self.db.target, "<target>").replace("memory:", "<target>")
        text = re.sub(r"\b[0-9a-f]{32}\b", lambda found: self._ids.setdefault(found[0], f"id {len(self._ids)}"), text)
        return re.sub(r"(seconds|duration)\W+[\d.e-]+", "seconds", _INSTANT.sub("<instant>", text))


def _shape(value: Any) -> Any:
    match value:
        case BaseVariable():
            record = value._record and dataclasses.asdict(value._record)
            return type(value).__name__, _shape(value.data), value.metadata, _shape(record)
        case pd.DataFrame():
            return list(value.columns), list(map(str, value.dtypes)), value.astype(object).to_numpy().tolist()
        case np.ndarray():
            return str(value.dtype), value.tolist()
        case Mapping():
            return {str(key): _shape(one) for key, one in value.items()}
        case AbstractSet():
            return sorted(map(repr, value))
        case list() | tuple() | Iterator():
            return [_shape(one) for one in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
        return type(value).__name__, {name: _shape(part) for name, part in parts.items() if name != "_db"}
    return value


# ------------------------------------------------------------------ what is called

VALUES = st.sampled_from(
    [1.0, 2.5, 7, True, None, "text", [1, 2], {"a": 1}, np.arange(3.0), pd.DataFrame({"x": [1, 2]}), float("nan"), len]
)
VARIABLES = st.sampled_from([Lift, Lift, Pull, LiftTwice, "Lift", "Lfit", NeverSaved, 3])
PLACES = st.fixed_dictionaries(
    {},
    optional={
        "subject": st.sampled_from([1, 2, 3, "2", 1.5, "x", None, True]),
        "trial": st.sampled_from(["a", "b", 3, None]),
        "gain": st.sampled_from([1, 2, "a", [1]]),
        "sbject": st.just(1),
    },
)
GOOD = st.fixed_dictionaries({"subject": st.integers(1, 3)}, optional={"trial": st.sampled_from(["a", "b"])})
ASKED: st.SearchStrategy[dict[str, Any]] = st.one_of(
    GOOD, PLACES, st.just({}), st.fixed_dictionaries({"subject": st.sampled_from([[1, 2], [], slice(1, 2)])})
)
FILTERS = st.sampled_from(
    [None, None, Lift > 2, (Lift == 1.0) | (Pull == "text"), ~(Pull > 1), Lift["x"] > 1, raw_sql("value > 1")]
)
REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "as_of": st.sampled_from(["first", "never", "2020-01-01", "2100-01-01", 3]),
        "exclude": st.sampled_from([True, False, "bad", ["bad", "odd"], 3]),
        "where": FILTERS,
    },
)
VERSIONS = st.sampled_from(["latest", "latest", "zz", "0", "", 3])


def _save(data: st.DataObject) -> Any:
    variable, value = data.draw(VARIABLES), data.draw(VALUES)
    place = data.draw(GOOD | PLACES)
    return lambda db: db.save(variable, value, **place)


def _save_many(data: st.DataObject) -> Any:
    items = data.draw(st.lists(st.tuples(st.sampled_from([1.0, 3.0, "text"]), GOOD | PLACES), max_size=4))
    return lambda db: db.save_many(Lift, items)


def _load(data: st.DataObject) -> Any:
    variable, asked, request = data.draw(VARIABLES), data.draw(ASKED), data.draw(REQUESTS)
    version = data.draw(VERSIONS)
    name = data.draw(st.sampled_from(["load", "load_one", "find_record"]))
    return lambda db: getattr(db, name)(variable, version=version, **request, **asked)


def _load_all(data: st.DataObject) -> Any:
    variable, asked, request = data.draw(VARIABLES), data.draw(ASKED), data.draw(REQUESTS)
    as_df = data.draw(st.booleans())
    return lambda db: db.load_all(variable, as_df=as_df, **request, **asked)


def _to_dataframe(data: st.DataObject) -> Any:
    variables, asked, request = data.draw(st.lists(VARIABLES, max_size=2)), data.draw(ASKED), data.draw(REQUESTS)
    return lambda db: db.to_dataframe(variables, **request, **asked)


def _of_a_record(data: st.DataObject) -> Any:
    variable, asked = data.draw(VARIABLES), data.draw(ASKED)
    names = ["list_versions", "get_provenance", "get_source", "get_derived_from", "get_lineage_graph", "explain"]
    name = data.draw(st.sampled_from([*names, "impact", "flags"]))
    return lambda db: getattr(db, name)(variable, **asked)


def _flag(data: st.DataObject) -> Any:
    variable, asked = data.draw(VARIABLES), data.draw(ASKED)
    reason = data.draw(st.sampled_from(["bad", "odd", ""]))
    name = data.draw(st.sampled_from(["flag", "flag", "unflag"]))
    return lambda db: getattr(db, name)(variable, reason=reason, **asked)


def _for_each(data: st.DataObject) -> Any:
    function: Any = data.draw(st.sampled_from([twice, picky, added]))
    inputs: Any = data.draw(
        st.sampled_from([{"x": Lift}, {"x": Pull}, {"x": NeverSaved}, {"x": Lift, "y": Pull}, {"y": 1}])
    )
    subjects = st.sampled_from([{"subject": []}, {"subject": [1, 2], "trial": ["a"]}, {"subject": [], "trial": []}])
    keys: Any = data.draw(subjects)
    output = data.draw(st.sampled_from([LiftTwice, Both]))
    options: Any = data.draw(st.sampled_from([{}, {}, {"force": True}, {"dry_run": True}, {"where": Lift > 1}]))

    def run(db: DatabaseManager) -> Any:
        report = for_each(function, inputs, [output], progress=False, **keys, **options)
        return [getattr(report, name) for name in ("completed", "recalled", "failed", "skipped", "left_out")]

    return run


def _thunk(data: st.DataObject) -> Any:
    given_to: list[Any] = [data.draw(st.sampled_from([1, "a", Lift])), data.draw(st.sampled_from([1, Pull]))]
    place: dict[str, Any] = data.draw(GOOD)

    def run(db: DatabaseManager) -> Any:
        made = both(*(one.load_one(**place) if one is Lift or one is Pull else one for one in given_to))
        return made.was_recalled if hasattr(made, "was_recalled") else str(made.data), db.save(Both, made, **place)

    return run


def _label(data: st.DataObject) -> Any:
    variable = data.draw(VARIABLES)
    return data.draw(
        st.sampled_from(
            [
                lambda db: len(db.tag("first")),
                lambda db: db.tag("second", "2020-01-01"),
                lambda db: db.tag("", 3),
                lambda db: db.add_to_var_group("ours", variable),
                lambda db: db.remove_from_var_group("ours", variable),
                lambda db: db.get_var_group("ours"),
                lambda db: db.invalidate_cache("twice", reason="wrong"),
                lambda db: db.invalidate_cache(),
                lambda db: db.admin.rename_variable("Pull", "Tug"),
                lambda db: db.admin.rename_variable("Tug", "Pull"),
                lambda db: db.admin.rename_variable(variable, "Lift"),
                lambda db: db.admin.add_schema_key("session", "subject"),
                lambda db: db.accept("twice", "the same"),
            ]
        )
    )


def _ask(data: st.DataObject) -> Any:
    variable = data.draw(VARIABLES)
    return data.draw(
        st.sampled_from(
            [
                DatabaseManager.types,
                lambda db: db.tables(),
                lambda db: list(db.tags()),
                lambda db: db.status(),
                lambda db: db.status(variable),
                lambda db: db.flags(),
                lambda db: db.list_var_groups(),
                lambda db: db.get_pipeline_structure(),
                lambda db: db.get_cache_stats(),
                lambda db: [(run.function_name, run.completed, run.failed) for run in db.runs()],
                lambda db: [(one.function_name, one.error_type, one.message) for one in db.failures()],
                lambda db: db.query("SELECT 1"),
                lambda db: db.schema(variable),
                lambda db: db.distinct_schema_values("subject"),
                lambda db: db.distinct_schema_combinations(["subject", "trial"]),
                lambda db: db.distinct_schema_values("sbject"),
                lambda db: db.load_by_record_id("zz"),
                lambda db: db.has_lineage("zz"),
                lambda db: db.find_run("zz"),
                lambda db: db.diff("first"),
                lambda db: db.diff("never", "first"),
                lambda db: list(db.log()),
                lambda db: db.schema_keys,
                lambda db: db.retry(),
                lambda db: db.register(variable),
            ]
        )
    )


CALLS = [_save, _save, _save, _save_many, _load, _load, _load_all, _to_dataframe, _of_a_record, _of_a_record]
CALLS += [_flag, _for_each, _for_each, _thunk, _label, _ask, _ask]


# To shrink a history would take long, and it is short.
_PHASES = (Phase.explicit, Phase.reuse, Phase.generate)


def _compare(data: st.DataObject, count: int) -> None:
    with (
        scidb.open("memory:", ["subject", "trial"]) as local,
        scidb.open(serve(KEYS, allow_sql=True)) as remote,
    ):
        here, there = Side(local), Side(remote)
        for _ in range(count):
            work = data.draw(st.sampled_from(CALLS))(data)
            assert there(work) == here(work)


@settings(max_examples=5, phases=_PHASES)
@given(st.data())
def test_the_same_remotely(data: st.DataObject) -> None:
    """N1: whatever is called in whatever order, a remote database answers and refuses as a local one."""
    _compare(data, 12)


@pytest.mark.slow
@settings(max_examples=150, phases=_PHASES)
@given(st.data())
def test_the_same_remotely_at_length(data: st.DataObject) -> None:
    """N1, many times over, and with longer histories."""
    _compare(data, 40)


# ------------------------------------------------------------------ closing


def test_a_client_closes_itself_alone() -> None:
    """N3: a client that closes leaves the server, and all others, as they are; its own handle says that it closed."""
    address = serve(KEYS)
    first, second = scidb.open(address), scidb.open(address)
    Lift.save(1.0, subject=1, trial="a", db=first)
    first.close()
    first.close()
    for call in (lambda: Lift.load(db=first), first.types, lambda: Lift.save(2.0, subject=1, db=first)):
        with pytest.raises(StorageError, match="closed"):
            call()
    assert Lift.load(subject=1, db=second).data == 1.0
    second.close()
    with scidb.open(address) as third:
        assert Lift.load(subject=1, db=third).data == 1.0


def test_the_current_database_is_remote() -> None:
    """What configures a remote database makes it current; its class says that it is remote, and is the one class."""
    db = configure_remote_database(serve(KEYS))
    assert isinstance(db, RemoteDatabaseManager)
    assert isinstance(db, DatabaseManager)
    Lift.save(1.0, subject=1, trial="a")
    assert scidb.get_database() is db
    assert Lift.load_one(subject=1).data == 1.0
