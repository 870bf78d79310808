"""Two recorded graphs of code, laid side by side: which unit of one is which of the other, and what differs.

Units are paired from the function that is called onwards, by what their readers call them; a helper that
moved or is reached in another way is found by its code, then by its name.
"""

from __future__ import annotations

import ast
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from scidb.hashing.code.astdiff import edits, parse_unit
from scidb.hashing.code.manifest import SOURCE, is_unit

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from scidb.hashing.code.manifest import Manifest, Reference, UnitEntry

__all__ = ["Difference", "Pairing"]

_CODE: Final = frozenset({"function", "class"})
_PATTERN: Final = "Pattern"


class Difference(NamedTuple):
    """One thing that differs, and where."""

    kind: Any
    name: str
    where: str
    file: str
    line: int
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two graphs."""

    manifest: Manifest
    sources: Mapping[str, str]

    def at(self, token: str) -> UnitEntry:
        return self.manifest.units[int(token.removeprefix("unit:"))]

    def unit(self, token: str) -> UnitEntry | None:
        return self.at(token) if is_unit(token) else None

    def text(self, unit: UnitEntry) -> str | None:
        return self.sources.get(unit.source_sha) if unit.how == SOURCE else None

    def shown(self, token: str | None) -> str | None:
        """Return what a token stands for, for people."""
        if token is None:
            return None
        unit = self.unit(token)
        if unit is not None:
            return _shown(unit)
        sort, _, name = token.partition(":")
        if not name:  # "missing"
            return None
        if sort == "value":
            return self.manifest.values.get(token, "another value")
        return f"some {name}" if sort == "type" else name


class _Place(NamedTuple):
    """How people would call something that has no name of its own: a path, and the code that reads it."""

    path: str = ""
    reader: str = ""

    def __str__(self) -> str:
        return f"{self.path} read by {self.reader}" if self.path and self.reader else self.path


_NOWHERE: Final = _Place()


class Pairing:
    """Two recorded functions, each a manifest and the texts that it names; the first is the older."""

    def __init__(self, old: tuple[Manifest, Mapping[str, str]], new: tuple[Manifest, Mapping[str, str]]) -> None:
        self._old, self._new = _Side(*old), _Side(*new)
        self._pairs: dict[tuple[str, str], _Place] = {}  # tokens of units, and how people would call the thing
        self._pending: deque[tuple[str, str]] = deque()
        self._told: set[tuple[bool, str]] = set()  # units that a sentence has named already

    def differences(self) -> list[Difference]:
        """Return everything that differs, in the order of discovery, no thing twice."""
        found = list(self._walked())
        for newer, side in ((False, self._old), (True, self._new)):
            for token, unit in self._unpaired(side, newer=newer):
                if (newer, token) not in self._told:
                    name = _shown(unit)
                    sides = (None, name) if newer else (name, None)
                    found.append(Difference("reach", name, name, unit.file, unit.line, *sides))
        told: dict[Difference, Difference] = {}
        for item in found:  # what stands in an inner function stands in the text of the outer one, too
            told.setdefault(item._replace(where="") if item.line else item, item)
        return list(told.values())

    def texts(self) -> Iterator[tuple[str, str, int, str, str]]:
        """Yield name, file, line and both texts of the units whose code differs."""
        list(self._walked())
        for old_token, new_token in self._pairs:
            old, new = self._units(old_token, new_token)
            before, after = self._old.text(old), self._new.text(new)
            if old.digest != new.digest and before is not None and after is not None:
                yield _shown(new), new.file, new.line, before, after

    # -------------------------------------------------------------- the walk

    def _walked(self) -> Iterator[Difference]:
        yield from self._roots()
        yield from self._drained()
        for by_code in (True, False):
            self._rejoin(by_code=by_code)
            yield from self._drained()

    def _roots(self) -> Iterator[Difference]:
        old, new = self._old.manifest, self._new.manifest
        if not old.roots or not new.roots:
            return
        (_, first), (_, second) = old.roots[0], new.roots[0]
        before, after = self._old.unit(first), self._new.unit(second)
        if before is None or after is None:
            if first != second:
                yield Difference("name", "", "", "", 0, self._old.shown(first), self._new.shown(second))
        elif before.kind == after.kind:
            self._pair(first, second, _NOWHERE)
        elif old.declared == new.declared:
            yield self._code(before, after, _shown(before), _shown(after))
        yield from self._included(old.roots[1:], new.roots[1:])

    def _included(self, old: Sequence[Reference], new: Sequence[Reference]) -> Iterator[Difference]:
        units = [[token for _, token in roots if is_unit(token)] for roots in (old, new)]
        for left, right in zip(*units, strict=False):
            if _alike(*self._units(left, right)):
                self._pair(left, right, _NOWHERE)
        names = [
            [side.shown(token) for _, token in roots if not is_unit(token)]
            for side, roots in ((self._old, old), (self._new, new))
        ]
        for name in dict.fromkeys(names[0] + names[1]):
            if name is not None and (name in names[0]) != (name in names[1]):
                sides = (name, None) if name in names[0] else (None, name)
                yield Difference("reach", name, name, "", 0, *sides)

    def _rejoin(self, *, by_code: bool) -> None:
        """Pair what is left: a helper that moved, or is reached in another way, is still that helper."""
        left: dict[object, str] = {}
        for token, unit in self._unpaired(self._old, newer=False):
            left.setdefault(_key(unit, by_code=by_code), token)
        for token, unit in self._unpaired(self._new, newer=True):
            former = left.pop(_key(unit, by_code=by_code), None)
            if former is not None:
                self._pair(former, token, _NOWHERE)

    def _unpaired(self, side: _Side, *, newer: bool) -> list[tuple[str, UnitEntry]]:
        paired = {pair[newer] for pair in self._pairs}
        return [
            (f"unit:{number}", unit)
            for number, unit in enumerate(side.manifest.units)
            if unit.kind in _CODE and f"unit:{number}" not in paired
        ]

    def _pair(self, old: str, new: str, place: _Place) -> None:
        if (old, new) not in self._pairs:
            self._pairs[old, new] = place
            self._pending.append((old, new))

    def _units(self, old: str, new: str) -> tuple[UnitEntry, UnitEntry]:
        return self._old.at(old), self._new.at(new)

    def _drained(self) -> Iterator[Difference]:
        while self._pending:
            pair = self._pending.popleft()
            old, new = self._units(*pair)
            explained: list[Difference] = []
            if old.kind in {*_CODE, "version"} and old.digest != new.digest:
                explained = self._edited(old, new)
                yield from explained
            yield from self._references(old, new, self._pairs[pair], explained)

    def _edited(self, old: UnitEntry, new: UnitEntry) -> list[Difference]:
        """Compare the texts of two units; where one is missing, all that can be said is that they differ."""
        texts = self._old.text(old), self._new.text(new)
        nodes = tuple(None if text is None else parse_unit(text) for text in texts)
        found = []
        if nodes[0] is not None and nodes[1] is not None:
            for edit in edits(nodes[0], nodes[1], (old.own, new.own)):
                unit, node = (old, nodes[0]) if edit.after is None else (new, nodes[1])
                line = unit.line + edit.line - node.lineno
                found.append(Difference(edit.kind, "", _shown(new), unit.file, line, edit.before, edit.after))
        return found or [self._code(old, new, self._how(old, texts[0]), self._how(new, texts[1]))]

    def _how(self, unit: UnitEntry, text: str | None) -> str:
        if unit.how == SOURCE:
            return "source" if text is not None else "source that is not kept"
        return unit.how

    def _code(self, old: UnitEntry, new: UnitEntry, before: str, after: str) -> Difference:
        return Difference("code", "", _shown(old), new.file, new.line, before, after)

    # -------------------------------------------------------------- references

    def _references(
        self, old: UnitEntry, new: UnitEntry, place: _Place, explained: Sequence[Difference]
    ) -> Iterator[Difference]:
        before, after = _labelled(self._old, old), _labelled(self._new, new)
        said = {(found.before, found.after) for found in explained} if new.kind == "class" else set()
        for label in dict.fromkeys([*before, *after]):
            for found in self._compared(label[0], before.get(label), after.get(label), new, place):
                if (found.before, found.after) in said or _is_said(label[0], found, new, explained):
                    continue
                if new.kind == "class":  # a field is a member too, and its default perhaps a constant in the text
                    said.add((found.before, found.after))
                yield found

    def _compared(
        self, label: str, old: str | None, new: str | None, reader: UnitEntry, place: _Place
    ) -> Iterator[Difference]:
        left, right = (side.unit(token) if token else None for side, token in ((self._old, old), (self._new, new)))
        if old is not None and new is not None:
            if left is not None and right is not None and _alike(left, right):
                self._pair(old, new, _called(label, reader, place, _labelled(self._new, right)))
                return
            if old == new and left is None:
                return
        elif left is not None or right is not None:
            return  # told as "now also reaches", unless it is found again elsewhere
        for newer, unit, token in ((False, left, old), (True, right, new)):
            if unit is not None and token is not None:
                self._told.add((newer, token))
        sides = self._old.shown(old), self._new.shown(new)
        is_value = all(token is None or token.startswith(("value:", "type:")) for token in (old, new))
        yield _difference(label, sides, reader, place, is_value=is_value)


def _labelled(side: _Side, unit: UnitEntry) -> dict[tuple[str, int], str]:
    """Return references by label; a number tells labels apart that come several times."""
    found: dict[tuple[str, int], str] = {}
    counted: dict[str, int] = {}
    key: str | None = None
    for label, token in unit.refs:
        if unit.kind == "container" and label == "key":
            key = side.shown(token)
            continue
        number = counted[label] = counted.get(label, -1) + 1
        if unit.kind == "container" and label == "item":
            found[f"item {number if key is None else key}", 0] = token
        else:
            found[label, number] = token
        key = None
    return found


def _difference(
    label: str, sides: tuple[str | None, str | None], reader: UnitEntry, place: _Place, *, is_value: bool
) -> Difference:
    where = str(place) or _shown(reader)
    if reader.kind == "function" and label.startswith("default "):
        kind, where = "default", _shown(reader)
    elif reader.kind == "function":
        kind, where = "value" if is_value else "name", _shown(reader)
    elif reader.kind in {"holder", "builtin method"} and reader.name != _PATTERN:
        kind, sides = "bound", _narrowed(*sides)
    elif reader.kind == "container":
        kind = "item"
    else:
        kind, where = "state", _shown(reader) if reader.kind == "class" else where
        label = f"attribute {label}" if reader.kind == "instance" else label
    return Difference(kind, label, where, reader.file, 0, *sides)


def _shown(unit: UnitEntry) -> str:
    name = (unit.code_name or unit.name).rpartition("<locals>.")[2]
    if unit.kind in {"function", "version"}:
        return f"{name.rpartition('.')[2] if unit.kind == 'version' else name}()"
    if unit.kind == "class":
        return f"class {name}"
    return f"a {name}" if unit.kind in {"instance", "container", "holder"} else name.removesuffix("()") or unit.kind


def _alike(old: UnitEntry, new: UnitEntry) -> bool:
    """Tell whether two units under one label are one thing, perhaps changed; else one took another's place."""
    if old.kind != new.kind:
        return False
    if old.digest == new.digest:
        return True
    return old.kind in _CODE and _last(old) == _last(new)


def _last(unit: UnitEntry) -> str:
    return unit.name.rpartition(".")[2]


def _key(unit: UnitEntry, *, by_code: bool) -> object:
    if by_code:
        return unit.kind, unit.digest, _last(unit)
    return unit.kind, unit.name if _last(unit) == "<lambda>" else _last(unit)


def _called(label: str, reader: UnitEntry, place: _Place, inside: Collection[tuple[str, int]]) -> _Place:
    """Return how people would call what a reader refers to, and what has these labels inside."""
    if reader.kind in _CODE:
        owner, _, attribute = label.rpartition(".")  # of `MODEL.k` the whole MODEL is referred to
        is_inside = (attribute, 0) in inside or (f"item {attribute!r}", 0) in inside
        return _Place(owner if owner and is_inside else label, _shown(reader))
    if reader.kind == "holder":
        return _Place("the bound arguments") if label in {"args", "keywords"} else place
    if not place.path:
        return _Place(label)
    more = f"[{label.removeprefix('item ')}]" if reader.kind == "container" else f".{label}"
    return place._replace(path=f"{place.path}{more}")


def _is_said(label: str, found: Difference, reader: UnitEntry, explained: Sequence[Difference]) -> bool:
    """Tell whether an edit of the text explains what a name stands for now, or that it is read no more."""
    if not explained or any(item.kind == "code" for item in explained):
        return False
    if found.before is None or found.after is None:
        texts = " ".join(f"{item.before} {item.after}" for item in explained)
        return reader.kind == "function" or label.removeprefix("field ") in texts
    return (reader.kind == "class" and label in {"fields", "defaults"}) or any(
        item.kind == "name" and found.before.replace(str(item.before), str(item.after)) == found.after
        for item in explained
    )


def _narrowed(before: str | None, after: str | None) -> tuple[str | None, str | None]:
    """Leave out, of two tuples or dicts of arguments, what is equal in both."""
    if before is None or after is None:
        return before, after
    try:
        left, right = (ast.parse(text, mode="eval").body for text in (before, after))
    except SyntaxError:
        return before, after
    if isinstance(left, ast.Tuple) and isinstance(right, ast.Tuple) and len(left.elts) == len(right.elts):
        pairs = [(ast.unparse(a), ast.unparse(b)) for a, b in zip(left.elts, right.elts, strict=True)]
    elif isinstance(left, ast.Dict) and isinstance(right, ast.Dict):
        sides = _keywords(left), _keywords(right)
        if sides[0].keys() != sides[1].keys():
            return before, after
        pairs = [(f"{name}={text}", f"{name}={sides[1][name]}") for name, text in sides[0].items()]
    else:
        return before, after
    changed = [(a, b) for a, b in pairs if a != b]
    return (", ".join(a for a, _ in changed), ", ".join(b for _, b in changed)) if changed else (before, after)


def _keywords(node: ast.Dict) -> dict[str, str]:
    return {
        ast.unparse(key).strip("'"): ast.unparse(value)
        for key, value in zip(node.keys, node.values, strict=True)
        if key is not None
    }
