"""Folders that a program keeps in step with other machines: who does so for a given folder, if anybody.

Only what the program itself left behind counts: its settings, its marks in the folder, or the place that it alone
has. A folder that is merely called Box is none.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["synced_by"]

# What a program puts into the folder that it syncs. A name that ends in / is a folder, any other a file.
_MARKS: Final = (
    (".stfolder/", "Syncthing"),
    (".stfolder", "Syncthing"),  # of old versions
    (".dropbox", "Dropbox"),
    (".dropbox.cache/", "Dropbox"),
    (".849C9593-D756-4E56-8D6E-42412F2A707B", "OneDrive"),
    (".tmp.drivedownload/", "Google Drive"),
    (".tmp.driveupload/", "Google Drive"),
    (".shortcut-targets-by-id/", "Google Drive"),
    (".nextcloudsync.log", "Nextcloud"),
    (".owncloudsync.log", "ownCloud"),
    (".sync/ID", "Resilio Sync"),
)
# Folders of a home, and what else is there (or among the data of programs) where that is more than a name.
_NAMED: Final = (
    ("Dropbox", "Dropbox", (".dropbox", "{apps}/Dropbox")),
    ("OneDrive", "OneDrive", (".config/onedrive", "{apps}/Microsoft/OneDrive/settings/Personal")),
    ("Google Drive", "Google Drive", ("{apps}/Google/DriveFS", "Library/Application Support/Google/DriveFS")),
    ("My Drive", "Google Drive", ("{apps}/Google/DriveFS", "Library/Application Support/Google/DriveFS")),
    ("Box", "Box", ("{apps}/Box/Box", "Library/Application Support/Box/Box")),
    ("Box Sync", "Box", ("{apps}/Box Sync", "Library/Application Support/Box/Box Sync")),
    ("iCloudDrive", "iCloud", ("",)),
    ("Library/Mobile Documents", "iCloud", ("",)),
)
_APPS: Final = ("LOCALAPPDATA", "APPDATA")
_ONEDRIVE: Final = ("OneDrive", "OneDriveConsumer", "OneDriveCommercial")
# Where macOS puts the folders of all such programs, each named by the program and the account.
_CLOUD_STORAGE: Final = "Library/CloudStorage"
_CONFIGURED: Final = {
    "Nextcloud": ("Nextcloud/nextcloud.cfg",),
    "ownCloud": ("ownCloud/owncloud.cfg",),
}


def synced_by(folder: Path, home: Path | None, environ: Mapping[str, str]) -> str | None:
    """Return the program that keeps this folder in step with other machines; None when there is no sign of one."""
    above = [folder, *folder.parents]
    for one in above:
        for mark, program in _MARKS:
            found = one / mark
            with suppress(OSError):
                if found.is_dir() if mark.endswith("/") else found.is_file():
                    return program
    with suppress(OSError):
        for root, program in _roots(home, environ):
            if root.resolve() in above:
                return program
    return None


def _roots(home: Path | None, environ: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    """Yield each folder that some program says it syncs, or that only such a program makes."""
    apps = [Path(environ[name]) for name in _APPS if environ.get(name)]
    yield from ((Path(environ[name]), "OneDrive") for name in _ONEDRIVE if environ.get(name))
    if home is None:
        return
    for name, program, signs in _NAMED:
        if (home / name).is_dir() and any(sign.exists() for text in signs for sign in _places(text, home, apps)):
            yield home / name, program
    if (clouds := home / _CLOUD_STORAGE).is_dir():
        yield from ((one, one.name.partition("-")[0]) for one in clouds.iterdir())
    for place in (home / ".dropbox", *(one / "Dropbox" for one in apps)):
        yield from ((one, "Dropbox") for one in _of_dropbox(place / "info.json"))
    for program, files in _CONFIGURED.items():
        for base in (home / ".config", home / "Library/Preferences", *apps):
            yield from ((one, program) for file in files for one in _of_nextcloud(base / file))


def _places(sign: str, home: Path, apps: list[Path]) -> Iterator[Path]:
    if not sign.startswith("{apps}/"):
        yield home / sign
    else:
        yield from (one / sign.removeprefix("{apps}/") for one in apps)


def _of_dropbox(file: Path) -> Iterator[Path]:
    with suppress(OSError, ValueError):
        said = json.loads(file.read_text("utf-8"))
        for account in said.values() if isinstance(said, dict) else ():
            if isinstance(account, dict) and isinstance(account.get("path"), str):
                yield Path(account["path"])


def _of_nextcloud(file: Path) -> Iterator[Path]:
    with suppress(OSError, ValueError):
        for line in file.read_text("utf-8").splitlines():
            name, _, value = line.partition("=")
            if name.rpartition("\\")[2] == "localPath" and value:
                yield Path(value)
