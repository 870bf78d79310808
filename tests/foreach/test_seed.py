"""``seed=``: every combination draws its own random numbers, the same ones in every run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import scidb
from scidb import BaseVariable, DatabaseManager, Fixed, exceptions, for_each, thunk
from scidb.foreach.seeds import RNG, Seed, drawn_from, generator_of
from scidb.hashing.ids import seed_form
from scidb.hashing.inputs import identify_constant

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.above_stores

# What does not depend on the store need not be tried with each.
IN_MEMORY = pytest.mark.parametrize("target", ["memory:"])


class Trace(BaseVariable):
    pass


class Draw(BaseVariable):
    pass


class Noise(BaseVariable):
    pass


class Other(BaseVariable):
    pass


def draw(rng: np.random.Generator) -> float:
    return float(rng.random())


def bootstrap(trace: list[float], rng: np.random.Generator) -> float:
    return float(rng.choice(trace, 3).sum())


def noise(rng: np.random.Generator) -> float:
    return float(rng.random())


def by_default(rng: Any = None) -> float:
    return float(rng.random())


def as_input(rng: float) -> float:
    return 2 * rng


def plain(trace: list[float]) -> float:
    return sum(trace)


def values(variable: type[BaseVariable] = Draw, **metadata: Any) -> dict[Any, Any]:
    return {one.schema["subject"]: one.data for one in variable.load_all(**metadata)}


def counts(report: scidb.ForEachReport) -> tuple[int, int, int, int, int]:
    return report.completed, report.recalled, report.up_to_date, report.skipped, report.failed


@IN_MEMORY
def test_each_combination_draws_its_own(db: DatabaseManager) -> None:
    """Combinations that receive nothing else are different computations; a second run has nothing to do."""
    assert counts(for_each(draw, {}, [Draw], subject=[1, 2, 3], seed=42)) == (3, 0, 0, 0, 0)

    assert len(set(values().values())) == 3
    assert counts(for_each(draw, {}, [Draw], subject=[1, 2, 3], seed=42)) == (0, 0, 3, 0, 0)
    assert counts(for_each(draw, {}, [Draw], subject=[1, 2, 3], seed=np.int64(42))) == (0, 0, 3, 0, 0)  # type: ignore[arg-type]


@IN_MEMORY
def test_equal_data_draw_different_numbers(db: DatabaseManager) -> None:
    """M6a does not make one computation of two that draw: equal traces of two subjects have numbers of their own."""
    for subject in (1, 2):
        Trace.save([1.0, 20.0, 300.0, 4000.0], subject=subject)
    assert counts(for_each(bootstrap, {"trace": Trace}, [Draw], subject=[], seed=1)) == (2, 0, 0, 0, 0)
    assert values()[1] != values()[2]


def test_order_and_company_do_not_matter(db: DatabaseManager) -> None:
    """The numbers of a subject are the same whoever comes before, whoever is added, and when all is run anew."""
    for_each(draw, {}, [Draw], subject=[3, 1], seed=42)
    first = values()
    assert counts(for_each(draw, {}, [Draw], subject=[1, 2, 3], seed=42)) == (1, 0, 2, 0, 0)
    assert {subject: values()[subject] for subject in first} == first

    for_each(draw, {}, [Draw], subject=[2, 1, 3], seed=42, force=True)
    assert {subject: values()[subject] for subject in first} == first
    assert not db.status().counts.get("not reproducible")


def test_numbers_that_must_not_change(db: DatabaseManager) -> None:
    """The numbers of a seed are promised: these are the ones on every platform and in every version."""
    for_each(draw, {}, [Draw], subject=[1, 2], seed=42)
    for_each(draw, {}, [Draw], subject=[1], trial=[1], seed=42)

    assert values(trial=None) == {1: NUMBERS[0], 2: NUMBERS[1]}
    assert Draw.load_one(subject=1, trial=1).data == NUMBERS[2]


NUMBERS = (0.8714483569513922, 0.9879734876082849, 0.5884713982457335)


def test_function_and_seed_are_part_of_it(db: DatabaseManager) -> None:
    """Another seed is another variant, with other numbers; so is another function of the same code."""
    for_each(draw, {}, [Draw], subject=[1], seed=42)
    for_each(draw, {}, [Draw], subject=[1], seed=43)
    assert counts(for_each(noise, {}, [Noise], subject=[1], seed=42)) == (1, 0, 0, 0, 0)

    with pytest.raises(exceptions.AmbiguousVersionError):
        Draw.load_one(subject=1)
    one = Draw.load_one(subject=1, params={"__seed": 42}).data
    two = Draw.load_one(subject=1, params={"__seed": 43}).data
    assert len({one, two, Noise.load_one(subject=1).data}) == 3

    with pytest.raises(exceptions.AmbiguousVersionError, match=r"Fixed\(Draw, __seed="):
        for_each(as_input, {"rng": Draw}, [Other], subject=[1])
    for_each(as_input, {"rng": Fixed(Draw, __seed=43)}, [Other], subject=[1])
    assert Other.load_one(subject=1).data == 2 * two


@IN_MEMORY
def test_what_the_function_draws_is_its_own(db: DatabaseManager) -> None:
    """A result that is computed twice gets a generator in its first state each time."""
    first = for_each(draw, {}, [Draw], subject=[1, 2], seed=7, save=False).values
    assert for_each(draw, {}, [Draw], subject=[1, 2], seed=7, save=False).values == first
    assert len(set(first)) == 2


@pytest.mark.parametrize("unwrap", [True, False])
@IN_MEMORY
def test_thunks(db: DatabaseManager, unwrap: bool) -> None:
    """A thunk gets its generator as a function does, beside variables that it gets whole."""
    Trace.save([1.0, 20.0, 300.0], subject=1)

    def sample(trace: Any, rng: np.random.Generator) -> float:
        return float(rng.choice(trace if unwrap else trace.data))

    report = for_each(thunk(unwrap=unwrap)(sample), {"trace": Trace}, [Draw], subject=[], seed=5)
    assert counts(report) == (1, 0, 0, 0, 0)


@IN_MEMORY
def test_with_keys_and_pieces(db: DatabaseManager) -> None:
    """The generator comes beside key values that are passed, and its numbers may be split."""

    def several(subject: int, rng: np.random.Generator) -> Any:
        return rng.random(subject)

    options: dict[str, Any] = {"subject": [2, 3], "seed": 1, "pass_metadata": True, "distribute": True}
    assert counts(for_each(several, {}, [Draw], **options)) == (2, 0, 0, 0, 0)
    assert len({one.data for one in Draw.load_all()}) == 5
    assert counts(for_each(several, {}, [Draw], **options)) == (0, 0, 2, 0, 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: for_each(draw, {}, [Draw], subject=[1]), r"takes 'rng', and there is no seed="),
        (lambda: for_each(lambda rng=None: 1.0, {}, [Draw], subject=[1]), r"name it in inputs=\{'rng'"),
        (lambda: for_each(plain, {"trace": 1}, [Draw], subject=[1], seed=1), r"plain\(\) has no parameter 'rng'"),
        (lambda: for_each(lambda **more: 1.0, {}, [Draw], subject=[1], seed=1), "has no parameter 'rng'"),
        (lambda: for_each(as_input, {"rng": 1.0}, [Draw], subject=[1], seed=1), "'rng' is an input, and with seed="),
        (lambda: for_each(draw, {"rng": np.random.default_rng(1)}, [Draw], subject=[1]), "a copy in the same state"),
        (lambda: for_each(draw, {}, [Draw], subject=[1], seed=-1), "a whole number from 0 on"),
        (lambda: for_each(draw, {}, [Draw], subject=[1], seed=True), "a whole number from 0 on"),
        (lambda: for_each(draw, {}, [Draw], subject=[1], seed=1.5), "a whole number from 0 on"),  # type: ignore[arg-type]
        (lambda: for_each(draw, {}, [Draw], subject=[1], seed="x"), "a whole number from 0 on"),  # type: ignore[arg-type]
    ],
)
def test_calls_that_cannot_be(call: Callable[[], Any], message: str) -> None:
    """Random numbers without a seed, and a seed that nothing follows, are errors before anything runs."""
    with scidb.open("memory:", ["subject"]) as db, db.as_current():
        with pytest.raises(exceptions.PipelineError, match=message):
            call()
        assert db.types() == []


@IN_MEMORY
def test_a_key_named_rng(target: str) -> None:
    """A schema key may have the name of the parameter, unless both are to be passed."""
    with scidb.open(target, ["rng"]) as database, database.as_current():
        assert counts(for_each(draw, {}, [Draw], rng=[1, 2], seed=1)) == (2, 0, 0, 0, 0)
        with pytest.raises(exceptions.PipelineError, match="a key that is passed to the function"):
            for_each(draw, {}, [Draw], rng=[1, 2], seed=1, pass_metadata=True)
        assert counts(for_each(as_input, {}, [Other], rng=[1], pass_metadata=True)) == (1, 0, 0, 0, 0)


@IN_MEMORY
def test_one_computation_is_said_without_a_seed(db: DatabaseManager, caplog: pytest.LogCaptureFixture) -> None:
    """A simulation that receives the same everywhere is told of seed=; with one there is nothing to say."""
    for_each(lambda: 1.0, {}, [Other], subject=[1, 2])
    assert "seed=" in caplog.text
    caplog.clear()
    for_each(draw, {}, [Draw], subject=[1, 2], seed=1)
    assert caplog.text == ""


# ------------------------------------------------------------------ where it came from


def test_provenance_names_the_seed(db: DatabaseManager) -> None:
    """Seed and location are among the constants of a call, and status takes them for no default that has changed."""
    for_each(by_default, {}, [Draw], subject=[1], seed=42)
    provenance = db.get_provenance(Draw, subject=1)
    assert provenance is not None
    [shown] = provenance["constants"]
    assert (shown["name"], shown["value_repr"]) == ("rng", "seed 42 at subject=1")
    assert db.status().is_green


def test_the_generator_is_made_again_from_its_record() -> None:
    """What a call records is enough to draw the same numbers; a constant that looks alike is none."""
    seed = Seed(3, "simulate")
    for location in ({}, {"subject": 1, "day": "01"}):
        origin = seed.origin(location)
        form = drawn_from(origin)
        assert form == seed_form(3, location, "simulate")
        assert generator_of(form).random(5).tolist() == seed.generator(location).random(5).tolist()
    alike = identify_constant(RNG, seed_form(3, {}, "simulate")).origins[0]
    assert drawn_from(alike) is None
