"""How evenly do people walk: steps, stride times and symmetry from sensors on the feet and the lower back.

86 recordings of 15 people who walk 10 m, turn and walk back, from "A Reference Data Set for the Study of Healthy
Subject Gait with Inertial Measurements Units" (C. Voisard and others, Image Processing On Line, 2023, article 497).

    python gait.py FOLDER [--db FILE|URL] [--n-jobs N]

Run it twice: the second run computes nothing. Change something here or in gait_steps.py, and only what your change
touches is computed again. The signal processing is in gait_steps.py; this file says what is computed from what.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from gait_steps import (
    ACCELERATION,
    ANGULAR_RATE,
    detect_steps,
    read_sensor,
    sampling_rate,
    steps_within,
    stride_times,
    symmetry_index,
)

from scidb import BaseVariable, Fixed, ForEachReport, PathInput, configure_database, for_each
from scidb.exceptions import SciDBError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

KEYS = {"subject": int, "trial": int, "sensor": str}  # sensors: lb lower back, lf left foot, rf right foot


# ---------------------------------------------------------------- what is kept


class Trial(BaseVariable):
    """One walk of one person: who walked, from where to where, and the hand-checked steps."""


class Recording(BaseVariable):
    """What one sensor recorded during a trial."""

    units = {"Time": "s"} | dict.fromkeys(ACCELERATION, "m/s2") | dict.fromkeys(ANGULAR_RATE, "rad/s")


class Steps(BaseVariable):
    """The steps of one foot during a trial: a row of toe-off and heel strike for each."""

    units = "samples"


class StrideTimes(BaseVariable):
    """Times from heel strike to heel strike of one foot, the turn left out."""

    units = "s"


class StepCount(BaseVariable):
    """Steps of both feet in a trial, as found."""


class HandCheckedStepCount(BaseVariable):
    """Steps of both feet in a trial, as marked by the authors of the data."""


class StepCountError(BaseVariable):
    """How many steps too many were found in a trial."""

    units = "%"


class SymmetryIndex(BaseVariable):
    """How much longer the right foot is in the air than the left one; 0 is even."""

    units = "%"


class Cadence(BaseVariable):
    """Steps per minute in a trial, from the bouncing of the lower back."""

    units = "1/min"


class SubjectSummary(BaseVariable):
    """All trials of one person in a few numbers."""


class Agreement(BaseVariable):
    """How well the steps of all trials agree with the hand-checked ones."""


# ---------------------------------------------------------------- one trial


def read_trial(path: Path) -> dict[str, Any]:
    """Read the description of a trial."""
    about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return about


def find_steps(recording: pd.DataFrame, trial: dict[str, Any]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the steps of one foot, and the times of its strides."""
    steps = detect_steps(recording, trial["TrialBoundaries"])
    return steps, stride_times(steps, sampling_rate(recording), turn=trial["UTurnBoundaries"])


def count_steps(left: NDArray[np.int64], right: NDArray[np.int64], trial: dict[str, Any]) -> tuple[int, int, float]:
    """Return the number of steps found, the number marked by hand, and the difference in percent."""
    found = len(left) + len(right)
    marked = [steps_within(trial[foot], trial["TrialBoundaries"]) for foot in ("LeftFootEvents", "RightFootEvents")]
    checked = sum(map(len, marked))
    return found, checked, 100 * (found - checked) / checked


def compare_feet(left: NDArray[np.int64], right: NDArray[np.int64]) -> float:
    """Return the symmetry index of the swing times, from toe-off to heel strike."""
    if not (len(left) and len(right)):
        raise ValueError(f"{len(left)} steps of the left foot and {len(right)} of the right: nothing to compare")
    return symmetry_index(left=np.diff(left).mean(), right=np.diff(right).mean())


def count_bounces(recording: pd.DataFrame, trial: dict[str, Any]) -> float:
    """Return the steps per minute: the trunk goes up and down once with each step."""
    first, last = trial["TrialBoundaries"]
    rate = sampling_rate(recording)
    acceleration = np.linalg.norm(recording[list(ACCELERATION)].to_numpy(), axis=1)
    bounce = np.interp(np.arange(first, last), recording["PacketCounter"], acceleration)  # some packets are lost
    length = 16 * len(bounce)  # longer than the signal, for a finer grid of frequencies
    power = np.abs(np.fft.rfft((bounce - bounce.mean()) * np.hanning(len(bounce)), n=length)) ** 2
    frequency = np.fft.rfftfreq(length, 1 / rate)
    walking = (frequency > 1.2) & (frequency < 3.0)
    return float(60 * frequency[walking][np.argmax(power[walking])])


# ---------------------------------------------------------------- many trials


def summarise(
    found: list[int],
    checked: list[int],
    strides: list[NDArray[np.float64]],
    cadence: list[float],
    symmetry: list[float],
) -> dict[str, float]:
    """Put the trials of one person together: sums of counts, medians of the rest."""
    return {
        "trials": len(found),
        "steps": sum(found),
        "checked": sum(checked),
        "stride_time": float(np.median(np.concatenate(strides))),
        "cadence": float(np.median(cadence)),
        "symmetry": float(np.median(symmetry)),
    }


def agree(found: list[int], checked: list[int], errors: list[float]) -> dict[str, float]:
    """Compare the counts of all trials: the difference of the median trial, and that of the sums."""
    return {
        "trials": len(errors),
        "steps": sum(found),
        "checked": sum(checked),
        "median_error": float(np.median(np.abs(errors))),
        "total_error": 100 * (sum(found) - sum(checked)) / sum(checked),
    }


# ---------------------------------------------------------------- what is computed from what


def run(folder: Path, **workers: Any) -> list[ForEachReport]:
    """Run the whole analysis over a folder of recordings; `[]` stands for all that there are.

    `workers` says where the calls run, such as ``n_jobs=2``.
    """
    trial_files = PathInput("{subject:d}-{trial:d}.json", root_folder=folder)
    sensor_files = PathInput("{subject:d}-{trial:d}_{sensor}.txt", root_folder=folder)
    lower_back = Fixed(Recording, sensor="lb")
    feet = {"left": Fixed(Steps, sensor="lf"), "right": Fixed(Steps, sensor="rf")}
    counts = {"found": StepCount, "checked": HandCheckedStepCount}
    return [
        for_each(read_trial, {"path": trial_files}, [Trial], subject=[], trial=[], **workers),
        for_each(read_sensor, {"path": sensor_files}, [Recording], subject=[], trial=[], sensor=[], **workers),
        for_each(
            find_steps,
            {"recording": Recording, "trial": Trial},
            [Steps, StrideTimes],
            subject=[],
            trial=[],
            sensor=["lf", "rf"],
            **workers,
        ),
        for_each(
            count_steps,
            {**feet, "trial": Trial},
            [StepCount, HandCheckedStepCount, StepCountError],
            subject=[],
            trial=[],
            **workers,
        ),
        for_each(compare_feet, feet, [SymmetryIndex], subject=[], trial=[], **workers),
        for_each(count_bounces, {"recording": lower_back, "trial": Trial}, [Cadence], subject=[], trial=[], **workers),
        for_each(
            summarise,
            {**counts, "strides": StrideTimes, "cadence": Cadence, "symmetry": SymmetryIndex},
            [SubjectSummary],
            subject=[],
            **workers,
        ),
        for_each(agree, {**counts, "errors": StepCountError}, [Agreement], **workers),
    ]


def show_results() -> None:
    """Print a row per subject, and the totals."""
    subjects = pd.DataFrame([summary.schema | summary.data for summary in SubjectSummary.load_all()])
    print(f"\n{subjects.to_string(index=False, float_format='{:.2f}'.format)}\n")
    total = Agreement.load_one().data
    print(f"{total['steps']} steps in {total['trials']} trials, and {total['checked']} marked by hand.")
    print(f"Difference: {total['median_error']:.1f} % in the median trial, {total['total_error']:+.1f} % in total.")


# ---------------------------------------------------------------- the command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the analysis from the command line; 1 if a part of it failed."""
    parser = argparse.ArgumentParser(description="Find the steps in recordings of people walking.")
    parser.add_argument("folder", metavar="PATH", type=Path, help="the folder of the recordings")
    parser.add_argument(
        "--db", metavar="FILE", default="gait.duckdb", help="default: %(default)s; a server: http://..."
    )
    parser.add_argument("--n-jobs", metavar="N", type=int, default=1, help="processes at a time; -1 for all cores")
    given = parser.parse_args(arguments)
    if given.folder.is_file():
        parser.error(f"{given.folder} is a file. Unpack it (tar -xf {given.folder}) and name the folder.")
    if not any(given.folder.glob("*-*.json")):
        parser.error(f"{given.folder} is no folder of recordings: there is no file as 1-1.json in it.")
    try:
        with configure_database(given.db, KEYS):
            reports = run(given.folder, n_jobs=given.n_jobs)
            for report in reports:
                print(report)
            show_results()
    except SciDBError as error:
        parser.exit(1, f"{error}\n")
    return int(any(report.failed for report in reports))


if __name__ == "__main__":
    raise SystemExit(main())
