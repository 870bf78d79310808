"""The warning about a database in a place where files change, or are copied, behind the back of a program."""

from __future__ import annotations

import os
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Final

from scidb.exceptions import SettingsError, SharedFolderWarning
from scidb.settings import read_settings
from scidb.store.duck.whereabouts.mounts import network_share
from scidb.store.duck.whereabouts.synced import synced_by

__all__ = ["warn_if_shared"]

_VARIABLE: Final = "SCIDB_SHARED_FOLDERS"
_SETTING: Final = "shared_folders"
# Files about which was said what there is to say.
_seen: set[Path] = set()


def warn_if_shared(path: Path) -> None:
    """Warn, once in a process, that a database lies on a network share or in a folder that is synced.

    Raises
    ------
    SettingsError
        When the environment or scidb.toml says neither to warn nor to allow.

    """
    with suppress(OSError):
        path = path.resolve()
    if path in _seen or _are_allowed():
        return
    if (danger := _danger(path)) is not None:
        warnings.warn(danger, SharedFolderWarning, stacklevel=2)
    # Comes last, so that it is said again where warnings are errors and the file was not opened.
    _seen.add(path)


def _are_allowed() -> bool:
    said = os.environ.get(_VARIABLE) or read_settings().get(_SETTING, "warn")
    if said not in {"warn", "allow"}:
        raise SettingsError(f"{_VARIABLE} or {_SETTING} in scidb.toml is {said!r}: use 'warn' or 'allow'.")
    return said == "allow"


def _danger(path: Path) -> str | None:
    # Where the system does not tell, nothing is known against the place.
    with suppress(OSError):
        if kind := network_share(path.parent):
            return (
                f"{path} lies on a network share ({kind}), where locks do not hold: two machines that open it at once "
                f"can damage it, and so can a break in the connection. {_advice(path)}"
            )
        if program := synced_by(path.parent, _home(), os.environ):
            return (
                f"{path} lies in a folder that {program} copies to other machines, also while the file is being "
                f"written: the copies can be useless, and the file itself can be replaced. {_advice(path)}"
            )
    return None


def _advice(path: Path) -> str:
    return (
        f"Move it to a disk of one machine, and let others use it from there: scidb serve {path.name}. "
        f"Whoever has thought of that sets {_VARIABLE}=allow, or {_SETTING} = 'allow' in scidb.toml."
    )


def _home() -> Path | None:
    with suppress(OSError, RuntimeError):  # nobody's home
        return Path.home().resolve()
    return None
