"""What a call of for_each is, apart from its combinations: checked, bound to parameters, and normalised."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from scidb.exceptions import PipelineError, UnhashableValueError, did_you_mean
from scidb.foreach.inputs import Fixed, PathInput
from scidb.foreach.protocols import Loadable, ThunkLike
from scidb.foreach.seeds import RNG, Seed, seed_for
from scidb.hashing.arguments import Parameters as Binding
from scidb.hashing.ids import GENERATED, content_hash
from scidb.hashing.inside import own_classes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from scidb.filters import Filter
    from scidb.hashing.inputs import Input

__all__ = ["ForEachConfig", "Parameters", "VariableInput", "bind_parameters"]


@dataclass(frozen=True, slots=True)
class VariableInput:
    """One input that is loaded from the database."""

    name: str
    variable: Loadable
    fixed: Mapping[str, Any]
    as_table: bool


@dataclass(frozen=True, slots=True)
class Parameters:
    """The inputs of a call, sorted by what they are and bound to the function's parameters."""

    function: Callable[..., Any]
    unwrap: bool
    declared_outputs: int | str
    variables: tuple[VariableInput, ...]
    paths: Mapping[str, PathInput]
    constants: Mapping[str, Any]
    fixed_inputs: Mapping[str, Input]  # of constants, and of the defaults of parameters that are not given
    classes: tuple[type, ...]  # the user's own among constants and whole variables; their code counts
    uncacheable: str  # why no combination can be recognised, if so
    seed: Seed | None = None  # what the random generators of the combinations are made from

    @property
    def generates_file(self) -> bool:
        """Whether the function writes a file, of which only lineage is stored."""
        return self.declared_outputs == GENERATED


class ForEachConfig:
    """The configuration of a for_each call, as the version keys that tell its results apart.

    Parameters
    ----------
    fn
        The function.
    inputs
        As given to `for_each`.
    where, distribute, as_table, pass_metadata, seed
        As given to `for_each`.

    Examples
    --------
    >>> def scale(signal, gain): ...
    >>> ForEachConfig(scale, {"gain": 2}).to_version_keys()
    {'__fn': 'scale', '__inputs': '{}'}

    """

    def __init__(
        self,
        fn: Callable[..., Any],
        inputs: Mapping[str, Any],
        where: Filter | None = None,
        distribute: bool = False,
        as_table: bool | Sequence[str] | None = None,
        pass_metadata: bool | None = None,
        seed: int | None = None,
    ) -> None:
        self.fn = fn
        self.inputs = inputs
        self.where = where
        self.distribute = distribute
        self.as_table = as_table
        self.pass_metadata = pass_metadata
        self.seed = seed

    def to_version_keys(self) -> dict[str, Any]:
        """Return the version keys; their names begin with two underscores, so that no parameter collides.

        Configurations that mean the same have equal keys: ``as_table=True`` is the list of all variable inputs, and
        what is left to its default has no key.
        """
        keys: dict[str, Any] = {"__fn": function_name(self.fn), "__inputs": self._inputs()}
        if self.where is not None:
            keys["__where"] = self.where.to_key()
        if self.distribute:
            keys["__distribute"] = True
        if tables := self._tables():
            keys["__as_table"] = tables
        thunk = as_thunk(self.fn)
        if self.pass_metadata not in (None, thunk is not None and thunk.generates_file):
            keys["__pass_metadata"] = self.pass_metadata
        if self.seed is not None:
            keys["__seed"] = int(self.seed)  # numpy's integers, too
        return keys

    def _tables(self) -> list[str]:
        if self.as_table is True:
            loaded = (
                name for name, spec in self.inputs.items() if _is_loaded(spec) and not isinstance(spec, PathInput)
            )
            return sorted(loaded)
        return sorted({self.as_table} if isinstance(self.as_table, str) else set(self.as_table or ()))

    def _inputs(self) -> str:
        texts = {name: _source_key(spec) for name, spec in sorted(self.inputs.items()) if _is_loaded(spec)}
        return json.dumps(texts, sort_keys=True, ensure_ascii=False)


def function_name(function: Callable[..., Any]) -> str:
    """Return the name that people know a function by; never an address."""
    inner = getattr(function, "__wrapped__", function)
    while hasattr(inner, "func"):  # functools.partial
        inner = inner.func
    name = getattr(inner, "__qualname__", None) or type(inner).__qualname__
    return str(name).rsplit("<locals>.", 1)[-1]


def _is_loaded(spec: object) -> bool:
    return isinstance(spec, Fixed | PathInput) or is_variable(spec)


def as_thunk(function: object) -> ThunkLike | None:
    """Return the function as a thunk, if it is one."""
    return function if isinstance(function, ThunkLike) else None


def is_variable(spec: object) -> bool:
    """Say whether `spec` is a variable class."""
    return isinstance(spec, type) and isinstance(spec, Loadable)


def _source_key(spec: Any) -> str:
    return str(spec.to_key()) if hasattr(spec, "to_key") else str(spec.__name__)


def pipeline_source(spec: Any) -> str:
    """Return how an input appears as the source of a pipeline edge."""
    if isinstance(spec, Fixed):
        return spec.source.__name__
    if isinstance(spec, PathInput):
        return spec.template
    if is_variable(spec):
        return str(spec.__name__)
    try:
        text = json.dumps(spec, ensure_ascii=False)
    except (TypeError, ValueError):
        text = ""
    if text and len(text) <= _LONGEST_SOURCE:
        return text
    try:
        return f"{type(spec).__qualname__} {content_hash(spec)[:12]}"
    except UnhashableValueError:
        return type(spec).__qualname__


_LONGEST_SOURCE: Final = 200
_ANY: Final = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)


def bind_parameters(
    fn: Callable[..., Any],
    inputs: Mapping[str, Any],
    n_outputs: int,
    as_table: bool | Sequence[str] | None,
    metadata_keys: Collection[str],
    seed: object = None,
) -> Parameters:
    """Check a call before anything runs, and bind its inputs to the function's parameters.

    `metadata_keys` are passed to the function beside the inputs, and with a `seed` a random generator.

    Raises
    ------
    PipelineError
        Naming the argument, what was expected, and what to do.

    """
    thunk = as_thunk(fn)
    generates_file = thunk is not None and thunk.generates_file
    function = thunk.__wrapped__ if thunk is not None else fn
    signature = _signature(function)
    drawn = seed_for(seed, function_name(fn), signature.parameters, inputs, metadata_keys)
    names = {*inputs, *metadata_keys, *(() if drawn is None else (RNG,))}
    _check_names(function_name(fn), signature, names, metadata_keys)
    constants = {name: spec for name, spec in inputs.items() if not _is_loaded(spec)}
    for name in inputs:
        if name in metadata_keys:
            raise PipelineError(
                f"{name!r} is an input and, with pass_metadata, also a key that is passed. Rename the parameter."
            )
    binding = Binding(function)
    bound = binding.bind((), {**dict.fromkeys(names), **constants})
    known = {name: value for name, value in bound.items() if name in constants or name not in names}
    fixed_inputs, uncacheable = _identify(binding, known)
    variables = tuple(_variable_inputs(inputs, _table_names(as_table, inputs)))
    unwrap = thunk.unwrap if thunk is not None else True
    whole = () if unwrap else [spec.variable for spec in variables]
    declared: int | str = thunk.n_outputs if thunk is not None else n_outputs
    if generates_file:
        declared = GENERATED
    if isinstance(declared, int) and declared != n_outputs:
        raise PipelineError(f"{function_name(fn)}() returns {declared} outputs, but outputs= names {n_outputs}.")
    return Parameters(
        function=function,
        unwrap=unwrap,
        declared_outputs=declared,
        variables=variables,
        paths={name: spec for name, spec in inputs.items() if isinstance(spec, PathInput)},
        constants=constants,
        fixed_inputs=fixed_inputs,
        classes=own_classes(known.values(), unwrap=unwrap, whole=cast("list[type]", whole)),
        uncacheable=uncacheable,
        seed=drawn,
    )


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        anything = [inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD)]
        return inspect.Signature(anything)


def _check_names(name: str, signature: inspect.Signature, given: Collection[str], passed: Collection[str]) -> None:
    hint = " Key values are passed by name, as they are to every function that generates a file: pass_metadata=False."
    parameters = {key: p for key, p in signature.parameters.items() if p.kind not in _ANY}
    open_ended = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in signature.parameters.values())
    for key in given:
        if key not in parameters and not open_ended:
            raise PipelineError(
                f"{name}() has no parameter {key!r}; it takes {', '.join(parameters) or 'none'}."
                f"{did_you_mean(key, parameters)}{hint if key in passed else ''}"
            )
        if key in parameters and parameters[key].kind is inspect.Parameter.POSITIONAL_ONLY:
            raise PipelineError(f"{name}() takes {key!r} by position only, and for_each passes inputs by name.")
    missing = [key for key, p in parameters.items() if p.default is p.empty and key not in given]
    if missing:
        raise PipelineError(f"{name}() also needs {', '.join(map(repr, missing))}: add to inputs={{...}}.")


def _identify(binding: Binding, values: Mapping[str, Any]) -> tuple[dict[str, Input], str]:
    """Identify what is the same for every combination; one that cannot be hashed makes all uncacheable."""
    try:
        return {name: binding.identify(name, value) for name, value in values.items()}, ""
    except UnhashableValueError as error:
        return {}, str(error)


def _table_names(as_table: bool | Sequence[str] | None, inputs: Mapping[str, Any]) -> Collection[str]:
    if as_table is None or isinstance(as_table, bool):
        return tuple(inputs) if as_table else ()
    names = [as_table] if isinstance(as_table, str) else list(as_table)
    for name in names:
        if name not in inputs:
            raise PipelineError(f"as_table names {name!r}, which is no input.{did_you_mean(name, inputs)}")
    return names


def _variable_inputs(inputs: Mapping[str, Any], tables: Collection[str]) -> Iterable[VariableInput]:
    for name, spec in inputs.items():
        if isinstance(spec, Fixed):
            yield VariableInput(name, spec.source, spec.metadata, name in tables)
        elif is_variable(spec):
            yield VariableInput(name, spec, {}, name in tables)
