"""``--import``: the user's own files and modules, imported because the command line names them."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
import traceback
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import typer

from scidb.exceptions import PipelineError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import CodeType, ModuleType

__all__ = ["FromSource", "ImportOption", "find_from", "import_named"]

ImportOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--import",
        metavar="FILE|MODULE",
        help="Import your code from this file or module first; may be given several times.",
    ),
]

_SOURCE: Final = ".py"


class FromSource(SourceFileLoader):
    """Compiles the file at every import: a cached compilation is told from an edit by second and size only."""

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002 - the name that importlib gives
        """Return the file's code, compiled now."""
        return self.source_to_code(self.get_data(self.path), self.path)


def import_named(names: Sequence[str] | None) -> list[ModuleType]:
    """Import files and modules that the user named, in this order.

    A file is imported as when another file beside it imports it: under its own name, and it finds its
    neighbours. What stands under ``if __name__ == "__main__":`` does not run. What it prints goes to the
    standard error stream, since the output belongs to the command.

    Raises
    ------
    PipelineError
        When there is no such file or module, or when it fails; then with its traceback.

    """
    with contextlib.redirect_stdout(sys.stderr):
        return [_imported(name) for name in names or ()]


def _imported(name: str) -> ModuleType:
    if name.endswith(_SOURCE) or "/" in name or "\\" in name or Path(name).is_file():
        return _import_file(Path(name).expanduser())
    find_from(Path.cwd())
    return _run(name, lambda: importlib.import_module(name))


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "does not exist"
        raise PipelineError(f"--import {path}: the file {what}. Give a Python file, or the name of a module.")
    if path.suffix != _SOURCE:
        raise PipelineError(f"--import {path}: this is no Python file, whose name would end in {_SOURCE}.")
    path = path.resolve()
    name = path.stem
    known = sys.modules.get(name)
    if known is not None:
        file = getattr(known, "__file__", None)
        if file is not None and Path(file).resolve() == path:
            return known
        raise PipelineError(
            f"--import {path}: its name is that of the module {name!r}, which is in use ({file or 'built in'}). "
            "Rename the file."
        )
    find_from(path.parent)
    spec = importlib.util.spec_from_file_location(name, path, loader=FromSource(name, str(path)))
    if spec is None or spec.loader is None:
        raise PipelineError(f"--import {path}: Python does not know how to import this file.")
    module = importlib.util.module_from_spec(spec)
    loader = spec.loader

    def run() -> ModuleType:
        sys.modules[name] = module
        try:
            loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
        return module

    return _run(str(path), run)


def find_from(folder: Path) -> None:
    """Let Python find modules in a folder, before any other."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _run(name: str, run: Callable[[], ModuleType]) -> ModuleType:
    """Import, and turn whatever the user's code raises into an error that shows where."""
    try:
        return run()
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
            raise PipelineError(
                f"--import {name}: there is no module {error.name!r}, neither installed nor in {Path.cwd()}. "
                "Give the path of a file, or the name by which Python imports the module."
            ) from None
        trace = "".join(traceback.format_exception(error)).rstrip()
        said = f"it called sys.exit({error.code!r})" if isinstance(error, SystemExit) else f"{type(error).__name__}"
        raise PipelineError(f"--import {name}: importing it failed: {said}.\n{trace}") from error
