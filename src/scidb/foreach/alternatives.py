"""The configurations of one call of for_each: every choice of what `EachOf` offers, and their common report."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scidb.exceptions import PipelineError
from scidb.foreach.inputs import EachOf, named
from scidb.foreach.report import ForEachReport
from scidb.foreach.state import find_state
from scidb.hashing.inputs import PLAIN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from scidb.foreach.config import Parameters
    from scidb.foreach.plan import Task
    from scidb.foreach.protocols import Recorder, RunInfo

__all__ = ["Choice", "Planned", "add_report", "choices_of", "common_report", "leave", "refuse_equal", "use_results"]


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to choose from all alternatives: the inputs, and what was chosen, for people."""

    inputs: Mapping[str, Any]
    chosen: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Planned:
    """One configuration, and what has to be done for it."""

    choice: Choice
    parameters: Parameters
    run: RunInfo
    tasks: list[Task]
    report: ForEachReport


def choices_of(inputs: Mapping[str, Any]) -> list[Choice]:
    """Return the product of all alternatives, the first input varying slowest; without any, the inputs alone."""
    offered = {name: spec.alternatives for name, spec in inputs.items() if isinstance(spec, EachOf)}
    products = itertools.product(*offered.values())
    chosen = [dict(zip(offered, product, strict=True)) for product in products]
    return [Choice({**inputs, **one}, {name: _shown(value) for name, value in one.items()}) for one in chosen]


def _shown(value: Any) -> Any:
    return value if type(value) in PLAIN or isinstance(value, np.generic) else named(value)


def refuse_equal(planned: Sequence[Planned]) -> None:
    """Refuse configurations whose results nothing would tell apart.

    Raises
    ------
    PipelineError
        Naming the two alternatives.

    """
    seen: dict[str, Choice] = {}
    for one in planned:
        first = seen.setdefault(one.run.version_keys, one.choice)
        if first is not one.choice:
            raise PipelineError(
                f"EachOf: {_text(first)} and {_text(one.choice)} would be saved as the same variant, one over the "
                "other. Name each alternative once; files in several folders need templates that differ."
            )


def _text(choice: Choice) -> str:
    return ", ".join(f"{name}={named(value)}" for name, value in choice.chosen.items())


def common_report(planned: Sequence[Planned]) -> ForEachReport:
    """Return the report of all configurations, one after the other."""
    first = planned[0].report
    if not planned[0].choice.chosen:
        return first
    for one in planned:
        for task in one.tasks:
            task.report.alternative = one.choice.chosen
    combinations = [item for one in planned for item in one.report.combinations]
    report = ForEachReport(first.function_name, combinations, dry_run=first.dry_run)
    report.left_out = sum(one.report.left_out for one in planned)
    return report


def add_report(report: ForEachReport, one: Planned) -> None:
    """Add to the common report what came of one configuration."""
    report.run_id = report.run_id or one.report.run_id
    if one.report is report:
        return
    report.failures += [replace(failure, alternative=one.choice.chosen) for failure in one.report.failures]
    report.values += one.report.values


def leave(planned: Iterable[Planned]) -> None:
    """Note of configurations that were to run that they will not, because the run stops before them."""
    for task in (task for one in planned for task in one.tasks):
        if task.report.state in ("completed", "recalled"):
            task.report.state = "not_run"


def use_results(recorder: Recorder, one: Planned, done: Iterable[Planned]) -> None:
    """Recall what an earlier configuration of the same call has computed meanwhile, instead of computing it again."""
    made = {task.lineage_id for before in done for task in before.tasks if task.report.state == "completed"}
    tasks = [task for task in one.tasks if task.report.state == "completed" and task.lineage_id in made]
    if tasks:
        find_state(recorder, one.parameters, one.run, tasks, failed=())
