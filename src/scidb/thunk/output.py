"""`ThunkOutput`: one value that a call returned, together with the call.

It stands for its value only where another thunk or a save receives it. Anywhere else it refuses to act
as the value, because a result that silently lost its origin would be saved without lineage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from scidb.exceptions import SciDBError, UnhashableValueError
from scidb.hashing.ids import computation_form, content_hash, value_form
from scidb.hashing.inputs import CallInput, Input, preview
from scidb.hashing.repeated import repeated_hash

if TYPE_CHECKING:
    from collections.abc import Callable

    from scidb.thunk.call import PipelineThunk

__all__ = ["OutputThunk", "ThunkOutput"]


@dataclass(frozen=True, slots=True)
class _Saved:
    """Where an output was saved last; replaced whole, so that other threads never see half of it."""

    record_id: str
    call_id: str
    variable: str


def _refused(operation: str) -> Callable[..., NoReturn]:
    def refuse(self: ThunkOutput, *_operands: object) -> NoReturn:
        hint = ""
        if operation == "iteration":
            hint = "; to get several outputs from one call, declare them with @thunk(n_outputs=...)"
        raise TypeError(
            f"a ThunkOutput does not support {operation}: {self!r} is a value with its history; "
            f"use .data for the value itself{hint}"
        )

    return refuse


class ThunkOutput:
    """One value that a call of a thunk returned, and the call that it came from.

    Parameters
    ----------
    pipeline_thunk
        The call.
    output_num
        The position among the outputs of the call, from 0.
    data
        The value.
    is_complete
        False when the call could not run yet, because an argument is itself incomplete.
    returned_hash
        The content hash of the value, when it is known already.

    Attributes
    ----------
    returned_hash
        The identity by content that the value had when the function returned it; None for one without.

    Examples
    --------
    >>> from scidb.thunk import thunk
    >>> @thunk
    ... def double(x):
    ...     return 2 * x
    >>> result = double(21)
    >>> result.data, result.was_cached, result.pipeline_thunk.inputs
    (42, False, {'x': 21})

    """

    __slots__ = (
        "__weakref__",
        "_saved",
        "data",
        "is_complete",
        "output_num",
        "pipeline_thunk",
        "returned_hash",
    )

    def __init__(
        self,
        pipeline_thunk: PipelineThunk,
        output_num: int,
        data: Any,
        *,
        is_complete: bool = True,
        returned_hash: str | None = None,
    ) -> None:
        self.pipeline_thunk = pipeline_thunk
        self.output_num = output_num
        self.data = data
        self.is_complete = is_complete
        self.returned_hash = returned_hash or self._hash_now()
        self._saved: _Saved | None = None

    @property
    def value(self) -> Any:
        """The value; another name of ``data``."""
        return self.data

    @property
    def hash(self) -> str:
        """The id of this output: the lineage_id of its computation, and its position."""
        return f"{self.pipeline_thunk.lineage_id}-{self.output_num}"

    @property
    def was_cached(self) -> bool:
        """Whether the value was recalled from a database instead of computed."""
        return self.pipeline_thunk.was_cached

    @property
    def has_value(self) -> bool:
        """Whether there is a value to pass on: not when the call waits, nor when it generates a file."""
        return self.is_complete and not self.pipeline_thunk.thunk.generates_file

    @property
    def is_saved(self) -> bool:
        """Whether a database told, through `mark_saved`, that it holds this output."""
        return self._saved is not None

    @property
    def content_hash(self) -> str:
        """The identity of the value by content, computed anew: a later function may have changed it in place.

        Raises
        ------
        UnhashableValueError
            When the value has no identity by content.

        """
        return content_hash(self.data)

    def _hash_now(self) -> str | None:
        if not self.has_value:
            return None
        try:
            return self.content_hash
        except UnhashableValueError:
            return None

    @property
    def is_changed(self) -> bool:
        """Whether the value is not the one that the function returned: something was done to it in place.

        Of a value without an identity by content this cannot be told.
        """
        return self._hash_now() != self.returned_hash

    def unchanged_value(self) -> Any:
        """Return the value, for whoever keeps it as what the function returned.

        Raises
        ------
        SciDBError
            When it was changed in place since.

        """
        if self.is_changed:
            name = self.pipeline_thunk.thunk.name
            raise SciDBError(
                f"The value of {name}() was changed after it was returned, so that it is no longer what {name}() "
                "gives. Save the changed value itself, without that origin: V.save(result.data); or change a copy.",
                function=name,
            )
        return self.data

    def mark_saved(self, *, record_id: str, call_id: str, variable: str) -> None:
        """Note where this output was saved; from now on it enters provenance as that record."""
        self._saved = _Saved(record_id, call_id, variable)

    def origin(self, name: str) -> CallInput:
        """Return the line of provenance for a call that receives this output as parameter `name`."""
        return self._origin(name, self._hash_now())

    def _origin(self, name: str, content: str | None) -> CallInput:
        if content != self.returned_hash:  # changed in place: it came from the caller, not from the function
            return CallInput(name, "constant", content_hash=content, value_repr=preview(self.data))
        saved = self._saved
        if saved is not None and self.has_value:  # of a generated file there is no record, but the call
            return CallInput(
                name,
                "record",
                record_id=saved.record_id,
                input_call_id=saved.call_id,
                output_num=self.output_num,
                type_name=saved.variable,
                content_hash=content,
            )
        return CallInput(
            name,
            "computation",
            input_call_id=self.pipeline_thunk.call_id,
            output_num=self.output_num,
            type_name=self.pipeline_thunk.thunk.name,
            content_hash=content,
        )

    def __scidb_input__(self, name: str, *, unwrap: bool) -> Input:
        """Return identity and origin for the parameter `name`; a function always receives the value."""
        del unwrap  # only a variable can be given whole
        if not self.has_value:
            form = computation_form(self.pipeline_thunk.lineage_id, self.output_num)
            return Input(form, (self._origin(name, None),))
        content = repeated_hash(self.data)
        return Input(value_form(content), (self._origin(name, content),))

    def __repr__(self) -> str:
        call = f"{self.pipeline_thunk.thunk.name}()"
        if not self.is_complete:
            return f"<ThunkOutput {self.output_num} of {call}, incomplete>"
        cached = ", recalled" if self.was_cached else ""
        return f"<ThunkOutput {self.output_num} of {call}{cached}: {preview(self.data)}>"

    # ------------------------------------------------------------ not the value

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        raise TypeError(
            f"a ThunkOutput equals only itself: {self!r} is a value with its history; compare .data for "
            "the values, .hash for the computations, or use `is`"
        )

    def __ne__(self, other: object) -> bool:
        return not self == other

    __bool__ = _refused("bool()")
    __len__ = _refused("len()")
    __iter__ = _refused("iteration")
    __contains__ = _refused("`in`")
    __getitem__ = _refused("indexing")
    __array__ = _refused("conversion to an array")
    __int__ = __float__ = __complex__ = __index__ = _refused("conversion to a number")
    __lt__ = __le__ = __gt__ = __ge__ = _refused("comparison")
    __neg__ = __pos__ = __abs__ = __invert__ = _refused("arithmetic")
    __add__ = __sub__ = __mul__ = __matmul__ = __truediv__ = __floordiv__ = _refused("arithmetic")
    __mod__ = __divmod__ = __pow__ = __lshift__ = __rshift__ = __and__ = __xor__ = __or__ = _refused("arithmetic")
    __radd__ = __rsub__ = __rmul__ = __rmatmul__ = __rtruediv__ = __rfloordiv__ = _refused("arithmetic")
    __rmod__ = __rdivmod__ = __rpow__ = __rlshift__ = __rrshift__ = _refused("arithmetic")
    __rand__ = __rxor__ = __ror__ = _refused("arithmetic")


OutputThunk: TypeAlias = ThunkOutput
