"""for_each on real clusters, with real signals and real kills: slow, and skipped where a library is missing."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import scidb

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

STUDY = """
    import sys
    import time
    from scidb import BaseVariable

    class Raw(BaseVariable):
        pass

    class Out(BaseVariable):
        pass

    def double(x):
        time.sleep(0.02)
        return 2 * x

    def later(subject):
        time.sleep(0.02 if subject < 20 else 60)
        return subject
"""

HEAD = """
    import contextlib
    import os
    import sys
    import scidb
    from scidb import for_each
    from study import Out, Raw, double, later

    def run(executor, function=double, count=100):
        with scidb.open(sys.argv[1], {"subject": int}) as db, db.as_current():
            Raw.save_many([(float(n), {"subject": n}) for n in range(count)])
            report = for_each(function, {"x": Raw}, [Out], subject=[], executor=executor)
            with contextlib.suppress(scidb.NotFoundError):
                assert all(item.data == 2 * item.schema["subject"] for item in Out.load_all())
            print(report.completed, report.failed, flush=True)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "study.py").write_text(textwrap.dedent(STUDY))
    return tmp_path


@pytest.fixture
def environment(folder: Path) -> dict[str, str]:
    paths = [str(folder), str(Path(scidb.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "RAY_AUTH_MODE": "disabled", "PYTHONUNBUFFERED": "1"}


def script(folder: Path, body: str) -> list[str]:
    path = folder / "script.py"
    path.write_text(textwrap.dedent(HEAD) + textwrap.dedent(body))
    return [str(path), str(folder / "study.duckdb")]


def finished(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def needs(library: str) -> None:
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")


# ---------------------------------------------------------------- clusters


def test_dask_on_this_machine(folder: Path, environment: dict[str, str]) -> None:
    """A LocalCluster runs functions of modules, of the script, and lambdas."""
    needs("distributed")
    body = """
        def of_script(x):
            return x + x

        if __name__ == "__main__":
            from distributed import Client, LocalCluster
            with LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
                for function in (double, of_script, lambda x: 2.0 * x):
                    run(client.get_executor(pure=False), function)
    """
    said = finished([sys.executable, *script(folder, body)], environment)
    assert said.split() == ["100", "0", "100", "0", "100", "0"]


@pytest.fixture
def dask(folder: Path, environment: dict[str, str]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Start a scheduler and two workers, each a process of its own."""
    needs("distributed")
    file = folder / "scheduler.json"
    about: dict[str, Any] = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    start = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard"]
    processes = [subprocess.Popen([*start, "--scheduler-file", str(file)], **about)]
    start = [sys.executable, "-m", "distributed.cli.dask_worker", "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    processes += [subprocess.Popen([*start, "--scheduler-file", str(file)], **about) for _ in range(2)]
    while not file.exists():
        time.sleep(0.1)
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def test_dask_goes_on_when_a_worker_is_killed(
    folder: Path, environment: dict[str, str], dask: list[subprocess.Popen[bytes]]
) -> None:
    """With a scheduler and two workers of their own, one of which is killed, every combination is computed."""
    body = """
        if __name__ == "__main__":
            from distributed import Client
            with Client(scheduler_file=sys.argv[2]) as client:
                client.wait_for_workers(2)
                print("ready", flush=True)
                run(client.get_executor(pure=False), count=400)
    """
    command = [sys.executable, *script(folder, body), str(folder / "scheduler.json")]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(2.0)
    dask[1].kill()
    said, _ = process.communicate(timeout=200)
    assert said.split() == ["400", "0"]


def test_mpi(folder: Path, environment: dict[str, str]) -> None:
    """Under mpiexec a function of a module runs; a lambda is refused before anything runs."""
    needs("mpi4py")
    if shutil.which("mpiexec") is None:
        pytest.skip("there is no mpiexec")
    body = """
        if __name__ == "__main__":
            from mpi4py.futures import MPIPoolExecutor
            with MPIPoolExecutor() as executor:
                run(executor)
                try:
                    run(executor, lambda x: 2 * x)
                except scidb.PipelineError as error:
                    print("refused" if "cannot send" in str(error) else error)
    """
    # As root, and with fewer cores than processes, Open MPI wants to be asked twice.
    allowed = {
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_rmaps_base_oversubscribe": "1",
        "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    }
    command = ["mpiexec", "-n", "3", sys.executable, "-m", "mpi4py.futures", *script(folder, body)]
    assert finished(command, environment | allowed).split() == ["100", "0", "refused"]


def test_ray(folder: Path, environment: dict[str, str]) -> None:
    """Ray runs functions of modules and lambdas, and a cancelled task is cancelled in Ray."""
    needs("ray")
    body = """
        import time

        def busy(path):
            open(path, "w").close()
            for _ in range(6_000):
                time.sleep(0.01)

        if __name__ == "__main__":
            import ray
            ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
            executor = scidb.executors.ray()
            run(executor)
            run(executor, lambda x: 2.0 * x)
            tasks = [executor.submit(busy, f"{sys.argv[1]}.{n}") for n in range(3)]
            while not os.path.exists(f"{sys.argv[1]}.1") and not os.path.exists(f"{sys.argv[1]}.2"):
                time.sleep(0.1)
            started = time.monotonic()
            cancelled = [task.cancel() and task.cancelled() for task in tasks]
            print(all(cancelled), executor.submit(abs, -1).result(), time.monotonic() - started < 20)
            ray.shutdown()
    """
    said = finished([sys.executable, *script(folder, body)], environment).split()
    assert said == ["100", "0", "100", "0", "True", "1", "True"]


# ---------------------------------------------------------------- scripts and notebooks


def test_functions_of_a_script(folder: Path, environment: dict[str, str]) -> None:
    """Functions, thunks and classes of the script itself run in processes of loky and in spawned ones."""
    needs("loky")
    body = """
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor
        from dataclasses import dataclass
        from scidb import thunk

        K = 3

        @dataclass
        class Option:
            k: int = 2
            def times(self, n):
                return self.k * n

        def helper(n):
            return K * n

        def compute(subject, option):
            return helper(option.times(subject))

        @thunk
        def recall(subject, option):
            return helper(option.times(subject))

        def run_both(**where):
            with scidb.open("memory:", {"subject": int}) as db, db.as_current():
                for function in (compute, recall):
                    about = {"subject": range(10), "pass_metadata": True, "force": True, **where}
                    report = for_each(function, {"option": Option()}, [Out], **about)
                    print(report.completed, Out.load_all(as_df=True)["Out"].sum())

        if __name__ == "__main__":
            run_both(n_jobs=2)
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                run_both(executor=pool)
    """
    said = finished([sys.executable, *script(folder, body)], environment).split()
    assert said == ["10", "270", "10", "540"] * 2


def test_functions_of_a_prompt(folder: Path, environment: dict[str, str]) -> None:
    """What was defined at a prompt travels with loky, and is refused for spawned processes before anything runs."""
    needs("loky")
    body = """
        import multiprocessing, scidb
        from concurrent.futures import ProcessPoolExecutor
        from scidb import BaseVariable, for_each
        class Out(BaseVariable):
            pass
        K = 2
        def helper(n):
            return K * n
        def compute(subject):
            return helper(subject)
        with scidb.open("memory:", {"subject": int}) as db, db.as_current():
            report = for_each(compute, {}, [Out], subject=range(10), pass_metadata=True, n_jobs=2)
            print(report.completed, Out.load_one(subject=3).data)
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                try:
                    for_each(compute, {}, [Out], subject=range(10), pass_metadata=True, executor=pool, force=True)
                except scidb.PipelineError as error:
                    print("refused" if "notebook" in str(error) else error)
    """
    assert finished([sys.executable, "-c", textwrap.dedent(body)], environment).split() == ["10", "6", "refused"]


# ---------------------------------------------------------------- Ctrl-C


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_stops_cleanly(folder: Path, environment: dict[str, str], jobs: int) -> None:
    """A real SIGINT to the whole group: what is done is saved, the report says the rest, and no worker is left."""
    if jobs > 1:
        needs("loky")
    psutil = pytest.importorskip("psutil")
    body = """
        if __name__ == "__main__":
            with scidb.open(sys.argv[1], {"subject": int}) as db, db.as_current():
                try:
                    for_each(later, {}, [Out], subject=range(40), pass_metadata=True, n_jobs=int(sys.argv[2]))
                except KeyboardInterrupt as stop:
                    print(stop.report.completed, stop.report, flush=True)
                    raise
    """
    process = subprocess.Popen(
        [sys.executable, *script(folder, body), str(jobs)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not (folder / "study.duckdb").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(15 if jobs > 1 else 4)
    workers = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=30)

    _, alive = psutil.wait_procs(workers, timeout=10)
    assert alive == []
    completed = int(said.split()[0])
    assert completed >= 10
    assert "not run" in said
    with scidb.open(folder / "study.duckdb") as db:
        assert len(list(db.load_all("Out"))) == completed
        assert db.runs()[0].interrupted
