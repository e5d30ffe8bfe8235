"""What a finished job left, brought to a folder: each file whole and verified, or not at all."""

from __future__ import annotations

import asyncio
import errno
import os
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

import msgspec

from northstar.domain.errors import Refused, Unavailable
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


class OutputNotSaved(Unavailable):
    """The folder, or its disk, takes no file."""

    code: ClassVar[str] = "NS_OUTPUT_NOT_SAVED"
    retryable = False

    def __init__(self, path: Path, *, reason: str) -> None:
        super().__init__(f"{path} cannot be written ({reason}); name a folder that can by --out")
        self.path = path


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
        OutputNotSaved: the folder cannot be made or written to.
        NorthstarError: an output is missing, retired or damaged; see the asset store.
    """
    if job.status != "succeeded":
        raise NoOutputs(job.id, status=job.status)
    result: Any = job.result if isinstance(job.result, dict) else {}
    return [await _saved(output, store, folder) for output in msgspec.convert(result, _Result).outputs]


async def _saved(output: _Output, store: AssetStore, folder: Path) -> SavedOutput:
    # Short text has no file, and the name of its kind rarely an ending.
    name = output.name if output.asset is not None or "." in output.name else f"{output.name}.txt"
    path = folder / checked_name(name)
    try:
        await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
        if path.exists():
            raise OutputExists(path)
        size_bytes = await _placed(output, store, path)
    except OSError as exc:
        raise OutputNotSaved(path, reason=exc.strerror or str(exc)) from exc
    return SavedOutput(name=output.name, path=str(path), size_bytes=size_bytes)


async def _placed(output: _Output, store: AssetStore, path: Path) -> int:
    """Write it beside its place, and name it when it is whole. Raises OutputExists, OSError, or what the store raises."""
    handle, draft = tempfile.mkstemp(prefix=".northstar-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            size_bytes = await _written(output, store, file)
        await asyncio.to_thread(_named, Path(draft), path)
    finally:
        await asyncio.to_thread(Path(draft).unlink, missing_ok=True)
    return size_bytes


def _named(draft: Path, path: Path) -> None:
    """Give the file its name, over no other; where a file cannot have two names, as on some network disks, the look before must do."""
    try:
        os.link(draft, path)
    except FileExistsError:
        raise OutputExists(path) from None
    except OSError as exc:
        if exc.errno not in {errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS}:
            raise
        draft.rename(path)


async def _written(output: _Output, store: AssetStore, file: IO[bytes]) -> int:
    if output.asset is None:
        return file.write((output.text or "").encode())
    size_bytes = 0
    async for chunk in store.chunks(output.asset):
        size_bytes += await asyncio.to_thread(file.write, chunk)
    return size_bytes
