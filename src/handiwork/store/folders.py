"""Folders that are still there after the loss of power. What is put into them is not known here."""

import contextlib
import os
from pathlib import Path

from handiwork.store.file_operations import FileOperations


def make_folders(path: Path, files: FileOperations) -> None:
    """Make `path` and what is missing above it; each new folder's entry in its parent is synced."""
    missing = [path]
    while not missing[-1].parent.is_dir():
        missing.append(missing[-1].parent)
    for folder in reversed(missing):
        with contextlib.suppress(FileExistsError):
            files.make_folder(folder)
            sync_folder(folder.parent, files)


def sync_up(path: Path, root: Path, files: FileOperations) -> None:
    """Sync every folder from `path` up to `root`.

    Also those that were there before: another process may have made them and not synced them yet.
    """
    sync_folder(path, files)
    for folder in path.parents:
        if not folder.is_relative_to(root):
            return
        sync_folder(folder, files)


def sync_folder(path: Path, files: FileOperations) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        files.sync(descriptor)
    finally:
        os.close(descriptor)
