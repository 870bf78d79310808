"""Where the nodes of a graph are drawn: in columns along the flow of data, so that nothing lies on a box.

Boxes stand in columns, and a line that passes a column has a slot of its own in it. Knows nothing of what is drawn.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Arrow", "Box", "Layout", "lay_out"]

_ROW: Final = 26  # height of a box
_LANE: Final = 10  # height of the slot of a line that passes
_GAP: Final = 12  # between two slots of a column
_CURVE: Final = 48  # width of the zone between columns in which lines bend
_MARGIN: Final = 16
_SWEEPS: Final = 8


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle; `x` and `y` are its left upper corner."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Arrow:
    """A line through points, from the right side of one box to the left side of another; it bends only between columns.

    Every second part is level: from the first point to the second, from the third to the fourth, and so on.
    """

    source: str
    target: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything is."""

    boxes: Mapping[str, Box]
    arrows: tuple[Arrow, ...]
    width: float
    height: float


@dataclass(slots=True)
class _Slot:
    """A place in a column: for a box, or for a line that passes."""

    key: str
    column: int
    height: float
    y: float = 0.0  # of its middle


def lay_out(
    widths: Mapping[str, float], links: Sequence[tuple[str, str]], tails: Mapping[str, float] | None = None
) -> Layout:
    """Place boxes of these widths so that links run from left to right.

    Parameters
    ----------
    widths
        The nodes, in an order that is kept where nothing speaks against it.
    links
        Pairs of nodes. One that closes a circle runs backwards in the drawing.
    tails
        Room to leave right of a box, for the text beside its outgoing lines.

    """
    forward = _without_circles(widths, links)
    columns = _columns(widths, forward)
    slots, chains = _slots(widths, forward, columns)
    _order(slots, chains)
    _settle(slots, chains)
    return _placed(widths, tails or {}, slots, chains, links)


# ------------------------------------------------------------------ columns


def _without_circles(nodes: Mapping[str, float], links: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return each link once, those that close a circle turned round."""
    following: dict[str, list[str]] = defaultdict(list)
    for source, target in dict.fromkeys(links):
        following[source].append(target)
    state: dict[str, int] = {}
    forward: dict[tuple[str, str], None] = {}
    for start in nodes:
        stack = [(start, iter(following[start]))] if start not in state else []
        state.setdefault(start, 1)
        while stack:
            node, further = stack[-1]
            target = next(further, "")
            if not target:
                state[node] = 2
                stack.pop()
            elif state.get(target) == 1:
                if target != node:
                    forward[target, node] = None
            else:
                forward[node, target] = None
                if target not in state:
                    state[target] = 1
                    stack.append((target, iter(following[target])))
    return list(forward)


def _columns(nodes: Mapping[str, float], links: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Return the column of each node: behind all that it comes from, and as near to what it goes to as can be."""
    before, after = defaultdict(list), defaultdict(list)
    for source, target in links:
        before[target].append(source)
        after[source].append(target)
    waiting = {node: len(before[node]) for node in nodes}
    ready = [node for node in nodes if not waiting[node]]
    column = dict.fromkeys(nodes, 0)
    done = []
    while ready:
        node = ready.pop()
        done.append(node)
        for target in after[node]:
            column[target] = max(column[target], column[node] + 1)
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    for node in reversed(done):
        if after[node] and not before[node]:
            column[node] = min(column[target] for target in after[node]) - 1
    return column


def _slots(
    nodes: Mapping[str, float], links: Sequence[tuple[str, str]], column: Mapping[str, int]
) -> tuple[list[list[_Slot]], list[list[_Slot]]]:
    """Return the slots by column, and per link those that it goes through, both ends included."""
    slots: list[list[_Slot]] = [[] for _ in range(max(column.values(), default=0) + 1)]
    boxes = {node: _Slot(node, column[node], _ROW) for node in nodes}
    for slot in boxes.values():
        slots[slot.column].append(slot)
    chains = []
    for source, target in links:
        lanes = [_Slot("", number, _LANE) for number in range(column[source] + 1, column[target])]
        for lane in lanes:
            slots[lane.column].append(lane)
        chains.append([boxes[source], *lanes, boxes[target]])
    return slots, chains


# ------------------------------------------------------------------ rows


def _neighbours(chains: Sequence[Sequence[_Slot]]) -> tuple[dict[int, list[_Slot]], dict[int, list[_Slot]]]:
    before: dict[int, list[_Slot]] = defaultdict(list)
    after: dict[int, list[_Slot]] = defaultdict(list)
    for chain in chains:
        for left, right in itertools.pairwise(chain):
            after[id(left)].append(right)
            before[id(right)].append(left)
    return before, after


def _order(slots: Sequence[list[_Slot]], chains: Sequence[Sequence[_Slot]]) -> None:
    """Put the slots of each column into an order in which few lines cross."""
    before, after = _neighbours(chains)
    for column in slots:
        _number(column)
    for sweep in range(_SWEEPS):
        is_forward = sweep % 2 == 0
        near = before if is_forward else after
        for column in slots if is_forward else reversed(slots):
            # The sort is stable, so that what has no neighbour there stays about where it is.
            column.sort(key=lambda slot: _mean(near[id(slot)], slot.y))
            _number(column)


def _number(column: Sequence[_Slot]) -> None:
    for number, slot in enumerate(column):
        slot.y = number


def _mean(slots: Sequence[_Slot], otherwise: float) -> float:
    return sum(slot.y for slot in slots) / len(slots) if slots else otherwise


def _settle(slots: Sequence[list[_Slot]], chains: Sequence[Sequence[_Slot]]) -> None:
    """Give every slot its height: near its neighbours, in the order of its column, meeting no other."""
    before, after = _neighbours(chains)
    for column in slots:
        _push_apart(column, [0.0] * len(column))
    for sweep in range(_SWEEPS):
        for column in slots if sweep % 2 else reversed(slots):
            _push_apart(column, [_mean([*before[id(slot)], *after[id(slot)]], slot.y) for slot in column])
    top = min((slot.y - slot.height / 2 for column in slots for slot in column), default=0.0)
    for column in slots:
        for slot in column:
            slot.y += _MARGIN - top


def _push_apart(column: Sequence[_Slot], wanted: Sequence[float]) -> None:
    """Place the slots of a column where they want to be, as far as they leave room for each other."""
    down: list[float] = []
    for slot, y in zip(column, wanted, strict=True):
        at = y if not down else max(y, down[-1] + _distance(column[len(down) - 1], slot))
        down.append(at)
    up: list[float] = []
    for slot, y in zip(reversed(column), reversed(wanted), strict=True):
        at = y if not up else min(y, up[-1] - _distance(slot, column[len(column) - len(up)]))
        up.append(at)
    # Both keep the distances, and so does the mean of them.
    for slot, low, high in zip(column, down, reversed(up), strict=True):
        slot.y = (low + high) / 2


def _distance(upper: _Slot, lower: _Slot) -> float:
    return (upper.height + lower.height) / 2 + _GAP


# ------------------------------------------------------------------ coordinates


def _placed(
    widths: Mapping[str, float],
    tails: Mapping[str, float],
    slots: Sequence[list[_Slot]],
    chains: Sequence[Sequence[_Slot]],
    links: Sequence[tuple[str, str]],
) -> Layout:
    lefts, bends = [], []
    x = float(_MARGIN)
    for column in slots:
        lefts.append(x)
        x += max((widths[slot.key] for slot in column if slot.key), default=0.0)
        x += max((tails.get(slot.key, 0.0) for slot in column if slot.key), default=0.0)
        bends.append(x)  # where the lines of the column begin to bend
        x += _CURVE
    boxes = {
        slot.key: Box(lefts[slot.column], slot.y - slot.height / 2, widths[slot.key], slot.height)
        for column in slots
        for slot in column
        if slot.key
    }
    forward = set(links)
    arrows = []
    for chain in chains:
        points = []
        for left, right in itertools.pairwise(chain):
            start = boxes[left.key].x + boxes[left.key].width if left.key else lefts[left.column]
            points += [(start, left.y), (bends[left.column], left.y)]
            points += [(lefts[right.column], right.y)] * 2 if right is chain[-1] else []
        ends = chain[0].key, chain[-1].key
        if ends in forward:
            arrows.append(Arrow(*ends, tuple(points)))
        if ends[::-1] in forward:
            arrows.append(Arrow(*ends[::-1], tuple(reversed(points))))
    height = max((slot.y + slot.height / 2 for column in slots for slot in column), default=0.0) + _MARGIN
    return Layout(boxes, tuple(arrows), x - _CURVE + _MARGIN, height)
