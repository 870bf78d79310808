"""What makes two calls of a thunk the same computation."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
import operator
import re
import threading
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from scidb.exceptions import UncacheableWarning
from scidb.hashing.arguments import Parameters
from scidb.hashing.ids import UNCACHEABLE, content_hash, lineage_id, value_form
from scidb.thunk import Thunk, ThunkOutput, thunk

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.thunk.conftest import FakeVariable


@thunk
def scale(a: Any, k: Any = 2) -> Any:
    return a * k


@thunk
def variadic(a: int, /, *args: int, k: int = 0, **options: int) -> tuple[Any, ...]:
    return a, args, k, options


class Pair(NamedTuple):
    left: Any
    right: Any


def with_attrs(it: Any) -> pd.DataFrame:
    frame = pd.DataFrame({"a": [1]})
    frame.attrs["it"] = it
    return frame


def same(first: ThunkOutput, second: ThunkOutput) -> bool:
    return first.pipeline_thunk.lineage_id == second.pipeline_thunk.lineage_id


def test_one_identity_for_every_spelling() -> None:
    """M6: positional, keyword, any order and an explicit default are one computation."""
    spellings = [scale(1, 2), scale(1, k=2), scale(a=1, k=2), scale(k=2, a=1), scale(1)]
    assert {call.pipeline_thunk.lineage_id for call in spellings} == {spellings[0].pipeline_thunk.lineage_id}
    assert all(call.pipeline_thunk.inputs == {"a": 1, "k": 2} for call in spellings)
    assert all(call.data == 2 for call in spellings)


def test_identity_is_the_formula_of_the_data_model() -> None:
    """The lineage_id is that of the code, the inputs by parameter name, and the declared outputs."""
    call = scale(3).pipeline_thunk
    forms = {"a": value_form(content_hash(3)), "k": value_form(content_hash(2))}
    assert call.lineage_id == lineage_id(scale.fingerprint().hash, forms, 1)
    assert call.compute_lineage_hash() == call.lineage_id


@given(st.integers(-3, 3), st.integers(-3, 3))
def test_identity_follows_the_arguments(first: int, second: int) -> None:
    """Calls are the same computation exactly when their arguments are equal."""
    assert same(scale(first), scale(second)) == (first == second)


def test_numbers_of_different_type_differ() -> None:
    """M8: 1, 1.0, True and a numpy 1 are different arguments."""
    ids = {scale(one).pipeline_thunk.lineage_id for one in (1, 1.0, True, np.int64(1))}
    assert len(ids) == 4


def test_declared_outputs_are_part_of_the_identity() -> None:
    """One pair and two outputs are different computations of one function."""
    whole, parts, unpacked = Thunk(divmod), Thunk(divmod, n_outputs=2), Thunk(divmod, unpack_output=True)
    ids = {
        call.lineage_id
        for call in (
            whole(7, 2).pipeline_thunk,
            parts(7, 2)[0].pipeline_thunk,
            unpacked(7, 2)[0].pipeline_thunk,
        )
    }
    assert len(ids) == 3


def test_changed_code_is_another_computation() -> None:
    """M4: a changed body, constant or closure value makes another computation."""

    def closing_over(value: int) -> Callable[[int], int]:
        return lambda x: x + value

    def plus(x: int) -> int:
        return x + 1

    def minus(x: int) -> int:
        return x - 1

    def plus_two(x: int) -> int:
        return x + 2

    functions = [plus, minus, plus_two, closing_over(10), closing_over(11)]
    assert len({Thunk(function)(1).pipeline_thunk.lineage_id for function in functions}) == 5
    assert same(Thunk(closing_over(10))(1), Thunk(closing_over(10))(1))


def test_a_changed_default_is_a_changed_argument_only() -> None:
    """M4: a changed default matters exactly when it is used."""

    def old(x: int, k: int = 1) -> int:
        return x + k

    def new(x: int, k: int = 2) -> int:
        return x + k

    assert not same(Thunk(old)(1), Thunk(new)(1))
    assert same(Thunk(old)(1, k=5), Thunk(new)(1, k=5))


def test_partial_arguments_are_code() -> None:
    """M4: the arguments that a partial holds are part of the computation."""
    first, second = Thunk(functools.partial(math.pow, 2)), Thunk(functools.partial(math.pow, 3))
    assert first(4).data == 16
    assert first.name == "pow"
    assert not same(first(4), second(4))


def test_the_classes_of_arguments_are_code() -> None:
    """M4: a changed method of an argument's class is changed code, however deep the argument lies."""

    def make(factor: int) -> Any:
        @dataclasses.dataclass(frozen=True)
        class Model:
            order: int

            def apply(self, x: int) -> int:
                return x * self.order * factor

        return Model

    @thunk
    def run(model: Any) -> int:
        return 0

    old, new = make(1), make(2)
    assert same(run(old(3)), run(make(1)(3)))
    assert not same(run(old(3)), run(new(3)))
    assert not same(run([{"a": old(3)}]), run([{"a": new(3)}]))
    assert not same(run(Thunk(old)(3)), run(Thunk(new)(3)))
    assert run(old(3)).pipeline_thunk.own_classes == (old,)


HOLDERS: dict[str, Callable[[Any], Any]] = {
    "list": lambda it: [it],
    "key of a dict": lambda it: {it: 1},
    "attribute": lambda it: Pair(it, 1),
    "array": lambda it: np.array([it], object),
    "structured array": lambda it: np.array([(1, it)], [("a", int), ("b", object)]),
    "Series": lambda it: pd.Series([it]),
    "categories": lambda it: pd.Series(pd.Categorical([it])),
    "index": lambda it: pd.Series([1], index=pd.Index([it], dtype=object)),
    "level": lambda it: pd.Series([1], index=pd.MultiIndex.from_tuples([(1, it)])),
    "column": lambda it: pd.DataFrame({"a": [1], "b": [it]}),
    "name of a column": lambda it: pd.DataFrame({it: [1]}),
    "attrs": with_attrs,
    "attrs of xarray": lambda it: xr.DataArray([1], attrs={"it": it}),
    "attrs in a Dataset": lambda it: xr.Dataset({"x": ("t", [1], {"it": it})}),
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_the_classes_of_objects_in_containers_are_code(holder: str) -> None:
    """M4: a changed method of a class counts wherever an instance of it stands among the arguments."""

    def make(factor: int) -> Any:
        @dataclasses.dataclass(frozen=True)
        class Model:
            order: int

            def apply(self, x: int) -> int:
                return x * factor

        return HOLDERS[holder](Model(1))

    scale_by = Thunk(lambda model: 0)
    assert same(scale_by(make(1)), scale_by(make(1)))
    assert not same(scale_by(make(1)), scale_by(make(2)))


def test_version_replaces_the_fingerprint() -> None:
    """A version that the user keeps decides instead of the code."""

    def old(x: int) -> int:
        return x + 1

    first, second = Thunk(old, version="1"), Thunk(old, version="2")
    assert not same(first(1), second(1))
    assert same(first(1), Thunk(old, version="1")(1))


def test_variadic_arguments() -> None:
    """Star arguments count by position, double-star ones by name in any order."""
    assert variadic(1, 2, 3, k=4, b=5).data == (1, (2, 3), 4, {"b": 5})
    assert variadic(1, 2, b=5).pipeline_thunk.inputs == {"a": 1, "args": (2,), "k": 0, "b": 5}
    assert same(variadic(1, b=1, c=2), variadic(1, c=2, b=1))
    assert not same(variadic(1, 2, 3), variadic(1, 3, 2))


def test_a_keyword_named_like_a_parameter_stays_apart() -> None:
    """A double-star keyword never takes the place of a positional-only parameter of the same name."""
    call = variadic(1, a=2)
    assert call.pipeline_thunk.inputs == {"a": 1, "args": (), "k": 0, "**a": 2}
    assert not same(call, variadic(2, a=1))
    assert not same(call, variadic(1, **{"**a": 2}))


def test_a_function_without_signature_has_numbered_parameters() -> None:
    """A compiled function without a signature gets arg_0, arg_1 and so on."""
    getter = operator.itemgetter(1)
    largest = Thunk(max)
    assert largest(3, 4).data == 4
    assert largest(3, 4).pipeline_thunk.inputs == {"arg_0": 3, "arg_1": 4}
    assert Thunk(getter)("ab").data == "b"


def test_a_wrapper_that_supplies_arguments() -> None:
    """A decorator that supplies an argument itself is called with what the caller gave."""

    def with_rng(function: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(function)
        def wrapper(*args: int) -> int:
            return function(*args, 10)

        return wrapper

    @thunk
    @with_rng
    def add(x: int, supplied: int) -> int:
        return x + supplied

    assert add(1).data == 11


def test_wrong_arguments_are_named_with_the_function() -> None:
    """Arguments that do not fit are an ordinary TypeError that names the function."""
    with pytest.raises(TypeError, match=r"scale\(\): .*'a'"):
        scale()


def test_results_enter_by_value(variable: type[FakeVariable]) -> None:
    """A result, a variable and a raw value of equal content are one argument (early cutoff)."""
    assert same(scale(scale(3)), scale(6))
    assert same(scale(variable(6, "r1")), scale(6))


def test_tracked_values_inside_containers(variable: type[FakeVariable]) -> None:
    """Results and variables inside lists, tuples and dicts arrive as values."""

    @thunk
    def received(value: Any) -> Any:
        return value

    one, two = scale(1), variable(4, "r2")
    assert received([one, two, 3]).data == [2, 4, 3]
    assert received((one, [two])).data == (2, [4])
    assert received({"a": one, "b": [two]}).data == {"a": 2, "b": [4]}
    assert received(Pair(one, 5)).data == Pair(2, 5)
    assert received(Pair(one, 5)).data.left == 2


def test_tracked_values_at_any_depth(variable: type[FakeVariable]) -> None:
    """Results and variables count and arrive as values however deep they lie in lists, tuples and dicts."""

    @thunk
    def received(value: Any) -> Any:
        return value

    one, two = scale(1), variable(4, "r2")
    nested = received([[two], {"a": [(one, 5)]}, [6, [7]]])
    assert nested.data == [[4], {"a": [(2, 5)]}, [6, [7]]]
    assert nested.pipeline_thunk.uncacheable is None
    kinds = [origin.kind for origin in nested.pipeline_thunk.input_identities["value"].origins]
    assert kinds == ["record", "computation", "constant", "constant"]
    assert same(nested, received([[variable(4, "r2")], {"a": [(scale(1), 5)]}, [6, [7]]]))
    assert not same(nested, received([[variable(5, "r3")], {"a": [(scale(1), 5)]}, [6, [7]]]))


def test_a_container_that_holds_itself() -> None:
    """M7: a container without end has no identity, and is passed as it is."""
    endless: list[Any] = []
    endless.append(endless)
    with pytest.warns(UncacheableWarning, match="contains itself"):
        assert Thunk(lambda value: value is endless)(endless).data is True
    endless.append(len)
    with pytest.warns(UncacheableWarning, match="has no identity"):
        assert Thunk(lambda value: value is endless)(endless).data is True


def test_keys_without_identity_make_a_call_uncacheable() -> None:
    """M7: so do the keys of a dict that holds results."""
    with pytest.warns(UncacheableWarning, match="'obj'"):
        assert Thunk(len)({object(): scale(1)}).data == 1


def test_an_untracked_container_is_the_same_object() -> None:
    """A function that receives a plain list receives that list, not a copy."""
    plain = [1, 2]
    assert Thunk(lambda value: value is plain)(plain).data is True


def test_a_variable_given_whole(variable: type[FakeVariable]) -> None:
    """M6b: with unwrap=False the function receives the variable, and its record is the identity."""
    whole = thunk(unwrap=False)(lambda v: type(v).__name__)
    assert whole(variable(1, "r1")).data == "FakeVariable"
    assert not same(whole(variable(1, "r1")), whole(variable(1, "r2")))
    assert whole(scale(1)).data == "int"


def test_functions_as_arguments(variable: type[FakeVariable]) -> None:
    """M4: a function or class among the arguments counts by its code, alone or in a container."""

    @thunk
    def apply(function: Any, x: Any = 1) -> Any:
        return 0

    def plus(k: int) -> Callable[[int], int]:
        return lambda x: x + k

    def held(k: int, flip: bool = False) -> Any:
        parts: list[tuple[str, Any]] = [("a", [plus(k), 3]), ("b", None)]
        return dict(reversed(parts) if flip else parts)

    assert same(apply(plus(1)), apply(plus(1)))
    assert same(apply(held(1)), apply(held(1, flip=True)))
    assert same(apply([plus(1), variable(1, "r")]), apply([plus(1), variable(1, "r2")]))
    different = [plus(1), plus(2), np.mean, np.median, float, held(1), held(2), [plus(1)], (plus(1),), [plus(1), 1]]
    assert len({apply(value).pipeline_thunk.lineage_id for value in different}) == len(different)
    (origin,) = apply(np.mean).pipeline_thunk.input_identities["function"].origins
    assert (origin.kind, origin.value_repr) == ("constant", "numpy.mean")
    (origin,) = apply(held(1)).pipeline_thunk.input_identities["function"].origins
    assert (origin.kind, origin.value_repr) == ("constant", "dict of 2")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (np.random.default_rng(1).normal, "normal is not fully known: __self__ read by"),
        ([len, object()], "instance of builtins.object"),
        ([len, {"a": lambda: eval("1")}], "is not fully known"),
        ([[1], object()], r"at .*\[1\] has no identity"),
        ({"a": iter([])}, "instance of builtins.list_iterator"),
    ],
)
def test_code_that_is_not_fully_known_is_no_identity(value: object, reason: str) -> None:
    """M7: a method of a generator, or a container with anything unknown, still makes a call uncacheable."""
    with pytest.warns(UncacheableWarning, match=f"'value'.*{reason}"):
        Thunk(lambda value: 0)(value)


def test_provenance_shows_no_address() -> None:
    """What has no identity is described without its address, which differs in every process."""
    with pytest.warns(UncacheableWarning):
        call = Thunk(lambda thing: 0)(object()).pipeline_thunk
    (origin,) = call.input_identities["thing"].origins
    assert origin.value_repr == "<object object>"


def test_unhashable_arguments_run_uncached_and_say_so_once() -> None:
    """M7: the call runs, one warning names function, argument and path, and no two are equal."""

    @thunk
    def kind(model: object, k: int = 0) -> str:
        return type(model).__name__

    thing = object()
    with pytest.warns(UncacheableWarning, match=r"kind\(\).*'model'.*object"):
        first = kind(thing)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        second = kind(thing)
    assert first.data == second.data == "object"
    assert first.pipeline_thunk.lineage_id.startswith(UNCACHEABLE)
    assert not same(first, second)
    assert first.pipeline_thunk.inputs_hash != second.pipeline_thunk.inputs_hash
    assert first.pipeline_thunk.uncacheable is not None
    assert kind(1).pipeline_thunk.uncacheable is None


def test_defaults_that_mark_an_omitted_argument() -> None:
    """M6: a stateless default such as numpy's is known by its type, so that such functions are cacheable."""
    total = Thunk(np.sum)
    assert total(np.ones(3)).data == 3
    assert total(np.ones(3)).pipeline_thunk.uncacheable is None
    assert same(total(np.ones(3)), total(np.ones(3), axis=None))
    assert not same(total(np.ones(3)), total(np.ones(3), keepdims=False))


def test_a_default_with_state_is_not_a_mark() -> None:
    """M7: an unhashable default that has content makes the call uncacheable like any such argument."""
    generator = np.random.default_rng(1)

    @thunk
    def draw(x: int, rng: Any = generator) -> int:
        return x

    with pytest.warns(UncacheableWarning, match="'rng'"):
        draw(1)


def test_an_unhashable_result_makes_the_next_call_uncacheable() -> None:
    """M7: a result that cannot be hashed is passed on, and provenance still names its call."""
    make = Thunk(object)
    with pytest.warns(UncacheableWarning):
        result = Thunk(lambda value: type(value).__name__)(made := make())
    assert result.data == "object"
    (origin,) = result.pipeline_thunk.input_identities["value"].origins
    assert origin.kind == "computation"
    assert origin.input_call_id == made.pipeline_thunk.call_id


def test_the_warning_points_at_the_call() -> None:
    """M7: the warning is shown at the line of the user's call."""
    with pytest.warns(UncacheableWarning) as caught:
        Thunk(id)(object())
    assert caught[0].filename == __file__


def test_provenance_of_the_arguments(variable: type[FakeVariable]) -> None:
    """Each argument says where it came from: a constant, a record, or an earlier call."""
    inner = scale(1)
    identities = scale(inner, variable(5, "r5")).pipeline_thunk.input_identities
    (from_call,), (from_record,) = identities["a"].origins, identities["k"].origins
    assert (from_call.kind, from_call.type_name, from_call.output_num) == ("computation", "scale", 0)
    assert from_call.input_call_id == inner.pipeline_thunk.call_id
    assert from_call.content_hash == content_hash(2)
    assert (from_record.kind, from_record.record_id) == ("record", "r5")
    (constant,) = scale(1).pipeline_thunk.input_identities["k"].origins
    assert (constant.kind, constant.value_repr) == ("constant", "2")


def test_a_saved_result_is_known_by_its_record() -> None:
    """M6a: once saved, a result enters provenance as its record, under the same identity."""
    inner = scale(1)
    before = scale(inner)
    inner.mark_saved(record_id="r1", call_id="c1", variable="Scaled")
    after = scale(inner)
    (origin,) = after.pipeline_thunk.input_identities["a"].origins
    assert (origin.kind, origin.record_id, origin.input_call_id) == ("record", "r1", "c1")
    assert (origin.type_name, origin.output_num) == ("Scaled", 0)
    assert same(before, after)


def test_equal_calls_are_different_events() -> None:
    """M6a: a repeated call is the same computation but another call."""
    first, second = scale(1).pipeline_thunk, scale(1).pipeline_thunk
    assert first.lineage_id == second.lineage_id
    assert first.call_id != second.call_id


class Filter:
    def __init__(self, order: int) -> None:
        self.order = order

    def __scidb_hash__(self) -> int:
        return self.order

    @thunk
    def apply(self, signal: int, gain: int = 1) -> int:
        return signal * self.order * gain

    @classmethod
    @thunk
    def named(cls, signal: int) -> str:
        return f"{cls.__name__} {signal}"

    @staticmethod
    @thunk
    def free(signal: int) -> int:
        return signal


def test_thunks_work_as_methods() -> None:
    """A thunk binds to its instance, whose identity is an argument like any other."""
    assert Filter(3).apply(2).data == 6
    assert Filter(3).apply(2, gain=2).pipeline_thunk.inputs["signal"] == 2
    assert same(Filter(3).apply(2), Filter(3).apply(2, gain=1))
    assert not same(Filter(3).apply(2), Filter(4).apply(2))
    assert isinstance(Filter.apply, Thunk)
    assert Filter.free(5).data == 5


def test_a_thunk_looks_like_its_function() -> None:
    """A thunk has the name, the docstring and the signature of its function."""

    def documented(x: int) -> int:
        """Say what it does."""
        return x

    wrapped = Thunk(documented)
    assert (wrapped.__name__, wrapped.__doc__) == ("documented", "Say what it does.")
    assert wrapped.__wrapped__ is documented is wrapped.function
    assert wrapped.__scidb_transparent__ is True


def test_threads_share_a_thunk() -> None:
    """R5: threads that call one thunk get the same identity, and one of them is warned."""
    results: list[ThunkOutput] = []

    @thunk
    def work(value: Any) -> int:
        return 1

    def use() -> None:
        results.append(work(5))
        work(object())

    def use_in_threads() -> None:
        threads = [threading.Thread(target=use) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    with pytest.warns(UncacheableWarning) as caught:
        use_in_threads()
    assert len({output.hash for output in results}) == 1
    assert len(results) == 8
    assert len(caught) == 1


def _with_defaults(a: Any, b: Any = 1, *, c: Any = 2, d: Any) -> None: ...
def _of_one(a: Any) -> None: ...
def _by_position(a: Any, /, b: Any = 1) -> None: ...
def _with_others(a: Any, *others: Any, **named: Any) -> None: ...


@pytest.mark.parametrize("function", [_with_defaults, _of_one, _by_position, _with_others])
@given(st.lists(st.integers(0, 9), max_size=4), st.dictionaries(st.sampled_from("abcde"), st.integers(0, 9)))
def test_arguments_are_bound_as_python_binds_them(
    function: Callable[..., Any], args: list[int], kwargs: dict[str, int]
) -> None:
    """M6: names, defaults and their order are those of `inspect.signature`, and what Python refuses is refused."""
    parameters = Parameters(function)
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except TypeError as error:
        with pytest.raises(TypeError, match=f"^{re.escape(str(error))}$"):
            parameters.bind(tuple(args), kwargs)
        return
    bound.apply_defaults()
    expected = dict(bound.arguments)
    expected.update(expected.pop("named", {}))
    assert list(parameters.bind(tuple(args), kwargs).items()) == list(expected.items())


def test_small_constants_are_told_apart() -> None:
    """Values that Python counts as equal are different inputs: 1, 1.0 and True; 0.0 and -0.0; NaN is itself."""
    values = [1, 1.0, True, 0, 0.0, -0.0, False, None, math.nan]
    for _ in range(2):
        calls = [scale(1, k=[value]).pipeline_thunk.lineage_id for value in values if value is not None]
        identities = [Parameters(scale.function).identify("a", value) for value in values]
        assert len(set(calls)) == len(values) - 1
        assert [one.form for one in identities] == [value_form(content_hash(value)) for value in values]
        assert [one.origins[0].value_repr for one in identities] == [repr(value) for value in values]
