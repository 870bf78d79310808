"""A call of `for_each` as a thing: run now, collected to be run later, or run again for some combinations."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final, ParamSpec

from scidb.current import current
from scidb.foreach.combos import Chosen
from scidb.foreach.report import ForEachReport, log_outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Call", "collected_by", "collector", "remembered"]

P = ParamSpec("P")

_collector: ContextVar[Callable[[Call], ForEachReport] | None] = ContextVar("scidb_collector", default=None)
_MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class Call:
    """The arguments of one call."""

    function: Callable[..., ForEachReport]  # for_each itself, or whoever else takes its arguments
    arguments: Mapping[str, Any]  # by parameter, as given
    iterables: Mapping[str, Any]

    @classmethod
    def of(cls, function: Callable[..., ForEachReport], /, *args: Any, **kwargs: Any) -> Call:
        """Return a call with these arguments.

        Raises
        ------
        TypeError
            As Python would for the call.

        """
        try:
            bound = _signature(function).bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{function.__name__}() {error}") from None
        arguments = dict(bound.arguments)
        iterables = arguments.pop(_iterables(function), {})
        for given in (arguments, iterables):  # what gives its values once must do for every run
            given.update({name: list(value) for name, value in given.items() if isinstance(value, Iterator)})
        return cls(function, arguments, iterables)

    def on(self, database: object | None) -> Call:
        """Return this call on a database, unless it names one itself; it stays on it when another becomes current."""
        if self["db"] is not None:
            return self
        return replace(self, arguments={**self.arguments, "db": database})

    def without_combinations(self) -> Call:
        """Return this call with nothing to visit: a dry run of it checks the rest."""
        return replace(self, iterables=dict.fromkeys(self.iterables, Chosen(())))

    def __getitem__(self, name: str) -> Any:
        """Return what was given for a parameter, or its default."""
        return self.arguments.get(name, _signature(self.function).parameters[name].default)

    def run(self, /, **changed: Any) -> ForEachReport:
        """Run it, with other values for some parameters, and say what must not be missed."""
        report = self.quietly(**changed)
        log_outcome(report)
        return report

    def quietly(self, /, **changed: Any) -> ForEachReport:
        """Run it, or with ``dry_run=True`` plan it, and leave it to the caller to say what came of it."""
        try:
            report = self.function(**{**self.arguments, **changed, **self.iterables})
        except KeyboardInterrupt as error:
            if isinstance(interrupted := getattr(error, "report", None), ForEachReport):
                interrupted.call = self
            raise
        report.call = self
        return report

    def run_only(self, combinations: Sequence[Mapping[str, Any]]) -> ForEachReport:
        """Run some combinations alone, each once, with the function as it is now."""
        chosen = Chosen(list({tuple(one.items()): one for one in combinations}.values()))
        arguments = {**self.arguments, "fn": _as_it_is_now(self.arguments["fn"])}
        return Call(self.function, arguments, dict.fromkeys(combinations[0], chosen)).run()


@functools.cache
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)


def _iterables(function: Callable[..., Any]) -> str:
    """Return the name of the parameter that takes any keyword."""
    parameters = _signature(function).parameters.values()
    return next(one.name for one in parameters if one.kind is inspect.Parameter.VAR_KEYWORD)


def remembered(function: Callable[P, ForEachReport]) -> Callable[P, ForEachReport]:
    """Return for_each so that its reports know their call, and a pipeline that collects gets the call instead."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> ForEachReport:
        made = Call.of(function, *args, **kwargs)
        collect = _collector.get()
        return made.on(current()).run() if collect is None else collect(made)

    return call


@contextmanager
def collected_by(collect: Callable[[Call], ForEachReport] | None) -> Iterator[None]:
    """Hand each call of for_each inside the block to `collect` instead of running it; None runs them again."""
    token = _collector.set(collect)
    try:
        yield
    finally:
        _collector.reset(token)


def collector() -> Callable[[Call], ForEachReport] | None:
    """Return who collects the calls of for_each here; None where they run."""
    return _collector.get()


def _as_it_is_now(function: Any) -> Any:
    """Return what stands in the function's module under its name, which may have been defined anew since.

    What has no such place (a lambda, an inner function, a partial, a method) stays what it is.
    """
    inner = getattr(function, "__wrapped__", function)
    module, name = getattr(inner, "__module__", None), getattr(inner, "__qualname__", None)
    if not isinstance(inner, FunctionType) or not isinstance(name, str) or "<" in name:
        return function
    found: object = sys.modules.get(str(module))
    for part in name.split("."):
        found = inspect.getattr_static(found, part, _MISSING)
    return found if callable(found) and type(found) is type(function) else function
