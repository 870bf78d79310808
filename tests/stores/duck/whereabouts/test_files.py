"""The files of a database: for their owner alone, room for large writes, and where DuckDB puts what is in the way."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import subprocess
import tempfile
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from scidb.exceptions import StorageError
from scidb.store import disk
from scidb.store.duck import DuckStore, compacting, connection, creating
from scidb.store.duck.whereabouts import spill
from scidb.store.model import Batch, Chunk, Latest, Match, SchemaKey, TypeInfo
from scidb.testing.store_suite.samples import record, save

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEYS = [SchemaKey("subject", "int")]
ALL = Latest(Match(variables=("Force",)))

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the rights of a folder hold for what is in it there")


def modes(folder: Path) -> dict[str, int]:
    """Return who may do what with the files of a folder."""
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


def open_store(path: Path) -> DuckStore:
    store = DuckStore.open(path, KEYS)
    store.register(TypeInfo("Force"))
    return store


def noise(subject: int, mib: int) -> Batch:
    """Return a batch with an array of this size, which nothing makes smaller."""
    values = np.random.default_rng(subject).standard_normal(mib * 2**17)
    table = pa.table({"value": pa.array([values], pa.list_(pa.float64()))})
    return Batch(chunks=(Chunk((record("Force", mib, {"subject": subject}, encoding='{"kind":"array"}'),), table),))


# ---------------------------------------------------------------- who may read


@pytest.fixture
def files_are_copied() -> None:
    """Make each database as a user would."""


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_everything_is_the_owner_s(tmp_path: Path, umask: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new database, its note, its log and the next log after a checkpoint: 0600, whatever the umask says."""
    monkeypatch.setitem(connection._SETTINGS, "checkpoint_threshold", "1MB")
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(0o755)
    names = {"study.duckdb", "study.duckdb.lock", "study.duckdb.wal"}
    store = open_store(folder / "study.duckdb")
    assert modes(folder) == dict.fromkeys(names, 0o600)
    store.write(noise(1, 2))
    save(store, "Force", 1.0, subject=2)
    assert modes(folder) == dict.fromkeys(names, 0o600)
    store.close()
    assert modes(folder) == {"study.duckdb": 0o600}


def test_nobody_sees_it_being_made(tmp_path: Path, umask: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The draft of a new file lies where others cannot come: who opened it then could read it for ever."""
    seen: list[int] = []
    publish = creating._publish

    def look(draft: Path, path: Path) -> None:
        seen.extend((stat.S_IMODE(draft.parent.stat().st_mode), stat.S_IMODE(draft.stat().st_mode)))
        publish(draft, path)

    monkeypatch.setattr(creating, "_publish", look)
    open_store(tmp_path / "study.duckdb").close()

    assert seen == [0o700, 0o600]
    assert list(modes(tmp_path)) == ["study.duckdb"]


def test_nobody_sees_it_being_written_anew(tmp_path: Path, umask: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new file of a compaction lies where others cannot come; what a killed one left there goes."""
    store = open_store(tmp_path / "study.duckdb")
    save(store, "Force", 1.0, subject=1)
    folder = tmp_path / ".study.duckdb.compact"
    folder.mkdir()
    (folder / "study.duckdb").write_text("of a process that was killed")
    seen: list[dict[str, int]] = []
    flush = disk.flush_file

    def look(draft: Path) -> None:
        assert draft.is_relative_to(folder)
        seen.append(modes(tmp_path))
        flush(draft)

    monkeypatch.setattr(compacting, "flush_file", look)
    store.compact()
    store.close()

    [during] = seen
    assert during.pop(".study.duckdb.compact") == 0o700
    assert set(during.values()) == {0o600}
    assert modes(tmp_path) == {"study.duckdb": 0o600}


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o640])
def test_who_may_read_the_file_may_read_what_belongs_to_it(tmp_path: Path, umask: int, mode: int) -> None:
    """The mode of an existing file is kept, and its log and its note have the same."""
    path = tmp_path / "study.duckdb"
    open_store(path).close()
    path.chmod(mode)
    store = DuckStore.open(path)
    save(store, "Force", 1.0, subject=1)

    assert modes(tmp_path) == dict.fromkeys(("study.duckdb", "study.duckdb.lock", "study.duckdb.wal"), mode)
    store.compact()
    assert modes(tmp_path)["study.duckdb"] == mode
    store.close()
    assert modes(tmp_path) == {"study.duckdb": mode}


def test_no_empty_log_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails at its commit leaves no log behind, and one that another process wrote is not touched."""
    open_store(tmp_path / "study.duckdb").close()
    store = DuckStore.open(tmp_path / "study.duckdb")
    run = store._connection._run

    def fail(query: str, call: object) -> object:
        if query == "COMMIT":
            raise StorageError("No.")
        return run(query, call)  # type: ignore[arg-type]

    monkeypatch.setattr(store._connection, "_run", fail)
    with pytest.raises(StorageError, match=r"No\."):
        save(store, "Force", 1.0, subject=1)
    assert "study.duckdb.wal" in modes(tmp_path)
    store.close()
    assert list(modes(tmp_path)) == ["study.duckdb"]


# ---------------------------------------------------------------- room


def test_a_large_write_needs_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without room a large batch is refused before anything is written, and says needed and free; the store goes on."""
    usage = SimpleNamespace(free=30 * 2**20)
    store = open_store(tmp_path / "study.duckdb")
    before = {path.name: path.stat() for path in tmp_path.iterdir()}
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(store._connection, "transaction", lambda _: pytest.fail("something is written"))
    with pytest.raises(StorageError, match=r"about 42 MiB are needed and 30 MiB are free\. Nothing was") as caught:
        store.write(noise(1, 32))
    assert 32 * 2**20 < int(str(caught.value.details["needed"])) < 48 * 2**20
    assert caught.value.details["free"] == 30 * 2**20
    assert {path.name: path.stat() for path in tmp_path.iterdir()} == before
    monkeypatch.undo()

    store.write(noise(1, 1))
    assert len(store.find(ALL)) == 1
    store.close()


def test_small_writes_do_not_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file system is asked about a large batch, and about no other."""
    asked: list[Path] = []

    def count(path: Path) -> object:
        asked.append(path)
        return usage

    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", count)
    store = open_store(tmp_path / "study.duckdb")
    for subject in range(3):
        save(store, "Force", 1.0, subject=subject)
    store.write(noise(3, 15))
    assert asked == []
    store.write(noise(4, 16))
    assert asked == [tmp_path]
    store.close()


def test_a_disk_that_does_not_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the room is not known, the write itself will tell."""

    def refuse(_: Path) -> object:
        raise PermissionError

    monkeypatch.setattr(shutil, "disk_usage", refuse)
    store = open_store(tmp_path / "study.duckdb")
    assert len(store.write(noise(1, 16))) == 1
    store.close()


def test_a_real_disk_that_is_nearly_full(tmp_path: Path) -> None:
    """On a file system of 24 MiB an array of 20 MiB is refused, one of 4 MiB is not."""
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(tmp_path)], check=False).returncode:
        pytest.skip("this user may not mount")
    try:
        store = open_store(tmp_path / "study.duckdb")
        with pytest.raises(StorageError, match=r"about 26 MiB are needed"):
            store.write(noise(1, 20))
        assert len(store.write(noise(2, 4))) == 1
        store.close()
        store = DuckStore.open(tmp_path / "study.duckdb")
        assert [one.schema for one in store.find(ALL)] == [{"subject": 2}]
        store.close()
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


# ---------------------------------------------------------------- what does not fit into memory


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder for temporary files, which everybody shares."""
    root = tmp_path / "temporary"
    root.mkdir()
    root.chmod(0o1777)
    monkeypatch.setattr(spill, "_folders", {})
    monkeypatch.setattr(tempfile, "tempdir", str(root))
    monkeypatch.setenv("TMPDIR", str(root))
    return root


def own_folder(tmp_path: Path) -> Path:
    """Return the folder of this process."""
    found = spill.spill_folder(tmp_path / "study.duckdb")
    assert found is not None
    return found.parent


def test_it_does_not_lie_beside_the_database(tmp_path: Path, root: Path, umask: int) -> None:
    """DuckDB's own temporary files go to the folder for such, where only the owner of the process can come."""
    path = tmp_path / "study.duckdb"
    store = open_store(path)
    [[place]] = store._connection.rows("SELECT current_setting('temp_directory')")

    [ours] = root.iterdir()
    [mine] = ours.iterdir()
    assert place == str(spill.spill_folder(path))
    assert place.startswith(f"{mine}/")
    assert modes(root) | modes(ours) == {ours.name: 0o700, mine.name: 0o700}
    assert spill.spill_folder(tmp_path / "other.duckdb") != spill.spill_folder(path)
    store.close()


def test_a_disk_comes_before_memory(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a wish of the user, the folder is one that outlives the computer's memory."""
    monkeypatch.delenv("TMPDIR")
    monkeypatch.setattr(spill, "_ON_DISK", str(root.parent))
    assert spill._root() == root.parent
    monkeypatch.setattr(spill, "_ON_DISK", str(root / "none"))
    assert spill._root() == root


def test_what_killed_processes_left_is_cleared(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next process takes away what nobody uses any more, and leaves what somebody does."""
    mine = own_folder(tmp_path)
    left, used = mine.with_name("1-left"), mine.with_name("2-used")
    for folder in (left, used):
        folder.mkdir()
        (folder / "values.tmp").touch()
    file = os.open(used, os.O_RDONLY)
    fcntl.flock(file, fcntl.LOCK_SH)
    monkeypatch.setattr(spill, "_folders", {})
    again = own_folder(tmp_path)
    os.close(file)

    assert (mine.is_dir(), used.is_dir(), left.is_dir(), again != mine) == (True, True, False, True)


def test_a_folder_that_others_can_enter_is_closed(tmp_path: Path, root: Path) -> None:
    """What is ours already, but open to others, is restricted before anything is put there."""
    ours = root / f"scidb-{os.getuid()}"
    ours.mkdir()
    ours.chmod(0o755)

    assert own_folder(tmp_path).parent == ours
    assert modes(root) == {ours.name: 0o700}


@pytest.mark.parametrize("thing", ["link", "file"])
def test_a_name_that_somebody_took(tmp_path: Path, root: Path, thing: str) -> None:
    """In the folder that all users share, what goes by the expected name and is not our folder is not used."""
    theirs, name = tmp_path / "theirs", root / f"scidb-{os.getuid()}"
    theirs.mkdir()
    name.symlink_to(theirs) if thing == "link" else name.touch()

    found = own_folder(tmp_path)

    assert (found.parent.parent, list(theirs.iterdir())) == (root, [])
    assert stat.S_IMODE(found.parent.stat().st_mode) == 0o700


def test_without_a_folder_for_it(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no temporary folder can be made a database opens all the same, and nothing is put beside it."""
    monkeypatch.setattr(tempfile, "tempdir", str(root / "none"))
    store = open_store(tmp_path / "study.duckdb")
    [[place]] = store._connection.rows("SELECT current_setting('temp_directory')")
    save(store, "Force", 1.0, subject=1)

    assert (place, len(store.find(ALL))) == ("", 1)
    store.close()


@pytest.mark.slow
def test_what_does_not_fit_goes_there(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sort of more than the memory allows works, and leaves nothing behind."""
    monkeypatch.setitem(connection._SETTINGS, "memory_limit", "64MB")
    store = open_store(tmp_path / "study.duckdb")
    rows = "SELECT row_number() OVER (ORDER BY b) FROM (SELECT random()::VARCHAR b FROM range(3000000))"
    assert store.sql(f"SELECT count(*) AS n FROM ({rows})")["n"].to_pylist() == [3_000_000]
    files = {f"study.duckdb{end}" for end in ("", ".lock", ".wal")}
    assert {path.name for path in tmp_path.iterdir()} <= {"temporary", *files}
    store.close()
    assert [file for file in root.rglob("*") if file.is_file()] == []
