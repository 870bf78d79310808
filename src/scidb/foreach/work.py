"""What a worker does: it calls the function with plain inputs and returns plain results, and knows no database.

A worker is this process, one of its threads, or a process here or on another machine.
"""

from __future__ import annotations

import os
import platform
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from scidb.current import forget
from scidb.foreach.config import as_thunk, function_name
from scidb.foreach.pieces import as_pieces
from scidb.foreach.values import as_outputs, said_by, snapshot, traceback_of
from scidb.hashing.code.fingerprint import fingerprint
from scidb.hashing.code.graph import innermost
from scidb.hashing.code.sent import SentCode, different_there, sent_code
from scidb.hashing.ids import GENERATED
from scidb.hashing.origin import main_is_elsewhere
from scidb.hashing.paths import file_states, written_since
from scidb.hashing.settings import FingerprintSettings, fingerprint_settings, take_over

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from scidb.foreach.config import Parameters
    from scidb.foreach.protocols import RunInfo, ThunkLike
    from scidb.hashing.code.fingerprint import Fingerprint
    from scidb.hashing.inputs import CallInput

__all__ = ["Code", "Failure", "Outcome", "Returned", "call", "code_of", "fingerprint_of", "work"]

_TOKEN: Final = uuid.uuid4().hex  # of this process, and of those that it forks


class Failure(NamedTuple):
    """How a call failed. The error is None where it cannot travel; the texts always can."""

    error: Exception | None
    kind: str
    message: str
    traceback: str


class Outcome(NamedTuple):
    """What became of one call."""

    values: tuple[Any, ...] = ()
    seconds: float = 0.0
    written: tuple[CallInput, ...] = ()
    failure: Failure | None = None


class Returned(NamedTuple):
    """What a worker returns: one outcome for each call that it made, which may be fewer than it was given."""

    outcomes: Sequence[Outcome]
    is_interrupted: bool = False
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Code:
    """The function of a run, with all that calling it needs."""

    function: Callable[..., Any]  # as given to for_each: a thunk travels by its name, and what it wraps cannot
    is_thunk: bool
    classes: tuple[type, ...]
    name: str
    outputs: tuple[str, ...]
    declared_outputs: int | str
    is_split: bool  # into pieces that are stored each by itself
    constants: tuple[str, ...]
    sent: SentCode | None  # None where nothing is sent
    settings: FingerprintSettings
    home: str


class _WholeThunk:
    """A thunk that travels by value, as it is when it arrives."""

    def __init__(self, thunk: ThunkLike) -> None:
        self._thunk = thunk
        self.__wrapped__ = thunk.__wrapped__  # where nothing is sent after all

    def __reduce__(self) -> tuple[Any, ...]:
        return self._thunk.by_value()


def code_of(
    function: Callable[..., Any], parameters: Parameters, run: RunInfo, *, is_sent: bool, by_value: bool
) -> Code:
    """Return the function of a run, for calls in this process or to be sent to others.

    `by_value` says that a function that nobody could import can be sent whole.
    """
    thunk = as_thunk(function)
    sent = sent_code(function, run.function) if is_sent else None
    carried: Any = function
    if thunk is not None and sent is not None and sent.is_by_value and by_value:
        carried = _WholeThunk(thunk)
    return Code(
        function=carried,
        is_thunk=thunk is not None,
        classes=parameters.classes,
        name=function_name(function),
        outputs=tuple(output.__name__ for output in run.outputs),
        declared_outputs=run.declared_outputs,
        is_split=run.piece_key is not None,
        constants=tuple(parameters.constants),
        sent=sent,
        settings=fingerprint_settings(),
        home=_here(),
    )


def fingerprint_of(function: Callable[..., Any], classes: tuple[type, ...]) -> Fingerprint:
    """Return the identity of the code that a call with objects of these classes would run in this process."""
    thunk = as_thunk(function)
    return fingerprint(function, includes=classes) if thunk is None else thunk.fingerprint(classes)


def _here() -> str:
    # One on another machine may have the same number.
    return f"{_TOKEN} {os.getpid()}"


# ---------------------------------------------------------------- one call


def call(code: Code, arguments: Mapping[str, Any]) -> Outcome:
    """Call the function, and take what it returns from it: it may change or return the same object once more."""
    function: Any = code.function
    if code.is_thunk:
        function = function.__wrapped__
    generates_file = code.declared_outputs == GENERATED
    started = time.perf_counter()
    try:
        before = file_states({name: arguments[name] for name in code.constants}) if generates_file else {}
        result = function(**arguments)
        if generates_file:
            return Outcome((), time.perf_counter() - started, written_since(before))
        values = as_outputs(result, code.outputs, code.declared_outputs, code.name)
        if code.is_split:
            values = as_pieces(values, code.outputs, code.name)
        return Outcome(tuple(map(snapshot, values)), time.perf_counter() - started)
    except Exception as error:  # noqa: BLE001 - whatever the user's function raises fails one combination
        failure = Failure(error, type(error).__name__, said_by(error), traceback_of(error))
        return Outcome(seconds=time.perf_counter() - started, failure=failure)


# ---------------------------------------------------------------- many calls, elsewhere


def work(code: Code, calls: Sequence[Mapping[str, Any]], seconds: float) -> Returned:
    """Make calls until they are made or the time is up; the first one is made in any case.

    The entry point of every executor. It raises nothing, so that what an executor raises is its own.
    """
    is_home = code.home == _here()
    if not is_home:
        forget()
        if refusal := _refusal(code):
            return Returned((), refusal=refusal)
    outcomes: list[Outcome] = []
    started = time.monotonic()
    for arguments in calls:
        if outcomes and time.monotonic() - started > seconds:
            break
        try:
            outcome = call(code, arguments)
        except KeyboardInterrupt:  # pressed in a terminal, it reaches all processes; what is done is returned
            return Returned(outcomes, is_interrupted=True)
        outcomes.append(outcome if is_home else _portable(outcome))
    return Returned(outcomes)


def _portable(outcome: Outcome) -> Outcome:
    """Leave out an exception that would break the pool when it arrives, as one with arguments of its own does."""
    failure = outcome.failure
    if failure is None:
        return outcome
    error: Any = failure.error
    from multiprocessing.reduction import ForkingPickler  # late, as only what fails in a worker needs it

    try:
        ForkingPickler.loads(ForkingPickler.dumps(error))
    except Exception:  # noqa: BLE001 - pickling runs the methods of a user's exception
        error = None
    return outcome._replace(failure=failure._replace(error=error))


_checked: set[tuple[object, str]] = set()


def _refusal(code: Code) -> str:
    """Say why this process must not run the function: it would be other code than the results are filed under."""
    if code.sent is None:
        return ""
    inner = innermost(code.function)
    known = (getattr(inner, "__code__", type(inner)), code.sent.hash)
    if known in _checked:
        return ""
    if fingerprint_settings() != code.settings:
        take_over(code.settings)
    if code.sent.is_by_value:
        main_is_elsewhere()
    different = different_there(code.sent, fingerprint_of(code.function, code.classes))
    if different:
        return (
            f"The worker {os.getpid()} on {platform.node()} would run other code than {code.name}() is now, which "
            f"differs in {', '.join(different)}: it imported a module before it was edited, or something that the "
            "code reads has another value there. Restart the workers, and run again."
        )
    _checked.add(known)
    return ""
