"""Starting the fresh process, and being sure that it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

from scidb.exceptions import PipelineError
from scidb.settings import REPRODUCING

__all__ = ["run_child"]

_CHILD: Final = "scidb.provenance.reproduction.child"
_TAIL: Final = 2_000


def run_child(folder: Path, timeout: float | None) -> str:
    """Run the order in a folder; return why the process did not end by itself, or nothing.

    Whatever happens here, an interruption included, the process and those that it started are gone afterwards.
    """
    if os.environ.get(REPRODUCING):
        raise PipelineError(
            "This code runs because a record is being reproduced, and asks for a reproduction itself. Put what is not "
            'to run at an import under: if __name__ == "__main__":'
        )
    said = folder / "said.txt"
    paths = [str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, REPRODUCING: "1", "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    with said.open("wb") as output:
        child = subprocess.Popen(  # noqa: S603  (this Python, and a module of ours)
            [sys.executable, "-P", "-m", _CHILD, str(folder)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,  # an interruption reaches us alone, and then ends all that it started
        )
        try:
            code = child.wait(timeout)
        except subprocess.TimeoutExpired:
            return f"it did not end within {timeout:g} seconds, and was stopped"
        finally:
            _end(child)
    if code == 0:
        return ""
    how = f"it was killed by signal {-code} ({_signal(-code)})" if code < 0 else f"it ended with exit code {code}"
    last = said.read_text(encoding="utf-8", errors="replace")[-_TAIL:].strip()
    return f"{how}{f'; its last words were: {last}' if last else ''}"


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(child.pid, signal.SIGKILL)  # it leads a session of its own
            else:
                child.kill()
        child.wait()
    if child.stdin is not None:
        child.stdin.close()


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
