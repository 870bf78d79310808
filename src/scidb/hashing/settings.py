"""What the user decides about fingerprints: packages that count as own code, and libraries whose version counts.

From `configure`, else from the table ``[fingerprint]`` of `scidb.toml`, else nothing.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import sys
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any, Final, Literal, TypeAlias, cast, get_args

from scidb.exceptions import SciDBWarning, SettingsError, did_you_mean
from scidb.settings import SETTINGS_FILE, read_settings

__all__ = [
    "FingerprintSettings",
    "Policy",
    "checked_options",
    "configure",
    "fingerprint_settings",
    "normalized",
    "take_over",
]

Policy: TypeAlias = Literal["major", "minor", "exact"]
"""How much of a library's version counts."""

_POLICIES: Final = get_args(Policy)
_TABLE: Final = "fingerprint"
_KEYS: Final = ("track_packages", "libraries")
_DISTRIBUTION: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class FingerprintSettings:
    """The decisions that hold in this process."""

    track_packages: tuple[str, ...] = ()
    libraries: Mapping[str, Policy] = field(default_factory=dict)


_settings: FingerprintSettings | None = None


def fingerprint_settings() -> FingerprintSettings:
    """Return what holds now; `scidb.toml` is read once, when the first function is seen.

    Raises
    ------
    SettingsError
        When `scidb.toml` says something that cannot be meant.

    """
    return configure() if _settings is None else _settings


def configure(
    *, track_packages: Iterable[str] | None = None, libraries: Mapping[str, str] | None = None
) -> FingerprintSettings:
    """Decide for this process what counts as code; return what holds from now on.

    What is left out is taken from the table ``[fingerprint]`` of `scidb.toml` in the working directory, which is
    read again. Fingerprints change with it: a result is then computed again.

    Parameters
    ----------
    track_packages
        Installed packages, by the name that is imported, whose code counts like your own: your lab's. Others are
        libraries, of which only the names count.
    libraries
        Per library, by the name that is installed, how much of its version counts: ``"major"`` (2), ``"minor"``
        (2.1) or ``"exact"``. The versions of all others are only recorded.

    Raises
    ------
    SettingsError
        When something is given, or stands in the file, that cannot be meant.

    Examples
    --------
    >>> from scidb.hashing import configure
    >>> configure(libraries={"numpy": "minor"}).libraries
    {'numpy': 'minor'}
    >>> configure().libraries
    {}

    """
    global _settings  # noqa: PLW0603  (its one home)
    found = _from_file()
    if track_packages is not None:
        found = replace(found, track_packages=_packages(track_packages, "track_packages"))
    if libraries is not None:
        found = replace(found, libraries=_libraries(libraries, "libraries"))
    _settings = found
    return found


def take_over(settings: FingerprintSettings) -> None:
    """Let the decisions of another process hold in this one, which works for it."""
    global _settings  # noqa: PLW0603  (its one home)
    _settings = settings


def checked_options(version: object, includes: Any, ignore: Any) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """Return ``includes=`` and ``ignore=`` of one function as tuples.

    Raises
    ------
    SettingsError
        When one of the three cannot be meant.

    """
    if version is not None and (not isinstance(version, str) or not version):
        raise SettingsError(f'version={version!r}: expected a text, such as version="2".')
    if isinstance(ignore, str) or not isinstance(ignore, Iterable):
        raise SettingsError(f'ignore={ignore!r}: expected a list of names as the code writes them, such as ["calls"].')
    names = tuple(ignore)
    if not all(isinstance(name, str) and _is_dotted(name.removeprefix("import ").lstrip(".")) for name in names):
        raise SettingsError(f'ignore={list(names)!r}: expected names as the code writes them, such as ["h.calls"].')
    if not isinstance(includes, Iterable) or isinstance(includes, str):
        raise SettingsError(f"includes={includes!r}: expected a list of functions, classes or modules.")
    code = tuple(includes)
    for item in code:
        if not callable(item) and not isinstance(item, ModuleType):
            raise SettingsError(
                f"includes= holds {item!r}, which is no function, class or module; give the object, not its name."
            )
    return code, names


def _from_file() -> FingerprintSettings:
    table = read_settings().get(_TABLE, {})
    if not isinstance(table, dict):
        raise SettingsError(
            f"{SETTINGS_FILE}: {_TABLE} = {table!r} is no table; write [{_TABLE}] on a line, and below it "
            f"{' and '.join(_KEYS)}."
        )
    for name in table:
        if name not in _KEYS:
            raise SettingsError(
                f"{SETTINGS_FILE}: [{_TABLE}] has {name!r}, but knows only {' and '.join(_KEYS)}."
                f"{did_you_mean(name, _KEYS)}"
            )
    where = f"{SETTINGS_FILE}, [{_TABLE}]: "
    return FingerprintSettings(
        _packages(table.get("track_packages", ()), f"{where}track_packages"),
        _libraries(table.get("libraries", {}), f"{where}libraries"),
    )


def _packages(given: Any, where: str) -> tuple[str, ...]:
    names = [given] if isinstance(given, str) or not isinstance(given, Iterable) else list(given)
    if isinstance(given, str) or not all(isinstance(name, str) and _is_dotted(name) for name in names):
        raise SettingsError(
            f'{where} = {given!r}: expected a list of packages by the name that is imported, such as ["mylab"].'
        )
    for name in names:
        root = name.partition(".")[0]
        if root in sys.stdlib_module_names or root in {"scidb", "scidbnet"}:
            raise SettingsError(
                f"{where}: {name} belongs to {'Python' if root[:5] != 'scidb' else 'SciDB'}; leave it out."
            )
        if name not in sys.modules and not _exists(root):
            _warn(f"{where} names {name}, which is not installed here, so that nothing is tracked under that name.")
    return tuple(dict.fromkeys(names))


def _libraries(given: Any, where: str) -> dict[str, Policy]:
    if not isinstance(given, Mapping):
        raise SettingsError(f'{where} = {given!r}: expected a policy per library, such as {{numpy = "minor"}}.')
    found: dict[str, Policy] = {}
    for name, policy in given.items():
        if policy not in _POLICIES:
            expected = ", ".join(f'"{known}"' for known in _POLICIES)
            raise SettingsError(
                f"{where}: {name!r} has the policy {policy!r}; expected one of {expected}."
                f"{did_you_mean(str(policy), _POLICIES)}"
            )
        if not isinstance(name, str) or not _DISTRIBUTION.fullmatch(name):
            raise SettingsError(f"{where}: {name!r} is no name of a library; give the one that pip installs.")
        if not _is_installed(name):
            bring = importlib.metadata.packages_distributions()
            hint = f" Did you mean {bring[name][0]!r}?" if name in bring else did_you_mean(name, _installed())
            _warn(f"{where} names {name}, which is not installed here, so that its policy has no effect.{hint}")
        found[normalized(name)] = cast("Policy", policy)
    return dict(sorted(found.items()))


def normalized(distribution: str) -> str:
    """Return the name of a distribution in the one spelling that pip compares."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _is_dotted(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))


def _exists(root: str) -> bool:
    try:
        return root in sys.modules or importlib.util.find_spec(root) is not None
    except (ImportError, ValueError):
        return False


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _installed() -> set[str]:
    return {name for names in importlib.metadata.packages_distributions().values() for name in names}


def _warn(message: str) -> None:
    warnings.warn(message, SciDBWarning, stacklevel=2)
