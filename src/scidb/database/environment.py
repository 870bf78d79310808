"""The environment that a computation ran in, described once per process."""

from __future__ import annotations

import json
import platform
import sys
from importlib import metadata
from typing import Final

__all__ = ["describe_environment"]

_PACKAGES: Final = ("scidb", "duckdb", "numpy", "pandas", "pyarrow", "scipy")


def describe_environment() -> str:
    """Return Python, machine and package versions as canonical JSON."""
    return json.dumps(
        {
            "python": platform.python_version(),
            "implementation": sys.implementation.name,
            "platform": platform.platform(),
            "machine": platform.node(),
            "packages": {name: version for name in _PACKAGES if (version := _version(name))},
        },
        sort_keys=True,
        separators=(",", ":"),
    )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
