"""The canonical hash of instances of users' own classes."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import namedtuple
from dataclasses import dataclass, field
from enum import Enum, Flag, IntEnum, auto
from functools import cached_property
from types import FunctionType
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import numpy as np
import pytest

from scidb.exceptions import UnhashableValueError
from scidb.hashing import canonical_hash, register

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


@pytest.mark.slow
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


# ---------------------------------------------------------------- what a class says, or is said of it


class Filter:
    """Stands for a class of a library: plain, and not to be edited."""

    def __init__(self, order: Any) -> None:
        self.order = order


@dataclass
class Locked:
    value: int
    lock: Any = field(default_factory=threading.Lock)


def order_of(made: Filter) -> object:
    return ["order", made.order]


@pytest.fixture
def filters() -> Any:
    """Return a new class for each test, since what is registered stays."""
    return type("Filter", (Filter,), {"__module__": __name__})


def said(answer: Any) -> Any:
    """Return an instance of a class whose __scidb_hash__ is this function."""
    return type("Said", (), {"__scidb_hash__": answer})()


def refusal(value: object) -> UnhashableValueError:
    with pytest.raises(UnhashableValueError) as caught:
        canonical_hash([value])
    return caught.value


def test_registered_classes(filters: Any) -> None:
    """M7, M8: a registered class is identified by what its function returns, and by nothing else."""
    refusal(filters(2))
    register(filters, order_of)
    assert canonical_hash(filters(2)) == canonical_hash(filters(2))
    assert differ(filters(2), filters(3), filters(2.0), ["order", 2])
    assert refusal(filters(object())).path == "[0].registered()[1]"


def test_registering_is_not_inherited(filters: Any) -> None:
    """M7: a subclass may hold more, so it has to speak for itself."""
    register(filters, order_of)
    refusal(type("Heir", (filters,), {})(2))


def test_registered_dataclass() -> None:
    """A dataclass whose state is more than its identity can be registered."""
    kind: Any = dataclass(type("Locked", (Locked,), {"__annotations__": {}}))
    refusal(kind(1))
    register(kind, lambda made: made.value)
    assert canonical_hash(kind(1)) == canonical_hash(kind(1))
    assert differ(kind(1), kind(2))


def test_registering_is_as_good_as_a_method() -> None:
    """M9: a class that gets __scidb_hash__ later keeps the identities that its registered function gave."""
    plain: Any = type("Plain", (Filter,), {"__scidb_type__": "gait.Filter"})
    telling: Any = type("Telling", (Filter,), {"__scidb_type__": "gait.Filter", "__scidb_hash__": order_of})
    register(plain, order_of)
    assert canonical_hash(plain(2)) == canonical_hash(telling(2))


def test_registering_twice(filters: Any) -> None:
    """Another function for one class is refused; the same one, run again as in a notebook, is not."""
    register(filters, order_of)
    register(filters, order_of)
    again = FunctionType(order_of.__code__, globals(), "order_of")
    register(filters, again)
    with pytest.raises(UnhashableValueError, match=r"registered already, with .*order_of.*Keep one"):
        register(filters, len)


@pytest.mark.parametrize("kind", [int, list, np.ndarray, np.float64, type(None)])
def test_registering_what_is_known(kind: type) -> None:
    """The identity of what SciDB knows cannot be changed."""
    with pytest.raises(UnhashableValueError, match=f"{kind.__qualname__} cannot be registered"):
        register(kind, id)


def test_registering_something_else(filters: Any) -> None:
    """register() takes a class without a word of its own, and a function."""
    wrong: list[tuple[Any, Any]] = [(filters(1), order_of), (filters, "order"), (Described, order_of)]
    for cls, function in wrong:
        with pytest.raises(UnhashableValueError):
            register(cls, function)


def test_what_a_class_says_can_be_wrong(filters: Any) -> None:
    """M7: an answer that raises, is the instance itself or has no identity is refused with where it is."""

    def fails(_: object) -> object:
        raise ZeroDivisionError("no")

    register(filters, fails)
    for value in (said(fails), filters(1)):
        error = refusal(value)
        assert "fails() raised ZeroDivisionError: no" in str(error)
        assert error.path == "[0]"
    assert "contains itself" in str(refusal(said(lambda own: own)))
    assert "contains itself" in str(refusal(said(lambda own: [1, own])))
    assert refusal(said(lambda own: [1, own])).path == "[0].__scidb_hash__()[1]"
    assert refusal(said(lambda _: object())).path == "[0].__scidb_hash__()"

    def endless(_: object) -> object:
        return said(endless)

    assert "nested" in str(refusal(said(endless)))


def test_class_id_has_to_be_a_text() -> None:
    """A __scidb_type__ that is no text is refused rather than ignored."""
    odd: Any = dataclass(type("Odd", (), {"__scidb_type__": 5}))
    assert "has to be a text" in str(refusal(odd()))


def test_golden_classes() -> None:
    """M9: instances of users' classes keep the digest they were released with, on every Python."""
    point: Any = namedtuple("Point", "x y")  # type: ignore[name-match]  # noqa: PYI024
    gains: Any = dataclass(type("Gains", (), {"__annotations__": {"left": float}, "__scidb_type__": "gait.Gains"}))
    side: Any = Enum("Side", {"LEFT": 1})  # type: ignore[misc]
    setattr(point, "__scidb_type__", "gait.Point")  # noqa: B010 - mypy takes it for the class itself
    setattr(side, "__scidb_type__", "gait.Side")  # noqa: B010
    telling: Any = type("Telling", (Filter,), {"__scidb_type__": "gait.Filter", "__scidb_hash__": order_of})
    found = {canonical_hash(value)[:16] for value in (gains(1.5), point(1, 2), side.LEFT, telling(2))}
    assert found == GOLDEN


def test_golden_attrs_class() -> None:
    """M9: so do instances of attrs classes."""
    attrs = pytest.importorskip("attrs")
    kind = attrs.make_class("Kind", ["a", "b"])
    kind.__scidb_type__ = "gait.Kind"
    assert canonical_hash(kind(1, 2))[:16] == GOLDEN_ATTRS


GOLDEN = {"1427addb27cf116b", "1086b77c4d5e6543", "e3ffc1b10050c777", "046121781517a176"}
GOLDEN_ATTRS = "9fffff7a89cfdd10"
