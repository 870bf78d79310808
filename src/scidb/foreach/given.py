"""What a call of for_each was given, as JSON text and back: data alone, from which the call can be made again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scidb.exceptions import PipelineError
from scidb.filters import ColumnSelection, Filter
from scidb.foreach.config import is_variable
from scidb.foreach.inputs import EachOf, Fixed, Merge
from scidb.foreach.paths import PathInput
from scidb.hashing.literal import literal_text, literal_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from scidb.foreach.protocols import Loadable

__all__ = ["Given", "configuration_text", "read_configuration", "variables_of"]


@dataclass(frozen=True, slots=True)
class Given:
    """The arguments of a call, made again: inputs, outputs, and what else decides about its results."""

    inputs: Mapping[str, Any]
    outputs: Sequence[Any]
    options: Mapping[str, Any]


def variables_of(spec: Any) -> Iterator[str]:
    """Yield the names of the variables that an input is made of; none of a file or a constant."""
    if is_variable(spec):
        yield spec.__name__
    elif isinstance(spec, Fixed | ColumnSelection):
        yield from variables_of(spec.source)
    elif isinstance(spec, Merge | EachOf):
        for part in spec.parts if isinstance(spec, Merge) else spec.alternatives:
            yield from variables_of(part)


def configuration_text(inputs: Mapping[str, Any], outputs: Sequence[Loadable], **options: Any) -> str:
    """Return what a call was given as JSON; what has no text is named as such."""
    given = {
        "inputs": {name: _written(spec) for name, spec in inputs.items()},
        "outputs": [output.__name__ for output in outputs],
        "options": {name: _written(value) for name, value in options.items()},
    }
    return json.dumps(given, sort_keys=True)


def read_configuration(text: str, variable: Callable[[str], Any]) -> Given:
    """Make the arguments of a call again; `variable` returns the class of a name.

    Raises
    ------
    PipelineError
        Naming the input that is not stored in a form from which it can be made again.

    """
    given = json.loads(text)
    return Given(
        {name: _read(f"the input {name!r}", spec, variable) for name, spec in given["inputs"].items()},
        [variable(name) for name in given["outputs"]],
        {name: _read(f"{name}=", value, variable) for name, value in given["options"].items()},
    )


def _written(spec: Any) -> dict[str, Any]:
    """Return an input or an option as JSON: its kind, and what it is made of."""
    if is_variable(spec) or isinstance(spec, Fixed | Merge | ColumnSelection):
        return _written_variables(spec)
    if isinstance(spec, PathInput):
        return {"path": spec.template, "root": str(spec.root_folder.absolute())}
    if isinstance(spec, Filter):
        return {"filter": spec.to_json()}
    return _literal(spec)


def _written_variables(spec: Any) -> dict[str, Any]:
    if isinstance(spec, Merge):
        return {"merge": [_written_variables(part) for part in spec.parts]}
    if isinstance(spec, Fixed):
        keys = {name: _literal(value) for name, value in spec.metadata.items()}
        return {"fixed": keys, "of": _written_variables(spec.columns or spec.source)}
    if isinstance(spec, ColumnSelection):
        columns = _literal(spec.columns[0] if spec.is_single else list(spec.columns))
        return {"columns": columns, "of": _written_variables(spec.source)}
    return {"variable": spec.__name__}


def _literal(value: Any) -> dict[str, Any]:
    text = literal_text(value)
    return {"not stored": type(value).__qualname__} if text is None else {"value": text}


def _read(what: str, written: Mapping[str, Any], variable: Callable[[str], Any]) -> Any:
    match written:
        case {"variable": _} | {"of": _} | {"merge": _}:
            return _read_variables(what, written, variable)
        case {"path": template, "root": root}:
            return PathInput(template, root)
        case {"filter": data}:
            return Filter.from_json(data)
        case {"value": text}:
            return literal_value(text)
    kind = written.get("not stored", "of a newer SciDB")
    raise PipelineError(
        f"The call cannot be made again from the database: {what} ({kind}) is not stored in a form from which it can "
        "be made. Use report.retry() in the process that ran it, or run the script again: what is done is not redone."
    )


def _read_variables(what: str, written: Mapping[str, Any], variable: Callable[[str], Any]) -> Any:
    if "merge" in written:
        return Merge(*(_read_variables(what, part, variable) for part in written["merge"]))
    if "of" not in written:
        return variable(written["variable"])
    source = _read_variables(what, written["of"], variable)
    if "columns" in written:
        return source[_read(what, written["columns"], variable)]
    return Fixed(source, **{name: _read(what, value, variable) for name, value in written["fixed"].items()})
