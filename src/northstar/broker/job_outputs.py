"""What a finished job left, brought to a folder: each file whole and verified, or not at all."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

import msgspec

from northstar.broker.gateway.outputs import ResultMalformed
from northstar.domain.errors import InvalidRequest, Refused
from northstar.store.asset_names import checked_name
from northstar.store.assets import AssetRef

if TYPE_CHECKING:
    from northstar.domain.jobs import JobView
    from northstar.store.assets import AssetStore


class NoOutputs(Refused):
    """The job has not succeeded, so it left nothing."""

    code: ClassVar[str] = "NS_NO_OUTPUTS"

    def __init__(self, job_id: str, *, status: str) -> None:
        super().__init__(f"job {job_id} is {status}: only a job that succeeded has outputs")


class OutputExists(Refused):
    """A file of this name is there, and nothing is overwritten."""

    code: ClassVar[str] = "NS_OUTPUT_EXISTS"

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} exists; name another folder, or remove it")
        self.path = path


class OutputFolderUnusable(InvalidRequest):
    """The files cannot be saved where they should."""

    code: ClassVar[str] = "NS_OUTPUT_FOLDER_UNUSABLE"

    def __init__(self, folder: Path, *, reason: str) -> None:
        super().__init__(f"{folder} cannot take the files ({reason}); name another folder with --out")
        self.folder = folder


class _Output(msgspec.Struct):
    name: str
    asset: AssetRef | None = None
    text: str | None = None


class _Result(msgspec.Struct):
    outputs: list[_Output] = []


class SavedOutput(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was saved."""

    name: str
    path: str
    size_bytes: int


async def save_outputs(job: JobView, store: AssetStore, folder: Path) -> list[SavedOutput]:
    """Save every output of a job below `folder`, which is made if it is missing.

    Raises:
        NoOutputs: the job has not succeeded.
        OutputExists: a file of that name is there. What was saved before it stays.
        OutputFolderUnusable: the folder cannot be written to, or is full.
        ResultMalformed: the machine that ran the job did not say what it left.
        NorthstarError: an output is missing, retired or damaged; see the asset store.
    """
    if job.status != "succeeded":
        raise NoOutputs(job.id, status=job.status)
    told: Any = job.result if isinstance(job.result, dict) else {}
    try:
        result = msgspec.convert(told, _Result)
    except msgspec.ValidationError as exc:
        raise ResultMalformed(job.id, detail=str(exc)) from exc
    try:
        return [await _saved(output, store, folder) for output in result.outputs]
    except OSError as exc:
        raise OutputFolderUnusable(folder, reason=exc.strerror or str(exc)) from exc


async def _saved(output: _Output, store: AssetStore, folder: Path) -> SavedOutput:
    # Short text has no file, and the name of its kind rarely an ending.
    name = output.name if output.asset is not None or "." in output.name else f"{output.name}.txt"
    path = folder / checked_name(name)
    await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
    if path.exists():
        raise OutputExists(path)
    handle, draft = tempfile.mkstemp(prefix=".northstar-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            size_bytes = await _written(output, store, file)
        _name(Path(draft), path)
    finally:
        await asyncio.to_thread(Path(draft).unlink, missing_ok=True)
    return SavedOutput(name=output.name, path=str(path), size_bytes=size_bytes)


def _name(draft: Path, path: Path) -> None:
    """Give a whole file its name, unless another has it. Not every file system has links: there the name is taken first."""
    try:
        try:
            os.link(draft, path)
        except FileExistsError:
            raise
        except OSError:
            path.open("xb").close()
            draft.replace(path)
    except FileExistsError:
        raise OutputExists(path) from None


async def _written(output: _Output, store: AssetStore, file: IO[bytes]) -> int:
    if output.asset is None:
        return file.write((output.text or "").encode())
    size_bytes = 0
    async for chunk in store.chunks(output.asset):
        size_bytes += await asyncio.to_thread(file.write, chunk)
    return size_bytes
