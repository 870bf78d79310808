"""Random numbers that can be drawn again: a generator per combination, made of seed, location and function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scidb.exceptions import PipelineError
from scidb.hashing.canonical.encode import canonical_hash
from scidb.hashing.ids import Form, seed_form
from scidb.hashing.inputs import CallInput
from scidb.hashing.literal import literal_text, literal_value

if TYPE_CHECKING:
    import inspect
    from collections.abc import Collection, Mapping

__all__ = ["RNG", "Seed", "drawn_from", "generator_of", "seed_for"]

RNG: Final = "rng"
"""The parameter that gets the generator."""


def generator_of(form: Form) -> np.random.Generator:
    """Return the generator of a seed at a location, in its first state; the same on every platform.

    The bit generator is named, since ``numpy.random.default_rng`` promises none.

    Examples
    --------
    >>> form = seed_form(42, {"subject": 1}, "simulate")
    >>> int(generator_of(form).integers(1000)) == int(generator_of(form).integers(1000))
    True

    """
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(int(canonical_hash(form), 16))))


@dataclass(frozen=True, slots=True)
class Seed:
    """What the random numbers of one call of for_each are drawn from."""

    value: int
    function: str

    def form(self, location: Mapping[str, Any]) -> Form:
        """Return how the generator of a combination enters the identity of its computation."""
        return seed_form(self.value, location, self.function)

    def generator(self, location: Mapping[str, Any]) -> np.random.Generator:
        """Return the generator of a combination."""
        return generator_of(self.form(location))

    def origin(self, location: Mapping[str, Any]) -> CallInput:
        """Return what provenance says of the generator, from which it can be made again."""
        form = self.form(location)
        place = ", ".join(f"{key}={value!r}" for key, value in location.items())
        said = f"seed {self.value} at {place or 'the whole dataset'}"
        return CallInput(
            RNG, "constant", content_hash=canonical_hash(form), value_repr=said, literal=literal_text(form)
        )


def drawn_from(origin: CallInput) -> Form | None:
    """Return the form of the generator that a call received, or None if what it received was something else."""
    try:
        form = literal_value(origin.literal or "")
    except ValueError:
        return None
    # The hash of a constant is another one, also of a list that looks like this.
    is_seed = isinstance(form, list) and form[:1] == ["seed"] and canonical_hash(form) == origin.content_hash
    return form if is_seed else None


def seed_for(
    seed: object,
    function: str,
    parameters: Mapping[str, inspect.Parameter],
    given: Mapping[str, Any],
    keys: Collection[str],
) -> Seed | None:
    """Check a call's seed against what its function takes: `given` are its inputs, `keys` are passed beside them.

    Raises
    ------
    PipelineError
        When the function draws random numbers and there is no seed, or the other way round.

    """
    if isinstance(given.get(RNG), np.random.Generator | np.random.RandomState):
        raise PipelineError(
            f"inputs={{{RNG!r}: ...}} is one random generator, of which every combination would get a copy in the same "
            f"state, and nothing could be drawn again. Give seed=42 instead of it: {function}() then gets a generator "
            "of its own for each combination."
        )
    if seed is None:
        if RNG in parameters and RNG not in given and RNG not in keys:
            raise PipelineError(
                f"{function}() takes {RNG!r}, and there is no seed=. Give one, such as seed=42: each combination then "
                f"gets a random generator of its own, and the same numbers in every run. If {RNG!r} is something "
                f"else, name it in inputs={{{RNG!r}: ...}}."
            )
        return None
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise PipelineError(f"seed={seed!r}: a seed is a whole number from 0 on, such as seed=42.")
    if RNG in given or RNG in keys:
        what = "an input" if RNG in given else "a key that is passed to the function (pass_metadata)"
        raise PipelineError(
            f"{RNG!r} is {what}, and with seed= it would be a random generator. Leave seed= out, or rename it."
        )
    if RNG not in parameters:
        raise PipelineError(
            f"seed={seed!r}: {function}() has no parameter {RNG!r}, so nothing in it would follow the seed. Write def "
            f"{function.rpartition('.')[2]}(..., {RNG}) and draw from it, as {RNG}.normal(); or leave seed= out."
        )
    return Seed(int(seed), function)
