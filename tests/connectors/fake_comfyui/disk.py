"""The fake's folders: output, temp and input, in memory."""

from __future__ import annotations

import mimetypes
import re
from typing import Any

from aiohttp import web


class FakeDisk:
    """Files by folder, folder below it, and name."""

    def __init__(self) -> None:
        self.files: dict[tuple[str, str, str], bytes] = {}
        self.breaks_off_after: int | None = None  # bytes of a transfer after which the connection breaks

    @property
    def uploads(self) -> tuple[str, ...]:
        """Names below `input`, as loaders list them."""
        return tuple(f"{below}/{name}" if below else name for kind, below, name in self.files if kind == "input")

    def store(self, prefix: str, data: bytes, *, folder: str) -> dict[str, str]:
        """Add a picture under the number after the highest that is there."""
        below, _, name = prefix.rpartition("/")
        numbers = [
            int(number[1])
            for kind, where, other in self.files
            if (kind, where) == (folder, below) and (number := re.fullmatch(re.escape(name) + r"_(\d{5})_\.png", other))
        ]
        filename = f"{name}_{max(numbers, default=0) + 1:05}_.png"
        self.files[(folder, below, filename)] = data
        return {"filename": filename, "subfolder": below, "type": folder}

    async def view(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        place = (query.get("type", "output"), query.get("subfolder", ""), query["filename"])
        data = self.files.get(place)
        if data is None:
            return web.Response(status=404)
        kind = mimetypes.guess_type(place[2])[0] or "application/octet-stream"
        headers = {"Content-Disposition": f'filename="{place[2]}"', "Content-Type": kind}
        if self.breaks_off_after is None:
            return web.Response(body=data, headers=headers)
        response = web.StreamResponse(headers=headers | {"Content-Length": str(len(data))})
        await response.prepare(request)
        await response.write(data[: self.breaks_off_after])
        if request.transport is not None:
            request.transport.close()
        return response

    async def upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        file: Any = form.get("image")
        if not isinstance(file, web.FileField):
            return web.Response(status=400)
        below, kind, name = str(form.get("subfolder", "")), str(form.get("type", "input")), file.filename
        stem, dot, suffix = name.rpartition(".")
        number = 1
        while form.get("overwrite") not in {"true", "1"} and (kind, below, name) in self.files:
            name = f"{stem} ({number}){dot}{suffix}"
            number += 1
        self.files[(kind, below, name)] = file.file.read()
        return web.json_response({"name": name, "subfolder": below, "type": kind})
