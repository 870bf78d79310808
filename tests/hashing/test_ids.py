"""Every id formula: golden vectors, and that ids of different kinds never meet."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scidb.hashing import canonical_hash, ids

_ROWS = json.loads((Path(__file__).parent / "hash-vectors.json").read_text("utf-8"))["ids"]
GOLDEN = {f"{row['id']} of {row['of']}": row["sha256"] for row in _ROWS}
CONTENT = ids.content_hash(np.arange(3.0))
ZEROS = "0" * 64

MADE = {
    "content_hash of 1.0": ids.content_hash(1.0),
    "content_hash of np.arange(3.0)": CONTENT,
    "record_id of RawEMG, schema_version 1, np.arange(3.0), subject=1, session='pre'": ids.record_id(
        "RawEMG", 1, CONTENT, {"session": "pre", "subject": 1}, {}
    ),
    "lineage_id of function_hash 64 zeros, x = the array above, k = 1.0, one output": ids.lineage_id(
        ZEROS, {"k": ids.value_form(ids.content_hash(1.0)), "x": ids.value_form(CONTENT)}, 1
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_ids(name: str) -> None:
    """M9: the ids are those of the specification, so files stay valid between releases."""
    assert MADE[name] == GOLDEN[name]


def test_a_record_is_known_by_each_of_its_parts() -> None:
    """M8: variable, schema version, content, schema keys and version keys each change a record's id."""
    same = ("EMG", 1, CONTENT, {"subject": 1}, {"stage": "raw"})
    others = [
        ("emg", *same[1:]),
        ("EMG", 2, *same[2:]),
        ("EMG", 1, ZEROS, *same[3:]),
        ("EMG", 1, CONTENT, {"subject": "1"}, {"stage": "raw"}),
        ("EMG", 1, CONTENT, {"subject": 1}, {}),
        ("EMG", 1, CONTENT, {}, {"subject": 1, "stage": "raw"}),
        ("EMG", 1, CONTENT, {"subject": 1, "stage": "raw"}, {}),
    ]
    made = {ids.record_id(*same), *(ids.record_id(*other) for other in others)}  # type: ignore[arg-type]
    assert len(made) == 8


PLAIN = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=8) | st.dates()
)
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2))


@given(
    value=VALUES,
    schema=st.dictionaries(st.text(max_size=8), PLAIN, max_size=4),
    version=st.dictionaries(st.text(max_size=8), VALUES, max_size=4),
)
def test_short_cuts_give_the_ids_of_the_formulas(
    value: object, schema: dict[str, object], version: dict[str, object]
) -> None:
    """What is encoded by itself, because thousands are saved at once, is encoded as everything is."""
    assert ids.content_hash(value) == canonical_hash(["content", value])
    preimage = ["record", "EMG", 1, CONTENT, {"schema": schema, "version": version}]
    assert ids.record_id("EMG", 1, CONTENT, schema, version) == canonical_hash(preimage)


def test_kinds_of_ids_never_meet() -> None:
    """M8: the same parts under different formulas give different ids."""
    forms = [
        ids.value_form(CONTENT),
        ids.record_form(CONTENT),
        ids.computation_form(CONTENT, 0),
        ids.file_form("a", CONTENT),
        ids.custom_form("a.B", 1, ZEROS, CONTENT),
        ids.columns_form(["a"], ids.value_form(CONTENT), single=True),
        ids.columns_form(["a"], ids.value_form(CONTENT), single=False),
        ids.merge_form([("a", ids.value_form(CONTENT))]),
        ids.merge_form([("", ids.columns_form(["a"], ids.value_form(CONTENT), single=True))]),
    ]
    made = [ids.lineage_id(ZEROS, {"x": form}, 1) for form in forms]
    made += [ids.inputs_hash({"x": form}) for form in forms]
    made += [ids.environment_id("x"), ids.content_hash("x"), ids.lineage_id(ZEROS, {"y": forms[0]}, 1)]
    made += [ids.lineage_id(ZEROS, {"x": forms[0]}, 2), ids.lineage_id("1" * 64, {"x": forms[0]}, 1)]
    assert len(set(made)) == len(made)


def test_events_get_ids_of_their_own() -> None:
    """M7: calls, runs and uncacheable computations are new each time; the last can be told by its prefix."""
    made = [make() for make in (ids.new_call_id, ids.new_run_id, ids.uncacheable_id) for _ in range(2)]
    assert len(set(made)) == 6
    assert [identity.startswith(ids.UNCACHEABLE) for identity in made] == [False] * 4 + [True] * 2


def test_chain_links_depend_on_what_came_before() -> None:
    """A link changes with its line and with every line before it."""
    lines = [ids.line_digest(line) for line in ([1, "a"], [1, "b"], [2], ["é", None], ("é", None))]
    first, other = ids.chain_link("", lines[0]), ids.chain_link("", lines[1])
    assert first != other
    assert ids.chain_link(first, lines[2]) != ids.chain_link(other, lines[2])
    assert lines[3] == lines[4]


_CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(st.characters(exclude_categories=[]), max_size=3),
    st.dictionaries(st.sampled_from(["b", "a", 'x"']), st.text(max_size=2)),
)
_COLUMN = st.one_of(st.just("same"), _CELLS.map(lambda cell: [cell]), st.lists(_CELLS, min_size=6, max_size=6))


@given(st.integers(1, 6), st.lists(_COLUMN, min_size=1, max_size=5))
def test_many_lines_at_once(count: int, columns: list[list[object]]) -> None:
    """The digest of each of many lines is what it is by itself, whatever they have in common."""
    lines = [[column[number % len(column)] for column in columns] for number in range(count)]
    assert ids.line_digests(lines) == [ids.line_digest(line) for line in lines]


def test_computation_ids_at_once() -> None:
    """Both ids of a computation are what each is by itself."""
    inputs = {"signal": ["value", "ab" * 32], "cutoff": ["value", "cd" * 32]}
    both = ids.computation_ids("ef" * 32, inputs, 2)
    assert both == (canonical_hash(["computation", "ef" * 32, inputs, 2]), ids.inputs_hash(inputs))
    assert both[0] == ids.lineage_id("ef" * 32, inputs, 2)
