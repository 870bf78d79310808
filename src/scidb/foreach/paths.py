"""Files as inputs: a path template per input, and what identifies the file of a combination."""

from __future__ import annotations

import glob
import hashlib
import re
import string
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scidb.exceptions import PipelineError, did_you_mean
from scidb.hashing.ids import file_form
from scidb.hashing.inputs import CallInput, Input

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PathInput", "file_input", "file_state"]


class PathInput:
    """A file per combination: a path template with schema keys in braces.

    The function receives a `pathlib.Path`. Identity is the path relative to `root_folder` and the content
    of the file, so that a changed file is computed anew and a moved folder is not.

    Parameters
    ----------
    template
        For example ``"{subject}/trial_{trial:02d}.csv"``.
    root_folder
        Where relative paths start; the working directory if left out.

    Examples
    --------
    >>> PathInput("{subject}.csv", root_folder="data").resolve({"subject": 308}).as_posix()
    'data/308.csv'

    """

    def __init__(self, template: str, root_folder: str | Path | None = None) -> None:
        self.template = template
        self.root_folder = Path() if root_folder is None else Path(root_folder)
        try:
            self._parts = list(string.Formatter().parse(template))
        except ValueError as error:
            raise PipelineError(f"PathInput({template!r}) is no path template: {error}.") from error
        if Path(template).is_absolute():
            raise PipelineError(
                f"PathInput({template!r}) is an absolute path, which would tie results to this computer. Split it: "
                "PathInput('{subject}.csv', root_folder='/data')."
            )
        if any(name is not None and not name.isidentifier() for _, name, _, _ in self._parts):
            raise PipelineError(f"PathInput({template!r}): a placeholder is the name of a schema key, as {{subject}}.")

    @property
    def keys(self) -> tuple[str, ...]:
        """The schema keys that the template names, in order of appearance."""
        return tuple(dict.fromkeys(name for _, name, _, _ in self._parts if name is not None))

    def relative(self, combination: Mapping[str, Any]) -> str:
        """Return the path of a combination, relative to the root folder."""
        try:
            return self.template.format_map(combination)
        except KeyError as error:
            raise PipelineError(
                f"PathInput({self.template!r}) needs the key {error.args[0]!r}: add it to the keys of for_each."
                + did_you_mean(error.args[0], combination),
            ) from None
        except ValueError as error:
            raise PipelineError(f"PathInput({self.template!r}) does not fit {dict(combination)}: {error}.") from error

    def resolve(self, combination: Mapping[str, Any]) -> Path:
        """Return the path of a combination."""
        return self.root_folder / self.relative(combination)

    def discover(self) -> list[dict[str, Any]]:
        """Return the keys of every file that fits the template, in order of path.

        Values are texts, or numbers where the template says so (``{trial:02d}``).
        """
        pattern, seen = "", set()
        for text, name, _, _ in self._parts:
            pattern += re.escape(text)
            if name is not None:
                pattern += f"(?P={name})" if name in seen else f"(?P<{name}>[^/]+?)"
                seen.add(name)
        wildcard = "".join(glob.escape(text) + ("*" if name is not None else "") for text, name, _, _ in self._parts)
        numeric = {name for _, name, spec, _ in self._parts if name and spec and spec.endswith("d")}
        found = []
        for path in sorted(self.root_folder.glob(wildcard)):
            if match := re.fullmatch(pattern, path.relative_to(self.root_folder).as_posix()):
                keys = match.groupdict()
                if all(keys[name].isdecimal() for name in numeric):
                    found.append({name: int(text) if name in numeric else text for name, text in keys.items()})
        return found

    def to_key(self) -> str:
        """Return the text that enters the version keys: the template, without the root folder."""
        return f"PathInput({self.template!r})"

    def __repr__(self) -> str:
        return f"PathInput({self.template!r}, root_folder={self.root_folder.as_posix()!r})"


def file_state(path: Path) -> tuple[int, int, int]:
    """Return what changes when somebody writes to a file; far cheaper than its content."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino


def file_input(name: str, relative: str, path: Path) -> Input:
    """Return identity and origin of a file as the input `name`; the content is read once."""
    with path.open("rb", buffering=0) as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    root = path.absolute().parents[len(Path(relative).parts) - 1]
    origin = CallInput(name, "file", content_hash=content, value_repr=relative, root=str(root))
    return Input(file_form(relative, content), (origin,))
