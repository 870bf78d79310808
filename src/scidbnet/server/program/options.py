"""The settings of the program: by flag, else by environment variable, else by `scidb.toml`, else their defaults.

One table makes flags, variables and keys of the file; it knows nothing of HTTP.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from scidb.exceptions import SchemaKeyError, SettingsError, did_you_mean
from scidb.settings import SETTINGS_FILE, read_settings
from scidbnet.server.settings import ServerSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SETTINGS", "ServerOptions", "Setting", "read_options"]

TABLE: Final = "server"
"""The table of `scidb.toml` with settings of a server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions(ServerSettings):
    """What the owner of a server may set when it starts: the limits of the application, and where it listens."""

    dataset_db_path: str
    dataset_schema_keys: list[str] | dict[str, str] | None = None
    host: str = "127.0.0.1"
    port: int = 8765
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    behind_proxy: bool = False
    insecure: bool = False
    log_json: bool = False
    lock_timeout: float = 10.0
    shutdown_timeout: float = 30.0


_HELP: Final = {
    "dataset_db_path": "The database file; `scidb serve PATH` names it, too.",
    "dataset_schema_keys": "The keys of a new database, in order: `subject,trial`, or JSON, also with types.",
    "lineage_mode": "Whether clients may save what depends on values that were never saved.",
    "host": "The address to listen on; 0.0.0.0 is every address of this machine.",
    "port": "The port to listen on; 0 lets the system choose.",
    "ssl_certfile": "The TLS certificate, with its chain, as PEM.",
    "ssl_keyfile": "The key of the certificate, as PEM, without a passphrase.",
    "behind_proxy": "A proxy before the server does TLS, and says who asks.",
    "insecure": "Let tokens and data travel readably, in a network that you trust.",
    "log_json": "Write log records as JSON, one a line.",
    "lock_timeout": "How long to wait for another process that has the file open, in seconds.",
    "shutdown_timeout": "How long running requests may take to finish when the server is told to stop, in seconds.",
    "allow_sql": "Let clients run SELECT statements of their own.",
    "sql_rows": "The most rows that one SELECT may give.",
    "sql_seconds": "How long one SELECT may take, in seconds.",
    "write_timeout": "How long a write that is sent again waits for its first sending, in seconds.",
    "body_limit": "The longest body of a request, in bytes.",
    "memory_limit": "From which length on a body waits in a temporary file, in bytes.",
    "spool_limit": "How much may be being received at once, in bytes.",
    "idle_timeout": "How long to wait for the next piece of a request, in seconds.",
    "time_limit": "How long one request may take, with its answer, in seconds.",
    "header_limit": "How long the address and all headers of a request may be, in bytes.",
    "header_count": "How many headers a request may have.",
    "requests_per_token": "How many requests with one token may run at once.",
    "strangers": "How many connections without a valid request may be open from one network.",
    "failed_logins": "How often a minute a wrong token is looked at, from one network.",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: what it may be, and its three names."""

    name: str
    hint: Any
    default: Any

    @property
    def flag(self) -> str:
        """How it is called on the command line."""
        return "--" + self.name.removeprefix("dataset_").replace("_", "-")

    @property
    def variable(self) -> str:
        """How it is called in the environment."""
        return f"SCIDB_{self.name.upper()}"

    @property
    def help(self) -> str:
        """What it is for."""
        return _HELP.get(self.name, self.name.replace("_", " ").capitalize() + ".")

    @property
    def shown(self) -> str:
        """Its default, as one would write it; empty where there is none."""
        match self.default:
            case bool():
                return str(self.default).lower()
            case int():
                unit, size = max((one for one in _UNITS.items() if self.default % one[1] == 0), key=lambda one: one[1])
                return f"{self.default // size}{unit or ''}"
            case float():
                return f"{self.default:g}"
        return self.default if isinstance(self.default, str) else ""

    @property
    def is_switch(self) -> bool:
        """Whether it is on or off."""
        return self.hint is bool


def _all_settings() -> tuple[Setting, ...]:
    hints = typing.get_type_hints(ServerOptions)
    own = [one for one in dataclasses.fields(ServerOptions) if one.name not in ServerSettings.__dataclass_fields__]
    rest = dataclasses.fields(ServerSettings)
    return tuple(Setting(one.name, hints[one.name], one.default) for one in (*own, *rest))


SETTINGS: Final = _all_settings()
"""Every setting: first those of the program, then those of the application."""


def read_options(flags: Mapping[str, object]) -> ServerOptions:
    """Return the settings of a server.

    Parameters
    ----------
    flags
        What the command line says, by name of the setting; None says nothing.

    Examples
    --------
    >>> read_options({"dataset_db_path": "memory:", "dataset_schema_keys": "subject", "port": "80"}).port
    80

    Raises
    ------
    SettingsError
        When a value is wrong; it says where that stands. Or when no database is named, or there is none.

    """
    file = _of_file()
    values = {}
    for setting in SETTINGS:
        found = _found(setting, flags, file)
        if found is not None:
            values[setting.name] = _read(setting, *found)
    if "dataset_db_path" not in values:
        raise SettingsError(
            "Which database? Say so: scidb serve study.duckdb, or set SCIDB_DATASET_DB_PATH, or write "
            f'dataset_db_path = "study.duckdb" under [{TABLE}] in {SETTINGS_FILE}.'
        )
    options = ServerOptions(**values)
    _check_database(options)
    return options


def _of_file() -> Mapping[str, Any]:
    """Return the table of the settings file."""
    settings = read_settings()
    table = settings.get(TABLE, {})
    if not isinstance(table, dict):
        raise SettingsError(f"{SETTINGS_FILE}: {TABLE} = {table!r} is not a table; write [{TABLE}].")
    known = [setting.name for setting in SETTINGS]
    for name in table:
        if name not in known:
            raise SettingsError(
                f"{SETTINGS_FILE}: [{TABLE}] has no setting {name!r}.{did_you_mean(name, known)}", setting=name
            )
    return {"dataset_db_path": settings["database"], **table} if "database" in settings else table


def _found(setting: Setting, flags: Mapping[str, object], file: Mapping[str, Any]) -> tuple[object, str] | None:
    """Return what a setting is given, and where."""
    if flags.get(setting.name) is not None:
        return flags[setting.name], setting.flag
    variables = [setting.variable, *(["SCIDB_DATABASE"] if setting.name == "dataset_db_path" else [])]
    for variable in variables:
        if text := os.environ.get(variable):
            return text, variable
    if setting.name in file:
        return file[setting.name], f"{setting.name} in {SETTINGS_FILE}"
    return None


# ------------------------------------------------------------------ values

_SIZE: Final = re.compile(r"(\d+) *([KMGT]iB)?")
_UNITS: Final = {None: 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_SWITCHES: Final = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}


def _read(setting: Setting, value: object, source: str) -> Any:
    hint = setting.hint
    if setting.name == "dataset_schema_keys":
        return _keys(value, source)
    if typing.get_origin(hint) is types.UnionType:
        if isinstance(value, str) and value.lower() == "none":
            return None
        [hint] = [member for member in typing.get_args(hint) if member is not types.NoneType]
    if typing.get_origin(hint) is Literal:
        choices = typing.get_args(hint)
        return value if value in choices else _refuse(setting, value, source, f"one of {', '.join(choices)}")
    return _READERS[hint](setting, value, source)


def _read_switch(setting: Setting, value: object, source: str) -> bool:
    if isinstance(value, str):
        value = _SWITCHES.get(value.lower(), value)
    return value if isinstance(value, bool) else _refuse(setting, value, source, "true or false")


def _read_whole(setting: Setting, value: object, source: str) -> int:
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is not None:
        value = int(found[1]) * _UNITS[found[2]]
    if setting.name == "port":
        fits = type(value) is int and 0 <= value < 2**16
        return value if fits else _refuse(setting, value, source, "a port: a number from 0 to 65535")  # type: ignore[return-value]
    fits = type(value) is int and 0 < value < 2**63
    return value if fits else _refuse(setting, value, source, "a positive number, such as 1000000 or 64MiB")  # type: ignore[return-value]


def _read_number(setting: Setting, value: object, source: str) -> float:
    expected = "a number of seconds, such as 30"
    try:
        number = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        _refuse(setting, value, source, expected)
    return number if 0 <= number < 1e9 else _refuse(setting, value, source, expected)


def _read_text(setting: Setting, value: object, source: str) -> str:
    return value if isinstance(value, str) and value.strip() else _refuse(setting, value, source, "a text")


_READERS: Final = {bool: _read_switch, int: _read_whole, float: _read_number, str: _read_text}


def _keys(value: object, source: str) -> list[str] | dict[str, str]:
    from scidb.addressing import schema_keys_from  # brings numpy, for which no help should wait

    declared = value
    if isinstance(value, str) and value.lstrip()[:1] in {"[", "{"}:
        try:
            declared = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise SettingsError(
                f'{source}={value!r} is not JSON ({error}); expected ["subject", "trial"].', source=source
            ) from error
    elif isinstance(value, str):
        declared = [name.strip() for name in value.split(",")]
    if not isinstance(declared, list | dict) or not declared:
        raise SettingsError(f'{source} is {value!r}; expected names, such as ["subject", "trial"].', source=source)
    try:
        schema_keys_from(declared)
    except (SchemaKeyError, TypeError) as error:
        raise SettingsError(f"{source}: {error}", source=source) from error
    return declared


def _refuse(setting: Setting, value: object, source: str, expected: str) -> typing.NoReturn:
    raise SettingsError(f"{source} is {value!r}; expected {expected}.", setting=setting.name, source=source)


def _check_database(options: ServerOptions) -> None:
    target = options.dataset_db_path
    if target == "memory:" or options.dataset_schema_keys is not None:
        return
    if re.match(r"https?:", target, re.IGNORECASE):
        raise SettingsError(f"A server keeps a file, not what another server keeps: {target!r}.", target=target)
    path = Path(target.removeprefix("file:")).expanduser()
    if not path.is_file():
        problem = "is a folder" if path.is_dir() else "does not exist"
        raise SettingsError(
            f"The database {target!r} {problem}. To make a new one, name its schema keys: "
            f"scidb serve {target} --schema-keys subject,trial",
            target=target,
        )
