"""The history behind an output: which calls a save must record, and what in it was never saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scidb.thunk.binding import tracked_in
from scidb.thunk.output import ThunkOutput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scidb.thunk.call import PipelineThunk

__all__ = ["chain", "unsaved"]


def chain(output: ThunkOutput) -> Iterator[PipelineThunk]:
    """Yield the calls that a save of `output` must record: each once, and after those that it depends on.

    These are its own call and, upstream, the calls of outputs that were never saved themselves. A call may
    come again in the chain of another output; its call_id says so.
    """
    seen: set[int] = set()
    # An explicit stack: a loop that feeds a result back may be longer than Python's own.
    stack = [(output.pipeline_thunk, False)]
    while stack:
        call, upstream_done = stack.pop()
        if upstream_done:
            yield call
        elif id(call) not in seen:
            seen.add(id(call))
            stack.append((call, True))
            stack.extend((source.pipeline_thunk, False) for _, source in _unsaved_results(call, ""))


def unsaved(output: ThunkOutput) -> list[str]:
    """Return the path to each variable behind `output` that was never saved.

    A path leads upstream, as in ``filter() -> arg``, or ``mean() -> signal -> filter() -> arg`` where an
    unsaved result lies between. What is behind a saved output was looked at when that was saved.
    """
    paths: list[str] = []
    seen: set[int] = set()
    stack = [(output.pipeline_thunk, f"{output.pipeline_thunk.thunk.name}()")]
    while stack:
        call, path = stack.pop()
        if id(call) in seen:
            continue
        seen.add(id(call))
        paths.extend(f"{path} -> {where}" for where in _unsaved_variables(call))
        further = [
            (source.pipeline_thunk, f"{where} -> {source.pipeline_thunk.thunk.name}()")
            for where, source in _unsaved_results(call, path)
        ]
        stack.extend(reversed(further))
    return paths


def _unsaved_variables(call: PipelineThunk) -> Iterator[str]:
    for name, value in call.inputs.items():
        for where, item in tracked_in(value, name):
            if getattr(item, "record_id", "no variable") is None:
                yield where


def _unsaved_results(call: PipelineThunk, path: str) -> Iterator[tuple[str, ThunkOutput]]:
    origins = [origin for identity in call.input_identities.values() for origin in identity.origins]
    received = {origin.input_call_id for origin in origins}
    for name, value in call.inputs.items():
        for where, item in tracked_in(value, name):
            # A variable that was made of a result but never saved hides that result's history.
            hidden = getattr(item, "record_id", "no variable") is None
            source = item.data if hidden else item
            if not isinstance(source, ThunkOutput) or source.is_saved:
                continue
            # One that had been changed was a constant to the call, not the result of another.
            if hidden or source.pipeline_thunk.call_id in received:
                yield f"{path} -> {where}", source
