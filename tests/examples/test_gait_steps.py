from __future__ import annotations

import doctest
import importlib.util
import json
import math
import os
import pickle
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

if TYPE_CHECKING:
    from types import ModuleType

SCRIPT = Path(__file__).parents[2] / "examples" / "gait_steps.py"
FEET = {"lf": "LeftFootEvents", "rf": "RightFootEvents"}


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # pickle finds functions by the name of their module
    spec.loader.exec_module(module)
    return module


gait = load(SCRIPT)


def describe(description: Path) -> dict[str, Any]:
    about: dict[str, Any] = json.loads(description.read_text(encoding="utf-8"))
    return about


def sensor(description: Path, name: str) -> Path:
    return description.with_name(f"{description.stem}_{name}.txt")


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path: Path = gait.write_example_recording(tmp_path)
    return path


# ---------------------------------------------------------------- reading


@pytest.mark.parametrize("name", ["lb", "lf", "rf"])
def test_read_sensor_keeps_the_rate_in_the_table(recording: Path, name: str) -> None:
    """A sensor's table has the columns of the file, the time in seconds, and through it the rate in Hz."""
    table = gait.read_sensor(sensor(recording, name))
    assert list(table.columns) == ["Time", *gait.COLUMNS]
    assert (table.dtypes == "float64").all()
    assert gait.sampling_rate(table) == 100
    stored = pd.DataFrame({column: table[column].to_numpy() for column in table})  # no attrs, no index
    assert gait.sampling_rate(stored) == 100
    assert (np.diff(table["PacketCounter"]) > 1).any(), "the generated recording has lost packets"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "first line"),
        (b"Acquisition frequency: fast\nPacketCounter\n0\n", "first line"),
        (b"Acquisition frequency: 0 Hz\nPacketCounter\n0\n", "first line"),
        (b"\xff\xfe\x00", "decode"),
        (b"Acquisition frequency: 100 Hz\n", "No columns"),
        (b"Acquisition frequency: 100 Hz\nPacketCounter\tAcc_X\n0\t1\n", "no column Acc_Y, Acc_Z, Gyr_X"),
    ],
)
def test_read_sensor_names_the_unreadable_file(tmp_path: Path, content: bytes, reason: str) -> None:
    """What is no recording is refused by a ValueError that names the file and the reason."""
    path = tmp_path / "9-9_lf.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=reason) as caught:
        gait.read_sensor(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("\n1.0\t", "\nx\t", "could not convert"),
        ("\n1.0\t", "\n\t", "empty field"),
        ("\n1.0\t", "\n-1.0\t", "upwards"),
    ],
)
def test_read_sensor_refuses_broken_rows(recording: Path, old: str, new: str, reason: str) -> None:
    """A field that is no number, an empty one and a counter that runs back are refused, not guessed."""
    path = sensor(recording, "lf")
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ValueError, match=reason) as caught:
        gait.read_sensor(path)
    assert str(path) in str(caught.value)


def test_read_sensor_cut_off_in_a_row(recording: Path) -> None:
    """A file that ends within a row is refused."""
    path = sensor(recording, "lf")
    path.write_text(path.read_text(encoding="utf-8")[:-40], encoding="utf-8")
    with pytest.raises(ValueError, match="empty field"):
        gait.read_sensor(path)


# ---------------------------------------------------------------- steps


@pytest.mark.parametrize("name", FEET)
@pytest.mark.parametrize(("subject", "steps"), [(1, 8), (2, 3), (3, 17)])
def test_detect_steps_finds_the_generated_steps(tmp_path: Path, name: str, subject: int, steps: int) -> None:
    """Every generated step is found, none is invented, both events are right within 0.05 s."""
    description = gait.write_example_recording(tmp_path, subject=subject, trial=2, steps=steps, seed=5)
    about = describe(description)
    found = gait.detect_steps(gait.read_sensor(sensor(description, name)), about["TrialBoundaries"])
    assert found.dtype == np.int64
    assert found.shape == (steps, 2)
    assert np.abs(found - about[FEET[name]]).max() <= 5


def test_detect_steps_is_free_of_orientation(recording: Path) -> None:
    """A sensor that was fixed in another direction finds the same steps."""
    table = gait.read_sensor(sensor(recording, "lf"))
    boundaries = describe(recording)["TrialBoundaries"]
    turned = table.copy()
    axes = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    for columns in (gait.ACCELERATION, gait.ANGULAR_RATE):
        turned[list(columns)] = table[list(columns)].to_numpy() @ axes
    assert np.array_equal(gait.detect_steps(turned, boundaries), gait.detect_steps(table, boundaries))


def test_detect_steps_counts_in_packets(recording: Path) -> None:
    """Lost and repeated packets do not shift the steps that follow them."""
    table = gait.read_sensor(sensor(recording, "rf"))
    boundaries = describe(recording)["TrialBoundaries"]
    broken = table.drop(index=table.index[20:170]).loc[lambda rows: rows.index.repeat(1 + (rows.index == 300))]
    assert np.array_equal(gait.detect_steps(broken, boundaries), gait.detect_steps(table, boundaries))


def test_detect_steps_within_the_boundaries(recording: Path) -> None:
    """Without boundaries all steps count; with them those between; beyond the recording there are none."""
    table = gait.read_sensor(sensor(recording, "lf"))
    truth = describe(recording)["LeftFootEvents"]
    assert len(gait.detect_steps(table)) == len(truth)
    assert len(gait.detect_steps(table, (truth[2][0], truth[4][1]))) == 3
    assert gait.detect_steps(table, (10**6, 10**6 + 1)).shape == (0, 2)


def test_detect_steps_of_a_foot_that_rests_or_pivots(recording: Path) -> None:
    """Neither noise at rest nor a rotation without any acceleration is a step."""
    table = gait.read_sensor(sensor(recording, "lf"))
    assert gait.detect_steps(table, (0, 150)).shape == (0, 2)
    pivot = table.copy()
    pivot[list(gait.ACCELERATION)] = [0.0, gait.GRAVITY, 0.0]
    assert gait.detect_steps(pivot).shape == (0, 2)


def test_functions_leave_their_inputs_alone_and_can_be_pickled(recording: Path) -> None:
    """The functions can travel to another process, and change nothing that they are given."""
    table = gait.read_sensor(sensor(recording, "lf"))
    before = table.copy(deep=True)
    truth = np.array(describe(recording)["LeftFootEvents"])
    kept = truth.copy()
    found = pickle.loads(pickle.dumps(gait.detect_steps))(table)
    gait.compare_steps(found, truth)
    gait.stride_times(truth, 100)
    pd.testing.assert_frame_equal(table, before)
    assert np.array_equal(truth, kept)


# ---------------------------------------------------------------- results


def test_stride_times_are_those_of_straight_walking() -> None:
    """Strides run from heel strike to heel strike; those that touch the turn are left out."""
    steps = [[60, 100], [170, 210], [290, 330], [400, 440]]
    assert gait.stride_times(steps, 100).tolist() == [1.1, 1.2, 1.1]
    assert gait.stride_times(steps, 100, turn=(220, 320)).tolist() == [1.1, 1.1]
    assert gait.stride_times(steps, 50, turn=(330, 330)).tolist() == [2.2]
    assert gait.stride_times(steps[:1], 100).tolist() == []
    assert gait.stride_times([], 100).tolist() == []


def test_symmetry_index_is_robinsons() -> None:
    """The index is the difference in percent of the mean, positive if the right side has more."""
    assert gait.symmetry_index(90, 110) == 20
    assert gait.symmetry_index(110, 90) == -20
    assert gait.symmetry_index(1.1, 1.1) == 0
    assert gait.symmetry_index(0, 2) == 200


@pytest.mark.parametrize(("left", "right"), [(0, 0), (-1, 1), (math.nan, 1), (1, math.inf)])
def test_symmetry_index_refuses_what_has_no_mean(left: float, right: float) -> None:
    """Without a positive mean there is no percentage."""
    with pytest.raises(ValueError, match="sum above zero"):
        gait.symmetry_index(left, right)


def test_compare_steps_pairs_one_to_one() -> None:
    """A true step is matched once, by the found step that overlaps it longest; touching is no overlap."""
    result = gait.compare_steps([[0, 10], [11, 50], [60, 70], [200, 240]], [[5, 48], [70, 90], [198, 243]])
    assert result == {"matched": 2, "missed": 1, "extra": 2, "start_error": 4.0, "end_error": 2.5}
    for found, truth in (([], [[1, 2]]), ([[1, 2]], []), ([], [])):
        nothing = gait.compare_steps(found, truth)
        assert (nothing["matched"], nothing["missed"], nothing["extra"]) == (0, len(truth), len(found))
        assert math.isnan(nothing["start_error"])


def test_the_examples_in_the_docstrings_hold() -> None:
    """The docstrings show what the functions return."""
    assert doctest.testmod(gait) == (0, 4)


# ---------------------------------------------------------------- recordings


def test_write_example_recording_is_reproducible(tmp_path: Path) -> None:
    """Equal arguments write equal files; another subject, trial or seed other ones."""
    folders = [tmp_path / str(number) for number in range(5)]
    for folder, arguments in zip(folders, [{}, {}, {"seed": 1}, {"trial": 2}, {"subject": 2}], strict=True):
        folder.mkdir()
        gait.write_example_recording(folder, **arguments)
    contents = [{file.name: file.read_bytes() for file in folder.iterdir()} for folder in folders]
    assert sorted(contents[0]) == ["1-1.json", "1-1_lb.txt", "1-1_lf.txt", "1-1_rf.txt"]
    assert contents[0] == contents[1]
    assert len({tuple(sorted(content.values())) for content in contents}) == 4
    with pytest.raises(ValueError, match="steps is 0"):
        gait.write_example_recording(tmp_path, steps=0)


@pytest.mark.skipif("SCIDB_GAIT" not in os.environ, reason="SCIDB_GAIT names no folder with real recordings")
def test_detect_steps_on_real_recordings() -> None:
    """Counts differ from the hand-checked ones by at most 5 %: in the median recording and in total."""
    differences, total_found, total_true, starts, ends = [], 0, 0, [], []
    for description in sorted(Path(os.environ["SCIDB_GAIT"]).glob("*.json")):
        about = describe(description)
        found = true = 0
        for name, events in FEET.items():
            steps = gait.detect_steps(gait.read_sensor(sensor(description, name)), about["TrialBoundaries"])
            truth = gait.steps_within(about[events], about["TrialBoundaries"])
            result = gait.compare_steps(steps, truth)
            found, true = found + len(steps), true + len(truth)
            starts.append(result["start_error"])
            ends.append(result["end_error"])
        differences.append(abs(found - true) / true)
        total_found, total_true = total_found + found, total_true + true
    assert differences, "the folder holds no recordings"
    assert np.median(differences) <= 0.05
    assert abs(total_found - total_true) <= 0.05 * total_true
    assert np.median(starts) <= 3
    assert np.median(ends) <= 3
