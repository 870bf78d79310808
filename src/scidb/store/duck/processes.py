"""What can be known of another process of this machine: whether it lives, since when, and whose it is."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["is_alive", "owner_of", "started"]


def started(pid: int) -> str | None:
    """Return what tells a process apart from every other that has, had or will have its number; None: not known."""
    try:
        fields = _fields(pid)
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except (OSError, IndexError):
        return None
    return f"{boot}/{fields[19]}"


def is_alive(pid: int) -> bool:
    """Say whether there is such a process; where that cannot be known, there is."""
    if os.name == "nt":
        return True  # to ask with a signal is to send one
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError, ValueError):
        return False
    except PermissionError:
        return True
    try:
        return _fields(pid)[0] not in "ZX"  # ended, and waiting for its parent to notice
    except (OSError, IndexError):
        return True


def owner_of(pid: int) -> str | None:
    """Return whose process it is, if that can be known."""
    try:
        import pwd  # there is none on Windows

        return pwd.getpwuid(Path(f"/proc/{pid}").stat().st_uid).pw_name
    except (ImportError, OSError, KeyError):
        return None


def _fields(pid: int) -> list[str]:
    # The name of the program comes first, in parentheses, and may hold anything.
    return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
