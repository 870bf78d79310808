"""The arguments of a call as they enter its identity: by parameter name, defaults filled in, classes known."""

from __future__ import annotations

import inspect
import struct
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from scidb.exceptions import UnhashableValueError
from scidb.hashing.canonical.encode import canonical_hash
from scidb.hashing.code.fingerprint import identify_code
from scidb.hashing.ids import code_form, content_hash, value_form
from scidb.hashing.inputs import CallInput, Input, identify_constant, identify_input
from scidb.hashing.inside import without_plain
from scidb.hashing.origin import type_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from scidb.hashing.ids import Form

__all__ = ["Parameters"]


_CONTAINERS: Final = (list, tuple, dict)
_NONE: Final[frozenset[str]] = frozenset()


class Parameters:
    """The parameters of a function, to which the arguments of a call are bound.

    So that one call has one identity however it is written, arguments are named after parameters and
    defaults are filled in. A keyword that a ``**`` parameter takes goes by its own name (behind two stars
    when a parameter has that name too). A function without a signature, as some compiled ones are, has
    ``arg_0``, ``arg_1`` and so on.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._signature = _signature(function, follow_wrapped=True)
        # A decorator may supply arguments that the function it wraps declares; then its own parameters count.
        self._outer = _signature(function, follow_wrapped=False) if hasattr(function, "__wrapped__") else None
        self._plain = _plain_parameters(self._signature)

    def __contains__(self, name: str) -> bool:
        return self._signature is not None and name in self._signature.parameters

    def identify(self, name: str, value: object, *, unwrap: bool = True) -> Input:
        """Return identity and origin of one argument.

        A function or class, alone or in a list, tuple or dict, is known by its code. Any other argument
        without identity is known by its type where it only marks an omission, as numpy's ``_NoValue``
        does: it is the parameter's default and has no state.

        Raises
        ------
        UnhashableValueError
            When the argument has no identity by content.

        """
        try:
            return identify_input(name, value, unwrap=unwrap, constant=_constant)
        except UnhashableValueError:
            parameter = self._signature.parameters.get(name) if self._signature else None
            if parameter is None or value is not parameter.default or not _is_stateless(value):
                raise
            origin = CallInput(name, "constant", value_repr="default")
            return Input(["default", type_name(type(value))], (origin,))

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments by parameter name.

        Raises
        ------
        TypeError
            When the function does not take these arguments.

        """
        return self.bind_noting_defaults(args, kwargs)[0]

    def bind_noting_defaults(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[dict[str, Any], frozenset[str]]:
        """Return the arguments by parameter name, and the names of those that are defaults; refuses as `bind` does."""
        if self._plain is not None and (fitting := _bind_plain(self._plain, args, kwargs)) is not None:
            return fitting
        if self._signature is None:
            inputs = {f"arg_{i}": value for i, value in enumerate(args)}
            return _with_keywords(inputs, kwargs, taken=inputs), _NONE
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError:
            if self._outer is None:
                raise
            bound = self._outer.bind(*args, **kwargs)
        parameters, given = bound.signature.parameters, bound.arguments
        defaults = _NONE
        if len(given) < len(parameters):
            defaults = (
                frozenset(name for name, one in parameters.items() if one.default is not one.empty) - given.keys()
            )
        bound.apply_defaults()
        inputs = dict(bound.arguments)
        for name, parameter in parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD:
                return _with_keywords(inputs, inputs.pop(name), taken=parameters), defaults
        return inputs, defaults


def _constant(name: str, value: object) -> Input:
    try:
        return identify_constant(name, value)
    except UnhashableValueError:
        found = _with_code(value)
        if found is None:
            raise
    form, label = found
    return Input(form, (CallInput(name, "constant", content_hash=canonical_hash(form), value_repr=label),))


def _with_code(value: object) -> tuple[Form, str] | None:
    """Return form and description of a function or class, or of a container of some; None for all else."""
    if callable(value):
        token, name = identify_code(value)
        return code_form(token), name
    if type(value) not in _CONTAINERS or not _holds_code(value):
        return None
    items = _items(value)
    try:
        forms = [_form(item) for item in items]
    except RecursionError:
        return None
    if isinstance(value, dict):  # its order does not count
        forms = sorted(([content_hash(key), form] for key, form in zip(value, forms, strict=True)), key=itemgetter(0))
    kind = type(value).__name__
    return [kind, forms], f"{kind} of {len(items)}"


def _form(value: object) -> Form:
    found = _with_code(value)
    return found[0] if found else value_form(content_hash(value))


def _holds_code(container: object) -> bool:
    """Tell whether there is a function or class in a container, at any depth."""
    pending, seen = [container], set()
    while pending:
        value = pending.pop()
        if callable(value):
            return True
        if type(value) in _CONTAINERS and id(value) not in seen:
            seen.add(id(value))
            pending.extend(without_plain(_items(value)))
    return False


def _items(container: Any) -> Collection[object]:
    return container.values() if isinstance(container, dict) else container


def _signature(function: Callable[..., Any], *, follow_wrapped: bool) -> inspect.Signature | None:
    try:
        return inspect.signature(function, follow_wrapped=follow_wrapped)
    except (TypeError, ValueError):
        return None


class _Plain(NamedTuple):
    """The parameters of most functions: none takes several arguments, or goes without a name."""

    positional: tuple[str, ...]
    defaults: dict[str, Any]  # by all names in their order; `inspect.Parameter.empty` where there is none


def _plain_parameters(signature: inspect.Signature | None) -> _Plain | None:
    if signature is None:
        return None
    parameters = signature.parameters.values()
    kinds = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    if not kinds.issuperset(parameter.kind for parameter in parameters):
        return None
    positional = (one.name for one in parameters if one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return _Plain(tuple(positional), {parameter.name: parameter.default for parameter in parameters})


def _bind_plain(
    plain: _Plain, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[dict[str, Any], frozenset[str]] | None:
    """Return arguments and defaults as `inspect` would, in a tenth of its time; None where they do not fit."""
    if len(args) > len(plain.positional):
        return None
    given = dict(zip(plain.positional, args, strict=False))
    count = len(given) + len(kwargs)
    given.update(kwargs)
    if len(given) != count or not plain.defaults.keys() >= given.keys():
        return None
    inputs = {**plain.defaults, **given}
    if len(given) == len(inputs):
        return inputs, _NONE
    missing = any(value is inspect.Parameter.empty for value in inputs.values())
    return None if missing else (inputs, frozenset(inputs.keys() - given.keys()))


def _is_stateless(value: object) -> bool:
    """Tell whether an instance has nowhere to keep state, and no attributes; most compiled ones do."""
    kind = type(value)
    links = (kind.__dictoffset__ > 0) + (kind.__weakrefoffset__ > 0)
    room = kind.__basicsize__ - object.__basicsize__ - links * struct.calcsize("P")
    return room == 0 and kind.__itemsize__ == 0 and not getattr(value, "__dict__", None)


def _with_keywords(inputs: dict[str, Any], keywords: Mapping[str, Any], *, taken: Mapping[str, Any]) -> dict[str, Any]:
    renamed = {f"**{key}" if key in taken or key.startswith("**") else key: value for key, value in keywords.items()}
    return {**inputs, **renamed}
