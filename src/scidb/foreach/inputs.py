"""What can be given to `for_each` beside variables and constants, and which entries a combination means."""

from __future__ import annotations

import datetime as dt
import glob
import hashlib
import re
import string
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from scidb.exceptions import AmbiguousVersionError, PipelineError, did_you_mean
from scidb.foreach.protocols import Loadable
from scidb.hashing.ids import content_hash, file_form
from scidb.hashing.inputs import CallInput, Input

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from scidb.foreach.protocols import Entry, Recorder

__all__ = ["Fixed", "MatchIndex", "PathInput", "file_input", "file_state"]


class Fixed:
    """An input with some keys fixed, whatever the combination says of them.

    Schema keys choose a location, version keys a variant.

    Parameters
    ----------
    source
        A variable class.
    **metadata
        The fixed keys.

    Examples
    --------
    >>> from scidb import BaseVariable, Fixed
    >>> class ReactionTime(BaseVariable):
    ...     \"\"\"Mean reaction time of a day.\"\"\"
    >>> Fixed(ReactionTime, day=0)
    Fixed(ReactionTime, day=0)

    """

    def __init__(self, source: type, /, **metadata: Any) -> None:
        if not isinstance(source, Loadable):
            raise PipelineError(
                f"Fixed(...) takes a variable class first, got {source!r}. Constants are passed as they are."
            )
        self.source = cast("Loadable", source)
        self.metadata: dict[str, Any] = metadata

    def to_key(self) -> str:
        """Return the normalised text that enters the version keys: ``Fixed(X, session='pre')``."""
        if not self.metadata:
            return self.source.__name__
        pairs = ", ".join(f"{key}={_plain_text(value)}" for key, value in sorted(self.metadata.items()))
        return f"Fixed({self.source.__name__}, {pairs})"

    def converted(self, recorder: Recorder) -> Fixed:
        """Return this input with the values of schema keys in the type of their key."""
        converted = {
            key: recorder.key_value(key, value) if key in recorder.schema_keys and value is not None else value
            for key, value in self.metadata.items()
        }
        return Fixed(cast("type", self.source), **converted)

    __repr__ = to_key


def _plain_text(value: Any) -> str:
    """Write a fixed value as text that is the same for equal values, in every process."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    return content_hash(value)[:12]


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


class MatchIndex:
    """The entries of one variable, arranged so that each combination finds its own at once.

    An entry belongs to a combination when they agree on every key that both have, and one is at the same,
    a coarser or a finer level than the other. The same level wins over finer ones, these over coarser ones;
    entries that lack a key of the combination and have another one beside cannot be compared.
    """

    def __init__(self, name: str, entries: Iterable[Entry], keys: Sequence[str]) -> None:
        self._name = name
        self._keys = frozenset(keys)
        levels: dict[frozenset[str], list[Entry]] = defaultdict(list)
        for entry in entries:
            levels[frozenset(entry.schema)].append(entry)
        self._same = self._index([level for level in levels if level == self._keys], levels)
        self._finer = [self._index([level], levels) for level in levels if level > self._keys]
        coarser = sorted((level for level in levels if level < self._keys), key=len, reverse=True)
        self._coarser = [self._index([level], levels) for level in coarser]

    def _index(
        self, chosen: list[frozenset[str]], levels: Mapping[frozenset[str], list[Entry]]
    ) -> tuple[tuple[str, ...], dict[tuple[Any, ...], list[Entry]]]:
        shared = tuple(sorted(chosen[0] & self._keys)) if chosen else ()
        index: dict[tuple[Any, ...], list[Entry]] = defaultdict(list)
        for level in chosen:
            for entry in levels[level]:
                index[tuple(entry.schema[key] for key in shared)].append(entry)
        return shared, index

    def find(self, combination: Mapping[str, Any]) -> tuple[list[Entry], bool]:
        """Return the entries of a combination, and whether they are finer ones that belong together.

        Raises
        ------
        AmbiguousVersionError
            When entries at several levels could be meant.

        """
        if same := _at(self._same, combination):
            return same, False
        finer = [found for index in self._finer if (found := _at(index, combination))]
        if len(finer) > 1:
            raise self._several_levels(combination, finer)
        if finer:
            return finer[0], True
        coarser = [found for index in self._coarser if (found := _at(index, combination))]
        if len(coarser) > 1 and not set(coarser[0][0].schema) > set(coarser[1][0].schema):
            raise self._several_levels(combination, coarser[:2])
        return (coarser[0] if coarser else []), False

    def _several_levels(self, combination: Mapping[str, Any], found: list[list[Entry]]) -> AmbiguousVersionError:
        levels = [", ".join(entries[0].schema) or "no key" for entries in found]
        extra = sorted(set(found[-1][0].schema) - set(found[0][0].schema))[:1]
        way = f"for example Fixed({self._name}, {extra[0]}=None)" if extra else "with Fixed"
        return AmbiguousVersionError(
            f"{self._name} is stored at several levels below or above {dict(combination)}: by {'; by '.join(levels)}. "
            f"Say which one is meant, {way}, where None means that the key is not set.",
            variable=self._name,
        )


def _at(
    index: tuple[tuple[str, ...], dict[tuple[Any, ...], list[Entry]]], combination: Mapping[str, Any]
) -> list[Entry]:
    keys, entries = index
    return entries.get(tuple(combination[key] for key in keys), [])
