"""Pipelines: several for_each calls collected, ordered by their variables, planned, and run where out of date."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.net.serving import where
from tests.provenance.conftest import Force, Mean, Peak, Smooth

import scidb
from scidb import BaseVariable, DatabaseManager, EachOf, Fixed, ForEachReport, Merge, PathInput, exceptions, for_each
from scidb.foreach.call import Call
from scidb.pipeline.steps import Step, ordered

if TYPE_CHECKING:
    import random
    from pathlib import Path


class Side(BaseVariable):
    pass


class Nowhere(BaseVariable):
    pass


def smooth(force: float) -> float:
    if force < 0:
        raise ValueError("a negative force")
    return force + 0.5


def peak(smooth: float, k: float = 1.0) -> float:
    return smooth * k


def mean(peaks: list[float]) -> float:
    return sum(peaks) / len(peaks)


@pytest.fixture(params=["memory", "http"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Live in memory unless a test asks for a file: a pipeline is for_each several times over."""
    return where(request, tmp_path)


in_a_file = pytest.mark.parametrize("target", ["duck"], indirect=True)


@pytest.fixture
def forces(db: DatabaseManager) -> DatabaseManager:
    """Three subjects."""
    Force.save_many([(float(s), {"subject": s}) for s in (1, 2, 3)])
    return db


def steps_of(p: Any) -> list[str]:
    return [step.name for step in p.steps]


def collect(db: DatabaseManager) -> Any:
    """Collect three steps, the last one first."""
    with db.pipeline() as p:
        for_each(mean, {"peaks": Peak}, [Mean])
        for_each(peak, {"smooth": Smooth}, [Peak], subject=[])
        for_each(smooth, {"force": Force}, [Smooth], subject=[])
    return p


# ------------------------------------------------------------------ collecting


def test_calls_are_collected_and_ordered_by_their_variables(forces: DatabaseManager) -> None:
    """Inside the block nothing runs; the steps come in the order in which their inputs are made."""
    p = collect(forces)

    assert steps_of(p) == ["smooth", "peak", "mean"]
    assert forces.runs() == []
    assert "peak: Smooth -> Peak" in repr(p)


@in_a_file
def test_a_pipeline_runs_what_is_out_of_date(forces: DatabaseManager) -> None:
    """The first run computes all, ``[]`` being what is there when a step begins; the next nothing, or what changed."""
    p = collect(forces)

    first = p.run()
    assert {name: report.completed for name, report in first.reports.items()} == {"smooth": 3, "peak": 3, "mean": 1}
    assert (first.completed, first.failed, first.not_run) == (7, 0, ())
    assert Mean.load_one().data == 2.5

    second = p.run()
    assert (second.completed, second.up_to_date) == (0, 7)

    Force.save(5.0, subject=3)
    third = p.run()
    assert (third.completed, third.up_to_date) == (3, 4)
    assert Mean.load_one().data == pytest.approx((1.5 + 2.5 + 5.5) / 3)


def test_the_report_of_a_collected_call_is_filled(forces: DatabaseManager) -> None:
    """for_each returns its report at once, which says that it waits, and has the numbers when the pipeline ran."""
    with forces.pipeline() as p:
        report = for_each(smooth, {"force": Force}, [Smooth], subject=[])
    assert str(report) == "smooth: collected by a pipeline, not run yet"
    assert "not run yet" in report._repr_html_()
    with pytest.raises(exceptions.PipelineError, match="nothing has run yet"):
        report.retry()

    ran = p.run()

    assert report == ran.reports["smooth"]
    assert report.completed == 3
    assert not report.is_collected


def test_calls_run_again_behind_the_block(forces: DatabaseManager) -> None:
    """What was collected stays; a call behind the block runs at once, also when the block ended by an error."""
    with pytest.raises(RuntimeError, match="stop"), forces.pipeline():
        raise RuntimeError("stop")

    assert for_each(smooth, {"force": Force}, [Smooth], subject=[]).completed == 3


def test_steps_can_be_added_by_hand(forces: DatabaseManager) -> None:
    """`add` takes what for_each takes."""
    p = forces.pipeline()
    p.add(peak, {"smooth": Smooth, "k": 2.0}, [Peak], subject=[1])
    p.add(smooth, {"force": Force}, (Smooth,), subject=[1, 2])

    assert p.run().to_pandas()[["step", "completed"]].to_numpy().tolist() == [["smooth", 2], ["peak", 1]]
    assert Peak.load_one(subject=1, k=2.0).data == 3.0


def test_a_key_may_have_any_name() -> None:
    """A schema key is a keyword of for_each and of `add` alike, whatever it is called."""
    with scidb.open("memory:", {"function": str, "call": str}) as db, db.as_current():
        Force.save(1.0, function="grip", call="a")
        with db.pipeline() as p:
            for_each(smooth, {"force": Force}, [Smooth], function=[], call=[])
        p.add(peak, {"smooth": Smooth}, [Peak], function=["grip"], call="a")

        assert p.run().completed == 2
        assert p.run(force=True).completed == 2


def test_values_once_given_do_for_plan_and_run(forces: DatabaseManager) -> None:
    """A generator of key values means the same for every plan and run."""
    p = forces.pipeline()
    p.add(smooth, {"force": Force}, [Smooth], subject=(s for s in (1, 2)))

    assert p.plan().steps[0].completed == 2
    assert p.run().completed == 2


@pytest.mark.parametrize(
    ("inputs", "options", "error", "message"),
    [
        ({"smoth": Smooth}, {"subject": []}, exceptions.PipelineError, "no parameter 'smoth'"),
        ({"smooth": Smooth}, {"subjekt": []}, exceptions.SchemaKeyError, "Did you mean 'subject'"),
        ({"smooth": Smooth}, {"dry_run": True}, exceptions.PipelineError, "dry_run= has no place in a pipeline"),
        ("Smooth", {}, exceptions.PipelineError, "inputs= takes a dict"),
        ({}, {}, exceptions.PipelineError, "also needs 'smooth'"),
    ],
)
def test_a_step_that_cannot_run_is_refused_when_it_is_added(
    forces: DatabaseManager, inputs: Any, options: Any, error: type[Exception], message: str
) -> None:
    """What is wrong with a call is said where it is written, before anything runs."""
    p = forces.pipeline()

    with pytest.raises(error, match=message):
        p.add(peak, inputs, [Peak], **options)
    with pytest.raises(TypeError, match=r"for_each\(\) missing a required argument: 'outputs'"), p:
        for_each(peak, {"smooth": Smooth})  # type: ignore[call-arg]
    assert len(p) == 0


def test_a_step_on_another_database_is_refused(forces: DatabaseManager) -> None:
    """A pipeline has one database; the block takes precedence over the current one, not over ``db=``."""
    with scidb.open("memory:", ["subject"]) as other:
        with other.as_current(), forces.pipeline() as p:
            for_each(smooth, {"force": Force}, [Smooth], subject=[])
            with pytest.raises(exceptions.PipelineError, match="runs on its own database"):
                for_each(smooth, {"force": Force}, [Smooth], db=other, subject=[])
        assert p.run().completed == 3


# ------------------------------------------------------------------ order


def test_cycles_name_their_steps(forces: DatabaseManager) -> None:
    """Steps that need one another are an error that names them and their variables, and nothing runs."""
    with forces.pipeline() as p:
        for_each(mean, {"peaks": Mean}, [Side])
        for_each(smooth, {"force": Peak}, [Smooth], subject=[])
        for_each(peak, {"smooth": Smooth}, [Peak], subject=[])

    for use in (p.plan, p.run):
        with pytest.raises(
            exceptions.PipelineError,
            match=r"smooth\(\) reads Peak, made by peak\(\); peak\(\) reads Smooth, made by smooth\(\)\. Let one",
        ):
            use()
    assert forces.runs() == []


def test_a_step_may_read_what_it_makes(forces: DatabaseManager) -> None:
    """One step that makes a variable at a coarser level than it reads it is no cycle."""
    with forces.pipeline() as p:
        for_each(mean, {"peaks": Force}, [Force])

    assert p.run().completed == 1


def test_variants_of_a_variable_come_before_who_reads_it(forces: DatabaseManager) -> None:
    """Several steps may make one variable; all run before the one that reads it, and have names of their own."""
    with forces.pipeline() as p:
        for_each(mean, {"peaks": Fixed(Peak, k=2.0)}, [Mean])
        for k in (1.0, 2.0):
            for_each(peak, {"smooth": Force, "k": k}, [Peak], subject=[])

    assert steps_of(p) == ["peak", "peak (2)", "mean"]
    assert p.run().completed == 7
    assert Mean.load_one().data == 4.0


def test_a_filter_is_an_input_too(forces: DatabaseManager) -> None:
    """A step comes behind those that make what its filter looks at."""
    with forces.pipeline() as p:
        for_each(smooth, {"force": Force}, [Smooth], subject=[], where=Peak > 1)
        for_each(peak, {"smooth": Force}, [Peak], subject=[])

    assert steps_of(p) == ["peak", "smooth"]
    assert p.run().reports["smooth"].completed == 2


@given(st.permutations(range(6)), st.randoms(use_true_random=False))
def test_order_holds_for_any_graph(places: list[int], chance: random.Random) -> None:
    """Whatever the order of adding, each step comes behind all that it needs, and free ones keep their order."""

    def step(number: int) -> Step:
        read = tuple(f"V{other}" for other in range(number) if chance.random() < 0.4)
        return Step(str(number), Call(for_each, {}, {}), ForEachReport("f"), read, (f"V{number}",))

    added = [step(number) for number in places]
    found = ordered(added)

    assert sorted(one.name for one in found) == sorted(one.name for one in added)
    for place, one in enumerate(found):
        assert not any(one.needs(other) for other in found[place:])
    free = [one for one in added if not one.reads]
    assert [one for one in found if not one.reads] == free


# ------------------------------------------------------------------ the plan


@in_a_file
def test_a_plan_says_what_would_run_and_why(forces: DatabaseManager) -> None:
    """Counts are those of now; a step behind others that have something to do says on which it depends."""
    p = collect(forces)

    fresh = p.plan()
    assert [(one.name, one.completed, one.depends_on) for one in fresh.steps] == [
        ("smooth", 3, ()), ("peak", 0, ("smooth",)), ("mean", 0, ("peak",)),
    ]  # fmt: skip
    assert fresh.steps[0].why == "3 without a result"
    assert not fresh.is_up_to_date
    assert str(fresh).endswith("3 to compute (no estimate: no past call was timed), and what depends on that.")
    assert forces.runs() == []

    p.run()
    done = p.plan()
    assert done.is_up_to_date
    assert [one.up_to_date for one in done.steps] == [3, 3, 1]
    assert str(done).endswith("Everything that has its inputs is up to date.")

    Force.save(9.0, subject=2)
    Force.save(9.0, subject=4)
    changed = p.plan()
    assert [(one.completed, one.up_to_date) for one in changed.steps] == [(2, 2), (0, 3), (0, 1)]
    assert changed.steps[0].why == "1 without a result; 1 whose code or inputs changed"
    assert changed.steps[1].why == "depends on smooth"
    assert "2 to compute (under 1 ms by past calls), and what depends on that." in str(changed)


def test_a_plan_names_inputs_that_nobody_makes(forces: DatabaseManager, caplog: pytest.LogCaptureFixture) -> None:
    """A8: an input that no step makes and the database lacks is said, and not by a warning of a run that was none."""
    with forces.pipeline() as p:
        for_each(peak, {"smooth": Nowhere}, [Peak], subject=[1, 2])
        for_each(mean, {"peaks": Peak}, [Mean])

    plan = p.plan()

    assert plan.steps[0].missing == ("Nowhere",)
    assert plan.steps[0].why == "no step makes Nowhere, and the database has none"
    assert plan.problems == (plan.steps[0],)
    assert plan.steps[1].skipped == 1
    assert caplog.records == []


def test_a_step_that_cannot_be_planned_says_why(forces: DatabaseManager) -> None:
    """A step that a run would refuse is named in the plan with the reason; the others are planned all the same."""
    for k in (1.0, 2.0):
        for_each(peak, {"smooth": Force, "k": k}, [Peak], subject=[])
    with forces.pipeline() as p:
        for_each(smooth, {"force": Peak}, [Smooth], subject=[])
        for_each(mean, {"peaks": Force}, [Mean])

    refused, fine = p.plan().steps

    assert refused.problem.startswith("AmbiguousVersionError: The input 'force' matches 2 variants of Peak")
    assert p.plan().problems == (refused,)
    assert fine.completed == 1


def test_plans_are_tables(forces: DatabaseManager) -> None:
    """A plan is a table as text, as HTML without markup of the user's, and as a DataFrame."""
    p = collect(forces)
    plan = p.plan()

    table = plan.to_pandas()
    assert list(table["step"]) == ["smooth", "peak", "mean"]
    assert list(table["depends_on"]) == ["", "smooth", "peak"]
    assert repr(plan).splitlines()[1].split() == ["1", "smooth", "Smooth", "3", "?", "3", "without", "a", "result"]
    assert "<td>depends on smooth</td>" in plan._repr_html_()
    assert str(forces.pipeline().plan()) == "The pipeline has no steps."
    assert len(forces.pipeline().plan().to_pandas()) == 0


@in_a_file
def test_a_plan_costs_a_fixed_number_of_questions(forces: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database is asked equally often for three combinations and for sixty."""
    p = collect(forces)
    asked: list[str] = []
    find = type(forces._store).find

    def counting(self: Any, query: Any) -> Any:
        asked.append(type(query).__name__)
        return find(self, query)

    monkeypatch.setattr(type(forces._store), "find", counting)
    p.run()
    asked.clear()
    p.plan()
    few = list(asked)
    Force.save_many([(float(s), {"subject": s}) for s in range(10, 70)])
    p.run()
    asked.clear()
    p.plan()

    assert len(asked) == len(few)


# ------------------------------------------------------------------ running


@pytest.mark.parametrize("until", [Peak, "Peak"])
def test_until_runs_one_variable_and_what_it_needs(forces: DatabaseManager, until: Any) -> None:
    """``until=`` leaves out what the variable does not need."""
    p = collect(forces)

    assert [step.name for step in p.plan(until).steps] == ["smooth", "peak"]
    assert list(p.run(until=until).reports) == ["smooth", "peak"]
    assert {info.name for info in forces.types() if info.records} == {"Force", "Smooth", "Peak"}


@pytest.mark.parametrize(
    ("until", "message"),
    [
        ("Peek", "no step of the pipeline makes this variable; .* Did you mean 'Peak'"),
        (Force, "no step"),
        (3, "by its class or its name"),
    ],
)
def test_until_must_be_made(forces: DatabaseManager, until: Any, message: str) -> None:
    """A variable that no step makes is an error that names those that are made."""
    with pytest.raises(exceptions.PipelineError, match=message):
        collect(forces).run(until=until)


def test_options_for_all_steps(forces: DatabaseManager) -> None:
    """Options of `run` go to every step; unknown ones are refused before anything runs."""
    p = collect(forces)
    p.run(progress=False)

    assert p.run(force=True).completed == 7
    with pytest.raises(exceptions.PipelineError, match=r"no such option for a step\. Did you mean 'force'"):
        p.run(forse=True)
    with pytest.raises(exceptions.PipelineError, match="no such option"):
        p.run(dry_run=True)


def test_later_steps_run_for_what_has_its_inputs(forces: DatabaseManager, caplog: pytest.LogCaptureFixture) -> None:
    """R2: a failure in one step leaves the rest running, and what ran behind it is said loudly."""
    Force.save(-1.0, subject=4)
    p = collect(forces)

    report = p.run()

    assert (report.reports["smooth"].failed, report.reports["peak"].completed) == (1, 3)
    assert report.behind == {"peak": ("smooth",), "mean": ("smooth",)}
    assert "peak() ran behind failures of smooth" in caplog.text
    assert "peak: 3 computed" in str(report)
    assert ", behind failures of smooth" in str(report)
    assert "1 FAILED" in str(report)
    page = report._repr_html_()
    assert "<summary>smooth at subject=4: <code>ValueError: a negative force</code></summary>" in page
    assert "behind failures of smooth" in page

    Force.save(4.0, subject=4)
    assert report.reports["smooth"].retry().completed == 1
    assert p.run().reports["peak"].completed == 1


def test_a_step_may_stop_the_pipeline(forces: DatabaseManager) -> None:
    """With ``on_error="raise"`` an error ends the run, with a note that says where; what is done is saved."""
    Force.save(-1.0, subject=4)
    with forces.pipeline() as p:
        for_each(smooth, {"force": Force}, [Smooth], subject=[], on_error="raise")
        for_each(mean, {"peaks": Force}, [Mean])
        for_each(peak, {"smooth": Smooth}, [Peak], subject=[])

    with pytest.raises(ValueError, match="a negative force") as caught:
        p.run()

    assert caught.value.__notes__ == ["In the step smooth of a pipeline. Steps that ran before: none."]
    assert len(list(Smooth.load_all())) == 3
    assert [run.function_name for run in forces.runs()] == ["smooth"]


def test_an_interrupt_reports_what_was_done(forces: DatabaseManager) -> None:
    """Ctrl-C in a step raises KeyboardInterrupt with the report of the pipeline: the steps done, begun and not run."""

    def stop(smooth: float) -> float:
        if smooth > 2:
            raise KeyboardInterrupt
        return smooth

    with forces.pipeline() as p:
        for_each(smooth, {"force": Force}, [Smooth], subject=[])
        for_each(stop, {"smooth": Smooth}, [Peak], subject=[])
        for_each(mean, {"peaks": Peak}, [Mean])

    with pytest.raises(KeyboardInterrupt) as caught:
        p.run()

    report = caught.value.report  # type: ignore[attr-defined]
    assert {name: one.completed for name, one in report.reports.items()} == {"smooth": 3, "stop": 1}
    assert report.not_run == ("mean",)
    assert "not run: mean" in str(report)


def test_files_are_inputs_like_others(db: DatabaseManager, tmp_path: Path) -> None:
    """A step that reads files needs no other step."""
    (tmp_path / "1.txt").write_text("2.5")
    with db.pipeline() as p:
        for_each(smooth, {"force": Force}, [Smooth], subject=[])
        for_each(
            lambda path: float(path.read_text()), {"path": PathInput("{subject}.txt", tmp_path)}, [Force], subject=[]
        )

    assert p.plan().steps[0].missing == ()
    assert p.run().completed == 2
    assert Smooth.load_one(subject=1).data == 3.0


def test_steps_are_logged_as_runs_like_others(forces: DatabaseManager, caplog: pytest.LogCaptureFixture) -> None:
    """A step is a for_each call: it has a run, and its log records have the same fields."""
    with caplog.at_level(logging.INFO, "scidb.foreach"):
        report = collect(forces).run()

    ended: list[Any] = [record for record in caplog.records if record.name == "scidb.foreach"]
    assert [record.run_id for record in ended] == [one.run_id for one in report.reports.values()]
    assert [run.function_name for run in forces.runs()] == ["mean", "peak", "smooth"]


def test_parts_and_alternatives_are_inputs(forces: DatabaseManager) -> None:
    """A step comes behind those that make a part of a merged input, or one of several alternatives."""
    with forces.pipeline() as p:
        for_each(lambda both: float(both["Smooth"][0]), {"both": Merge(Force, Smooth)}, [Peak], subject=[])
        for_each(lambda x: x, {"x": EachOf(Force, Peak)}, [Side], subject=[])
        for_each(smooth, {"force": Force}, [Smooth], subject=[])

    assert [step.makes for step in p.steps] == [("Smooth",), ("Peak",), ("Side",)]
    assert p.run().completed == 12
