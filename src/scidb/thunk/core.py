"""`Thunk`, a function whose calls remember where their result came from.

Nothing is stored here. Before a call runs, the current database is asked whether it knows the result;
what is recorded, and when, is the business of whoever saves an output.
"""

from __future__ import annotations

import functools
import sys
import threading
import time
import warnings
from collections.abc import AsyncGenerator, Coroutine, Generator
from types import MethodType
from typing import TYPE_CHECKING, Any, Literal, overload

from scidb.exceptions import (
    ChangingCodeWarning,
    IgnoreWarning,
    LargeGlobalWarning,
    OutputCountError,
    UncacheableWarning,
    UnsupportedValueError,
)
from scidb.hashing.arguments import Parameters
from scidb.hashing.code.fingerprint import changed_reads, snapshot
from scidb.hashing.code.fingerprint import fingerprint as fingerprint_of
from scidb.hashing.code.seen import note_seen
from scidb.hashing.ids import GENERATED
from scidb.hashing.inputs import preview
from scidb.hashing.paths import file_states, written_since
from scidb.hashing.settings import checked_options
from scidb.thunk.binding import resolve, without_history
from scidb.thunk.cache import recall
from scidb.thunk.call import PipelineThunk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from scidb.hashing.code.fingerprint import Fingerprint

__all__ = ["Thunk", "thunk"]

# What can be read only once: saved, it would be empty; passed on, the second reader would find nothing.
_READ_ONCE = (Generator, AsyncGenerator, Coroutine, map, filter, zip)


class Thunk:
    """A function whose calls remember where their result came from, and are not repeated when it was saved.

    A call returns a `ThunkOutput` (a tuple of them for several outputs). Before it runs, the current
    database is asked for a saved result of the same code on the same inputs. The function receives copies
    of results and of the data of variables, so that what it changes in place stays its own.

    The keyword ``force=True`` of a call runs it regardless; it never reaches the function. Where the
    function has a parameter ``force`` of its own, the keyword is the function's, and what is known is set
    aside with ``db.invalidate_cache``.

    Parameters
    ----------
    function
        Any callable: a function, a method, a class, or something out of a library.
    n_outputs
        How many values a call returns. One: the returned object is the value, whatever it is.
    unpack_output
        The function returns a tuple or list, each item of which becomes an output.
    unwrap
        Whether the function receives the data of a variable (the default), or the variable whole.
    generates_file
        The function writes a file, so that only lineage is stored. A repeated call is skipped, with None as
        its value, unless a path among its arguments no longer exists. Thunks that receive the result
        receive None.
    version
        Replaces the fingerprint of the code by a version that you keep yourself.
    includes
        Further functions and classes that the code depends on, where that cannot be seen.
    ignore
        Names that the code reads, but which do not affect its result.
    strict
        Do not recall anything when the code could not be fully fingerprinted.

    Examples
    --------
    >>> from scidb.thunk import Thunk
    >>> low, high = Thunk(divmod, n_outputs=2)(17, 5)
    >>> low.data, high.data
    (3, 2)

    """

    # The fingerprint of code that calls this thunk goes through to the function.
    __scidb_transparent__ = True

    __wrapped__: Callable[..., Any]
    __name__: str

    def __init__(
        self,
        function: Callable[..., Any],
        n_outputs: int = 1,
        *,
        unpack_output: bool = False,
        unwrap: bool = True,
        generates_file: bool = False,
        version: str | None = None,
        includes: Iterable[Any] = (),
        ignore: Iterable[str] = (),
        strict: bool = False,
    ) -> None:
        if not callable(function):
            raise TypeError(
                f"a thunk needs a function, got {preview(function)}; options are keywords, as in "
                "@thunk(n_outputs=2), and @classmethod or @property stand above @thunk"
            )
        if n_outputs < 1:
            raise OutputCountError(f"n_outputs={n_outputs}: a thunk has at least one output", expected=1, got=n_outputs)
        functools.update_wrapper(self, function)
        self.function = function
        self.n_outputs: int | Literal["unpack"] = "unpack" if unpack_output and n_outputs == 1 else n_outputs
        self.unwrap = unwrap
        self.generates_file = generates_file
        self.version = version
        self.includes, self.ignore = checked_options(version, includes, ignore)
        self.strict = strict
        self.parameters = Parameters(function)
        self._warned: set[type[Warning]] = set()
        # Where the code reads something large: the hash of what was called last, and whether that ever changed.
        self._called: str | None = None
        self._is_watched = False
        self._lock = threading.Lock()
        # What runs is what was imported, also when the file is edited before the first call.
        snapshot(function)
        note_seen(self)

    @property
    def declared(self) -> int | str:
        """The declared form of the outputs, as it enters the identity of a call."""
        return GENERATED if self.generates_file else self.n_outputs

    @property
    def name(self) -> str:
        """The name of the function, for people."""
        function = self.function
        while isinstance(function, functools.partial):
            function = function.func
        return str(getattr(function, "__name__", type(function).__name__))

    def fingerprint(self, own_classes: Iterable[type] = ()) -> Fingerprint:
        """Return the identity of the code that a call would run now, given arguments of these classes."""
        includes = (*self.includes, *own_classes)
        return fingerprint_of(self.function, version=self.version, includes=includes, ignore=self.ignore)

    def uncacheable_reason(self, fingerprint: Fingerprint) -> str | None:
        """Say why no call that runs this code can be recognised again; None when calls can."""
        if self.strict and fingerprint.warnings:
            return f"strict=True, and its code is not fully known: {fingerprint.warnings[0]}"
        return None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the result of the function: recalled when it was saved, else computed."""
        force = "force" not in self.parameters and bool(kwargs.pop("force", False))
        computation = PipelineThunk(self, *self._bind(args, kwargs))
        if computation.uncacheable is not None and self._first(UncacheableWarning):
            warnings.warn(
                f"{self.name}() runs every time, because its calls cannot be recognised: {computation.uncacheable}",
                UncacheableWarning,
                stacklevel=2,
            )
        if computation.fingerprint.remarks and self._first(IgnoreWarning):
            remarks = " ".join(computation.fingerprint.remarks)
            warnings.warn(f"{self.name}(): {remarks}", IgnoreWarning, stacklevel=2)
        if computation.fingerprint.large and self._first(LargeGlobalWarning):
            warnings.warn(
                f"{self.name}() reads {computation.fingerprint.large}, all of which is hashed at every call, so that a "
                "change is noticed. Save it as a variable and pass that, whose hash is kept; or name it in ignore= "
                "when it does not affect the result",
                LargeGlobalWarning,
                stacklevel=2,
            )
        if not computation.is_complete:
            waiting = self.n_outputs if isinstance(self.n_outputs, int) else 1
            return computation.finish([None] * waiting, is_complete=False)
        values = None if force else recall(computation, stacklevel=2)
        if values is not None:
            known = [None] * len(values) if self.generates_file else values
            return computation.finish(known, was_cached=True)
        values = self._run(computation, args, kwargs)
        changed = [] if ChangingCodeWarning in self._warned else self._changed_by(computation)
        if changed and self._first(ChangingCodeWarning):
            warnings.warn(
                f"{self.name}() changes what it reads: {', '.join(changed)}. The next call therefore counts "
                "as other code and is not recalled; pass it as an argument, or name it in ignore= when it "
                "does not affect the result",
                ChangingCodeWarning,
                stacklevel=2,
            )
        return computation.finish(values)

    def _bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[dict[str, Any], frozenset[str]]:
        try:
            return self.parameters.bind_noting_defaults(args, kwargs)
        except TypeError as error:
            raise TypeError(f"{self.name}(): {error}") from None

    def _run(self, computation: PipelineThunk, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Sequence[Any]:
        # As the caller wrote them: a wrapper may tell an omitted argument from its default.
        positional = [resolve(value, unwrap=self.unwrap) for value in args]
        keywords = {name: resolve(value, unwrap=self.unwrap) for name, value in kwargs.items()}
        before = file_states(computation.inputs) if self.generates_file else {}
        start = time.perf_counter()
        result = self.function(*positional, **keywords)
        computation.seconds = time.perf_counter() - start
        computation.written = written_since(before)
        return self._outputs(result)

    def _changed_by(self, computation: PipelineThunk) -> list[str]:
        """Return the names of what the code reads, and what a call has changed.

        Something large is hashed again after the first call, and after all once it was found changed: by whom is not
        known then, so that the next change by a call is seen.
        """
        if computation.fingerprint.large:
            with self._lock:
                before, self._called = self._called, computation.fingerprint.hash
                self._is_watched = self._is_watched or before not in {None, self._called}
            if before is not None and not self._is_watched:
                return []
        return changed_reads(computation.fingerprint, self.fingerprint(computation.own_classes))

    def _outputs(self, result: Any) -> Sequence[Any]:
        """Return the values of the outputs in what the function returned."""
        returned: Sequence[Any] = (result,)
        if self.n_outputs != 1:
            result = without_history(result)
            if not isinstance(result, tuple | list):
                raise self._miscounted(f"one {type(result).__name__}", got=1)
            if isinstance(self.n_outputs, int) and len(result) != self.n_outputs:
                raise self._miscounted(f"a {type(result).__name__} of {len(result)}", got=len(result))
            returned = result
        for value in returned:
            if isinstance(value, _READ_ONCE):
                raise UnsupportedValueError(
                    f"{self.name}() returned a {type(value).__name__}, which can be read only once and has "
                    "no value to keep; return a list or an array",
                    path=f"{self.name}()",
                )
        return [without_history(value) for value in returned]

    def _miscounted(self, returned: str, got: int) -> OutputCountError:
        expected = "a tuple or list" + ("" if self.n_outputs == "unpack" else f" of {self.n_outputs}")
        return OutputCountError(
            f"{self.name}() returned {returned}, expected {expected}: correct the return statement, or "
            "declare the outputs with n_outputs= or unpack_output=",
            function=self.name,
            expected=self.n_outputs,
            got=got,
        )

    def _first(self, category: type[Warning]) -> bool:
        """Tell whether this is the first warning of its kind; also exactly one of many threads hears True."""
        with self._lock:
            first = category not in self._warned
            self._warned.add(category)
            return first

    def __get__(self, instance: object | None, owner: type | None = None) -> Any:
        """Bind to an instance, so that a thunk works as a method."""
        return self if instance is None else MethodType(self, instance)

    def __reduce__(self) -> str | tuple[Any, ...]:
        # A decorated function cannot travel by its name, since that name is this thunk; so the thunk does.
        module = sys.modules.get(getattr(self, "__module__", ""))
        qualified = getattr(self, "__qualname__", "")
        found: object = module
        for part in qualified.split("."):
            found = getattr(found, part, None)
        # What was defined at a prompt or in a notebook cannot be imported; some can send it whole.
        if found is self and (module is None or module.__name__ != "__main__" or hasattr(module, "__file__")):
            return str(qualified)
        return self.by_value()

    def by_value(self) -> tuple[Any, ...]:
        """Return how the thunk is made again elsewhere, in the form of ``__reduce__``; nothing is looked up by name."""
        unpack = self.n_outputs == "unpack"
        options: dict[str, Any] = {
            "n_outputs": 1 if unpack else self.n_outputs,
            "unpack_output": unpack,
            "unwrap": self.unwrap,
            "generates_file": self.generates_file,
            "version": self.version,
            "includes": self.includes,
            "ignore": self.ignore,
            "strict": self.strict,
        }
        return functools.partial(Thunk, **options), (self.function,)

    def __repr__(self) -> str:
        return f"<Thunk {self.name}>"


@overload
def thunk(function: Callable[..., Any], /) -> Thunk: ...
@overload
def thunk(
    *,
    n_outputs: int = 1,
    unpack_output: bool = False,
    unwrap: bool = True,
    generates_file: bool = False,
    version: str | None = None,
    includes: Iterable[Any] = (),
    ignore: Iterable[str] = (),
    strict: bool = False,
) -> Callable[[Callable[..., Any]], Thunk]: ...
def thunk(function: Callable[..., Any] | None = None, /, **options: Any) -> Thunk | Callable[..., Thunk]:
    """Make a function remember where its results come from; see `Thunk` for the options.

    Examples
    --------
    >>> from scidb.thunk import thunk
    >>> @thunk(n_outputs=2)
    ... def extremes(values):
    ...     return min(values), max(values)
    >>> low, high = extremes([3, 1, 2])
    >>> low.data, high.data
    (1, 3)

    """
    if function is None:
        return functools.partial(Thunk, **options)
    return Thunk(function, **options)
