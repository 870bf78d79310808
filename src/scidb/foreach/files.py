"""Files that combinations name: those that are read, watched while they are used, and those that are written."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scidb.exceptions import PipelineError
from scidb.foreach.paths import file_input, file_state
from scidb.hashing.ids import encoded_form, path_form
from scidb.hashing.inputs import CallInput, Input

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from scidb.foreach.config import Parameters
    from scidb.foreach.plan import Task
    from scidb.hashing.ids import Computations, Form

__all__ = ["FileSeen", "WrittenFiles", "as_written", "find_files", "read_files"]

_READERS: Final = 4
# Each file of a combination doubles what is asked for.
_ALTERNATIVES: Final = 8


@dataclass(slots=True)
class FileSeen:
    """A file as it was when it was identified; `state` is None where there was none, for the function to write."""

    path: Path
    relative: str
    state: tuple[int, int, int] | None = None
    found: Input | OSError | None = None

    def identify(self, name: str) -> None:
        """Read the file, and note its state before that."""
        try:
            self.state = file_state(self.path)
            self.found = file_input(name, self.relative, self.path)
        except OSError as error:
            self.found = error

    def expect(self, name: str) -> None:
        """Take the file as one that the function is to write: known by its path, whatever will be in it."""
        self.found = Input(self.form, (CallInput(name, "file", value_repr=self.relative, root=self.root),))

    @property
    def root(self) -> str:
        """The folder that the relative path starts from."""
        return str(self.path.absolute().parents[len(Path(self.relative).parts) - 1])

    @property
    def form(self) -> Form:
        """How the file enters the identity of a call that writes it."""
        return path_form(self.relative)

    def is_written(self) -> bool:
        """Say whether somebody has written the file since it was identified; one that is there no more counts."""
        return self.state is None or not self.path.is_file() or file_state(self.path) != self.state

    def check_unchanged(self, name: str) -> None:
        """Refuse a result that may have been computed from another content than the one identified.

        Raises
        ------
        PipelineError
            When the file has another content now.

        """
        if file_state(self.path) != self.state and file_input(name, self.relative, self.path) != self.found:
            raise PipelineError(
                f"The file {self.path} changed while this run was under way, so that the result cannot be told from "
                "one of the old content. Run again when it has been written."
            )


def find_files(parameters: Parameters, tasks: Sequence[Task]) -> None:
    """Give each task its files. One that is missing is an input that is missing, or a file to be written."""
    for name, spec in parameters.paths.items():
        for task in tasks:
            file = FileSeen(spec.resolve(task.combination), spec.relative(task.combination))
            if not file.path.is_file():
                if parameters.generates_file:
                    file.expect(name)
                else:
                    task.report.state = "skipped"
                    task.report.reason = task.report.reason or f"no file {file.path}"
            task.files[name] = file


def read_files(tasks: Sequence[Task]) -> None:
    """Identify all files, several at a time: a digest leaves Python free, and a network drive makes one wait."""
    files = [(name, file) for task in tasks for name, file in task.files.items() if file.found is None]

    def identify(start: int) -> None:
        for name, file in files[start::_READERS]:
            file.identify(name)

    if files:
        with ThreadPoolExecutor(_READERS) as pool:
            list(pool.map(identify, range(_READERS)))


def as_written(files: Mapping[str, FileSeen]) -> Iterator[tuple[str, ...]]:
    """Yield the choices of files that are there and that an earlier run may have written.

    Such a file is there when the call is repeated, and looks like one to be read.
    """
    there = [name for name, file in files.items() if file.state is not None]
    chosen = itertools.chain.from_iterable(itertools.combinations(there, count) for count in range(1, len(there) + 1))
    return itertools.islice(chosen, _ALTERNATIVES)


@dataclass(frozen=True, slots=True)
class WrittenFiles:
    """How a call is identified once it is known which files it writes: those by path, others by content."""

    computations: Computations
    forms: tuple[bytes, ...]
    first: int  # of the forms that are of files

    def inputs(self, names: Collection[str], files: Mapping[str, FileSeen]) -> bytes:
        """Return the encoded inputs of the call, had it written the files of these names."""
        forms = list(self.forms)
        for at, (name, file) in enumerate(files.items(), start=self.first):
            if name in names:
                forms[at] = encoded_form(file.form)
        return self.computations.inputs(forms)
