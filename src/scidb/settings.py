"""What the surroundings say: the file `scidb.toml` of a project, read here and nowhere else, and who works here.

What the keys of the file mean is known where they are used.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any, Final

from scidb.exceptions import SettingsError

__all__ = ["REPRODUCING", "SETTINGS_FILE", "read_settings", "user_name"]

SETTINGS_FILE: Final = "scidb.toml"

REPRODUCING: Final = "SCIDB_REPRODUCING"
"""Set in the fresh process that computes a record again, where nothing is to be opened or reproduced."""


def read_settings() -> dict[str, Any]:
    """Return what `scidb.toml` in the working directory says; nothing where there is no such file.

    Raises
    ------
    SettingsError
        When it cannot be read.

    """
    path = Path(SETTINGS_FILE)
    if not path.is_file():
        return {}
    import tomllib  # late, as most projects have no such file

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{SETTINGS_FILE} cannot be read as TOML: {error}.") from error
    except OSError as error:
        raise SettingsError(f"{SETTINGS_FILE} cannot be read: {error.strerror}.") from error


def user_name() -> str:
    """Return who works here: what SCIDB_USER_ID says, else the name of the login."""
    return os.environ.get("SCIDB_USER_ID") or _login()


@functools.cache
def _login() -> str:
    import getpass  # late, as it brings the terminal with it, which only those who save are asked for

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user, as in some containers
        return "unknown"
