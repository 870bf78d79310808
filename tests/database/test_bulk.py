"""Many values at once, the first few, versions by the beginning of an id, and rows of a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from scidb import BaseVariable, DatabaseManager, exceptions, for_each
from scidb.store.memory import MemoryStore
from scidb.store.model import Latest, SchemaKey
from scidb.store.wrap import Wrapper

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scidb.store.model import Chunk, Query, Record


class Bulk(BaseVariable):
    """A value."""


class BulkMade(BaseVariable):
    """What a function makes of it."""


TABLE = pd.DataFrame({"subject": [10, 9, 9], "trial": [1, 2, 1], "hand": ["l", "r", "l"], "force": [0.1, 1 / 3, 2.0]})


def test_each_row_of_a_table_is_a_record(db: DatabaseManager) -> None:
    """A table saves what a loop over its rows would, in one write, in the order of the rows."""
    saved = Bulk.save_from_dataframe(TABLE, "force", ["subject", "trial", "hand"], gain=2)

    looped = [
        Bulk.save(row.force, subject=row.subject, trial=row.trial, hand=row.hand, gain=2) for row in TABLE.itertuples()
    ]
    assert saved == looped
    assert len({entry["timestamp"] for entry in Bulk.list_versions()[3:]}) == 1
    assert Bulk.load_all(as_df=True, hand="l")["Bulk"].tolist() == [2.0, 0.1]


def test_tables_of_arrow_and_narrow_numbers(db: DatabaseManager) -> None:
    """Whatever speaks Arrow is taken, and a narrow number stays one."""
    Bulk.save_from_dataframe(pa.table({"subject": [1, 2], "v": ["a", "b"]}), "v", ["subject"])
    Bulk.save_from_dataframe(pd.DataFrame({"subject": [3], "v": np.array([0.1], np.float32)}), "v", "subject")

    assert [found.data for found in Bulk.load_all()] == ["a", "b", np.float32(0.1)]
    assert Bulk.save_from_dataframe(TABLE[:0], "force", ["subject"]) == []


@pytest.mark.parametrize(
    ("columns", "changed", "said"),
    [
        (["subject", "trail"], {}, "no column 'trail'.*Did you mean 'trial'"),
        (["subject"], {}, "Row 1 and Row 2 have the same place"),
        (["subject", "trial"], {"trial": [1, None, 3]}, "Row 1 has no 'trial'"),
        (["subject", "trial"], {"trial": [1, True, 3]}, "Row 1: trial=True"),
        (["subject", "force"], {}, "named twice"),
        (["subject", "trial"], {"force": ["a", object(), "b"]}, "Cannot store"),
    ],
)
def test_rows_that_cannot_be_saved(db: DatabaseManager, columns: list[str], changed: Any, said: str) -> None:
    """What is wrong is said with its row, and nothing is saved."""
    with pytest.raises(exceptions.SciDBError, match=said):
        Bulk.save_from_dataframe(TABLE.assign(**changed), "force", columns)
    assert db.tables() == []


def test_tables_that_are_misunderstood(db: DatabaseManager) -> None:
    """Several data columns, a key given twice and things that are no tables are refused by name."""
    with pytest.raises(exceptions.SciDBError, match="name one column"):
        Bulk.save_from_dataframe(TABLE, ["force", "hand"], ["subject"])  # type: ignore[arg-type]
    with pytest.raises(exceptions.SciDBError, match="given for all rows"):
        Bulk.save_from_dataframe(TABLE, "force", ["subject"], subject=1)
    with pytest.raises(exceptions.SciDBError, match="takes a DataFrame"):
        Bulk.save_from_dataframe([1], "force", ["subject"])


def test_save_batch_is_save_many(db: DatabaseManager) -> None:
    """The facade saves pairs under both names."""
    assert db.save_batch(Bulk, [(1, {"subject": 1})], gain=2) == db.save_many(Bulk, [(1, {"subject": 1, "gain": 2})])


class Counting(Wrapper):
    """A store that notes what is asked of it and how many chunks are taken."""

    def __init__(self) -> None:
        super().__init__(MemoryStore([SchemaKey("subject", "int")]))
        self.asked: list[Any] = []
        self.taken = 0

    def fetch(self, query: Query[Record]) -> Iterator[Chunk]:
        self.asked.append(query)

        def chunks() -> Iterator[Chunk]:
            for chunk in super(Counting, self).fetch(query):
                self.taken += 1
                yield chunk

        return chunks()


def test_load_all_is_lazy() -> None:
    """Values are taken from the store as they are asked for, a chunk at a time."""
    with DatabaseManager(store := Counting()) as db:
        # Every other value has another encoding, so that each is a chunk of its own.
        db.save_many(Bulk, [(n if n % 2 else f"{n}", {"subject": n}) for n in range(20)])
        found = db.load_all(Bulk)
        assert store.taken == 0
        assert [next(found).data for _ in range(3)] == ["0", 1, "2"]
        assert store.taken == 3


def test_head_loads_no_more_than_it_shows() -> None:
    """The first few come by a question for just so many."""
    with DatabaseManager(store := Counting()) as db, db.as_current():
        db.save_many(Bulk, [(n, {"subject": n}) for n in range(20)])
        assert Bulk.head(3)["Bulk"].tolist() == [0, 1, 2]
        assert len(Bulk.head()) == 5
        assert [query.limit for query in store.asked if isinstance(query, Latest)] == [3, 5]


def test_head_in_natural_order(db: DatabaseManager) -> None:
    """A3: the first in the order of the keys, whatever the order of saving; a number that makes no sense is refused."""
    Bulk.save_many([(n, {"subject": n}) for n in (10, 9, 11)])

    assert Bulk.head(2)["subject"].tolist() == [9, 10]
    assert Bulk.head(0).empty
    with pytest.raises(exceptions.SciDBError, match="n=-1"):
        Bulk.head(-1)


def test_a_table_of_values_keeps_their_types(db: DatabaseManager) -> None:
    """V1: many values by column are the same as one by one, also where they are of several types."""
    values = [1, 2.5, "x", None, 2**70, True, np.float32(1)] * 3
    Bulk.save_many([(value, {"subject": n}) for n, value in enumerate(values)])

    found = Bulk.load_all(as_df=True)["Bulk"].tolist()

    assert found == values
    assert [type(value) for value in found] == [type(value) for value in values]


def test_too_little_of_an_id_lists_the_candidates(db: DatabaseManager) -> None:
    """An id of which too little is given is an error that shows the records that it may mean."""
    ids = Bulk.save_many([(n, {"subject": n}) for n in range(40)])
    letter = max("0123456789abcdef", key=[one[0] for one in ids].count)

    with pytest.raises(exceptions.AmbiguousVersionError, match=r"\(Bulk at subject=\d+\)"):
        Bulk.load(version=letter)
    assert Bulk.load_one(version=ids[0]).data == 0
    with pytest.raises(exceptions.SciDBError, match="version=''"):
        Bulk.load(version="")


def test_ambiguity_says_how_to_choose(db: DatabaseManager) -> None:
    """Several matches are told apart by keys, by keys that are not set, and by the function that made them."""
    Bulk.save(1, subject=1)
    Bulk.save(2, subject=1, gain=2)
    with pytest.raises(exceptions.AmbiguousVersionError, match=r"gain: 2, not set \(None\).*for example gain=2"):
        Bulk.load_one(subject=1)
    assert Bulk.load_one(subject=1, gain=None).data == 1

    def one_way(x: int) -> int:
        return x

    def other_way(x: int) -> int:
        return -x

    Bulk.save(3, subject=2)
    for function in (one_way, other_way):
        for_each(function, {"x": Bulk}, [BulkMade], subject=2)
    with pytest.raises(exceptions.AmbiguousVersionError, match=r"the function that made it \(__fn\).*params=\{'__fn'"):
        BulkMade.load_one(subject=2)


@pytest.mark.parametrize(
    ("value", "selection", "error"),
    [
        (TABLE, {"loc": 7}, exceptions.NotFoundError),
        (TABLE, {"iloc": 7}, exceptions.NotFoundError),
        (TABLE, {"loc": (0, 1, 2)}, exceptions.SciDBError),
        (TABLE["force"], {"loc": "a"}, exceptions.SciDBError),
        (np.arange(3), {"iloc": 7}, exceptions.NotFoundError),
        (np.arange(3), {"loc": [0, 9]}, exceptions.NotFoundError),
        (np.arange(3), {"iloc": "a"}, exceptions.SciDBError),
        ({"a": 1}, {"iloc": 0}, exceptions.SciDBError),
        (1.5, {"loc": 0}, exceptions.SciDBError),
        (TABLE, {"loc": 0, "iloc": 0}, exceptions.SciDBError),
    ],
)
@pytest.mark.above_stores
def test_rows_that_are_not_there(db: DatabaseManager, value: Any, selection: Any, error: type[Exception]) -> None:
    """A selection of rows that fails is an error of ours, and none of pandas."""
    Bulk.save(value, subject=1)

    with pytest.raises(error, match="loc="):
        Bulk.load_one(subject=1, **selection)


def test_the_labels_of_an_array_are_its_positions(db: DatabaseManager) -> None:
    """Loc takes both ends, and iloc not the last, for arrays as for Series."""
    Bulk.save(np.arange(5), subject=1)

    assert Bulk.load_one(loc=slice(1, 3)).data.tolist() == [1, 2, 3]
    assert Bulk.load_one(iloc=slice(1, 3)).data.tolist() == [1, 2]
    assert Bulk.load_one(loc=2).data == Bulk.load_one(iloc=-3).data == 2


def test_the_newest_of_all_is_picked(db: DatabaseManager) -> None:
    """A4, A5: without keys, too, the latest is what was saved last at each place, a revert included."""
    for value in (1, 2, 4, 2):
        Bulk.save_many([(value, {"subject": 2, "gain": 1}), (value + 10, {"subject": 1})])
    Bulk.save(3, subject=2, gain=2)

    assert Bulk.load_all(as_df=True)["Bulk"].tolist() == [12, 2, 3]
