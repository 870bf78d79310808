"""What is seen while a call runs: a bar on a terminal or in a notebook, for work that takes longer than a second."""

from __future__ import annotations

import html
import importlib
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from scidb.foreach.estimate import duration_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sized
    from types import TracebackType

    from scidb.foreach.estimate import Estimate
    from scidb.foreach.report import ForEachReport

__all__ = ["Progress", "Watched", "show_plan"]

_AFTER: Final = 1.0  # seconds of work; what is done sooner needs no bar
_BETWEEN: Final = 0.1  # seconds from one drawing to the next


class _Bar(Protocol):
    def draw(self, done: int) -> None: ...

    def close(self) -> None: ...


class Watched(Protocol):
    """The work that is watched: what it is called, and what has failed so far."""

    @property
    def function_name(self) -> str:
        """What is said beside the bar."""
        ...

    @property
    def failures(self) -> Sized:
        """What has failed."""
        ...


class Progress:
    """Notes what is done, and shows it on stderr where somebody can see it.

    Parameters
    ----------
    report
        Of the call, with what is planned; it is asked for its failures while the call runs.
    shown
        True, False, or None for: on a terminal or in a notebook.
    estimate
        Asked, before the work begins, how long it will take; only where something can be seen.

    """

    def __init__(self, report: Watched, *, shown: bool | None, estimate: Callable[[], Estimate]) -> None:
        self._report, self._ask = report, estimate
        self._shown = _is_seen() if shown is None else shown
        self._total = self._done = 0
        self._label = report.function_name
        self._expected: float | None = None
        self._began = self._drawn = 0.0
        self._bar: _Bar | None = None
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def of(self, total: int) -> Self:
        """Return this for work on so many combinations."""
        self._total = total
        return self

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        if self._shown and self._total:
            estimate = self._ask()
            self._expected = estimate.seconds
            if estimate.calls:
                self._label += f" (estimate: {duration_text(estimate.seconds or 0.0)})"
            # By a clock of its own, since the first combination may take an hour.
            self._timer = threading.Timer(_AFTER, self._open)
            self._timer.daemon = True
            self._timer.start()
        return self

    def advance(self, count: int = 1) -> None:
        """Note that one more combination is done, or so many."""
        self._done += count
        if self._bar is not None and time.monotonic() - self._drawn >= _BETWEEN:
            self._draw()

    def _open(self) -> None:
        with self._lock:
            if self._timer is not None:
                make = _NotebookBar if _in_notebook() else _Line
                self._bar = make(self._label, self._total, self._said)
                self._draw()

    def _draw(self) -> None:
        if self._bar is not None:
            self._drawn = time.monotonic()
            self._bar.draw(self._done)

    def _said(self) -> str:
        """Return rate, time remaining and failures so far."""
        took = time.monotonic() - self._began
        parts = []
        if self._done:
            each = took / self._done
            parts.append(f"{1 / each:.1f}/s" if each < 1 else f"{duration_text(each)} each")
            if rest := self._total - self._done:
                parts.append(f"{duration_text(each * rest)} left")
        elif self._expected:
            parts.append(f"{duration_text(max(self._expected - took, 0.0))} left")
        if failed := len(self._report.failures):
            parts.append(f"{failed} failed")
        return ", ".join(parts)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        if self._bar is not None:
            self._draw()
            self._bar.close()
            self._bar = None


def show_plan(report: ForEachReport, shown: bool | None) -> None:
    """Show what a call would do, where somebody can see it: on stderr, or as a table in a notebook."""
    if not (_is_seen() if shown is None else shown):
        return
    if _in_notebook():
        _notebook().display(report)
    else:
        sys.stderr.write(f"{report!r}\n")


def _is_seen() -> bool:
    return sys.stderr.isatty() or _in_notebook()


def _in_notebook() -> bool:
    """Say whether this process serves a notebook; IPython on a terminal draws like any terminal."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
    return shell is not None and hasattr(shell, "kernel")


def _notebook() -> Any:
    """Return what draws below a cell; a notebook has it."""
    return importlib.import_module("IPython.display")


class _Line:
    """A bar on a terminal, which leaves no trace when it is done; what it says is asked at every drawing."""

    def __init__(self, label: str, total: int, said: Callable[[], str]) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn
        from rich.table import Column
        from rich.text import Text

        class Said(ProgressColumn):
            def render(self, _: Any) -> Text:
                return Text(said())

        # What a script prints goes where it went: a redirected output must not end up beside the bar.
        self._bar = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(24), MofNCompleteColumn(),
            Said(Column(no_wrap=True, overflow="ellipsis")),
            console=Console(stderr=True), transient=True, redirect_stdout=sys.stdout.isatty(),
        )  # fmt: skip
        self._task = self._bar.add_task(label, total=total)

    def draw(self, done: int) -> None:
        self._bar.update(self._task, completed=done)
        self._bar.start()  # once

    def close(self) -> None:
        self._bar.stop()


class _NotebookBar:
    """A bar below a notebook cell, made of plain HTML, for which no extension is needed; it stays, as a record."""

    def __init__(self, label: str, total: int, said: Callable[[], str]) -> None:
        self._label, self._total, self._said = html.escape(label), total, said
        self._handle: Any = None

    def draw(self, done: int) -> None:
        bar = f'<progress value="{done}" max="{self._total}"></progress>'
        text = f"<div>{self._label} {bar} {done}/{self._total} {html.escape(self._said())}</div>"
        drawing = _notebook()
        if self._handle is None:
            self._handle = drawing.display(drawing.HTML(text), display_id=True)
        else:
            self._handle.update(drawing.HTML(text))

    def close(self) -> None:
        """Leave the bar as it was drawn last."""
