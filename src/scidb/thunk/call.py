"""`PipelineThunk`: one call of a thunk, identified by its code and inputs."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from scidb.exceptions import UnhashableValueError
from scidb.hashing.ids import computation_ids, new_call_id, uncacheable_id
from scidb.hashing.inputs import PLAIN, CallInput, Input, preview
from scidb.hashing.inside import own_classes
from scidb.thunk.binding import tracked_in
from scidb.thunk.output import ThunkOutput

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from scidb.thunk.core import Thunk

__all__ = ["PipelineThunk"]


class PipelineThunk:
    """One call of a thunk: what it received, what identifies it, and what came out.

    Parameters
    ----------
    thunk
        The function.
    inputs
        The arguments as given, by parameter name, defaults included.
    defaults
        The names of those that nobody gave.

    Attributes
    ----------
    lineage_id
        The identity of the computation: code and inputs by content. Equal ids mean equal results.
    inputs_hash
        The identity of the inputs apart from the code.
    uncacheable
        Why this call can never be recognised again, or None; its lineage_id then matches nothing.
    own_classes
        Classes of the user's own among the arguments; their code is part of the fingerprint.
    n_returned
        How many results there were when the call had ended.
    written
        The files among the arguments that a function with ``generates_file`` has written.
    seconds
        How long the function ran; None for a recalled or incomplete call.
    recalled_from
        The call that made the recalled values, when the database told.
    recalled_hashes
        The content hashes of the recalled values, where the database told them; None for those it did not.

    Examples
    --------
    >>> from scidb.thunk import thunk
    >>> @thunk
    ... def scale(x, gain=2):
    ...     return gain * x
    >>> call = scale(21).pipeline_thunk
    >>> call.inputs, call.is_complete
    ({'x': 21, 'gain': 2}, True)
    >>> call.lineage_id == scale(21, gain=2).pipeline_thunk.lineage_id
    True

    """

    def __init__(self, thunk: Thunk, inputs: Mapping[str, Any], defaults: Collection[str] = ()) -> None:
        self.thunk = thunk
        self.inputs = dict(inputs)
        self.defaults = defaults
        self.own_classes = own_classes(self.inputs.values(), unwrap=thunk.unwrap)
        self.fingerprint = thunk.fingerprint(self.own_classes)
        self._outputs: tuple[weakref.ref[ThunkOutput], ...] = ()
        self.n_returned = 0
        self.was_cached = False
        self.seconds: float | None = None
        self.written: tuple[CallInput, ...] = ()
        self.recalled_from: str | None = None
        self.recalled_hashes: Sequence[str | None] = ()
        self.uncacheable = thunk.uncacheable_reason(self.fingerprint)
        self.input_identities = {name: self._identify(name, value) for name, value in self.inputs.items()}
        forms = {name: identity.form for name, identity in self.input_identities.items()}
        self.lineage_id, self.inputs_hash = computation_ids(self.fingerprint.hash, forms, thunk.declared)
        if self.uncacheable is not None:
            self.lineage_id = uncacheable_id()

    def _identify(self, name: str, value: object) -> Input:
        try:
            return self.thunk.parameters.identify(name, value, unwrap=self.thunk.unwrap)
        except UnhashableValueError as error:
            self.uncacheable = self.uncacheable or f"argument {name!r} has no identity: {error}"
            # Provenance is kept as far as it is known, under a form that equals no other.
            origins = [item.origin(name) for item in _outputs_in(name, value)]
            unknown = CallInput(name, "constant", value_repr=preview(value))
            return Input(["uncacheable", uncacheable_id()], tuple(origins) or (unknown,))

    @property
    def call_id(self) -> str:
        """The identity of this execution or recall alone; made when first asked for, once for all threads."""
        known: dict[str, Any] = self.__dict__
        return str(known.get("_call_id") or known.setdefault("_call_id", new_call_id()))

    @property
    def outputs(self) -> tuple[ThunkOutput, ...]:
        """The results, in their order, as far as somebody holds them.

        The call does not: each result holds its call, and in a circle a large value would outlive its last use.
        """
        return tuple(output for reference in self._outputs if (output := reference()) is not None)

    @property
    def is_complete(self) -> bool:
        """Whether every argument has its value, so that the function can run."""
        values = ((name, value) for name, value in self.inputs.items() if type(value) not in PLAIN)
        return all(item.is_complete for name, value in values for item in _outputs_in(name, value))

    def compute_lineage_hash(self) -> str:
        """Return the lineage_id; the name under which other tools know it."""
        return self.lineage_id

    def finish(
        self, values: Sequence[Any], *, is_complete: bool = True, was_cached: bool = False
    ) -> ThunkOutput | tuple[ThunkOutput, ...]:
        """Fill in the outputs, and return them in the form in which the thunk declares them."""
        self.was_cached = was_cached
        known = self.recalled_hashes if was_cached and self.recalled_hashes else [None] * len(values)
        outputs = tuple(
            ThunkOutput(self, i, value, is_complete=is_complete, returned_hash=content)
            for i, (value, content) in enumerate(zip(values, known, strict=True))
        )
        self._outputs, self.n_returned = tuple(map(weakref.ref, outputs)), len(outputs)
        return outputs[0] if self.thunk.n_outputs == 1 else outputs

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={preview(value, 20)}" for name, value in self.inputs.items())
        return f"<PipelineThunk {self.thunk.name}({arguments})>"


def _outputs_in(name: str, value: object) -> Iterable[ThunkOutput]:
    return (item for _, item in tracked_in(value, name) if isinstance(item, ThunkOutput))
