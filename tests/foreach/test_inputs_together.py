"""Columns, merges and alternatives together with workers, pieces, seeds, retries and pipelines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from tests.net.serving import where

import scidb
from scidb import BaseVariable, EachOf, Fixed, Merge, for_each, thunk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Gait(BaseVariable):
    """A table per subject."""


class Weight(BaseVariable):
    """A number per subject."""


class Made(BaseVariable):
    """What is computed."""


class After(BaseVariable):
    """What is computed of that."""


broken: list[int] = []


@thunk(ignore=["broken"])
def scaled(table: pd.DataFrame, k: int) -> float:
    """Return a number of the table; fails where it is told to."""
    if k in broken:
        raise ZeroDivisionError("broken")
    return float(table["knee"].sum() * table["Weight"].iloc[0] * k)


@pytest.fixture(params=["memory", "http"])
def study(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[scidb.DatabaseManager]:
    """Save three people."""
    with scidb.open(where(request, tmp_path), {"subject": int, "trial": int}) as db, db.as_current():
        subjects = [{"subject": subject} for subject in (1, 2, 3)]
        Gait.save_many([(pd.DataFrame({"knee": [1.0, at["subject"]], "hip": 0.5}), at) for at in subjects])
        Weight.save_many([(60.0 + at["subject"], at) for at in subjects])
        yield db
        broken.clear()


def inputs() -> dict[str, Any]:
    return {"table": Merge(Gait[["knee"]], Weight), "k": EachOf(1, 2)}


@pytest.mark.parametrize("way", [{}, {"n_jobs": 2, "prefer": "threads"}])
def test_workers_get_merged_tables(study: scidb.DatabaseManager, way: dict[str, Any]) -> None:
    """R7: tables are merged here, and alternatives run one after the other, whoever calls the function."""
    report = for_each(scaled, inputs(), [Made], subject=[], **way)
    assert (report.completed, report.failed) == (6, 0)
    assert Made.load_one(subject=3, k=2).data == 4 * 63 * 2
    assert for_each(scaled, inputs(), [Made], subject=[], **way).up_to_date == 6


@pytest.mark.parametrize("way", [{}, {"n_jobs": 2, "prefer": "threads"}])
def test_equal_combinations_without_arguments_all_fail(study: scidb.DatabaseManager, way: dict[str, Any]) -> None:
    """Where the table of equal combinations cannot be made, each of them fails; none is left waiting."""
    Gait.save_many([(pd.DataFrame({"knee": [1.0]}), {"subject": s}) for s in (1, 2, 3)])
    Weight.save_many([(np.zeros(2), {"subject": s}) for s in (1, 2, 3)])
    report = for_each(scaled, {**inputs(), "k": 1}, [Made], subject=[], **way)
    assert (report.failed, len(report.failures)) == (3, 3)


def test_retry_runs_what_failed(study: scidb.DatabaseManager) -> None:
    """A retry does what failed with one alternative, in this process and from what is stored."""
    broken.append(2)
    report = for_each(scaled, inputs(), [Made], subject=[])
    assert (report.completed, report.failed) == (3, 3)
    assert "k=2" in report._repr_html_()
    broken.clear()
    again = report.retry()
    assert (again.completed, again.up_to_date) == (3, 3)


def test_retry_from_what_is_stored(study: scidb.DatabaseManager) -> None:
    """What was merged is stored as data, from which the failed call can be made again."""
    broken.append(2)
    for_each(scaled, inputs(), [Made], subject=[])
    broken.clear()
    study.retry()
    assert Made.load_one(subject=2, k=2).data == 3 * 62 * 2


def test_a_pipeline_knows_every_variable(study: scidb.DatabaseManager) -> None:
    """A step waits for the parts of its merge and for its alternatives, wherever it was written."""
    with study.pipeline() as pipeline:
        each = EachOf(Fixed(Made, k=1), Fixed(Made, k=2))
        for_each(lambda made: made + 1, {"made": each}, [After], subject=[])
        for_each(scaled, inputs(), [Made], subject=[])
    reports = pipeline.run()
    assert len(list(After.load_all(subject=1))) == 2, reports


def test_pieces_and_seeds(study: scidb.DatabaseManager) -> None:
    """Alternatives are split and drawn as single calls are."""

    def drawn(table: pd.DataFrame, n: int, rng: np.random.Generator) -> list[float]:
        return [float(rng.normal() + table["Weight"].iloc[0]) for _ in range(n)]

    call = {"table": Merge(Gait, Weight), "n": EachOf(1, 2)}
    report = for_each(drawn, call, [Made], subject=[], distribute=True, seed=1)
    assert report.completed == 6
    assert len(list(Made.load_all(subject=1))) == 3
    assert for_each(drawn, call, [Made], subject=[], distribute=True, seed=1).up_to_date == 6


def test_as_table_of_a_merge_is_another_variant(study: scidb.DatabaseManager) -> None:
    """``as_table=True`` counts merges and columns among the inputs, as naming them does."""

    def columns(table: pd.DataFrame) -> list[str]:
        return list(table.columns)

    for spec in (Merge(Gait, Weight), Gait["knee"]):
        texts = set()
        for as_table in (None, True, ["table"]):
            for_each(columns, {"table": spec}, [After], subject=1, as_table=as_table) if as_table else None
            config = scidb.ForEachConfig(columns, {"table": spec}, as_table=as_table)
            texts.add(str(config.to_version_keys()))
        assert len(texts) == 2
