"""Reaction time and sleep: how much slower do people get with each day of too little sleep.

Eighteen people slept three hours a night and were tested every day (Belenky and others, 2003).
Change anything here and run `python pipeline.py`, or `scidb run pipeline.py`: only what your change touches is
computed again.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from scidb import BaseVariable, DatabaseManager, Fixed, ForEachReport, PathInput, configure_database, for_each

HERE = Path(__file__).resolve().parent


class ReactionTime(BaseVariable):
    """Mean reaction time of one person on one day."""

    units = "ms"


class Slowing(BaseVariable):
    """Reaction time minus that of the same person on day 0."""

    units = "ms"


class Slope(BaseVariable):
    """How much slower one person gets with each day."""

    units = "ms/day"


class GroupSlope(BaseVariable):
    """Mean of the slopes of all people, with its standard error."""

    units = "ms/day"


def read_day(path: Path, subject: int, day: int) -> float:
    """Return the reaction time of one day from a person's file."""
    table = pd.read_csv(path).set_index("day")
    if day not in table.index:
        raise ValueError(f"subject {subject} has no day {day} in {path.name}")
    return float(table.loc[day, "reaction_ms"])


def subtract(reaction: float, baseline: float) -> float:
    """Return the change from baseline."""
    return reaction - baseline


def fit_line(slowing: pd.DataFrame, first_day: int) -> float:
    """Return the least-squares slope over the days, from `first_day` on."""
    used = slowing[slowing["day"] >= first_day]
    slope, _ = np.polyfit(used["day"], used["Slowing"], deg=1)
    return float(slope)


def summarise(slopes: list[float], first_day: int) -> dict[str, float]:
    """Return mean and standard error of the slopes."""
    error = np.std(slopes, ddof=1) / np.sqrt(len(slopes))
    return {"first_day": first_day, "mean": float(np.mean(slopes)), "error": float(error), "n": len(slopes)}


def run(first_day: int = 0) -> list[ForEachReport]:
    """Run the four steps; `first_day` is the first day that the lines are fitted to."""
    files = PathInput("data/{subject}.csv", root_folder=HERE)
    baseline = Fixed(ReactionTime, day=0)
    slopes = Fixed(Slope, first_day=first_day)
    return [
        for_each(read_day, {"path": files}, [ReactionTime], subject=[], day=range(10), pass_metadata=True),
        for_each(subtract, {"reaction": ReactionTime, "baseline": baseline}, [Slowing], subject=[], day=[]),
        for_each(fit_line, {"slowing": Slowing, "first_day": first_day}, [Slope], subject=[], as_table=True),
        for_each(summarise, {"slopes": slopes, "first_day": first_day}, [GroupSlope]),
    ]


def open_study() -> DatabaseManager:
    """Open the database, which importing this file must not do: each process of `--n-jobs 2` imports it."""
    return configure_database(HERE / "demo.duckdb", {"subject": int, "day": int})


def pipeline() -> None:
    """Name the steps for `scidb run pipeline.py`, which collects them and runs what is out of date."""
    open_study()
    run()


if __name__ == "__main__":
    with open_study():
        for report in run():
            print(report)
        print(GroupSlope.load(as_table=True))
