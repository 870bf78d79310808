"""What a call of for_each is, apart from its combinations: checked, bound to parameters, and normalised."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from scidb.exceptions import PipelineError, UnhashableValueError, did_you_mean
from scidb.filters import ColumnSelection
from scidb.foreach.inputs import EachOf, Fixed, Merge
from scidb.foreach.paths import PathInput
from scidb.foreach.protocols import Loadable, ThunkLike
from scidb.foreach.seeds import RNG, Seed, seed_for
from scidb.hashing.arguments import Parameters as Binding
from scidb.hashing.ids import GENERATED, content_hash
from scidb.hashing.inside import own_classes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from scidb.filters import Filter
    from scidb.foreach.protocols import Entry
    from scidb.hashing.inputs import Input

__all__ = ["ForEachConfig", "Parameters", "VariableInput", "bind_parameters"]

_LONGEST_SOURCE: Final = 200  # characters of a constant that are shown as they are
_ANY: Final = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)


@dataclass(frozen=True, slots=True)
class VariableInput:
    """One input that is loaded from the database, or one part of a `Merge`."""

    name: str  # under which a combination keeps its entries: that of the parameter, or of a part of what it gets
    parameter: str
    variable: Loadable
    fixed: Mapping[str, Any]
    as_table: bool
    columns: ColumnSelection | None  # what the function gets of each value
    label: str  # as it is written, for people

    @property
    def column_name(self) -> str | int:
        """What a column of a merged table is called, where the value does not say it."""
        return self.columns.columns[0] if self.columns and self.columns.is_single else self.variable.__name__

    def place_of(self, entry: Entry) -> dict[str, Any]:
        """Return by which keys an entry goes with those of other inputs: not by what is fixed."""
        if self.parameter == self.name:
            return dict(entry.schema)
        return {key: value for key, value in entry.schema.items() if key not in self.fixed}


@dataclass(frozen=True, slots=True)
class Parameters:
    """The inputs of a call, sorted by what they are and bound to the function's parameters."""

    function: Callable[..., Any]
    unwrap: bool
    declared_outputs: int | str
    variables: tuple[VariableInput, ...]
    merges: Mapping[str, tuple[VariableInput, ...]]  # the parts of each parameter that gets a merged table
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

    @property
    def loaded(self) -> dict[str, tuple[VariableInput, ...]]:
        """What is loaded for each parameter: one variable, or the parts of a merged table."""
        alone = {spec.name: (spec,) for spec in self.variables if spec.parameter not in self.merges}
        return {spec.parameter: alone.get(spec.parameter) or self.merges[spec.parameter] for spec in self.variables}


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
        several = next((spec for spec in self.inputs.values() if isinstance(spec, EachOf)), None)
        if several is not None:
            raise PipelineError(f"{several!r} stands for several configurations, each with version keys of its own.")
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
    return isinstance(spec, Fixed | Merge | ColumnSelection | PathInput) or is_variable(spec)


def as_thunk(function: object) -> ThunkLike | None:
    """Return the function as a thunk, if it is one."""
    return function if isinstance(function, ThunkLike) else None


def is_variable(spec: object) -> bool:
    """Say whether `spec` is a variable class."""
    return isinstance(spec, type) and isinstance(spec, Loadable)


def _source_key(spec: Any) -> str:
    return str(spec.to_key()) if hasattr(spec, "to_key") else str(spec.__name__)


def pipeline_sources(spec: Any) -> tuple[str, ...]:
    """Return how an input appears as the source of pipeline edges."""
    if isinstance(spec, EachOf):
        return tuple(source for one in spec.alternatives for source in pipeline_sources(one))
    if isinstance(spec, Merge):
        return tuple(part.source.__name__ for part in spec.parts)
    if isinstance(spec, Fixed | ColumnSelection):
        return (spec.source.__name__,)
    if isinstance(spec, PathInput):
        return (spec.template,)
    return (spec.__name__,) if is_variable(spec) else (_constant_source(spec),)


def _constant_source(spec: Any) -> str:
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
    bound, defaults = binding.bind_noting_defaults((), {**dict.fromkeys(names), **constants})
    known = {name: value for name, value in bound.items() if name in constants or name not in names}
    fixed_inputs, uncacheable = _identify(binding, known, defaults)
    variables = tuple(_variable_inputs(inputs, _table_names(as_table, inputs)))
    unwrap = thunk.unwrap if thunk is not None else True
    if not unwrap:
        _check_whole(function_name(fn), inputs)
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
        merges={
            name: tuple(part for part in variables if part.parameter == name)
            for name, spec in inputs.items()
            if isinstance(spec, Merge)
        },
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


def _identify(binding: Binding, values: Mapping[str, Any], defaults: Collection[str]) -> tuple[dict[str, Input], str]:
    """Identify what is the same for every combination; one that cannot be hashed makes all uncacheable."""
    try:
        found = {name: binding.identify(name, value) for name, value in values.items()}
        return {name: one.as_default() if name in defaults else one for name, one in found.items()}, ""
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
        if isinstance(spec, Merge):
            for number, part in enumerate(spec.parts):
                yield _variable_input(_part_name(name, number, inputs), name, part, name in tables)
        elif _is_loaded(spec) and not isinstance(spec, PathInput):
            yield _variable_input(name, name, spec if isinstance(spec, Fixed) else Fixed(spec), name in tables)


def _variable_input(name: str, parameter: str, spec: Fixed, as_table: bool) -> VariableInput:
    return VariableInput(
        name=name,
        parameter=parameter,
        variable=spec.source,
        fixed=spec.metadata,
        as_table=as_table,
        columns=spec.columns,
        label=spec.to_key(),
    )


def _part_name(parameter: str, number: int, inputs: Mapping[str, Any]) -> str:
    """Return a name that no parameter has; with ``**kwargs``, anything may be called anything."""
    name = f"{parameter}[{number}]"
    while name in inputs:
        name += "'"
    return name


def _check_whole(name: str, inputs: Mapping[str, Any]) -> None:
    for parameter, spec in inputs.items():
        if isinstance(spec, Merge | ColumnSelection) or (isinstance(spec, Fixed) and spec.columns):
            raise PipelineError(
                f"{name}() receives variables whole (unwrap=False), and {spec!r} for {parameter!r} is a part of one, "
                "or made of several. Give it the variables, or let it unwrap them."
            )
