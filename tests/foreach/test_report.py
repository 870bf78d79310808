"""What for_each says: the report on a screen and in a notebook, estimates, log records, and the bar while it runs."""

from __future__ import annotations

import io
import logging
import re
import sys
import time
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from tests.net.serving import where

import scidb
from scidb import BaseVariable, DatabaseManager, for_each
from scidb.foreach import progress
from scidb.foreach.estimate import Estimate, duration_text

if TYPE_CHECKING:
    from pathlib import Path

    from scidb import ForEachReport


class Told(BaseVariable):
    pass


class Doubled(BaseVariable):
    pass


def double(x: float) -> float:
    return 2 * x


def fails_at_two(x: float) -> float:
    if x == 2:
        raise ValueError(f"<b>no {x}</b>\nsecond line")
    return x


@pytest.fixture(params=["memory", "http"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Live in memory: what is said does not depend on the store, whose part the suite of stores covers."""
    return where(request, tmp_path)


@pytest.fixture
def told(db: DatabaseManager) -> DatabaseManager:
    """Four subjects, each with its number as the value."""
    Told.save_many([(float(s), {"subject": s}) for s in range(1, 5)])
    return db


# ------------------------------------------------------------------ the report


def test_one_screen_names_what_went_wrong(told: DatabaseManager) -> None:
    """R2, A8: the report shows each failure with its place, and what was passed over with the reason."""
    report = for_each(fails_at_two, {"x": Told}, [Doubled], subject=[1, 2, 9])

    first, *rest = repr(report).splitlines()

    assert first == str(report)
    assert first.startswith("fails_at_two: 1 computed, 1 skipped: an input is missing, 1 failed (")
    assert rest == ["  subject=2: ValueError: <b>no 2.0</b>", "  no Told at subject=9"]


def test_many_failures_stay_on_one_screen(told: DatabaseManager) -> None:
    """However many combinations fail, the report is one screen of text, and says where the rest is."""
    report = for_each(lambda x: 1 / 0, {"x": Told}, [Doubled], subject=[1, 2, 3, 4], trial=range(20))

    lines = repr(report).splitlines()

    assert len(lines) == 8
    assert lines[1] == "  ALL 80 combinations failed."
    assert lines[-1] == "  ... and 75 further failed; report.failures has all, with tracebacks"


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        ([], "No combination matched, so nothing was done."),
        ([7, 8], "ALL 2 combinations were skipped: inputs are missing."),
    ],
)
def test_nothing_done_is_never_mistaken_for_success(db: DatabaseManager, subject: list[int], said: str) -> None:
    """A8: where nothing matched or everything was skipped, text and HTML say so beside the numbers."""
    Told.save(1.0, subject=1)

    report = for_each(double, {"x": Told}, [Doubled], subject=subject, trial=1)

    assert said in repr(report)
    assert said in report._repr_html_()


def test_html_folds_tracebacks_and_escapes(told: DatabaseManager) -> None:
    """The HTML view has a table of states, each failure folded with its traceback, and runs no text as markup."""
    report = for_each(fails_at_two, {"x": Told}, [Doubled], subject=[])

    page = report._repr_html_()

    assert "<td>computed</td><td>3</td>" in page
    assert "<td>failed</td><td>1</td>" in page
    assert "<details><summary>subject=2: <code>ValueError: &lt;b&gt;no 2.0&lt;/b&gt;</code></summary><pre>" in page
    assert "raise ValueError(" in page
    assert "<b>no" not in page


def test_a_key_named_like_a_column_stays(tmp_path: Any) -> None:
    """A schema key called like a column of the table is there beside it, and the rows are in combination order."""
    with scidb.open("memory:", ["state"]) as db:
        Told.save_many([(float(n), {"state": f"s{n}"}) for n in (10, 2, 1)], db=db)
        table = for_each(double, {"x": Told}, [Doubled], state=["s10", "s2", "s1"], db=db).to_pandas()

    assert list(table.columns) == ["state_value", "state", "reason", "seconds"]
    assert list(table["state_value"]) == ["s10", "s2", "s1"]
    assert set(table["state"]) == {"completed"}


# ------------------------------------------------------------------ estimates


def test_an_estimate_is_told_from_past_calls(told: DatabaseManager) -> None:
    """A dry run estimates from what past calls took, says how many, and that other code ran if so."""

    def make(pause: float) -> Any:
        def wait(x: float) -> float:
            time.sleep(pause)
            return x

        return wait

    plan = for_each(make(0.01), {"x": Told}, [Doubled], subject=[], dry_run=True)
    assert plan.estimate == Estimate(None)
    assert "no estimate: no past call was timed" in repr(plan)

    done = for_each(make(0.01), {"x": Told}, [Doubled], subject=[1, 2])
    each = sum(item.seconds or 0.0 for item in done.combinations) / 2

    same = for_each(make(0.01), {"x": Told}, [Doubled], subject=[], dry_run=True).estimate
    assert same is not None
    assert (same.calls, same.is_same_code) == (2, True)
    assert same.seconds == pytest.approx(2 * each)
    assert re.search(r"about \d+ ms \(\d+ ms each, from 2 past calls\)", str(same))

    other = for_each(make(0.02), {"x": Told}, [Doubled], subject=[], dry_run=True).estimate
    assert other is not None
    assert (other.calls, other.is_same_code) == (2, False)
    assert other.seconds == pytest.approx(4 * each)
    assert "of former code" in str(other)


def test_workers_share_the_time(told: DatabaseManager) -> None:
    """What is computed several at a time takes as many rounds as they need; nobody waits for more than there are."""
    done = for_each(double, {"x": Told}, [Doubled], subject=[1])
    each = done.combinations[0].seconds or 0.0

    def estimate(n_jobs: int) -> Estimate:
        plan = for_each(double, {"x": Told}, [Doubled], subject=[], n_jobs=n_jobs, prefer="threads", dry_run=True)
        assert plan.estimate is not None
        return plan.estimate

    for n_jobs, rounds, at_a_time in ((1, 3, 1), (2, 2, 2), (8, 1, 3)):
        told_now = estimate(n_jobs)
        assert told_now.seconds == pytest.approx(rounds * each)
        assert (told_now.calls, told_now.at_a_time) == (1, at_a_time)
    assert " each, 2 at a time, from 1 past call)" in str(estimate(2))


def test_nothing_to_compute_takes_no_time(told: DatabaseManager) -> None:
    """What is up to date is estimated at nothing."""
    for_each(double, {"x": Told}, [Doubled], subject=[])

    plan = for_each(double, {"x": Told}, [Doubled], subject=[], dry_run=True)

    assert plan.estimate == Estimate(0.0)
    assert (plan.up_to_date, plan.completed) == (4, 0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.9999, "1.0 s"), (9.96, "10 s"), (59.6, "1 min"), (3599.9, "1 h"), (86400 * 2 + 7200, "2 days 2 h")],
)
def test_durations_never_show_sixty_of_a_unit(seconds: float, text: str) -> None:
    """A duration is rounded before it is taken apart."""
    assert duration_text(seconds) == text


# ------------------------------------------------------------------ the plan of a dry run


def test_a_dry_run_shows_its_plan_where_it_is_seen(
    told: DatabaseManager, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The plan goes to stderr with ``progress=True`` and on a terminal, and nowhere in a pipe; nothing runs."""
    before = len(told.runs())

    def plan(subject: list[int], *, progress: bool | None = None) -> None:
        for_each(double, {"x": Told}, [Doubled], subject=subject, dry_run=True, progress=progress)

    plan([1, 9])
    assert capsys.readouterr() == ("", "")

    plan([1, 9], progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "double: 1 would compute, 1 skipped: an input is missing" in err
    assert "no Told at subject=9" in err

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    plan([1], progress=False)
    assert capsys.readouterr().err == ""
    plan([1])
    assert "1 would compute" in capsys.readouterr().err
    assert len(told.runs()) == before


def notebook(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Pretend to be the kernel of a notebook; return what is displayed, in order."""
    shown: list[Any] = []

    def display(content: Any, *, display_id: bool = False) -> Any:
        shown.append(content)
        return SimpleNamespace(update=shown.append) if display_id else None

    ipython, drawing = ModuleType("IPython"), ModuleType("IPython.display")
    monkeypatch.setattr(ipython, "get_ipython", lambda: SimpleNamespace(kernel=object()), raising=False)
    monkeypatch.setattr(drawing, "display", display, raising=False)
    monkeypatch.setattr(drawing, "HTML", str, raising=False)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", drawing)
    return shown


def test_a_notebook_shows_the_plan_as_a_table(
    told: DatabaseManager, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a notebook the plan is displayed as the report, which has a table."""
    shown = notebook(monkeypatch)

    plan = for_each(double, {"x": Told}, [Doubled], subject=[], dry_run=True)

    assert shown == [plan]
    assert "<td>would compute</td><td>4</td>" in shown[0]._repr_html_()
    assert capsys.readouterr().err == ""


# ------------------------------------------------------------------ the bar


def wait(x: float) -> float:
    if x == 2:
        raise ValueError("no")
    time.sleep(0.03)
    return x


def shown_on_a_terminal(monkeypatch: pytest.MonkeyPatch, **arguments: Any) -> tuple[ForEachReport, str]:
    """Run with a bar on a terminal, a wide one; return the report and everything that was drawn."""
    terminal = io.StringIO()
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "_AFTER", 0.02)
    monkeypatch.setattr(progress, "_BETWEEN", 0.0)
    report = for_each(wait, {"x": Told}, [Doubled], subject=[], **arguments)
    return report, re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())


def test_a_bar_shows_how_far_it_is(told: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar has the name, done and total, rate, failures so far, and the estimate from past calls."""
    first, drawn = shown_on_a_terminal(monkeypatch, progress=True)

    assert (first.completed, first.failed) == (3, 1)
    assert "estimate" not in drawn
    assert re.search(r"wait .* 4/4 .*\d/s, 1 failed", drawn)

    _, drawn = shown_on_a_terminal(monkeypatch, progress=True, force=True)
    assert re.search(r"wait \(estimate: \d+ ms\)", drawn)


def test_no_bar_where_nobody_sees_it(told: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a pipe nothing is drawn, and neither with ``progress=False`` or where the work is done at once."""
    assert shown_on_a_terminal(monkeypatch)[1] == ""
    assert shown_on_a_terminal(monkeypatch, progress=False)[1] == ""

    monkeypatch.setattr(progress, "_AFTER", 1.0)
    terminal = io.StringIO()
    monkeypatch.setattr(sys, "stderr", terminal)
    for_each(double, {"x": Told}, [Doubled], subject=[], progress=True)
    assert terminal.getvalue() == ""


def test_what_a_script_prints_stays_where_it_went(
    told: DatabaseManager, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """While a bar is drawn on stderr, a redirected standard output gets all that is printed, and the bar none of it."""

    def talk(x: float) -> float:
        time.sleep(0.05)
        print(f"seen {x}")  # noqa: T201
        return x

    monkeypatch.setattr(sys.modules[__name__], "wait", talk)
    _, drawn = shown_on_a_terminal(monkeypatch, progress=True)

    assert capsys.readouterr().out.splitlines() == ["seen 1.0", "seen 2.0", "seen 3.0", "seen 4.0"]
    assert "seen" not in drawn


def test_a_notebook_has_a_bar_without_any_extension(told: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a notebook the bar is plain HTML below the cell, drawn anew in place, with the time remaining."""
    shown = notebook(monkeypatch)
    monkeypatch.setattr(progress, "_AFTER", 0.02)
    monkeypatch.setattr(progress, "_BETWEEN", 0.0)

    for_each(lambda x: wait(x + 0), {"x": Told}, [Doubled], subject=[])

    assert shown[-1].startswith('<div>&lt;lambda&gt; <progress value="4" max="4"></progress> 4/4 ')
    assert re.search(r" 3/4 [\d.]+/s, \d+ ms left, 1 failed</div>$", shown[-3])
    assert "1 failed" in shown[-1]


# ------------------------------------------------------------------ log records


def test_log_records_have_fields(told: DatabaseManager, caplog: pytest.LogCaptureFixture) -> None:
    """Every record says run, function, combination and state as fields, also for what was not run."""
    for_each(double, {"x": Told}, [Doubled], subject=[1])
    with caplog.at_level(logging.DEBUG, "scidb.foreach"):
        report = for_each(fails_at_two, {"x": Told}, [Doubled], subject=[1, 2, 9])
    records: list[Any] = [record for record in caplog.records if record.name == "scidb.foreach"]

    assert {record.run_id for record in records} == {report.run_id}
    assert {record.function for record in records} == {"fails_at_two"}
    states = {record.combination["subject"]: record.state for record in records if record.combination is not None}
    assert states == {1: "completed", 2: "failed", 9: "skipped"}
    assert [record.state for record in records if record.combination is None] == ["ended", "ended"]
    assert [record.levelname for record in records if record.state == "failed"] == ["INFO"]
    assert "fails_at_two() at subject=2: failed: ValueError" in caplog.text


# ------------------------------------------------------------------ statements


def test_seeing_costs_nothing_unless_it_is_seen(told: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """An estimate is one question whatever the number of combinations, and is not asked where nobody sees it."""
    asked: list[str] = []
    find = type(told._store).find

    def counting(self: Any, query: Any) -> Any:
        asked.append(type(query).__name__)
        return find(self, query)

    monkeypatch.setattr(type(told._store), "find", counting)
    monkeypatch.setattr(sys, "stderr", io.StringIO())

    for_each(double, {"x": Told}, [Doubled], subject=[1])
    assert "Timings" not in asked
    for subjects in ([2], [2, 3, 4]):
        asked.clear()
        for_each(double, {"x": Told}, [Doubled], subject=subjects, progress=True, force=True)
        assert asked.count("Timings") == 1
