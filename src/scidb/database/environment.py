"""The environment that a computation ran in: Python, machine, packages, and the git repository of its code.

Described once per process and repository, with one call of git; where there is no git, without it.
"""

from __future__ import annotations

import functools
import json
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from scidb.hashing.code.manifest import Manifest

__all__ = ["describe_environment", "repository_of"]

_PACKAGES: Final = ("scidb", "duckdb", "numpy", "pandas", "pyarrow", "scipy")
_PATIENCE: Final = 5.0  # seconds that git may take, as in a very large repository on a network drive
_STATUS: Final = ("--no-optional-locks", "status", "--porcelain=v2", "--branch", "--untracked-files=no")


def describe_environment(repository: str | None) -> str:
    """Return Python, machine, package versions and the state of a repository as canonical JSON."""
    described = dict(_process())
    if repository is not None and (state := _git_state(repository)) is not None:
        described["git"] = state
    return json.dumps(described, sort_keys=True, separators=(",", ":"))


@functools.cache
def _process() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "platform": platform.platform(),
        "machine": platform.node(),
        "packages": {name: version for name in _PACKAGES if (version := _version(name))},
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


# ------------------------------------------------------------------ git


def repository_of(manifest: str) -> str | None:
    """Return the folder of the git repository with the code of a fingerprint, or else with the working directory."""
    found = _repository_of_code(manifest)
    if found is not None:
        return found
    try:
        return _repository_above(str(Path.cwd()))
    except OSError:  # it may have been removed
        return None


@functools.lru_cache(maxsize=1024)
def _repository_of_code(manifest: str) -> str | None:
    files = [Path(unit.file) for unit in Manifest.read(manifest).units if unit.file]
    return next((_repository_above(str(file.parent)) for file in files if file.is_file()), None)


@functools.lru_cache(maxsize=1024)
def _repository_above(folder: str) -> str | None:
    path = Path(folder).absolute()
    # In a worktree or a submodule, .git is a file.
    return next((str(parent) for parent in (path, *path.parents) if (parent / ".git").exists()), None)


@functools.cache
def _git_state(repository: str) -> dict[str, Any] | None:
    """Return commit, branch and whether tracked files differ from it; None where git cannot say."""
    # Variables of a hook would point git to another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        said = subprocess.run(  # noqa: S603 - nothing in it comes from elsewhere
            ["git", "-C", repository, *_STATUS],  # noqa: S607 - git is where the user's PATH has it
            capture_output=True,
            env=environment,
            timeout=_PATIENCE,
            check=True,
        ).stdout.decode("utf-8", "replace")
    except (OSError, subprocess.SubprocessError):
        return None
    header = dict(line[2:].split(" ", 1) for line in said.splitlines() if line.startswith("# ") and " " in line[2:])
    commit = header.get("branch.oid", "")
    if commit in ("", "(initial)"):
        return None
    return {
        "commit": commit,
        "branch": header.get("branch.head", ""),
        "is_dirty": any(not line.startswith("#") for line in said.splitlines()),
        "repository": repository,
    }
