from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scidb.exceptions import VariableDefinitionError
from scidb.store.names import RESERVED_COLUMNS, check_variable_name, unique_columns

labels = st.sampled_from(["", "a", "A", "a_2", "row", "ROW", "column", "\ud800", "ß", "SS"]) | st.text(max_size=3)


@given(st.lists(labels, max_size=12), st.lists(labels, max_size=3))
def test_columns_are_unique_ignoring_case(names: list[str], reserved: list[str]) -> None:
    """One name per label, none empty, all distinct ignoring case, from each other and from the reserved (V3)."""
    columns = unique_columns(names, reserved)
    folded = [column.casefold() for column in columns]

    assert len(columns) == len(names) == len(set(folded))
    assert not set(folded) & {name.casefold() for name in (*RESERVED_COLUMNS, *reserved)}
    assert all(column.encode() for column in columns)


def test_suffixes_count() -> None:
    """Labels that would collide get a number; the others stay as they are."""
    assert unique_columns(["a", "A", "a_2", "b", "a", "Row", ""], ["subject"]) == [
        "a",
        "A_2",
        "a_2_2",
        "b",
        "a_3",
        "Row_2",
        "column",
    ]
    assert unique_columns(["Subject"], ["subject"]) == ["Subject_2"]


@pytest.mark.parametrize("name", ["StepLength", "X", "data", "my_data_x", "Größe", "rows", "X__rows_2"])
def test_good_variable_names(name: str) -> None:
    """Ordinary class names are allowed."""
    check_variable_name(name)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("", "letters"),
        ("step length", "letters"),
        ("class", "letters"),
        ("_Step", "'Step'"),
        ("__", "'Variable'"),
        ("Step_data", "'Step'"),
        ("Step_DATA_12", "'Step'"),
        ("Step__rows", "'Step'"),
        ("Step\n", "letters"),
    ],
)
def test_bad_variable_names(name: str, remedy: str) -> None:
    """A name that another table may need is refused, with what to do."""
    with pytest.raises(VariableDefinitionError, match=remedy) as caught:
        check_variable_name(name)

    assert caught.value.variable == name
