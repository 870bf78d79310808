"""The canonical hash of instances of users' own classes."""

from __future__ import annotations

import subprocess
import sys
from collections import namedtuple
from dataclasses import dataclass, field
from enum import Enum, Flag, IntEnum, auto
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import pytest

from scidb.exceptions import UnhashableValueError
from scidb.hashing import canonical_hash

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")


@dataclass
class Gains:
    left: float
    right: float = 1.0
    note: str = field(default="", compare=False)


@dataclass
class OtherGains:
    left: float
    right: float = 1.0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Slotted:
    x: Any


@dataclass
class Boxed(Generic[T]):
    x: T

    @cached_property
    def double(self) -> list[T]:
        return [self.x, self.x]


@dataclass
class Tagged(list[int]):
    tag: str = ""


class Point(NamedTuple):
    x: int
    y: int


class Side(Enum):
    LEFT = 1
    RIGHT = 2


class Level(IntEnum):
    LOW = 1


class Bits(Flag):
    A = auto()
    B = auto()


class Described:
    def __init__(self, *parts: object) -> None:
        self.parts = parts

    def __scidb_hash__(self) -> object:
        return list(self.parts)


def differ(*values: object) -> bool:
    return len({canonical_hash(value) for value in values}) == len(values)


def test_dataclasses_are_their_class_and_fields() -> None:
    """M8: class, every field (compared or not) and nothing else decide about a dataclass."""
    assert canonical_hash(Gains(1.0)) == canonical_hash(Gains(1.0, 1.0))
    assert differ(Gains(1.0), Gains(1), Gains(2.0), Gains(1.0, note="x"), OtherGains(1.0), {"left": 1.0})
    assert differ(Slotted(1), Slotted(2), Slotted((1,)))


def test_attributes_beyond_the_fields_count() -> None:
    """M8: what was set on an instance is part of it, except what a cached property keeps."""
    plain, marked = Boxed(1), Boxed(1)
    marked.extra = 2  # type: ignore[attr-defined]
    assert differ(plain, marked)
    before = canonical_hash(plain)
    assert plain.double == [1, 1]
    assert canonical_hash(plain) == before == canonical_hash(Boxed[int](1))


def test_hidden_state_is_refused() -> None:
    """M7: a dataclass that is also a list has items that are no field, so it is refused."""
    with pytest.raises(UnhashableValueError):
        canonical_hash(Tagged("a"))


def test_namedtuples_and_enums() -> None:
    """M8: names count, and neither a namedtuple nor a member is its plain value."""
    renamed = namedtuple("Point", "x z")  # type: ignore[name-match]  # noqa: PYI024
    assert differ(Point(1, 2), Point(2, 1), renamed(1, 2), (1, 2))
    assert differ(Side.LEFT, Side.RIGHT, Level.LOW, 1, Bits.A, Bits.B, Bits.A | Bits.B)


def test_attrs_classes() -> None:
    """An attrs instance is its class and its attributes, too."""
    attrs = pytest.importorskip("attrs")
    kind = attrs.make_class("Kind", ["a", "b"])
    assert canonical_hash(kind(1, 2)) == canonical_hash(kind(1, 2))
    assert differ(kind(1, 2), kind(2, 1), {"a": 1, "b": 2})


def test_classes_may_say_what_identifies_them() -> None:
    """M7: __scidb_hash__ makes a class hashable; its errors say where they are."""
    assert canonical_hash(Described(1, "a")) == canonical_hash(Described(1, "a"))
    assert differ(Described(1), Described(2), [1])
    with pytest.raises(UnhashableValueError) as caught:
        canonical_hash([Described(object())])
    assert caught.value.details["path"] == "[0].__scidb_hash__()[0]"


def test_paths_name_attributes() -> None:
    """M7: the path of a refusal goes through attributes."""
    with pytest.raises(UnhashableValueError) as caught:
        canonical_hash({"p": Slotted([object()])})
    assert caught.value.details["path"] == '["p"].x[0]'


def test_recursion_through_attributes() -> None:
    """M7: an instance that holds itself is refused."""
    box: Boxed[Any] = Boxed(None)
    box.x = [box]
    with pytest.raises(UnhashableValueError, match="contains itself"):
        canonical_hash(box)


def test_pinned_class_id_survives_a_rename() -> None:
    """M9: with __scidb_type__ the id of a class is what it says, and a subclass does not inherit it."""

    def made(name: str, pin: str | None) -> Any:
        body = {"__annotations__": {"x": int}} | ({"__scidb_type__": pin} if pin else {})
        return dataclass(type(name, (), body))

    old, new, other = made("Old", "gait.P"), made("New", "gait.P"), made("Old", None)
    assert canonical_hash(old(1)) == canonical_hash(new(1)) != canonical_hash(other(1))
    heir: Any = dataclass(type("Heir", (old,), {}))
    assert canonical_hash(heir(1)) != canonical_hash(old(1))


def test_a_started_program_is_its_module(tmp_path: Path) -> None:
    """M9: an instance made by ``python study.py`` hashes as one made after ``import study``."""
    (tmp_path / "study.py").write_text(
        "from dataclasses import dataclass\nfrom scidb.hashing import canonical_hash\n"
        "@dataclass\nclass P:\n    x: int\nprint(canonical_hash(P(1)))\n"
    )
    paths = [str(tmp_path), *sys.path]
    said = {
        subprocess.run(
            [sys.executable, *arguments],
            env={"PYTHONPATH": ":".join(paths)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for arguments in (["study.py"], ["-m", "study"], ["-c", "import study"])
    }
    assert len(said) == 1
