"""What a call receives: how each argument enters the identity of the call, and where it came from.

Values that know their origin (variables, results of thunks) say it themselves through `Tracked`; this
module never imports them.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias, TypeGuard

from scidb.hashing.ids import Form, content_hash, value_form
from scidb.hashing.literal import literal_text
from scidb.hashing.repeated import repeated_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

__all__ = [
    "PLAIN",
    "CallInput",
    "Input",
    "InputKind",
    "Tracked",
    "holds_tracked",
    "identify_constant",
    "identify_input",
    "is_tracked",
    "longer_literal",
    "preview",
]

PLAIN: Final = frozenset({type(None), bool, int, float, complex, str, bytes})
"""The types of values that hold nothing else, and that nobody can change."""

InputKind: TypeAlias = Literal["record", "computation", "constant", "file"]

_ADDRESS: Final = re.compile(r" at 0x[0-9A-Fa-f]+")
_SHORT: Final = PLAIN - {str, bytes, complex}  # their previews are whole, and this is asked at every call


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
    root: str | None = None  # of a file: the folder that its path starts from, which is no part of its identity
    literal: str | None = None  # of a constant whose value_repr is cut: the text from which it can be made again
    code_hash: str | None = None  # of a record: the code of its class that restores it, such as from_db
    is_default: bool = False  # whether nobody gave it: it is the parameter's default
    key: str | None = None  # under which it stood in a dict that was given: a text from which the key can be made again


@dataclass(frozen=True, slots=True)
class Input:
    """One argument: its form for the identity of the call, and its origins for provenance."""

    form: Form
    origins: tuple[CallInput, ...]

    def as_default(self) -> Input:
        """Return the same, noted as what nobody gave."""
        return Input(self.form, tuple(replace(origin, is_default=True) for origin in self.origins))


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


def holds_tracked(value: object) -> TypeGuard[list[Any] | tuple[Any, ...] | dict[Any, Any]]:
    """Tell whether a list, tuple or dict holds a tracked value, at any depth."""
    if not isinstance(value, list | tuple | dict):
        return False
    pending: list[Any] = [value]
    seen: set[int] = set()
    while pending:
        container = pending.pop()
        if id(container) in seen:
            continue
        seen.add(id(container))
        items: Collection[object] = container.values() if isinstance(container, dict) else container
        kinds = set(map(type, items)) - PLAIN  # a long list of numbers costs one pass in C
        if any(hasattr(kind, "__scidb_input__") for kind in kinds):
            return True
        nested = {kind for kind in kinds if issubclass(kind, list | tuple | dict)}
        if nested:
            pending.extend(item for item in items if type(item) in nested)
    return False


def identify_constant(name: str, value: object) -> Input:
    """Return identity and origin of an argument that knows no origin itself."""
    if type(value) in _SHORT:
        # Of 0.0 and -0.0, which are equal, the texts differ.
        return _identify_short(name, value, repr(value) if type(value) is float else "")
    content = repeated_hash(value)
    origin = CallInput(name, "constant", content_hash=content, value_repr=preview(value), literal=longer_literal(value))
    return Input(value_form(content), (origin,))


@functools.lru_cache(maxsize=1024, typed=True)
def _identify_short(name: str, value: object, _text: str) -> Input:
    content = content_hash(value)
    return Input(value_form(content), (CallInput(name, "constant", content_hash=content, value_repr=preview(value)),))


def identify_input(
    name: str,
    value: object,
    *,
    unwrap: bool = True,
    constant: Callable[[str, object], Input] = identify_constant,
) -> Input:
    """Return identity and origin of one argument; lists, tuples and dicts may hold tracked values.

    Parameters
    ----------
    name
        The parameter.
    value
        The argument.
    unwrap
        Whether the function receives the data of a variable, or the variable whole.
    constant
        Identifies what holds no tracked value.

    Raises
    ------
    UnhashableValueError
        When the argument has no identity by content.

    """
    if is_tracked(value):
        return value.__scidb_input__(name, unwrap=unwrap)
    if not holds_tracked(value):
        return constant(name, value)
    items = value.values() if isinstance(value, dict) else value
    parts = [identify_input(name, item, unwrap=unwrap, constant=constant) for item in items]
    forms, origins = [part.form for part in parts], tuple(o for part in parts for o in part.origins)
    if not isinstance(value, dict):
        return Input([type(value).__name__, forms], origins)
    keys = list(value)
    content_hash(keys)  # refused here, where it is known which argument is to blame
    if len(origins) == len(keys):  # of a dict within another container only the inner keys are kept
        origins = tuple(
            replace(one, key=literal_text(key)) if one.key is None else one
            for key, one in zip(keys, origins, strict=True)
        )
    return Input(["dict", forms, keys], origins)


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
    text = _ADDRESS.sub("", repr(value))
    return text if len(text) <= width else f"{text[: width - 1]}…"


def longer_literal(value: object) -> str | None:
    """Return the text from which a value can be made again, where its preview says less and the text is not long.

    Examples
    --------
    >>> longer_literal([1, 2]) is None
    True
    >>> longer_literal(list(range(100)))[:12]
    '[0, 1, 2, 3,'

    """
    if type(value) in _SHORT or (isinstance(value, str) and len(value) < 30 and value.isprintable()):
        return None
    text = literal_text(value)
    return None if text is None or text == preview(value) else text
