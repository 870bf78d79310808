"""A small database to look at, and the command line to look at it with."""

from __future__ import annotations

import functools
import json
import shutil
from typing import TYPE_CHECKING, Any, Protocol
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from tests.net.serving import serve
from typer.main import get_command
from typer.testing import CliRunner

from scidb import BaseVariable, for_each, thunk
from scidb.cli import app
from scidb.session import open_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from typer.testing import Result


class Reaction(BaseVariable):
    """Mean reaction time of a day.

    A second paragraph that no table shows.
    """

    units = "ms"


class Slope(BaseVariable):
    """Change of reaction time per day."""

    units = "ms/day"


class GroupSlope(BaseVariable):
    """Mean slope of the group."""


class Trace(BaseVariable):
    pass


class Samples(BaseVariable):
    pass


def fit(reaction: list[float], k: float) -> float:
    return k * (reaction[-1] - reaction[0]) / (len(reaction) - 1)


@thunk
def mean_of(first: float, second: float) -> float:
    return (first + second) / 2


class Scidb(Protocol):
    """Run the command line as a user would type it."""

    def __call__(self, *words: str, expect: int = 0) -> Result: ...


@pytest.fixture(scope="package", autouse=True)
def _one_command_line() -> Iterator[None]:
    """Build the commands once; typer does so at each call, which takes as long as most of them do."""
    with mock.patch("typer.testing._get_command", functools.cache(get_command)):
        yield


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a database of five variables: scalars, results, a table, an array."""
    path: Path = tmp_path_factory.mktemp("study") / "study.duckdb"
    with open_database(path, {"subject": int, "day": int}) as db:
        reactions = [
            (250.5 + 10 * day + subject, {"subject": subject, "day": day}) for subject in (1, 2) for day in range(3)
        ]
        db.save_many(Reaction, reactions)
        for_each(fit, {"reaction": Reaction, "k": 1.0}, [Slope], subject=[], db=db, progress=False)
        with db.as_current():
            GroupSlope.save(mean_of(Slope.load_one(subject=1), Slope.load_one(subject=2)))
        Trace.save(pd.DataFrame({"t": [0.0, 0.1], "side": ["L", "R"]}), subject=1, db=db)
        Samples.save(np.array([1.0, np.nan]), subject=1, gain=0.5, site="lab A", db=db)
        Samples.save(np.array([2.0, 3.0]), subject=1, gain=2, site="lab A", db=db)
    return path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty directory, in UTC, on a terminal of unknown width."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    return tmp_path


@pytest.fixture(scope="module")
def open_study(study: Path) -> Iterator[Path]:
    """Hold the small database open: each command then shares its connection, and opening is most of a command."""
    with open_database(study):
        yield study


@pytest.fixture(scope="session")
def address(study: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return where a server keeps a copy of the small database."""
    copy = shutil.copyfile(study, tmp_path_factory.mktemp("served") / "study.duckdb")
    return serve(None, str(copy), allow_sql=True)


@pytest.fixture(params=["duck", "http"])
def scidb(request: pytest.FixtureRequest, here: Path, monkeypatch: pytest.MonkeyPatch) -> Scidb:
    """Return the command line, on the small database unless ``--db`` says otherwise."""
    place = request.getfixturevalue("open_study" if request.param == "duck" else "address")
    monkeypatch.setenv("SCIDB_DATABASE", str(place))
    runner = CliRunner()

    def run(*words: str, expect: int = 0) -> Result:
        result = runner.invoke(app, list(words))
        assert result.exit_code == expect, result.output + repr(result.exception)
        return result

    return run


def lines(result: Result) -> list[dict[str, Any]]:
    """Return the objects of a JSON lines answer."""
    return [json.loads(line) for line in result.stdout.splitlines()]
