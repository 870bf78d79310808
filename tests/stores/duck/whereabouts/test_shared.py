"""Databases on network shares and in synced folders: found, warned about once, and without false alarms."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

from scidb.exceptions import SettingsError, SharedFolderWarning
from scidb.store.duck import DuckStore
from scidb.store.duck.whereabouts import mounts, warning
from scidb.store.duck.whereabouts.mounts import from_mount, from_mountinfo, from_windows, network_share
from scidb.store.duck.whereabouts.synced import synced_by
from scidb.store.model import SchemaKey

KEYS = [SchemaKey("subject", "int")]


def put(folder: Path, name: str) -> None:
    """Make a file there, or a folder when the name ends so."""
    place = folder / name
    if name.endswith("/"):
        place.mkdir(parents=True)
    else:
        place.parent.mkdir(exist_ok=True)
        place.touch()


# ---------------------------------------------------------------- mount tables


LINUX = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:5 / /proc rw - proc proc rw
30 22 0:40 / /home rw,relatime shared:16 - nfs4 server:/home rw,vers=4.2
31 30 8:2 / /home/scratch rw - xfs /dev/sdb1 rw
32 22 0:41 / /mnt/lab\040share rw - cifs //server/lab rw
33 22 0:42 / /mnt/ssh rw,nosuid - fuse.sshfs me@host:/data rw
34 22 0:43 / /mnt/twice rw - nfs server:/a rw
35 34 8:3 / /mnt/twice rw - ext4 /dev/sdc1 rw
36 22 0:44 / /afs rw - afs AFS rw
37 22 0:45 / /mnt/bound rw master:3 propagate_from:2 - nfs server:/b rw
38 22 0:46 / /lustre rw - lustre mds@tcp:/fs rw
39 22 0:47 / /c rw - 9p C:\134 rw
a line that says nothing
"""
MACOS = """
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
devfs on /dev (devfs, local, nobrowse)
/dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled, nobrowse, protect)
map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)
//lab@server/share on /Volumes/lab share (1) (smbfs, nodev, nosuid, mounted by lab)
server:/export on /Volumes/nfs (nfs)
//lab@old/share on /Volumes/afp (afpfs, nodev, nosuid)
/dev/disk4s1 on /Volumes/stick on it (exfat, local, nodev)
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/home/lab/study", "nfs4"),
        ("/home", "nfs4"),
        ("/homes/lab", None),
        ("/home/scratch/study", None),
        ("/mnt/lab share/a", "cifs"),
        ("/mnt/ssh/a/b/c", "fuse.sshfs"),
        ("/mnt/twice", None),
        ("/afs/cell/user", "afs"),
        ("/mnt/bound/x", "nfs"),
        ("/lustre/project", None),
        ("/c/Users", None),
        ("/data", None),
    ],
)
def test_mounts_of_linux(folder: str, kind: str | None) -> None:
    """The mount that lies deepest counts, and of two at one place the later; only network shares are named."""
    assert from_mountinfo(LINUX, PurePosixPath(folder)) == kind


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/Volumes/lab share (1)/study", "smbfs"),
        ("/Volumes/nfs", "nfs"),
        ("/Volumes/afp/a", "afpfs"),
        ("/Volumes/stick on it/a", None),
        ("/System/Volumes/Data/home/lab", None),
        ("/Users/lab", None),
    ],
)
def test_mounts_of_macos(folder: str, kind: str | None) -> None:
    """The same from what `mount` prints, with blanks and brackets in names."""
    assert from_mount(MACOS, PurePosixPath(folder)) == kind


@pytest.mark.parametrize(
    ("folder", "drive_type", "is_share"),
    [
        (r"\\server\lab\study", 1, True),
        (r"\\?\UNC\server\lab\study", 1, True),
        (r"Z:\study", 4, True),
        (r"C:\study", 3, False),
        (r"D:\study", 2, False),
    ],
)
def test_drives_of_windows(folder: str, drive_type: int, is_share: bool) -> None:
    """A name of a server is a share, and so is a letter that stands for one."""
    assert bool(from_windows(PureWindowsPath(folder), drive_type)) == is_share


def test_no_mount_table_says_nothing() -> None:
    """Where there is nothing to read, nothing is claimed."""
    assert from_mountinfo("", PurePosixPath("/home")) is None
    assert from_mount("mount: not permitted", PurePosixPath("/home")) is None


def test_the_disk_of_the_tests_is_no_share(tmp_path: Path) -> None:
    """Asked on this very machine, the answer is read without an error."""
    assert network_share(tmp_path) is None


@pytest.mark.skipif(sys.platform != "linux", reason="mounts what Linux mounts")
def test_a_real_mount_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that was mounted a moment ago is seen, through a bind mount and a link, too."""
    place, bound, link = tmp_path / "a mount", tmp_path / "bound", tmp_path / "link"
    place.mkdir()
    bound.mkdir()
    link.symlink_to(bound)
    mounted: list[Path] = []
    try:
        for command in (["-t", "tmpfs", "none", str(place)], ["--bind", str(place), str(bound)]):
            if subprocess.run(["mount", *command], capture_output=True, check=False).returncode:
                pytest.skip("this user may not mount")
            mounted.append(Path(command[-1]))
        monkeypatch.setattr(mounts, "_NETWORK", {"tmpfs"})
        assert network_share(place) == "tmpfs"
        with pytest.warns(SharedFolderWarning, match=r"bound/study.duckdb lies on a network share \(tmpfs\)"):
            DuckStore.open(link / "study.duckdb", KEYS).close()
    finally:
        for one in reversed(mounted):
            subprocess.run(["umount", str(one)], check=True)


# ---------------------------------------------------------------- folders that are synced


@pytest.mark.parametrize(
    ("mark", "program"),
    [
        (".stfolder/", "Syncthing"),
        (".dropbox", "Dropbox"),
        (".dropbox.cache/", "Dropbox"),
        (".849C9593-D756-4E56-8D6E-42412F2A707B", "OneDrive"),
        (".tmp.driveupload/", "Google Drive"),
        (".shortcut-targets-by-id/", "Google Drive"),
        (".nextcloudsync.log", "Nextcloud"),
        (".owncloudsync.log", "ownCloud"),
        (".sync/ID", "Resilio Sync"),
    ],
)
def test_marks_of_programs(tmp_path: Path, mark: str, program: str) -> None:
    """What a program puts into the folder that it syncs tells, for all that lies below it."""
    below = tmp_path / "shared" / "study" / "data"
    below.mkdir(parents=True)
    put(tmp_path / "shared", mark)

    assert synced_by(below, None, {}) == program
    assert synced_by(tmp_path, None, {}) is None


@pytest.mark.parametrize(
    ("synced", "signs", "program"),
    [
        ("Dropbox", [".dropbox/"], "Dropbox"),
        ("OneDrive", [".config/onedrive/"], "OneDrive"),
        ("Box", ["apps/Box/Box/"], "Box"),
        ("Box", ["Library/Application Support/Box/Box/"], "Box"),
        ("My Drive", ["apps/Google/DriveFS/"], "Google Drive"),
        ("Library/CloudStorage/OneDrive-Uni", [], "OneDrive"),
        ("Library/CloudStorage/GoogleDrive-me@lab.org", [], "GoogleDrive"),
        ("Library/Mobile Documents", [], "iCloud"),
        ("iCloudDrive", [], "iCloud"),
    ],
)
def test_places_of_programs(tmp_path: Path, synced: str, signs: list[str], program: str) -> None:
    """A folder of the home counts by its name where the program is there, or where no other makes such a one."""
    folder = tmp_path / synced / "study"
    folder.mkdir(parents=True)
    for sign in signs:
        put(tmp_path, sign)

    assert synced_by(folder, tmp_path, {"LOCALAPPDATA": str(tmp_path / "apps")}) == program
    assert synced_by(tmp_path / "Documents", tmp_path, {"LOCALAPPDATA": str(tmp_path / "apps")}) is None


@pytest.mark.parametrize("name", ["Box", "Dropbox", "OneDrive", "Google Drive", "My Drive", "Nextcloud", "Box Sync"])
def test_a_name_alone_is_no_sign(tmp_path: Path, name: str) -> None:
    """A folder that is merely called so is none, in the home or elsewhere; nor is that of the program's settings."""
    for folder in (tmp_path / name, tmp_path / "data" / name):
        folder.mkdir(parents=True)
        assert synced_by(folder, tmp_path, {"LOCALAPPDATA": str(tmp_path / "apps")}) is None
    put(tmp_path, ".dropbox/")
    assert synced_by(tmp_path / "data", tmp_path, {}) is None


def test_what_the_environment_and_settings_say(tmp_path: Path) -> None:
    """OneDrive says its folder in the environment, Dropbox and Nextcloud in their settings."""
    for name in ("one", "drop", "next", "other"):
        (tmp_path / name).mkdir()
    put(tmp_path, ".dropbox/")
    (tmp_path / ".dropbox" / "info.json").write_text(json.dumps({"personal": {"path": str(tmp_path / "drop")}, "x": 1}))
    put(tmp_path, ".config/Nextcloud/")
    (tmp_path / ".config/Nextcloud/nextcloud.cfg").write_text(
        f"[Accounts]\n0\\Folders\\1\\localPath={tmp_path}/next/\n0\\url=https://cloud\n"
    )
    environ = {"OneDriveCommercial": str(tmp_path / "one"), "APPDATA": str(tmp_path / "none")}

    found = {name: synced_by(tmp_path / name, tmp_path, environ) for name in ("one", "drop", "next", "other")}
    assert found == {"one": "OneDrive", "drop": "Dropbox", "next": "Nextcloud", "other": None}


@pytest.mark.parametrize("text", ["", "[]", "{", '{"personal": 1}', "\xff"])
def test_settings_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    """Settings of another program are no reason to fail."""
    put(tmp_path, ".dropbox/")
    (tmp_path / ".dropbox" / "info.json").write_bytes(text.encode("latin-1"))

    assert synced_by(tmp_path / "study", tmp_path, {}) is None


# ---------------------------------------------------------------- the warning


@pytest.fixture
def synced(tmp_path: Path) -> Path:
    """Return a folder that Syncthing copies."""
    (tmp_path / ".stfolder").mkdir()
    return tmp_path


@pytest.fixture(autouse=True)
def _nothing_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warning, "_seen", set())


def test_it_is_said_once_for_a_file(synced: Path) -> None:
    """Making a database there warns and says what to do; opening it again, by whatever name, does not; another does."""
    path = synced / "study.duckdb"
    with pytest.warns(SharedFolderWarning, match=r"a folder that Syncthing copies.*scidb serve study.duckdb"):
        DuckStore.open(path, KEYS).close()
    DuckStore.open(path).close()
    DuckStore.open(path, read_only=True).close()
    link = synced / "link.duckdb"
    link.symlink_to(path)
    DuckStore.open(link).close()
    with pytest.warns(SharedFolderWarning):
        DuckStore.open(synced / "other.duckdb", KEYS).close()


def test_an_existing_database_is_looked_at_too(synced: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that was there before is warned about by the next process, also when it is only read."""
    monkeypatch.setenv("SCIDB_SHARED_FOLDERS", "allow")
    DuckStore.open(synced / "study.duckdb", KEYS).close()
    monkeypatch.delenv("SCIDB_SHARED_FOLDERS")
    with pytest.warns(SharedFolderWarning):
        DuckStore.open(synced / "study.duckdb", read_only=True).close()


def test_it_can_be_silenced(synced: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment or scidb.toml say that it was thought of, the environment before; other words are refused."""
    monkeypatch.chdir(synced)
    (synced / "scidb.toml").write_text("shared_folders = 'allow'\n")
    DuckStore.open(synced / "a.duckdb", KEYS).close()
    monkeypatch.setenv("SCIDB_SHARED_FOLDERS", "warn")
    with pytest.warns(SharedFolderWarning):
        DuckStore.open(synced / "a.duckdb").close()
    monkeypatch.setenv("SCIDB_SHARED_FOLDERS", "yes")
    with pytest.raises(SettingsError, match="'yes': use 'warn' or 'allow'"):
        DuckStore.open(synced / "b.duckdb", KEYS)
    assert not (synced / "b.duckdb").exists()


def test_as_an_error_it_keeps_the_file_from_being_made(synced: Path) -> None:
    """Where warnings are errors nothing is made, and it is said each time."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            with pytest.raises(SharedFolderWarning):
                DuckStore.open(synced / "study.duckdb", KEYS)
    assert sorted(path.name for path in synced.iterdir()) == [".stfolder"]


def test_a_system_that_does_not_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is claimed where the operating system refuses to say what is mounted."""

    def refuse(_: Path) -> str:
        raise PermissionError

    monkeypatch.setattr(warning, "network_share", refuse)
    DuckStore.open(tmp_path / "study.duckdb", KEYS).close()
