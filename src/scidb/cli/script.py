"""A user's script with its calls of for_each collected: what `scidb run` plans and runs.

A file with a function ``pipeline(db)`` is imported, and that function called; one that takes no database opens its own.
Any other file runs as `python` would run it.
Either way for_each collects meanwhile, and no step runs before the script has come to its end.
"""

from __future__ import annotations

import ast
import contextlib
import sys
import traceback
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_loader
from typing import TYPE_CHECKING, Any, Final

import typer

from scidb.cli.context import open_for_writing
from scidb.cli.importing import FromSource, find_from, import_named
from scidb.exceptions import (
    DatabaseNotConfiguredError,
    NotFoundError,
    NotRegisteredError,
    PipelineError,
    SciDBError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

    from scidb.cli.context import Settings
    from scidb.database import DatabaseManager
    from scidb.foreach import ForEachReport
    from scidb.foreach.call import Call
    from scidb.pipeline import Pipeline

__all__ = ["collected"]

FUNCTION: Final = "pipeline"
_HINT: Final = (
    "Its calls of for_each are collected and run later, so results are not there yet. A script that uses results in "
    "between or at its end needs a function pipeline(db) that only calls for_each; then the rest of it is not run."
)


@contextlib.contextmanager
def collected(path: Path, settings: Settings) -> Iterator[Pipeline]:
    """Run a script, or its function, and give the pipeline of what it calls for_each for.

    What the script prints goes to the standard error stream, inside the block, too: the output belongs to the command.

    Raises
    ------
    PipelineError
        When the script fails, or calls for_each for nothing.
    DatabaseNotConfiguredError
        When neither the script nor the command line says which database.

    """
    function = _function_in(path)
    with contextlib.redirect_stdout(sys.stderr), contextlib.ExitStack() as stack:
        if settings.database is not None:
            stack.enter_context(stack.enter_context(open_for_writing(settings)).as_current())
        steps = _Steps(path, stack)
        if function is None:
            _collect_script(path, steps, stack)
        else:
            _collect_function(path, settings if _takes_database(function) else None, steps, stack)
        yield steps.pipeline()


def _function_in(path: Path) -> ast.FunctionDef | None:
    if not path.is_file():
        raise typer.BadParameter(f"{path} is no file. Name a Python script: scidb run pipeline.py")
    if path.suffix != ".py":
        raise typer.BadParameter(f"{path} is no Python script, whose name would end in .py.")
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        raise PipelineError(
            f"{path} is no Python that this version ({sys.version.split()[0]}) reads: {error}"
        ) from error
    return next((one for one in tree.body if isinstance(one, ast.FunctionDef) and one.name == FUNCTION), None)


def _takes_database(function: ast.FunctionDef) -> bool:
    expected = function.args
    return bool(expected.posonlyargs or expected.args or expected.vararg)


class _Steps:
    """The calls that a script makes, on the database that it names; that stays open until they have run."""

    def __init__(self, path: Path, stack: contextlib.ExitStack) -> None:
        self._path, self._stack = path, stack
        self._db: DatabaseManager | None = None
        self._pipeline: Pipeline | None = None

    def collect(self, call: Call) -> ForEachReport:
        from scidb.session import get_database

        named: Any = call["db"] or get_database()
        if self._db is None or self._pipeline is None:
            self._db = self._held(named)
            self._pipeline = self._db.pipeline()
        if named.target != self._db.target:
            raise PipelineError(
                f"{self._path} uses two databases, {self._db.target} and {named.target}; one pipeline runs on one."
            )
        return self._pipeline.collect(replace(call, arguments={**call.arguments, "db": self._db}))

    def _held(self, db: DatabaseManager) -> DatabaseManager:
        """Return a handle of our own, since a script may close its database before its steps have run."""
        from scidb.session import open_database

        if db.target.startswith("memory:"):
            return db
        return self._stack.enter_context(open_database(db.target, lineage_mode=db.lineage_mode, read_only=db.read_only))

    @property
    def is_empty(self) -> bool:
        """Whether nothing was collected."""
        return self._pipeline is None

    def pipeline(self) -> Pipeline:
        """Return what was collected."""
        if self._pipeline is None:
            raise PipelineError(
                f"{self._path} calls for_each for nothing: there is no step to run. Does it call for_each only in "
                f"functions that nobody calls? Call them, or define {FUNCTION}(db), which does."
            )
        return self._pipeline


def _collect_function(path: Path, settings: Settings | None, steps: _Steps, stack: contextlib.ExitStack) -> None:
    """Import the file, and call its function with the database that is current then, or that the settings name.

    Without settings the function takes no database.
    """
    from scidb.current import current
    from scidb.foreach.call import collected_by

    with collected_by(steps.collect):
        [module] = import_named([str(path)])
        if settings is not None and current() is None:
            stack.enter_context(stack.enter_context(open_for_writing(settings)).as_current())
        with _explained(path):
            made = getattr(module, FUNCTION)(*([] if settings is None else [current()]))
        _hand_over([made], steps)


def _collect_script(path: Path, steps: _Steps, stack: contextlib.ExitStack) -> None:
    """Run the file as the program; it stays that while its steps run, so that its functions keep their names."""
    from scidb.foreach.call import collected_by

    loader = FromSource("__main__", str(path.resolve()))
    spec = spec_from_loader("__main__", loader)
    if spec is None:
        raise PipelineError(f"{path} cannot be run.")
    module = module_from_spec(spec)
    module.__spec__ = None  # as Python has it for a script
    stack.enter_context(_as_program(module, path))
    find_from(path.resolve().parent)
    with collected_by(steps.collect), _explained(path):
        loader.exec_module(module)
    with collected_by(steps.collect):
        _hand_over(vars(module).values(), steps)


@contextlib.contextmanager
def _as_program(module: ModuleType, path: Path) -> Iterator[None]:
    before = sys.modules["__main__"], sys.argv
    sys.modules["__main__"], sys.argv = module, [str(path)]
    try:
        yield
    finally:
        sys.modules["__main__"], sys.argv = before


def _hand_over(values: Any, steps: _Steps) -> None:
    """Take the steps of pipelines that a script made and did not run itself."""
    from scidb.pipeline import Pipeline

    if steps.is_empty:
        for value in list(values):
            if isinstance(value, Pipeline):
                value.run()  # which hands them to who collects


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what the user's code raises into an error that shows where, and what collecting means."""
    try:
        yield
    except SystemExit as error:
        if error.code not in (None, 0):
            raise PipelineError(f"{path} called sys.exit({error.code!r}) before its steps were run. {_HINT}") from error
    except DatabaseNotConfiguredError as error:
        raise DatabaseNotConfiguredError(f"{error} Or say so here: scidb --db PATH run {path}") from error
    except Exception as error:
        own = error.__traceback__
        while own is not None and own.tb_frame.f_code.co_filename != str(path.resolve()):
            own = own.tb_next
        hint = f" {_HINT}" if isinstance(error, NotFoundError | NotRegisteredError) else ""
        if isinstance(error, SciDBError) and own is not None:
            raise PipelineError(f"{path}, line {own.tb_lineno}: {error}{hint}") from error
        trace = "".join(traceback.format_exception(type(error), error, own or error.__traceback__)).rstrip()
        raise PipelineError(f"{path} failed while its steps were collected:\n{trace}") from error
