"""Network shares: which kind of file system a folder lies on, as each operating system says it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["from_mount", "from_mountinfo", "from_windows", "network_share"]

# File systems of a cluster, whose locks hold between machines, are not among them, nor what a virtual machine shares.
_NETWORK: Final = {
    *("nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "afs", "afpfs", "auristorfs", "ncpfs", "davfs", "webdav", "coda"),
    *("fuse.sshfs", "fuse.afs", "fuse.davfs", "fuse.davfs2", "fuse.smbnetfs", "fuse.gvfsd-fuse", "fuse.curlftpfs"),
    *("fuse.rclone", "fuse.s3fs", "fuse.goofys", "fuse.gcsfuse", "fuse.mount-s3", "fuse.google-drive-ocamlfuse"),
}
_LINE_OF_MOUNT: Final = re.compile(r".* on (?P<point>/.*) \((?P<kind>\w+)(?:, [^()]*)?\)")
_REMOTE: Final = 4  # DRIVE_REMOTE


def network_share(folder: Path) -> str | None:
    """Return the kind of network share on which a folder lies, such as ``nfs4``; None on a disk, or unknown.

    Raises
    ------
    OSError
        When the operating system does not say.

    """
    match sys.platform:
        case "win32":
            return from_windows(folder, _drive_type(folder.drive))
        case "linux":
            # Paths are bytes; one that is not UTF-8 must still be found.
            return from_mountinfo(Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape"), folder)
    try:
        done = subprocess.run(["/sbin/mount"], capture_output=True, encoding="utf-8", check=True, timeout=5)
    except subprocess.SubprocessError:
        return None
    return from_mount(done.stdout, folder)


def from_mountinfo(text: str, folder: PurePath) -> str | None:
    """Read what Linux says: mount point and kind on each line, of which the last for a point counts."""
    found = []
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        fields, kind = left.split(), right.split()
        if len(fields) > 4 and kind:
            found.append((_unescaped(fields[4]), kind[0]))
    return _kind_at(found, folder)


def from_mount(text: str, folder: PurePath) -> str | None:
    """Read what ``mount`` says on macOS and BSD: ``//lab@server/share on /Volumes/share (smbfs, nodev)``."""
    matches = map(_LINE_OF_MOUNT.fullmatch, text.splitlines())
    return _kind_at([(one["point"], one["kind"]) for one in matches if one], folder)


def from_windows(folder: PurePath, drive_type: int) -> str | None:
    r"""Judge a drive: a name such as ``\\server\share``, or a letter that stands for one."""
    is_unc = PureWindowsPath(folder).drive.startswith("\\\\")
    return "a share of Windows" if is_unc or drive_type == _REMOTE else None


def _kind_at(mounts: Iterable[tuple[str, str]], folder: PurePath) -> str | None:
    deepest, kind = -1, ""
    for point, of in mounts:
        parts = PurePosixPath(point).parts
        if len(parts) >= deepest and folder.parts[: len(parts)] == parts:
            deepest, kind = len(parts), of
    return kind if kind in _NETWORK else None


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def _drive_type(drive: str) -> int:
    if sys.platform == "win32":
        import ctypes

        return int(ctypes.windll.kernel32.GetDriveTypeW(f"{drive}\\"))
    return 0
