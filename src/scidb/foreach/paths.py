"""Files as inputs: a path template per input, and what identifies the file of a combination."""

from __future__ import annotations

import glob
import hashlib
import logging
import re
import string
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from scidb.exceptions import PipelineError, did_you_mean
from scidb.hashing.ids import file_form
from scidb.hashing.inputs import CallInput, Input

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PathInput", "file_input", "file_state"]


logger = logging.getLogger("scidb.foreach")

_KINDS: Final = {"d": int, "f": float, "e": float, "g": float}
"""What a format writes, by its last letter."""


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
        if not template or not isinstance(template, str):
            raise PipelineError(f"PathInput takes a path template such as '{{subject}}.csv', got {template!r}.")
        if not isinstance(root_folder, str | PathLike | None):
            raise PipelineError(f"PathInput(..., root_folder={root_folder!r}): give the path of a folder.")
        # So that a path is written in one way: without "./" and the like.
        self.template = PurePosixPath(template).as_posix()
        self.root_folder = Path() if root_folder is None else Path(root_folder)
        try:
            self._parts = list(string.Formatter().parse(self.template))
        except ValueError as error:
            raise PipelineError(f"PathInput({template!r}) is no path template: {error}.") from error
        if Path(template).is_absolute():
            raise PipelineError(
                f"PathInput({template!r}) is an absolute path, which would tie results to this computer. Split it: "
                "PathInput('{subject}.csv', root_folder='/data')."
            )
        if any(
            name is not None and (not name.isidentifier() or "{" in (spec or "")) for _, name, spec, _ in self._parts
        ):
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
        except (ValueError, TypeError) as error:
            raise PipelineError(f"PathInput({self.template!r}) does not fit {dict(combination)}: {error}.") from error

    def resolve(self, combination: Mapping[str, Any]) -> Path:
        """Return the path of a combination."""
        return self.root_folder / self.relative(combination)

    def discover(self) -> list[dict[str, Any]]:
        """Return the keys of every file that fits the template, in order of path.

        Values are texts, or numbers where the template says so (``{trial:02d}``). Each combination of keys has one
        file: the one that the template names for it, so ``{trial:02d}`` finds ``01.csv`` and passes over ``1.csv``.
        Hidden files, whose names begin with a dot, are passed over unless the template has the dot. A file whose name
        can be read in several ways is left out, and a warning names it.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("S1_01.csv", "S1_02.csv", "notes.txt", "._S1_01.csv"):
        ...         Path(folder, name).touch()
        ...     PathInput("{subject}_{trial:02d}.csv", root_folder=folder).discover()
        [{'subject': 'S1', 'trial': 1}, {'subject': 'S1', 'trial': 2}]

        """
        shortest, longest = self._pattern("+?"), self._pattern("+")
        wildcard = "".join(glob.escape(text) + ("*" if name is not None else "") for text, name, _, _ in self._parts)
        found, ambiguous = [], []
        for path in sorted(self.root_folder.glob(wildcard)):
            relative = path.relative_to(self.root_folder).as_posix()
            match, other = shortest.fullmatch(relative), longest.fullmatch(relative)
            if match is None or other is None or not path.is_file():
                continue
            keys = self._values(match)
            if keys is None or self.relative(keys) != relative:
                continue
            if match.groupdict() == other.groupdict():
                found.append(keys)
            else:
                ambiguous.append(f"{relative} ({match.groupdict()} or {other.groupdict()})")
        if ambiguous:
            logger.warning(
                "%r: %d files can be read in several ways, and are left out. Say more in the template, such as "
                "{trial:02d} for a number. First: %s",
                self,
                len(ambiguous),
                ambiguous[0],
            )
        return found

    def _pattern(self, repeated: str) -> re.Pattern[str]:
        pattern, seen = "", set()
        for text, name, spec, _ in self._parts:
            pattern += re.escape(text)
            if name is not None:
                # A key of a name that begins with it finds no hidden files.
                dot = r"(?!\.)" if not pattern or pattern.endswith("/") else ""
                sign = "[-0-9]" if spec and spec[-1] == "d" else "[^/]"
                pattern += f"(?P={name})" if name in seen else f"{dot}(?P<{name}>{sign}{repeated})"
                seen.add(name)
        return re.compile(pattern)

    def _values(self, match: re.Match[str]) -> dict[str, Any] | None:
        """Return the values of the keys, numbers where the template writes numbers; None if they are none."""
        kinds = {name: _KINDS.get((spec or "s")[-1], str) for _, name, spec, _ in self._parts if name is not None}
        try:
            return {name: kinds[name](text) for name, text in match.groupdict().items()}
        except ValueError:
            return None

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
