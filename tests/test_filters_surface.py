"""What people write: comparisons with variable classes, their columns, and schema keys."""

from __future__ import annotations

import abc
import copy
import inspect
import math
import pickle
import typing
from typing import Any, Generic, TypeVar
from unittest import mock

import numpy as np
import pandas as pd
import pytest

import scidb
from scidb import BaseVariable, ColumnSelection, FilterError, Fixed, PipelineError, for_each, raw_sql, schema_key
from scidb.filters import ColumnFilter, Filter, InFilter, KeyFilter, MissingFilter, VariableFilter

T = TypeVar("T")


class Stride(BaseVariable):
    """Length of a stride."""


class Foot(BaseVariable):
    """The foot that moves."""


_number: Any = np.float64(3)


def test_comparisons_make_filters() -> None:
    """Every operator gives the filter that it looks like, from both sides, numpy's scalars included."""
    keys = {
        (Stride == 3).to_key(): "Stride == 3",
        (Stride != "a").to_key(): "Stride != 'a'",
        (Stride < 1.5).to_key(): "Stride < 1.5",
        (Stride <= np.int64(2)).to_key(): "Stride <= 2",
        (Stride > 3).to_key(): "Stride > 3",
        (_number >= Stride).to_key(): "Stride <= 3.0",
        Stride.isin(["b", "a"]).to_key(): "Stride IN ['a', 'b']",
        Stride["x"].isin([2, 1]).to_key(): "Stride['x'] IN [1, 2]",
        (Stride["x"].any() > 3).to_key(): "Stride['x'].any() > 3",
        (Stride.all() > 3).to_key(): "Stride.all() > 3",
        (Stride[1] == 2).to_key(): "Stride[1] == 2",
        (schema_key("subject") >= 3).to_key(): "schema_key('subject') >= 3",
        schema_key("subject").isin([3, 1]).to_key(): "schema_key('subject') IN [1, 3]",
        raw_sql("value > 3").to_key(): "RAW: value > 3",
        ((Stride > 1) & ~(Foot == "L") | (Stride == 0)).to_key(): "((Stride > 1) AND (NOT (Foot == 'L'))) "
        "OR (Stride == 0)",
    }
    assert list(keys) == list(keys.values())
    assert Stride.isna() == MissingFilter("Stride", None, missing=True)
    assert Stride["x"].notna() == MissingFilter("Stride", "x", missing=False)
    given: Filter = Stride == 3  # typed as what it is
    assert isinstance(given, VariableFilter)
    assert isinstance(Stride["x"] == 3, ColumnFilter)
    assert isinstance(Stride.isin([1]), InFilter)
    assert isinstance(schema_key("subject") == 1, KeyFilter)


def test_classes_are_classes() -> None:
    """Compared with another class, a class is the same or not; dicts, sets, pickles and copies work as ever."""
    other: Any = Foot
    assert Stride == Stride
    assert not (Stride == other)  # noqa: SIM201 - that is the question
    assert Stride != other
    assert not (Stride == int)  # noqa: E721, SIM201 - that is the question
    assert int != Stride  # noqa: E721 - that is the question
    assert Stride in [Foot, Stride]
    assert [int, Foot, Stride].index(Stride) == 2
    assert {Stride: 1, Foot: 2}[Foot] == 2
    assert pickle.loads(pickle.dumps(Stride)) is Stride
    assert copy.deepcopy(Stride) is Stride
    assert isinstance(Stride(1), Stride)
    assert issubclass(Stride, BaseVariable)
    assert typing.get_args(Stride | None) == (Stride, type(None))
    assert typing.get_type_hints(_annotated) == {"given": Stride | None, "return": list[Stride]}
    assert list(inspect.signature(_annotated).parameters) == ["given"]
    ask = mock.Mock()
    ask(Stride)
    ask.assert_called_once_with(Stride)
    ask.assert_called_once_with(mock.ANY)
    assert Stride == mock.ANY
    assert mock.create_autospec(Stride).load is not None
    with pytest.raises(TypeError, match="not iterable"):
        list(Stride)  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        Stride < Foot  # noqa: B015


def _annotated(given: Stride | None) -> list[Stride]:
    return [given] if given is not None else []


def test_abstract_and_generic_classes() -> None:
    """A variable may also be an abstract or a generic class, which keeps its brackets."""

    class Partly(BaseVariable, abc.ABC):
        @abc.abstractmethod
        def what(self) -> None: ...

    class Holder(BaseVariable, Generic[T]):
        pass

    with pytest.raises(TypeError, match="abstract"):
        Partly(1)  # type: ignore[abstract]
    assert typing.get_args(Holder[int]) == (int,)


def test_own_attributes_win() -> None:
    """What a class defines under the name of an operator is its own; comparing it still works."""

    class Own(BaseVariable):
        any = 3

        @classmethod
        def isin(cls, where: str) -> str:
            return where

        def _named(self) -> None:
            pass

    assert vars(Own)["any"] == getattr(Own, "any") == 3  # noqa: B009 - for the type checker, it is the operator
    assert Own.isin("here") == "here"
    assert (Own > 3).to_key() == "Own > 3"
    assert (Own.all() > 3).to_key() == "Own.all() > 3"


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda: Stride == None, "isna"),  # noqa: E711
        (lambda: Stride["a"] != None, "notna"),  # noqa: E711
        (lambda: schema_key("subject") == None, "subject=None"),  # noqa: E711
        (lambda: Stride == math.nan, "isna"),  # noqa: PLW0177 - that is the question
        (lambda: Stride == [1, 2], "isin"),
        (lambda: Stride == np.array([1, 2]), "isin"),
        (lambda: np.array([1, 2]) == Stride, "isin"),
        (lambda: Stride == pd.Series([1]), "isin"),
        (lambda: Stride == b"a", "bytes"),
        (lambda: Stride["a"] == Stride["b"], "compares with a value"),
        (lambda: Stride[["a", "b"]] == 1, "one column"),
        (lambda: Stride[None], "label of a column"),
        (lambda: Stride[[]], "names no column"),
        (lambda: Stride.isin("ab"), "list"),
        (lambda: schema_key(1), "named by a text"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_meant_is_refused(write: Any, words: str) -> None:
    """Comparisons that can mean nothing are refused where they are written, with the way out."""
    with pytest.raises(FilterError, match=words):
        write()


def test_a_filter_is_no_truth_value() -> None:
    """Chains, `and` and `in` lists of values would ask a filter for its truth, which it has not."""
    with pytest.raises(TypeError, match="brackets"):
        assert 1 < Stride < 3
    with pytest.raises(TypeError, match="&"):
        bool(not (Stride > 1))


def test_column_selection() -> None:
    """Brackets select columns; the text of a selection tells one column from a list of one."""
    assert Stride["col"].to_key() == "Stride['col']"
    assert Stride[["col_a", "col_b"]].to_key() == "Stride['col_a', 'col_b']"
    assert Stride[["col"]].to_key() == "Stride['col',]"
    assert repr(Stride["col"]) == "Stride['col']"
    assert isinstance(Stride["col"], ColumnSelection)
    assert Stride["col"].source is Stride
    assert Stride[["a", "b"]].columns == ("a", "b")


def test_filters_are_no_inputs() -> None:
    """A filter as an input of for_each is refused, and never taken for a constant."""
    given: Any
    with scidb.open("memory:", ["subject"]) as db:
        Stride.save(1.0, subject=1, db=db)
        for given in (Stride > 1, Stride["a"] > 1, Stride.any(), schema_key("subject"), Fixed(Stride) > 1):
            with pytest.raises(PipelineError, match="'stride'"):
                for_each(lambda stride: stride, {"stride": given}, [Foot], subject=[], db=db)
