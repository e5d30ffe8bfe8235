"""What can be asked of a ComfyUI server, one method for each question or order."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import aiohttp
import msgspec

from northstar.connectors.comfyui.answers import (
    Ended,
    HistoryEntry,
    QueueAnswer,
    Running,
    Submitted,
    Uploaded,
    Waiting,
    ending_of,
    place_in_queue,
)
from northstar.connectors.comfyui.http import ComfyHttp
from northstar.connectors.contract import Json
from northstar.connectors.errors import OutputMissing, OutputTooLarge

_CHUNK_BYTES: Final = 256 * 1024
_ABSENT: Final = frozenset({404, 405})


class FileReference(msgspec.Struct, frozen=True):
    """How the server names a file: by folder (`type`: output, temp or input), folder below it, and name."""

    filename: str
    subfolder: str = ""
    type: str = "output"


class _Cancelled(msgspec.Struct):
    cancelled: bool


class ComfyServer:
    """One server. Every method raises an `EngineError` if the server is gone, silent, refuses or speaks otherwise."""

    def __init__(self, http: ComfyHttp) -> None:
        self.http = http
        self.service = http.service
        self._cancels_by_id: bool | None = None

    async def submit(self, body: Mapping[str, Json]) -> Submitted:
        """Put a graph into the queue. Raises EngineRejected with what the server says is wrong with it."""
        return await self.http.ask("POST", "/prompt", Submitted, json=body)

    async def in_queue(self, run_id: str) -> Waiting | Running | None:
        """Where the queue has the run; None if it does not."""
        return place_in_queue(await self.http.ask("GET", "/queue", QueueAnswer), run_id)

    async def whereabouts(self, run_id: str) -> Waiting | Running | Ended | None:
        """Where the run is; None if the server does not know it.

        The queue is asked first: a run that ends between the two questions is then in the history.
        """
        place = await self.in_queue(run_id)
        if place is not None:
            return place
        entries = await self.http.ask("GET", f"/history/{run_id}", dict[str, HistoryEntry])
        return ending_of(entries[run_id]) if run_id in entries else None

    async def forget(self, run_id: str) -> None:
        """Remove the run from the history."""
        await self.http.tell("/history", {"delete": [run_id]})

    async def unqueue(self, run_id: str) -> None:
        """Remove the run from the queue if it still waits there."""
        await self.http.tell("/queue", {"delete": [run_id]})

    async def interrupt(self, run_id: str) -> None:
        """Stop what runs. Call it only when the queue says that `run_id` runs: old servers do not look at the id."""
        await self.http.tell("/interrupt", {"prompt_id": run_id})

    async def cancel(self, run_id: str) -> bool:
        """Cancel by id, wherever the run is; False if this server is too old to know how."""
        if self._cancels_by_id is False:
            return False
        path = f"/api/jobs/{run_id}/cancel"
        async with (
            self.http.opened("POST", path, json={}) as response,
            asyncio.timeout(self.http.patience.answer_s),
        ):
            self._cancels_by_id = response.status not in _ABSENT
            if self._cancels_by_id:
                await self.http.decoded(response, path, _Cancelled)
        return self._cancels_by_id

    async def upload(self, name: str, data: bytes) -> str:
        """Store an input under `name`, over what an earlier attempt left there; give the name to use in the graph."""
        form = aiohttp.FormData()
        form.add_field("image", data, filename=name, content_type="application/octet-stream")
        form.add_field("type", "input")
        form.add_field("overwrite", "true")
        found = await self.http.ask("POST", "/upload/image", Uploaded, data=form)
        return f"{found.subfolder}/{found.name}" if found.subfolder else found.name

    async def download(self, reference: FileReference, path: Path, *, left_bytes: int) -> int:
        """Write an output to `path`, which must not exist; give its size.

        Raises:
            OutputMissing: the server has no such file.
            OutputTooLarge: it has more than `left_bytes`.
            EngineGone: the transfer broke off before its announced end.
        """
        async with self.http.opened("GET", "/view", params=msgspec.structs.asdict(reference)) as response:
            if response.status in _ABSENT:
                raise OutputMissing(f"the file {reference.filename!r}", found="", service=self.service)
            async with asyncio.timeout(self.http.patience.answer_s):
                await self.http.check(response, "/view")
            if (response.content_length or 0) > left_bytes:
                raise self._too_large()
            return await self._written(response, path, left_bytes)

    async def _written(self, response: aiohttp.ClientResponse, path: Path, left_bytes: int) -> int:
        size = 0
        with await asyncio.to_thread(path.open, "xb") as file:
            while True:
                async with asyncio.timeout(self.http.patience.answer_s):
                    chunk = await response.content.read(_CHUNK_BYTES)
                if not chunk:
                    return size
                size += len(chunk)
                if size > left_bytes:
                    raise self._too_large()
                await asyncio.to_thread(file.write, chunk)

    def _too_large(self) -> OutputTooLarge:
        return OutputTooLarge("all outputs together", service=self.service, limit_bytes=self.http.bounds.output_bytes)
