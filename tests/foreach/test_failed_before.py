"""A result that stands where a newer run failed is used loudly, and no longer doubted once it is confirmed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from scidb import BaseVariable, DatabaseManager, for_each

if TYPE_CHECKING:
    import scidb

pytestmark = pytest.mark.above_stores


class Raw(BaseVariable):
    pass


class Clean(BaseVariable):
    pass


class Parts(BaseVariable):
    pass


class Mean(BaseVariable):
    pass


def clean(raw: Any) -> float:
    return float(raw) + 1


def parts(raw: Any) -> list[float]:
    return [float(raw), 1.0]


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def double(value: float) -> float:
    return 2 * value


def counts(report: scidb.ForEachReport) -> tuple[int, int, int, int, int]:
    return report.completed, report.recalled, report.up_to_date, report.skipped, report.failed


@pytest.fixture
def made(db: DatabaseManager) -> DatabaseManager:
    """Four trials, all cleaned; then two of them become such that cleaning fails."""
    Raw.save_many([(1.0 * trial, {"subject": 1, "trial": trial}) for trial in (1, 2, 3, 4)])
    run()
    for trial in (2, 4):
        Raw.save("bad", subject=1, trial=trial)
    assert counts(run()) == (0, 0, 2, 0, 2)
    return db


def run(**options: Any) -> scidb.ForEachReport:
    return for_each(clean, {"raw": Raw}, [Clean], subject=[], trial=[], **options)


SAID = "from before a run that failed there"


def test_later_steps_say_that_they_use_it(made: DatabaseManager, caplog: pytest.LogCaptureFixture) -> None:
    """Function, variable, places and errors are named, for single values and for summaries, in every run."""
    for _ in range(2):
        caplog.clear()
        assert for_each(mean, {"values": Clean}, [Mean], subject=[]).failed == 0
        [said] = [record.getMessage() for record in caplog.records]
        assert said.startswith(f"mean() uses 2 values of Clean {SAID}: subject=1, trial=2 (ValueError: could not conv")
        assert "; subject=1, trial=4 (ValueError" in said

    caplog.clear()
    for_each(double, {"value": Clean}, [Mean], subject=[], trial=[1, 2])
    assert f"double() uses 1 value of Clean {SAID}: subject=1, trial=2" in caplog.text
    caplog.clear()
    for_each(double, {"value": Clean}, [Mean], subject=[], trial=[1, 3], force=True)
    assert caplog.text == ""


def test_a_newer_result_ends_it(made: DatabaseManager, caplog: pytest.LogCaptureFixture) -> None:
    """When the step has succeeded, anew or by going back, nothing is left to say."""
    Raw.save(20.0, subject=1, trial=2)  # mended
    Raw.save(4.0, subject=1, trial=4)  # taken back: what stands is right again, and logged once more
    assert counts(run()) == (1, 1, 2, 0, 0)
    assert counts(run()) == (0, 0, 4, 0, 0)
    assert made.status(Clean).is_green

    caplog.clear()
    for_each(mean, {"values": Clean}, [Mean], subject=[])
    assert caplog.text == ""
    assert Mean.load_one(subject=1).data == (2.0 + 21.0 + 4.0 + 5.0) / 4


def test_another_variant_that_failed_is_no_matter(db: DatabaseManager, caplog: pytest.LogCaptureFixture) -> None:
    """Only a failure under the very configuration of a value is said of it, and only one that came later."""
    Raw.save(1.0, subject=1, trial=1)

    def scaled(raw: float, k: float) -> float:
        return raw * (1 / k)

    for k in (0, 2):
        for_each(scaled, {"raw": Raw, "k": k}, [Clean], subject=[], trial=[])
    caplog.clear()
    for_each(double, {"value": Clean}, [Mean], subject=[], trial=[])
    assert caplog.text == ""


def test_pieces(db: DatabaseManager, caplog: pytest.LogCaptureFixture) -> None:
    """A failure is of a combination, and so of all pieces that it left."""
    options: dict[str, Any] = {"subject": [], "distribute": True}
    Raw.save(1.0, subject=1)
    for_each(parts, {"raw": Raw}, [Parts], **options)
    Raw.save("bad", subject=1)
    for_each(parts, {"raw": Raw}, [Parts], **options)
    caplog.clear()
    for_each(mean, {"values": Parts}, [Mean], subject=[])
    assert f"mean() uses 2 values of Parts {SAID}: subject=1, trial=1 (ValueError" in caplog.text
