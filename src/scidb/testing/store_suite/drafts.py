"""What the machine saves and asks for: a small world, so that places, versions and values meet again."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
from hypothesis import strategies as st

from scidb.filters import CompoundFilter, InFilter, KeyFilter, MissingFilter, NotFilter, VariableFilter
from scidb.store.model import Chunk, Match
from scidb.testing.store_suite.samples import record

if TYPE_CHECKING:
    from scidb.filters import Filter
    from scidb.store.model import Call, KeyValue, Record

__all__ = ["VARIABLES", "Draft", "chunks_of", "drafts", "filters", "matches"]

VARIABLES: Final = ("Force", "Emg")
_VERSIONS: Final = ("{}", '{"gain":1}', '{"gain":1.0}', '{"gain":0.5,"order":"x"}')
_VALUES: Final[dict[str, tuple[pa.DataType, list[Any]]]] = {
    "float": (pa.float64(), [1.5, 2.5, None]),
    "int": (pa.int64(), [1, 2]),
    "list": (pa.list_(pa.float64()), [[1.0, 2.0, 3.0], [], [None]]),
    "text": (pa.string(), ["a", ""]),
}


@dataclass(frozen=True)
class Draft:
    """One value to be saved."""

    variable: str
    kind: str
    value: Any
    place: dict[str, KeyValue]
    version: str


def _places() -> st.SearchStrategy[dict[str, KeyValue]]:
    values: dict[str, st.SearchStrategy[KeyValue]] = {
        "subject": st.sampled_from([1, 2, 9, 10]),
        "session": st.sampled_from(["a", "B", "01"]),
        "trial": st.sampled_from([1, 2, 3]),
    }
    # Every second value goes to one of two places, so that many are superseded.
    often: list[dict[str, KeyValue]] = [{"subject": 1}, {"subject": 1, "trial": 2}]
    return st.sampled_from(often) | st.fixed_dictionaries({}, optional=values)


def _values() -> st.SearchStrategy[tuple[str, Any]]:
    return st.sampled_from([(kind, value) for kind, (_, values) in _VALUES.items() for value in values])


def drafts() -> st.SearchStrategy[Draft]:
    """Draw a value and where it is to be saved."""
    return st.builds(
        lambda variable, content, place, version: Draft(variable, content[0], content[1], place, version),
        st.sampled_from(VARIABLES),
        _values(),
        _places(),
        st.sampled_from(_VERSIONS),
    )


def _some(*values: Any) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(st.sampled_from(values), max_size=3).map(tuple)


def matches() -> st.SearchStrategy[Match]:
    """Draw conditions that do not need an entry to name."""
    # Few conditions at a time, so that most questions have an answer.
    conditions = st.sampled_from(
        [
            ("variables", _some(*VARIABLES, "Other")),
            ("schema", st.fixed_dictionaries({"subject": _some(None, 1, 2, 9, 10)})),
            (
                "schema",
                st.fixed_dictionaries({"session": _some(None, "a", "B"), "trial": _some(None, 1, 2, 3)}),
            ),
            ("version", st.fixed_dictionaries({"gain": _some(None, "1", "1.0", "0.5")})),
            ("version", st.fixed_dictionaries({"order": _some(None, '"x"')})),
            ("version_keys", st.dictionaries(st.sampled_from([*VARIABLES, "Other"]), _some(*_VERSIONS), max_size=2)),
        ]
    )
    return st.lists(conditions, max_size=2).flatmap(lambda chosen: st.builds(Match, **dict(chosen)))


def filters() -> st.SearchStrategy[Filter]:
    """Draw a filter, mostly one that can be decided."""
    names = st.sampled_from([*VARIABLES, *VARIABLES, "Other"])
    ops: st.SearchStrategy[Any] = st.sampled_from(["==", "!=", "<", ">="])
    reduced: st.SearchStrategy[Any] = st.sampled_from(["any", "all", None])
    values = st.sampled_from([1, 1.5, 2.5, 2.5, "a"])
    leaves: st.SearchStrategy[Filter] = st.one_of(
        st.builds(VariableFilter, names, ops, values, reduced),
        st.builds(InFilter, names, st.none(), st.sampled_from([(1, 2.5), ("a",), ()]), reduced),
        st.builds(MissingFilter, names, st.none(), missing=st.booleans()),
        st.builds(
            KeyFilter, st.sampled_from(["subject", "subject", "trial", "lab"]), ops, st.sampled_from([1, 2, 9.5])
        ),
    )
    return st.recursive(
        leaves,
        lambda inner: (
            st.builds(NotFilter, inner) | st.builds(CompoundFilter, st.sampled_from(["AND", "OR"]), inner, inner)
        ),
        max_leaves=3,
    )


def chunks_of(drafts: list[Draft], made: Call | None) -> list[Chunk]:
    """Return one chunk per variable and kind, numbered in the order of the drafts."""
    numbered = sorted(enumerate(drafts), key=lambda item: (item[1].variable, item[1].kind))
    chunks = []
    for (_, kind), group in itertools.groupby(numbered, key=lambda item: (item[1].variable, item[1].kind)):
        members = list(group)
        data = pa.array([draft.value for _, draft in members], _VALUES[kind][0])
        entries = tuple(_entry(seq, draft, made) for seq, draft in members)
        chunks.append(Chunk(entries, pa.table({"value": data})))
    return chunks


def _entry(seq: int, draft: Draft, made: Call | None) -> Record:
    entry = record(
        draft.variable,
        draft.value,
        draft.place,
        draft.version,
        seq=seq,
        encoding=f'{{"kind":"{draft.kind}"}}',
    )
    if made is None:
        return entry
    return replace(entry, lineage_id=made.computation.lineage_id, call_id=made.call_id, output_num=seq)
