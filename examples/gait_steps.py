"""Find steps in the signals of inertial sensors worn on the feet: pure functions, numpy and pandas only.

Knows the file format of a public data set (three sensors, 100 Hz; 10 m walk, turn, walk back), no database.

Sources
-------
[1] C. Voisard and others, "A Reference Data Set for the Study of Healthy Subject Gait with Inertial
    Measurements Units", Image Processing On Line, 2023, article 497. The file format and the events.
[2] I. Skog, P. Handel, J.-O. Nilsson, J. Rantakokko, "Zero-Velocity Detection - An Algorithm Evaluation",
    IEEE Transactions on Biomedical Engineering 57(11), 2010, 2657-2666. Stance by angular rate energy.
[3] J. Wahlstrom, I. Skog, "Fifteen Years of Progress at Zero Velocity: A Review", IEEE Sensors Journal
    21(2), 2021. Why the threshold of [2] has to follow the speed of the walk.
[4] K. Aminian and others, "Spatio-temporal parameters of gait measured by an ambulatory system using
    miniature gyroscopes", Journal of Biomechanics 35(5), 2002, 689-699. Events from sagittal rotation.
[5] R. O. Robinson, W. Herzog, B. M. Nigg, "Use of force platform variables to quantify the effects of
    chiropractic manipulation on gait symmetry", J. Manipulative Physiol. Ther. 10(4), 1987, 172-176.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

ACCELERATION = ("Acc_X", "Acc_Y", "Acc_Z")
ANGULAR_RATE = ("Gyr_X", "Gyr_Y", "Gyr_Z")
MAGNETIC_FIELD = ("Mag_X", "Mag_Y", "Mag_Z")
COLUMNS = ("PacketCounter", *ACCELERATION, *ANGULAR_RATE, *MAGNETIC_FIELD)
GRAVITY = 9.81  # m/s2

_HEADER = re.compile(r"Acquisition frequency:\s*(\d+(?:\.\d+)?)\s*Hz\s*")


# ---------------------------------------------------------------- reading


def read_sensor(path: str | Path) -> pd.DataFrame:
    """Read the recording of one sensor, format of [1].

    The rows are those of the file. A column ``Time`` in seconds comes first: ``PacketCounter`` divided by the
    sampling frequency of the header line. So the frequency stays in the table wherever it is stored, and
    `sampling_rate` gives it back. The radio loses packets: the *packet number*, not the row number, is the
    sample number that the hand-checked events and the boundaries of a recording count in.

    Raises
    ------
    ValueError
        The file is not such a recording. The message names the file.
    """
    try:
        return _parse(Path(path))
    except ValueError as error:  # undecodable text and an unparsable table are ValueErrors too
        raise ValueError(f"cannot read the sensor recording {path}: {error}") from error


def _parse(path: Path) -> pd.DataFrame:
    with path.open(encoding="utf-8") as lines:
        header = lines.readline()
        match = _HEADER.fullmatch(header)
        if match is None or float(match[1]) == 0:
            raise ValueError(f"the first line is {header[:60]!r}, not 'Acquisition frequency: <number> Hz'")
        table = pd.read_csv(lines, sep="\t")
    if missing := [name for name in COLUMNS if name not in table.columns]:
        raise ValueError(f"the table has no column {', '.join(missing)}")
    table = table.loc[:, list(COLUMNS)].astype("float64")
    if len(table) < 2 or not np.isfinite(table.to_numpy()).all():
        raise ValueError(f"the table has {len(table)} rows, and needs two or more without an empty field")
    packets = table["PacketCounter"].to_numpy()
    if packets[0] < 0 or packets[-1] == 0 or (np.diff(packets) < 0).any():
        raise ValueError("PacketCounter does not count upwards from 0")
    table.insert(0, "Time", packets / float(match[1]))
    return table


def sampling_rate(table: pd.DataFrame) -> float:
    """Return the sampling frequency in Hz of a table of `read_sensor`."""
    last = table.iloc[-1]
    return round(float(last["PacketCounter"] / last["Time"]), 6)


# ---------------------------------------------------------------- steps


def detect_steps(
    table: pd.DataFrame,
    boundaries: Sequence[int] | None = None,
    *,
    stance_level: float = 0.15,
    impact: float = 3.0,
    shortest_stance: float = 0.05,
    shortest_motion: float = 0.25,
) -> NDArray[np.int64]:
    """Find the steps of one foot: the swing phases, from toe-off to heel strike.

    1. A foot on the ground does not rotate: it stands where the angular rate, root mean square over 0.1 s, is
       low [2]. It is low below a share of what this person reaches while walking, since quick walkers never
       rest their feet as completely as slow ones [3]. The vector's length is used, so that it does not matter
       how the sensor is fixed.
    2. A movement between two stances is a step if it is long enough and accelerates the foot: a foot that
       only pivots on the ground rotates but meets no impact.
    3. The sagittal plane is that of the strongest rotation of the whole walk (first principal axis). Toe-off
       lies between the extremum of the push-off, where [4] sees it on the shank, and the change of the
       direction of rotation: the middle is taken. Heel strike is the first jerk in the second half of the
       movement that reaches half of the largest one there.

    Parameters
    ----------
    table
        A foot sensor's recording from `read_sensor`.
    boundaries
        First and last sample of the walk, None for the whole recording. The middle of a step lies between.
    stance_level
        Angular rate that counts as standing, as a share of the 90th percentile during the walk.
    impact
        The least departure from gravity, in m/s2, that a step shows at some moment.
    shortest_stance, shortest_motion
        In seconds. A shorter calm is not a stance; a shorter movement between stances is not a step.

    Returns
    -------
    numpy.ndarray
        Integers, shape (n, 2): packet numbers of toe-off and heel strike, as `LeftFootEvents` in [1].
    """
    rate = sampling_rate(table)
    acceleration, angular_rate = _on_every_sample(table, ACCELERATION), _on_every_sample(table, ANGULAR_RATE)
    first, last = (0, len(angular_rate)) if boundaries is None else (max(boundaries[0], 0), boundaries[1])
    if first >= min(last, len(angular_rate)):
        return np.empty((0, 2), np.int64)

    energy = _smooth((angular_rate**2).sum(axis=1), round(0.05 * rate))
    speed = np.sqrt(energy)
    calm = speed < stance_level * np.percentile(speed[first:last], 90)
    moving = np.ones(len(calm), bool)
    for start, end in _runs(calm):
        if end - start >= shortest_stance * rate:
            moving[start:end] = False
    shock = np.abs(np.linalg.norm(acceleration, axis=1) - GRAVITY)
    motions = [
        (start, end)
        for start, end in _runs(moving)
        if end - start >= shortest_motion * rate and shock[start:end].max() >= impact
    ]
    sagittal = _smooth(_sagittal_rate(angular_rate, slice(first, last), motions), round(0.02 * rate))
    jerk = np.linalg.norm(np.diff(acceleration, axis=0, prepend=acceleration[:1]), axis=1)
    steps = [(_toe_off(sagittal, *motion), _heel_strike(jerk, *motion)) for motion in motions]
    return steps_within(steps, (first, last))


def steps_within(steps: ArrayLike, boundaries: Sequence[int]) -> NDArray[np.int64]:
    """Keep the steps with their middle between the boundaries: [1] also marks some after the walk."""
    array = _as_steps(steps)
    middle: NDArray[np.float64] = array.mean(axis=1)
    return array[(middle >= boundaries[0]) & (middle <= boundaries[1])]


def _as_steps(steps: ArrayLike) -> NDArray[np.int64]:
    return np.asarray(steps, np.int64).reshape(-1, 2)


def _on_every_sample(table: pd.DataFrame, columns: Sequence[str]) -> NDArray[np.float64]:
    """Put columns on the samples 0, 1, 2, ... of the packet counter; lost packets are interpolated."""
    packets, rows = np.unique(table["PacketCounter"].to_numpy(), return_index=True)
    samples = np.arange(int(packets[-1]) + 1)
    return np.stack([np.interp(samples, packets, table[name].to_numpy()[rows]) for name in columns], axis=1)


def _smooth(signal: NDArray[np.float64], half_width: int) -> NDArray[np.float64]:
    """Take the moving mean over 2 `half_width` + 1 samples, the ends repeated."""
    width = 2 * half_width + 1
    return np.convolve(np.pad(signal, half_width, mode="edge"), np.full(width, 1 / width), mode="valid")


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Start and end (exclusive) of each run of True."""
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def _sagittal_rate(
    angular_rate: NDArray[np.float64], walk: slice, motions: list[tuple[int, int]]
) -> NDArray[np.float64]:
    """Rotation about the principal axis of the walk, negative while the heel rises."""
    walking = angular_rate[walk]
    rotation: NDArray[np.float64] = angular_rate @ np.linalg.eigh(walking.T @ walking)[1][:, -1]
    # Which end of the axis is left is arbitrary; that a movement begins with the rise of the heel is not.
    beginning = sum(float(rotation[start : start + (end - start) // 3].sum()) for start, end in motions)
    return -rotation if beginning > 0 else rotation


def _toe_off(sagittal: NDArray[np.float64], start: int, end: int) -> int:
    middle = (start + end) // 2
    push_off = start + int(np.argmin(sagittal[start:middle]))
    forward = np.flatnonzero(sagittal[push_off:middle] >= 0)
    return push_off if len(forward) == 0 else push_off + int(forward[0]) // 2


def _heel_strike(jerk: NDArray[np.float64], start: int, end: int) -> int:
    middle = (start + end) // 2
    landing = jerk[middle:end]
    return middle + int(np.argmax(landing >= 0.5 * landing.max()))


# ---------------------------------------------------------------- results


def stride_times(steps: ArrayLike, rate: float, turn: Sequence[int] | None = None) -> NDArray[np.float64]:
    """Return the stride times of one foot in seconds: from each heel strike to the next.

    A stride that touches `turn`, first and last sample of the u-turn, is left out: people shorten and split
    their steps there, and it is straight walking that is compared. Without `turn`, all strides are returned.
    Take the median of the result: one missed step makes one stride of double length.

    Examples
    --------
    >>> stride_times([[60, 100], [170, 210], [290, 330]], rate=100).tolist()
    [1.1, 1.2]
    >>> stride_times([[60, 100], [170, 210], [290, 330]], rate=100, turn=(220, 300)).tolist()
    [1.1]
    """
    strikes = _as_steps(steps)[:, 1]
    begin, end = strikes[:-1], strikes[1:]
    straight = np.ones(len(begin), bool) if turn is None else (end < turn[0]) | (begin > turn[1])
    return (end - begin)[straight] / rate


def symmetry_index(left: float, right: float) -> float:
    """Compare a quantity of both feet: (right - left) / half their sum, in percent, 0 if equal [5].

    Examples
    --------
    >>> symmetry_index(left=90, right=110)
    20.0
    """
    if not (np.isfinite(left) and np.isfinite(right) and left + right > 0):
        raise ValueError(f"left is {left} and right is {right}; two numbers with a sum above zero are needed")
    return float(100 * (right - left) / (0.5 * (right + left)))


def compare_steps(found: ArrayLike, truth: ArrayLike) -> dict[str, float]:
    """Count the true steps that were found, one to one: the pair that overlaps longest belongs together.

    Returns
    -------
    dict
        ``matched``, ``missed`` (true, not found), ``extra`` (found, not true), and ``start_error`` and
        ``end_error``: the median absolute error of the matched steps in samples, NaN if there are none.

    Examples
    --------
    >>> compare_steps(found=[[10, 50], [80, 90]], truth=[[12, 49], [120, 160]])
    {'matched': 1, 'missed': 1, 'extra': 1, 'start_error': 2.0, 'end_error': 1.0}
    """
    ours, theirs = _as_steps(found), _as_steps(truth)
    overlap = np.minimum(ours[:, None, 1], theirs[None, :, 1]) - np.maximum(ours[:, None, 0], theirs[None, :, 0])
    pairs: list[tuple[int, int]] = []
    while overlap.size and overlap.max() > 0:
        row, column = divmod(int(np.argmax(overlap)), overlap.shape[1])
        pairs.append((row, column))
        overlap[row, :], overlap[:, column] = 0, 0
    errors = np.array([np.abs(ours[row] - theirs[column]) for row, column in pairs])
    start_error, end_error = np.median(errors, axis=0).tolist() if pairs else (float("nan"), float("nan"))
    return {
        "matched": len(pairs),
        "missed": len(theirs) - len(pairs),
        "extra": len(ours) - len(pairs),
        "start_error": start_error,
        "end_error": end_error,
    }


# ---------------------------------------------------------------- a generated recording

# The generated foot, seen from the side: samples relative to toe-off or heel strike, and the value there.
_ROTATION_AT_TOE_OFF = ((-25, 0), (-10, -2.5), (-4, -9), (4, 0), (15, 5))  # rad/s, negative: the heel rises
_ROTATION_AT_HEEL_STRIKE = ((-8, 4), (-2, 0), (2, -5), (8, -1), (16, 0))
_PUSH_AT_TOE_OFF = ((-8, 0), (2, 14), (15, 2))  # m/s2, forward
_PUSH_AT_HEEL_STRIKE = ((-6, -12), (2, 0))
_IMPACT_AT_HEEL_STRIKE = ((-1, 0), (1, 40), (3, 10), (8, 0))  # m/s2, upward


def write_example_recording(
    folder: str | Path, subject: int = 1, trial: int = 1, steps: int = 8, seed: int = 0
) -> Path:
    """Write a generated recording in the format of [1] and return the path of its .json file.

    Nobody walked: the curves are drawn by hand after what such sensors show, with the steps where the events
    say. Each sensor is fixed in its own direction, and some packets are lost, as in real recordings. The same
    arguments write the same files; `steps` is the number of steps of each foot, with a u-turn in the middle.
    """
    if steps < 1:
        raise ValueError(f"steps is {steps}; a walk has one step of each foot at least")
    folder = Path(folder)
    person, walk = np.random.default_rng([seed, subject]), np.random.default_rng([seed, subject, trial])
    about = {
        "Subject": subject,
        "Trial": trial,
        "Filename": f"{subject}-{trial}",
        "Age": int(person.integers(20, 80)),
        "Gender": str(person.choice(["F", "M"])),
        "Height": float(person.integers(155, 195)),
        "Weight": float(person.integers(50, 95)),
    }
    stride = int(person.integers(104, 122))
    left = _swings(200 + stride * np.arange(steps), walk)
    right = _swings(200 + stride // 2 + stride * np.arange(steps), walk)
    turn = (int(left[steps // 2, 0]), int(right[steps // 2, 1]))
    walked = (int(left[0, 0]), int(right[-1, 1]))
    samples = np.arange(walked[1] + 200)
    sensors = {
        "lb": _trunk(samples, walked, turn, stride),
        "lf": _foot(samples, left, turn),
        "rf": _foot(samples, right, turn),
    }
    for name, (acceleration, angular_rate) in sensors.items():
        table = _worn(acceleration, angular_rate, walk)
        with (folder / f"{about['Filename']}_{name}.txt").open("w", encoding="utf-8", newline="\n") as file:
            file.write("Acquisition frequency: 100 Hz\n")
            table.round(6).to_csv(file, sep="\t", index=False, lineterminator="\n")
    truth = {
        "TrialBoundaries": walked,
        "UTurnBoundaries": turn,
        "LeftFootEvents": left.tolist(),
        "RightFootEvents": right.tolist(),
    }
    description = folder / f"{about['Filename']}.json"
    description.write_text(json.dumps(about | truth), encoding="utf-8")
    return description


def _swings(starts: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    toe_off = starts + rng.integers(-3, 4, len(starts))
    return np.stack([toe_off, toe_off + rng.integers(39, 46, len(starts))], axis=1)


def _curve(
    samples: NDArray[np.int64], steps: NDArray[np.int64], *knots: tuple[tuple[float, float], ...]
) -> NDArray[np.float64]:
    """Draw straight lines through the knots of each step: those at toe-off, then those at heel strike."""
    events = [(event, part) for step in steps for event, part in zip(step, knots, strict=True)]
    times = [event + at for event, part in events for at, _ in part]
    return np.interp(samples, times, [value for _, part in events for _, value in part], left=0, right=0)


def _foot(
    samples: NDArray[np.int64], steps: NDArray[np.int64], turn: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Acceleration and angular rate of a foot; forward, left and up."""
    zero = np.zeros(len(samples))
    sagittal = _smooth(_curve(samples, steps, _ROTATION_AT_TOE_OFF, _ROTATION_AT_HEEL_STRIKE), 2)
    yaw = zero.copy()
    for start, end in steps[(steps[:, 0] >= turn[0]) & (steps[:, 1] <= turn[1])]:
        yaw[start:end] = 5 * np.sin(np.linspace(0, np.pi, end - start))
    push = _smooth(_curve(samples, steps, _PUSH_AT_TOE_OFF, _PUSH_AT_HEEL_STRIKE), 2)
    impact = _curve(samples, steps, ((0, 0),), _IMPACT_AT_HEEL_STRIKE)
    return np.stack([push, zero, GRAVITY + impact], axis=1), np.stack([zero, sagittal, yaw], axis=1)


def _trunk(
    samples: NDArray[np.int64], walked: tuple[int, int], turn: tuple[int, int], stride: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Acceleration and angular rate of the lower back: up with each step, half a circle in the turn."""
    zero = np.zeros(len(samples))
    inside = (samples >= walked[0]) & (samples <= walked[1])
    bounce = np.where(inside, 2 * np.sin(4 * np.pi * (samples - walked[0]) / stride), 0)
    yaw = np.where((samples >= turn[0]) & (samples <= turn[1]), 100 * np.pi / (turn[1] - turn[0]), 0)
    return np.stack([zero, zero, GRAVITY + bounce], axis=1), np.stack([zero, zero, yaw], axis=1)


def _worn(
    acceleration: NDArray[np.float64], angular_rate: NDArray[np.float64], rng: np.random.Generator
) -> pd.DataFrame:
    """Turn the axes into some direction, add noise and lose one packet in two hundred."""
    axes = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    axes[0] *= np.linalg.det(axes)  # a sensor is turned, never mirrored
    count = len(acceleration)
    field = np.tile([0.6, 0.0, -0.8], (count, 1))
    signals = [
        signal @ axes + rng.normal(scale=noise, size=(count, 3))
        for signal, noise in ((acceleration, 0.05), (angular_rate, 0.02), (field, 0.005))
    ]
    table = pd.DataFrame(np.hstack([np.arange(count, dtype=float)[:, None], *signals]), columns=list(COLUMNS))
    lost = rng.choice(np.arange(1, count - 1), size=count // 200, replace=False)
    return table.drop(index=lost)
