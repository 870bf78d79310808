"""What a call receives: how each argument enters the identity of the call, and where it came from.

Values that know their origin (variables, results of thunks) say it themselves through `Tracked`; this
module never imports them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, TypeGuard

from scidb.hashing.ids import Form, content_hash, value_form

__all__ = ["CallInput", "Input", "InputKind", "Tracked", "identify_input", "is_tracked", "preview"]

InputKind: TypeAlias = Literal["record", "computation", "constant", "file"]


@dataclass(frozen=True, slots=True)
class CallInput:
    """Where what one parameter was given came from. A parameter with several matches has several lines."""

    name: str
    kind: InputKind
    record_id: str | None = None
    input_call_id: str | None = None
    output_num: int | None = None
    type_name: str | None = None
    content_hash: str | None = None
    value_repr: str | None = None


@dataclass(frozen=True, slots=True)
class Input:
    """One argument: its form for the identity of the call, and its origins for provenance."""

    form: Form
    origins: tuple[CallInput, ...]


class Tracked(Protocol):
    """A value that knows where it came from."""

    @property
    def data(self) -> Any:
        """The raw value."""
        ...

    def __scidb_input__(self, name: str, *, unwrap: bool) -> Input:
        """Return identity and origin for the parameter `name`.

        With `unwrap` the function receives ``data``; without, it receives this object whole.
        """
        ...


def is_tracked(value: object) -> TypeGuard[Tracked]:
    """Tell whether a value knows where it came from; `isinstance` would cost a microsecond an element."""
    return hasattr(type(value), "__scidb_input__")


def identify_input(name: str, value: object, *, unwrap: bool = True) -> Input:
    """Return identity and origin of one argument; lists, tuples and dicts may hold tracked values.

    Raises
    ------
    UnhashableValueError
        When the argument has no identity by content.

    """
    if is_tracked(value):
        return value.__scidb_input__(name, unwrap=unwrap)
    if isinstance(value, list | tuple) and any(map(is_tracked, value)):
        return _several(type(value).__name__, [identify_input(name, item, unwrap=unwrap) for item in value])
    if isinstance(value, dict) and any(map(is_tracked, value.values())):
        items = [identify_input(name, item, unwrap=unwrap) for item in value.values()]
        joined = _several("dict", items)
        return Input([*joined.form, list(value)], joined.origins)
    content = content_hash(value)
    origin = CallInput(name, "constant", content_hash=content, value_repr=preview(value))
    return Input(value_form(content), (origin,))


def _several(kind: str, items: list[Input]) -> Input:
    return Input([kind, [item.form for item in items]], tuple(o for item in items for o in item.origins))


def preview(value: object, width: int = 60) -> str:
    """Describe a value in a few words for people; never used as identity.

    Examples
    --------
    >>> import numpy as np
    >>> preview(0.2), preview(np.zeros((3, 2)))
    ('0.2', 'float64 array (3, 2)')

    """
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    kind = type(value).__name__
    if isinstance(shape, tuple) and shape:
        label = f"{dtype} array" if kind == "ndarray" else kind
        return f"{label} ({', '.join(str(n) for n in shape)})"
    if isinstance(value, str | bytes | list | tuple | dict | set | frozenset) and len(value) > width:
        return f"{kind} of {len(value)}"
    text = repr(value)
    return text if len(text) <= width else f"{text[: width - 1]}…"
