"""Pieces of a result, and what was drawn from a seed, are computed again as anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from scidb import for_each
from scidb.exceptions import SciDBError
from scidb.provenance.reproduction.calls import CannotRunError, part_of
from scidb.testing.store_suite.samples import record

if TYPE_CHECKING:
    from tests.provenance.reproduction.conftest import Lab

    from scidb import DatabaseManager

LAB = """
    from scidb import BaseVariable

    class Count(BaseVariable):
        "How many to draw."
    class Draw(BaseVariable):
        "A number that was drawn."
    class Rank(BaseVariable):
        "Its rank."
    class Total(BaseVariable):
        "The sum of what was drawn."

    def draws(count, rng):
        drawn = rng.random(count)
        return drawn, [int(rank) for rank in drawn.argsort()]

    def total(drawn):
        return float(sum(drawn))
"""


@pytest.fixture
def drawn(lab: Lab, db: DatabaseManager) -> Any:
    """Two subjects of which three and one numbers are drawn, and their sums."""
    work = lab.write(LAB)
    for subject, count in ((1, 3), (2, 1)):
        work.Count.save(count, subject=subject)
    options: dict[str, Any] = {"subject": [], "seed": 42, "distribute": True, "progress": False}
    for_each(work.draws, {"count": work.Count}, [work.Draw, work.Rank], **options)
    for_each(work.total, {"drawn": work.Draw}, [work.Total], subject=[], progress=False)
    return work


def test_pieces_and_random_numbers_are_computed_again(drawn: Any, db: DatabaseManager) -> None:
    """The generator is made from its record, and each piece is compared with its own part of the result."""
    found = db.reproduce(drawn.Total.load_one(subject=1))

    assert [(one.variable, one.outcome) for one in found.records] == [
        *[("Draw", "equal")] * 3,
        *[("Rank", "equal")] * 3,
        ("Total", "equal"),
    ]


def test_pieces_and_random_numbers_are_verified(drawn: Any, db: DatabaseManager, lab: Lab) -> None:
    """A change that is to be accepted is checked piece by piece, with the random numbers of then."""
    work = lab.write(LAB.replace("rng.random(count)", "0.0 + rng.random(count)"))
    assert len(db.accept("draws", "nothing is added", verify=100)) == 1
    assert db.status(["Draw", "Rank"]).counts == {"accepted": 8}
    inputs = {"count": work.Count}
    options: dict[str, Any] = {"subject": [], "seed": 42, "distribute": True, "progress": False}
    assert for_each(work.draws, inputs, [work.Draw, work.Rank], **options).up_to_date == 2

    lab.write(LAB.replace("rng.random(count)", "rng.random(count + 1)"))
    with pytest.raises(SciDBError, match=r"it returned . pieces for"):
        db.accept("draws", "one more", verify=100)


def test_another_number_of_pieces_is_another_result() -> None:
    """A piece is compared only if the result has as many as then."""
    second = record("Draw", 2.0, {"subject": 1, "day": 2}, output_num=0, piece=2, pieces=3)
    assert part_of(second, [1.0, 2.0, 3.0]) == 2.0
    for result in ([1.0, 2.0], [], 3.0, {"no": "pieces"}):
        with pytest.raises(CannotRunError, match=f"returned {len(result) if isinstance(result, list) else 0} pieces"):
            part_of(second, result)
