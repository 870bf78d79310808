"""Where calls run: in a pool of processes or threads, or in any other `concurrent.futures.Executor`.

Knows nothing of what runs there. Clusters are imported when they are asked for.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import signal
import sys
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from scidb.exceptions import PipelineError
from scidb.extras import require

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Pool", "pool_for", "ray"]

_IDLE_SECONDS: Final = 60
# What sends functions by value, with cloudpickle: lambdas and those of a notebook, too.
_BY_VALUE: Final = ("loky", "joblib", "distributed", "dask", "scidb")


@dataclass(slots=True)
class Pool:
    """An executor, and what has to be known of it to keep it busy."""

    executor: Executor
    is_own: bool = False  # made for `n_jobs`, so that it may be ended

    @property
    def workers(self) -> int:
        """How many calls it runs at a time; a guess for an executor that does not say."""
        executor: Any = self.executor
        for name in ("_max_workers", "num_workers"):
            found: object = getattr(executor, name, None)
            if isinstance(found, int) and found > 0:
                return found
        client = getattr(executor, "_client", None)  # of dask.distributed, whose workers come and go
        if client is not None:
            return max(1, int(sum(client.nthreads().values())))
        return os.cpu_count() or 1

    @property
    def shares_memory(self) -> bool:
        """Whether calls run in threads of this process."""
        return isinstance(self.executor, ThreadPoolExecutor)

    @property
    def sends_by_value(self) -> bool:
        """Whether a function can be sent that nobody could import."""
        return type(self.executor).__module__.partition(".")[0] in _BY_VALUE

    @property
    def is_forked(self) -> bool:
        """Whether its processes are copies of this one, and so have all that was defined before they began."""
        context = getattr(self.executor, "_mp_context", None)
        return context is not None and context.get_start_method() == "fork"

    def pickler(self) -> Callable[[Any], bytes | memoryview] | None:
        """Return what writes down a function that is sent; None where nothing is, or nobody knows how."""
        if self.sends_by_value and importlib.util.find_spec("cloudpickle") is not None:
            dumps: Callable[[Any], bytes | memoryview] = importlib.import_module("cloudpickle").dumps
            return dumps
        modules = {cls.__module__ for cls in type(self.executor).__mro__}
        if "concurrent.futures.process" in modules or any(name.startswith("mpi4py.") for name in modules):
            from multiprocessing.reduction import ForkingPickler

            return ForkingPickler.dumps
        return None

    @property
    def is_lost(self) -> bool:
        """Whether a cluster is gone; futures of dask.distributed then wait for ever."""
        return getattr(getattr(self.executor, "_client", None), "status", "running") in ("closed", "closing")

    def release(self) -> None:
        """Give the pool back when all is done; processes wait a while for the next call."""
        if self.is_own and self.shares_memory:
            self.executor.shutdown()

    def stop(self) -> None:
        """End an own pool with what it runs, as far as that can be ended."""
        if not self.is_own:
            return
        if self.shares_memory:
            self.executor.shutdown(wait=False, cancel_futures=True)
        else:
            _processes.end(self.executor)

    def restart(self) -> bool:
        """Start an own pool of processes anew, so that they import what there is now; say whether that was done."""
        if not self.is_own or self.shares_memory:
            return False
        count = self.workers
        _processes.end(self.executor)
        self.executor = _processes.get(count)
        return True


def pool_for(executor: object | None, n_jobs: int | None, prefer: str) -> Pool | None:
    """Return where the calls of a run are to be made; None means here, one after the other.

    Raises
    ------
    PipelineError
        When the arguments cannot be meant.
    UnsupportedOperationError
        When the library for processes is missing.

    """
    if prefer not in ("processes", "threads"):
        raise PipelineError(f"prefer={prefer!r}: use 'processes' or 'threads'.")
    if executor is not None:
        if n_jobs is not None:
            raise PipelineError("Give executor= or n_jobs=, not both: an executor has its own number of workers.")
        if not isinstance(executor, Executor):
            hint = "client.get_executor(pure=False)" if hasattr(executor, "get_executor") else "ThreadPoolExecutor(4)"
            raise PipelineError(
                f"executor={executor!r}: expected a concurrent.futures.Executor, such as executor={hint}."
            )
        return Pool(executor)
    workers = _count(n_jobs)
    if workers == 1:
        return None
    if prefer == "threads":
        return Pool(ThreadPoolExecutor(workers, thread_name_prefix="for_each"), is_own=True)
    return Pool(_processes.get(workers), is_own=True)


def _count(n_jobs: object) -> int:
    """Return the number of workers: -1 means all cores, -2 all but one."""
    if n_jobs is None:
        return 1
    if not isinstance(n_jobs, int) or isinstance(n_jobs, bool) or n_jobs == 0:
        raise PipelineError(f"n_jobs={n_jobs!r}: use a number of workers, such as 4, or -1 for all cores.")
    return n_jobs if n_jobs > 0 else max(1, _cores() + 1 + n_jobs)


def _cores() -> int:
    with suppress(AttributeError):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Kept(NamedTuple):
    executor: Any
    path: list[str]  # where its processes look for modules


class _Processes:
    """The processes of `n_jobs`, by their number: kept for the next call, since starting them takes about a second."""

    def __init__(self) -> None:
        self._kept: dict[int, _Kept] = {}

    def get(self, workers: int) -> Executor:
        """Return an executor with that many processes."""
        loky = require("loky", "parallel")
        kept = self._kept.get(workers)
        # A process that began with another path would not find what was added to it since.
        if kept is not None and kept.path != sys.path:
            self.end(kept.executor)
            kept = None
        if kept is None or kept.executor._flags.broken is not None or kept.executor._flags.shutdown:  # noqa: SLF001 - says it nowhere else
            executor = loky.ProcessPoolExecutor(
                workers, timeout=_IDLE_SECONDS, initializer=_begin_worker, initargs=(os.getpid(),)
            )
            kept = self._kept[workers] = _Kept(executor, list(sys.path))
        found: Executor = kept.executor
        return found

    def end(self, executor: Executor) -> None:
        """End an executor with whatever it runs."""
        self._kept = {workers: other for workers, other in self._kept.items() if other.executor is not executor}
        ending: Any = executor
        ending.shutdown(wait=True, kill_workers=True)

    def end_all(self) -> None:
        """End them all, before Python takes apart what they need for that."""
        for kept in list(self._kept.values()):
            self.end(kept.executor)


_processes: Final = _Processes()
atexit.register(_processes.end_all)


def _begin_worker(parent: int) -> None:
    """Leave Ctrl-C, which reaches all processes of a terminal, to the one that began the run, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)  # nobody is there to take a result


# ---------------------------------------------------------------- Ray


def _apply(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    # Ray makes tasks of functions alone, and not of every callable.
    return fn(*args, **kwargs)


class _RayFuture(Future[Any]):
    """The future of a Ray task, which is cancelled with it, also while it runs."""

    def __init__(self, library: Any, reference: Any) -> None:
        super().__init__()
        self._library, self._reference = library, reference
        reference.future().add_done_callback(self._arrived)

    def cancel(self) -> bool:
        """Cancel the task here and in Ray."""
        if not super().cancel():
            return False
        self._library.cancel(self._reference)
        return True

    def _arrived(self, inner: Future[Any]) -> None:
        if not self.set_running_or_notify_cancel():
            return
        error = inner.exception()
        if error is None:
            self.set_result(inner.result())
        else:
            self.set_exception(error)


class _RayExecutor(Executor):
    """Ray behind the interface of `concurrent.futures`."""

    def __init__(self, library: Any, options: dict[str, Any]) -> None:
        self._library, self._options = library, options
        self._is_open = True
        remote = library.remote(_apply)
        self._remote = remote.options(**options) if options else remote

    @property
    def num_workers(self) -> int:
        """How many tasks run at a time."""
        cores = self._library.cluster_resources().get("CPU", 1)
        return max(1, int(cores / (self._options.get("num_cpus") or 1)))

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a function as a Ray task."""
        if not self._is_open:
            raise RuntimeError("cannot schedule new futures after shutdown")
        return _RayFuture(self._library, self._remote.remote(fn, args, kwargs))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; Ray itself goes on, and is ended with ``ray.shutdown()``."""
        del wait, cancel_futures
        self._is_open = False


def ray(**options: Any) -> Executor:
    """Return an executor that runs calls as Ray tasks, on the cluster that Ray is connected to.

    Where Ray is not connected yet, it starts on this machine, as Ray does by itself.

    Parameters
    ----------
    **options
        Options of each task as in ``ray.remote``, such as ``num_cpus=2``.

    Raises
    ------
    UnsupportedOperationError
        When Ray is not installed.

    Examples
    --------
    ::

        report = for_each(peak, {"force": Force}, [Peak], subject=[], executor=scidb.executors.ray())

    """
    library = require("ray", "ray")
    if not library.is_initialized():
        library.init()
    return _RayExecutor(library, options)
