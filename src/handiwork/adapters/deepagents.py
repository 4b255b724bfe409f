"""deepagents: its files are the artifacts of a session, every write is a version, and commands run in the sandbox.

What the shell of `execute` knows is in `commands`; where a path leads is in `files`.
"""

import base64
import posixpath
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from handiwork.adapters.commands import Shell
from handiwork.adapters.files import Files, cleaned
from handiwork.adapters.words import Folders, is_readable
from handiwork.errors import ExtraMissing, HandiworkError, VersionConflict
from handiwork.errors.telling import told_with_hint
from handiwork.loops import AnySession, at_home
from handiwork.model import Artifact, Limits

try:
    from deepagents.backends.protocol import (
        FILE_NOT_FOUND,
        INVALID_PATH,
        IS_DIRECTORY,
        PERMISSION_DENIED,
        BackendProtocol,
        DeleteResult,
        EditResult,
        ExecuteResponse,
        FileDownloadResponse,
        FileInfo,
        FileUploadResponse,
        GlobResult,
        GrepMatch,
        GrepResult,
        LsResult,
        ReadResult,
        SandboxBackendProtocol,
        WriteResult,
    )
    from deepagents.backends.utils import compile_grep_include_glob, normalize_read_bounds

    from handiwork.adapters import file_shapes
except ModuleNotFoundError as missing:
    raise ExtraMissing("deepagents", why="these are backends of deepagents") from missing

HOME = "/mnt/data"
LARGEST_PREVIEW = 512_000
"""Bytes of a file that is no text, as much as a model is shown of one."""
LARGEST_SEARCHED = 2 * 1024 * 1024


class ArtifactBackend(BackendProtocol):
    """The artifacts of a session as the files of an agent: whatever writes a path makes the next version of it.

    A file that a program made lies under its name or its path. `session` is one of an open engine, or of a server.
    """

    def __init__(self, session: AnySession, *, root: str = "/") -> None:
        own, self._home = at_home(session)
        self._files = Files(session=own, root=root)
        self._folders = Folders()

    def ls(self, path: str) -> LsResult:
        """List what lies directly in a folder."""
        return self._home.wait(self._ls(path))

    async def als(self, path: str) -> LsResult:
        """Do as `ls`."""
        return await self._home.visit(self._ls(path))

    def read(self, file_path: str, offset: int = 0, limit: int = 2000) -> ReadResult:
        """Return lines of a text, or a small file that is none in Base64."""
        return self._home.wait(self._read(file_path, offset, limit))

    async def aread(self, file_path: str, offset: int = 0, limit: int = 2000) -> ReadResult:
        """Do as `read`."""
        return await self._home.visit(self._read(file_path, offset, limit))

    def grep(
        self, pattern: str, path: str | None = None, glob: str | None = None, *, max_count: int | None = None
    ) -> GrepResult:
        """Find lines with these characters in them."""
        return self._home.wait(self._grep(pattern, path, glob, max_count))

    async def agrep(
        self, pattern: str, path: str | None = None, glob: str | None = None, *, max_count: int | None = None
    ) -> GrepResult:
        """Do as `grep`."""
        return await self._home.visit(self._grep(pattern, path, glob, max_count))

    def glob(self, pattern: str, path: str | None = None) -> GlobResult:
        """Find files whose names are like a pattern."""
        return self._home.wait(self._glob(pattern, path))

    async def aglob(self, pattern: str, path: str | None = None) -> GlobResult:
        """Do as `glob`."""
        return await self._home.visit(self._glob(pattern, path))

    def write(self, file_path: str, content: str) -> WriteResult:
        """Write a text; where there is a file already it gets a next version."""
        return self._home.wait(self._write(file_path, content))

    async def awrite(self, file_path: str, content: str) -> WriteResult:
        """Do as `write`."""
        return await self._home.visit(self._write(file_path, content))

    def edit(
        self,
        file_path: str,
        old_string: str,
        new_string: str,
        replace_all: bool = False,
    ) -> EditResult:
        """Replace characters that stand there exactly once, or all of them."""
        return self._home.wait(self._edit(file_path, old_string, new_string, everywhere=replace_all))

    async def aedit(
        self,
        file_path: str,
        old_string: str,
        new_string: str,
        replace_all: bool = False,
    ) -> EditResult:
        """Do as `edit`."""
        return await self._home.visit(self._edit(file_path, old_string, new_string, everywhere=replace_all))

    def delete(self, file_path: str) -> DeleteResult:
        """Let a file expire now, or all that lie below a folder."""
        return self._home.wait(self._delete(file_path))

    async def adelete(self, file_path: str) -> DeleteResult:
        """Do as `delete`."""
        return await self._home.visit(self._delete(file_path))

    def upload_files(self, files: list[tuple[str, bytes]]) -> list[FileUploadResponse]:
        """Write files, each as far as it can be."""
        return self._home.wait(self._upload(files))

    async def aupload_files(self, files: list[tuple[str, bytes]]) -> list[FileUploadResponse]:
        """Do as `upload_files`."""
        return await self._home.visit(self._upload(files))

    def download_files(self, paths: list[str]) -> list[FileDownloadResponse]:
        """Read files, each as far as it can be."""
        return self._home.wait(self._download(paths))

    async def adownload_files(self, paths: list[str]) -> list[FileDownloadResponse]:
        """Do as `download_files`."""
        return await self._home.visit(self._download(paths))

    async def _ls(self, path: str) -> LsResult:
        base = file_shapes.folder(path)
        files = await self._files.all()
        entries = {each: file_shapes.info(each, files[each]) for each in files if each.startswith(base)}
        folders = [each + "/" for each in self._folders.paths]
        found: dict[str, FileInfo] = {}
        for each in [*entries, *(folder for folder in folders if folder.startswith(base) and folder != base)]:
            name, slash, _rest = each.removeprefix(base).partition("/")
            found[base + name] = FileInfo(path=base + name, is_dir=True) if slash else entries[each]
        return LsResult(entries=[found[each] for each in sorted(found)])

    async def _read(self, path: str, offset: int, limit: int) -> ReadResult:
        artifact = await self._files.find(cleaned(path))
        if artifact is None:
            return ReadResult(error=f"File '{path}' not found")
        if not is_readable(artifact):
            return ReadResult(error=f"File '{path}': {PERMISSION_DENIED}")
        try:
            content = await self._files.session.read(artifact.id)
        except HandiworkError as refused:
            return ReadResult(error=told_with_hint(refused))
        text = (
            None
            if artifact.category == "image" and artifact.media_type != "image/svg+xml"
            else file_shapes.text(content)
        )
        if text is not None:
            return file_shapes.window(text, artifact, *normalize_read_bounds(offset, limit))
        if len(content) > LARGEST_PREVIEW:
            return ReadResult(
                error=f"File '{path}': Binary file exceeds maximum preview size of {LARGEST_PREVIEW} bytes"
            )
        return ReadResult(file_data=file_shapes.data(base64.b64encode(content).decode(), "base64", artifact))

    async def _grep(self, pattern: str, path: str | None, glob: str | None, max_count: int | None) -> GrepResult:
        try:
            files = await self._matching(glob, path)
        except ValueError as wrong:
            return GrepResult(error=str(wrong))
        matches: list[GrepMatch] = []
        for each, artifact in files.items():
            if artifact.size > LARGEST_SEARCHED or not is_readable(artifact):
                continue
            for number, line in enumerate(await self._lines(artifact), start=1):
                if pattern in line:
                    if max_count is not None and len(matches) >= max_count:
                        return GrepResult(matches=matches, truncated=True)
                    matches.append(GrepMatch(path=each, line=number, text=line))
        return GrepResult(matches=matches)

    async def _lines(self, artifact: Artifact) -> list[str]:
        # What is gone since it was listed, or is damaged, has none.
        with suppress(HandiworkError):
            return (file_shapes.text(await self._files.session.read(artifact.id)) or "").split("\n")
        return []

    async def _glob(self, pattern: str, path: str | None) -> GlobResult:
        try:
            files = await self._matching(pattern, path)
        except ValueError as wrong:
            return GlobResult(error=str(wrong))
        newest_first = sorted(files.items(), key=lambda file: file[1].updated_at, reverse=True)
        return GlobResult(matches=[file_shapes.info(each, artifact) for each, artifact in newest_first])

    async def _matching(self, pattern: str | None, path: str | None) -> dict[str, Artifact]:
        """Return files below a path. Raises `ValueError` for a pattern that is none."""
        matches = compile_grep_include_glob(pattern) if pattern else None
        base = file_shapes.folder(path or "/")
        return {
            each: artifact
            for each, artifact in (await self._files.all()).items()
            if each == base.rstrip("/") or each.startswith(base)
            if matches is None
            or matches(each.removeprefix(base) if each.startswith(base) else posixpath.basename(each))
        }

    async def _write(self, path: str, content: str) -> WriteResult:
        try:
            await self._files.write(cleaned(path), content.encode())
        except UnicodeEncodeError as wrong:
            return WriteResult(error=f"Half a character stands at position {wrong.start}; write it whole.")
        except HandiworkError as refused:
            return WriteResult(error=told_with_hint(refused))
        return WriteResult(path=path)

    async def _edit(self, path: str, old: str, new: str, *, everywhere: bool) -> EditResult:
        artifact = await self._files.find(cleaned(path))
        if artifact is None:
            return EditResult(error=f"File '{path}' not found")
        try:
            text = file_shapes.text(await self._files.session.read(artifact.id, version=artifact.version.number))
            if (wrong := file_shapes.misfit(text, old, everywhere=everywhere)) is not None or text is None:
                return EditResult(error=wrong)
            content = text.replace(old, new).encode()
            await self._files.session.revise(artifact.id, content=content, base_version=artifact.version.number)
        except VersionConflict:
            return EditResult(error=f"File '{path}' was changed at the same time; read it again")
        except UnicodeEncodeError as half:
            return EditResult(error=f"Half a character stands at position {half.start}; write it whole.")
        except HandiworkError as refused:
            return EditResult(error=told_with_hint(refused))
        return EditResult(path=path, occurrences=text.count(old))

    async def _delete(self, path: str) -> DeleteResult:
        base = file_shapes.folder(path)
        files = await self._files.all()
        gone = [artifact for each, artifact in files.items() if each == base.rstrip("/") or each.startswith(base)]
        empty = {each for each in self._folders.paths if f"{each}/".startswith(base)}
        if not gone and not empty:
            return DeleteResult(error=f"File '{path}' not found")
        self._folders.paths.difference_update(empty)
        try:
            for artifact in gone:
                await self._files.session.remove(artifact.id)
        except HandiworkError as refused:
            return DeleteResult(error=told_with_hint(refused))
        return DeleteResult(path=path)

    async def _upload(self, files: Sequence[tuple[str, bytes]]) -> list[FileUploadResponse]:
        answers: list[FileUploadResponse] = []
        for path, content in files:
            error = None if file_shapes.is_path(path) else INVALID_PATH
            if error is None:
                try:
                    await self._files.write(cleaned(path), content)
                except HandiworkError as refused:
                    error = told_with_hint(refused)
            answers.append(FileUploadResponse(path=path, error=error))
        return answers

    async def _download(self, paths: Sequence[str]) -> list[FileDownloadResponse]:
        answers: list[FileDownloadResponse] = []
        for path in paths:
            artifact = await self._files.find(cleaned(path)) if file_shapes.is_path(path) else None
            if artifact is None:
                answers.append(FileDownloadResponse(path=path, error=await self._missing(path)))
            elif not is_readable(artifact):
                answers.append(FileDownloadResponse(path=path, error=PERMISSION_DENIED))
            else:
                try:
                    content = await self._files.session.read(artifact.id)
                except HandiworkError as refused:
                    answers.append(FileDownloadResponse(path=path, error=told_with_hint(refused)))
                else:
                    answers.append(FileDownloadResponse(path=path, content=content))
        return answers

    async def _missing(self, path: str) -> str:
        if not file_shapes.is_path(path):
            return INVALID_PATH
        return IS_DIRECTORY if (await self._ls(path)).entries or path in self._folders.paths else FILE_NOT_FOUND


class ArtifactSandbox(ArtifactBackend, SandboxBackendProtocol):
    """`ArtifactBackend` with `execute`: Python in the sandbox, and the commands of a small shell over the files.

    Files below `/mnt/data` are those that a program finds there, and what it leaves there is kept. No other program
    is started: who needs one is told what there is.
    """

    def __init__(self, session: AnySession, *, limits: Limits | None = None) -> None:
        super().__init__(session, root=HOME)
        self._limits = limits

    @property
    def id(self) -> str:
        """Whose files they are."""
        scope = self._files.session.scope
        return f"{scope.tenant}/{scope.user}/{scope.session}"

    def execute(self, command: str, *, timeout: int | None = None) -> ExecuteResponse:
        """Carry out a line of shell; `timeout` is for each program in it."""
        return self._home.wait(self._execute(command, timeout))

    async def aexecute(self, command: str, *, timeout: int | None = None) -> ExecuteResponse:  # noqa: ASYNC109  # as deepagents spells it
        """Do as `execute`."""
        return await self._home.visit(self._execute(command, timeout))

    async def _execute(self, command: str, seconds: int | None) -> ExecuteResponse:
        limits = self._limits
        if seconds:
            limits = replace(limits or Limits(), wall_seconds=float(seconds))
        shell = Shell(files=self._files, folders=self._folders, folder=HOME, limits=limits)
        try:
            told = await shell.run(command)
        except HandiworkError as refused:
            return ExecuteResponse(output=told_with_hint(refused), exit_code=1)
        # Bytes that are no text stand in it as halves of characters, which no provider takes.
        output = (told.output + told.errors).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        return ExecuteResponse(output=output, exit_code=told.code, truncated=told.is_cut)
