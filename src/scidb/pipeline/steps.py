"""The steps of a pipeline: what each reads and makes, and the order that follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scidb.exceptions import PipelineError, did_you_mean
from scidb.filters import Filter
from scidb.foreach.given import variables_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scidb.foreach import ForEachReport
    from scidb.foreach.call import Call

__all__ = ["Step", "leading_to", "ordered", "reads", "writes"]


@dataclass(frozen=True, slots=True)
class Step:
    """One collected call: its name in the pipeline, and the variables that it reads and makes."""

    name: str
    call: Call
    report: ForEachReport  # the one that whoever called for_each got; it is filled when the step has run
    reads: tuple[str, ...]
    makes: tuple[str, ...]

    def needs(self, other: Step) -> bool:
        """Whether another step makes what this one reads."""
        return other is not self and not set(self.reads).isdisjoint(other.makes)


def reads(call: Call) -> tuple[str, ...]:
    """Return the variables that a call reads: its inputs, and what its filter looks at."""
    found = [name for spec in dict(call["inputs"]).values() for name in variables_of(spec)]
    where = call["where"]
    leaves = where.leaves() if isinstance(where, Filter) else ()
    found += [leaf.variable for leaf in leaves if hasattr(leaf, "variable")]
    return tuple(dict.fromkeys(found))


def writes(call: Call) -> tuple[str, ...]:
    """Return the variables that a call makes."""
    outputs: Any = call["outputs"]
    return tuple(
        name for one in (outputs if isinstance(outputs, list | tuple) else [outputs]) for name in variables_of(one)
    )


def ordered(steps: Sequence[Step]) -> list[Step]:
    """Return steps so that each comes behind those that make what it reads, else in the order of adding.

    Raises
    ------
    PipelineError
        When steps need one another, naming them and their variables.

    """
    waiting, done = list(steps), list[Step]()
    while waiting:
        ready = next((step for step in waiting if not any(step.needs(other) for other in waiting)), None)
        if ready is None:
            raise PipelineError(_cycle_text(_cycle(waiting)))
        waiting.remove(ready)
        done.append(ready)
    return done


def _cycle(waiting: Sequence[Step]) -> list[Step]:
    """Return steps of which each needs the one behind it, and the last one the first; all of them need some other."""
    path = [waiting[0]]
    while True:
        following = next(other for other in waiting if path[-1].needs(other))
        if following in path:
            return path[path.index(following) :]
        path.append(following)


def _cycle_text(cycle: Sequence[Step]) -> str:
    links = []
    for step, maker in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
        between = " and ".join(name for name in step.reads if name in maker.makes)
        links.append(f"{step.name}() reads {between}, made by {maker.name}()")
    return (
        f"These steps of the pipeline need one another: {'; '.join(links)}. Let one of them read another variable, or "
        "run them in pipelines of their own."
    )


def leading_to(steps: Sequence[Step], variable: str) -> list[Step]:
    """Return the steps that make a variable, and those that make what they need, in the order given.

    Raises
    ------
    PipelineError
        When no step makes it.

    """
    wanted = [step for step in steps if variable in step.makes]
    if not wanted:
        made = list(dict.fromkeys(name for step in steps for name in step.makes))
        raise PipelineError(
            f"until={variable!r}: no step of the pipeline makes this variable; they make {', '.join(made) or 'none'}."
            f"{did_you_mean(variable, made)}"
        )
    found = list(_with_makers(wanted, steps))
    return [step for step in steps if step in found]


def _with_makers(wanted: Sequence[Step], steps: Sequence[Step]) -> Iterator[Step]:
    seen: list[Step] = []
    pending = list(wanted)
    while pending:
        step = pending.pop()
        if step not in seen:
            seen.append(step)
            pending += [other for other in steps if step.needs(other)]
    yield from seen
