"""What holds for every test: a clean environment, no current database left behind, Hypothesis profiles."""

from __future__ import annotations

import gc
import hashlib
import os
import shutil
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import pytest
from hypothesis import HealthCheck, settings
from tests.net import serving

import scidb
from scidb import registry, store
from scidb.current import current, set_default
from scidb.hashing import settings as settings_of_fingerprints
from scidb.store.duck import opening
from scidb.store.duck.creating import create_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

# A busy machine is not a slow strategy, hence no deadline and no complaint about slowness.
_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("default", _PATIENT, derandomize=True, max_examples=10)
settings.register_profile("slow", _PATIENT, max_examples=5_000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# They choose what is tested, not how the product behaves.
_FOR_TESTS = {"SCIDB_GAIT", "SCIDB_OTHER_PYTHON"}


# Tests over HTTP that are quick and look at what each of the others goes through, too.
_HTTP_BY_DEFAULT = {"test_schema_plan.py"}


@pytest.hookimpl(tryfirst=True)  # before what is slow is left out
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Choose over which stores a test runs by default; the slow run has all.

    Of what lies above the stores, one test a file runs over DuckDB. Over HTTP run few, and none that looks at what
    only a local store has.
    """
    seen: set[Path] = set()
    local = set()
    for item in items:
        store = _store_of(item)
        if store == "duck" and item.get_closest_marker("above_stores") and not item.get_closest_marker("every_store"):
            if item.path in seen:
                item.add_marker(pytest.mark.slow)
            seen.add(item.path)
        elif store == "http" and item.get_closest_marker("local"):
            local.add(item)
        elif store == "http" and item.path.name not in _HTTP_BY_DEFAULT:
            item.add_marker(pytest.mark.slow)
    if local:
        config.hook.pytest_deselected(items=list(local))
        items[:] = [item for item in items if item not in local]


def _store_of(item: pytest.Item) -> object:
    chosen = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    if any(isinstance(one, str) and one == "http" for one in chosen.values()):
        return "http"
    return chosen.get("target", chosen.get("db"))


def pytest_collection_finish() -> None:
    """Leave what is imported and collected out of garbage collection, of which it would be most of the work."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)  # after the fixtures of the file
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Leave out, after each file, also what its tests imported: every full collection would go through it again."""
    if nextitem is not None and nextitem.path != item.path:
        gc.collect()
        gc.freeze()


def pytest_sessionfinish() -> None:
    """Let the libraries clean up at the end."""
    gc.unfreeze()


@runtime_checkable
class _Closable(Protocol):
    def close(self) -> None: ...


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start without settings from outside and without a database; close the one that the test configured."""
    for name in [name for name in os.environ if name.startswith("SCIDB_") and name not in _FOR_TESTS]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(settings_of_fingerprints, "_settings", None)
    set_default(None)
    yield
    database = current()
    set_default(None)
    if isinstance(database, _Closable):
        database.close()


@pytest.fixture(scope="session")
def empty_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for empty databases, one of each kind."""
    return tmp_path_factory.mktemp("empty")


@pytest.fixture(autouse=True)
def files_are_copied(monkeypatch: pytest.MonkeyPatch, empty_files: Path) -> None:
    """Make a new database by copying an empty one, which is quick; who tests the making overrides this fixture."""

    def copy(path: Path, statements: Sequence[str]) -> None:
        empty = empty_files / f"{hashlib.sha256(repr(statements).encode()).hexdigest()}.duckdb"
        if not empty.exists():
            create_file(empty, statements)
        shutil.copy(empty, path)

    monkeypatch.setattr(opening, "create_file", copy)


@pytest.fixture(autouse=True)
def _own_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget, after the test, the variable classes that it defines, which may be named as those of other tests."""
    monkeypatch.setattr(registry, "_classes", dict(registry._classes))


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """Return the address of a database in a file that a server process keeps; who opens it first brings the keys."""
    monkeypatch.setitem(store._OPENERS, "http", "tests.net.serving:open_place")
    address = serving.place(tmp_path / "study.duckdb")
    yield address
    serving.end(address)


@pytest.fixture(params=["memory", "duck", "http"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the database of a test lives."""
    return serving.where(request, tmp_path)


@pytest.fixture
def db(target: str) -> Iterator[scidb.DatabaseManager]:
    """Open a database with two schema keys and make it the current one."""
    database = scidb.open(target, ["subject", "trial"])
    with database.as_current(), database:
        yield database
