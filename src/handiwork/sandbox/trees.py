"""Walking and removing trees that a job has built: any depth, any rights, no link followed.

Everything goes by folder descriptor, one level at a time. What is in the files is not looked at.
"""

import contextlib
import os
import stat
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def open_folder(root: int, path: str) -> int:
    """Open a folder below the descriptor `root` with the right to list and to search it."""
    descriptor = os.dup(root)
    restore_rights(descriptor)
    for part in [p for p in path.split("/") if p]:
        try:
            following = enter(descriptor, part)
        finally:
            os.close(descriptor)
        descriptor = following
    return descriptor


def enter(parent: int, name: str) -> int:
    """Open one folder in another. A job may have taken its own rights away; the folder is still ours or our user's."""
    try:
        descriptor = os.open(name, _FOLDER, dir_fd=parent)
    except PermissionError:
        give_rights(parent, name, 0o700)
        descriptor = os.open(name, _FOLDER, dir_fd=parent)
    restore_rights(descriptor)
    return descriptor


def give_rights(parent: int, name: str, mode: int) -> None:
    """Change the mode of a file or folder and of nothing that a link in its place points to."""
    place = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        if not stat.S_ISLNK(os.fstat(place).st_mode):
            Path(f"/proc/self/fd/{place}").chmod(mode)
    finally:
        os.close(place)


def restore_rights(folder: int) -> None:
    """Make a folder searchable again where it is ours to change."""
    if os.fstat(folder).st_mode & 0o700 != 0o700:
        with contextlib.suppress(PermissionError):
            os.fchmod(folder, 0o700)


def remove(top: Path) -> None:
    """Remove a tree as far as it can be removed. Folders are moved up to the top first, so that depth costs nothing."""
    try:
        root = os.open(top, _FOLDER)
    except OSError:
        return
    try:
        restore_rights(root)
        moved = 0
        waiting = _emptied(root)
        while waiting:
            name = waiting.pop()
            with contextlib.suppress(OSError):
                folder = enter(root, name)
                try:
                    for inner in _emptied(folder):
                        moved += 1
                        give_rights(folder, inner, 0o700)
                        os.rename(inner, f".{moved}", src_dir_fd=folder, dst_dir_fd=root)  # likewise
                        waiting.append(f".{moved}")
                finally:
                    os.close(folder)
                os.rmdir(name, dir_fd=root)  # likewise
    finally:
        os.close(root)
    with contextlib.suppress(OSError):
        top.rmdir()


def _emptied(folder: int) -> list[str]:
    """Remove everything in a folder that is no folder, and return the names of those that are."""
    inner: list[str] = []
    for name in os.listdir(folder):  # by descriptor
        if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            inner.append(name)
        else:
            os.unlink(name, dir_fd=folder)  # by descriptor
    return inner
