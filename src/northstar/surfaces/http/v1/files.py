"""Results and files of jobs. What strangers' machines have made is sent as something to keep, never as something to run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import quote

from litestar import Request, Response, get
from litestar.params import FromPath

from northstar.domain.api_keys import Scope
from northstar.domain.errors import InvalidRequest
from northstar.domain.job_resources import JobFile, JobResult
from northstar.surfaces.http.v1.access import caller_of
from northstar.surfaces.http.v1.jobs import JOBS
from northstar.surfaces.http.v1.sending import Piecewise

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from litestar.handlers import HTTPRouteHandler

    from northstar.broker.job_files import JobFiles, Kept

_Asked = Request[Any, Any, Any]
_MEDIA_TYPE: Final = re.compile(r"[\w.+-]{1,64}/[\w.+-]{1,64}(; ?[\w-]{1,32}=[\w.+-]{1,64}){0,4}", re.ASCII)
_RANGE: Final = re.compile(r"bytes=(\d{0,15})-(\d{0,15})", re.ASCII)
#: For the description of routes.
_OUTPUTS: Final = ("NS_JOB_UNREADABLE", "NS_NO_OUTPUTS", "NS_RESULT_MALFORMED")
_A_FILE: Final = {
    "codes": (
        *_OUTPUTS,
        "NS_ASSET_DAMAGED",
        "NS_ASSET_MISSING",
        "NS_ASSET_RETIRED",
        "NS_FILE_NAME_INVALID",
        "NS_NO_SUCH_FILE",
    ),
    "media_type": "*/*",
    "also": (206, 304, 416),
}


class FileNameInvalid(InvalidRequest):
    """A name that no file of a job can have."""

    code: ClassVar[str] = "NS_FILE_NAME_INVALID"

    def __init__(self) -> None:
        super().__init__(
            "no file of a job has such a name: it has a control character, or a part that is empty, `.` or `..`"
        )


def file_routes(files: JobFiles) -> list[HTTPRouteHandler]:
    """What jobs have left."""

    @get(f"{JOBS}/{{job:str}}/result", opt={"scope": Scope.READ, "codes": _OUTPUTS})
    async def get_result(request: _Asked, job: FromPath[str]) -> JobResult:
        """The result of a job that succeeded: the answer of its engine, and its files."""
        return await files.result(caller_of(request), job)

    @get(f"{JOBS}/{{job:str}}/files", opt={"scope": Scope.READ, "codes": _OUTPUTS})
    async def list_files(request: _Asked, job: FromPath[str]) -> tuple[JobFile, ...]:
        """The files of a job that succeeded."""
        return await files.files(caller_of(request), job)

    @get(f"{JOBS}/{{job:str}}/files/{{name:path}}", opt={"scope": Scope.READ, **_A_FILE})
    async def get_file(request: _Asked, job: FromPath[str], name: FromPath[str]) -> Response[Any]:
        """One file, or the part of it that `Range` names."""
        kept = await files.find(caller_of(request), job, _checked(name.removeprefix("/")))
        return await _answer(request, files, kept)

    return [get_result, list_files, get_file]


async def _answer(request: _Asked, files: JobFiles, kept: Kept) -> Response[Any]:
    headers = _headers(kept)
    tag = headers["ETag"]
    if tag in {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}:
        return Piecewise(_nothing(), headers=headers, status_code=304)
    asked = request.headers.get("range", "") if request.headers.get("if-range", tag) == tag else ""
    part = _RANGE.fullmatch(asked.strip())
    if part is None or part[0] == "bytes=-":  # several parts at once, or none that can be read: the whole
        return await _begun(files.read(kept), headers | {"Content-Length": str(kept.size_bytes)})
    first, last = _between(part[1], part[2], kept.size_bytes)
    if first > last:
        headers |= {"Content-Range": f"bytes */{kept.size_bytes}", "Content-Length": "0"}
        return Piecewise(_nothing(), headers=headers, status_code=416)
    count = last - first + 1
    headers |= {"Content-Range": f"bytes {first}-{last}/{kept.size_bytes}", "Content-Length": str(count)}
    return await _begun(files.read(kept, first=first, count=count), headers, status_code=206)


def _between(first: str, last: str, size_bytes: int) -> tuple[int, int]:
    """The first and last byte that a range names; in the wrong order where there are none."""
    if not first:
        return max(0, size_bytes - int(last)), size_bytes - 1
    return int(first), min(int(last) if last else size_bytes, size_bytes - 1)


async def _begun(pieces: AsyncIterator[bytes], headers: dict[str, str], *, status_code: int = 200) -> Response[Any]:
    """The answer, once its first piece is here: a file that is not there is an error with a code."""
    first = await anext(pieces, b"")
    return Piecewise(_with(first, pieces), headers=headers, status_code=status_code)


async def _with(first: bytes, others: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        yield first
        async for piece in others:
            yield piece
    finally:
        close = getattr(others, "aclose", None)
        if close is not None:
            await close()


async def _nothing() -> AsyncIterator[bytes]:
    yield b""


def _headers(kept: Kept) -> dict[str, str]:
    plain = kept.name.rpartition("/")[2]
    simple = re.sub(r"[^\w.+-]", "_", plain, flags=re.ASCII) or "file"
    return {
        "Content-Type": kept.media_type if _MEDIA_TYPE.fullmatch(kept.media_type) else "application/octet-stream",
        "Content-Disposition": f"attachment; filename=\"{simple}\"; filename*=UTF-8''{quote(plain, safe='')}",
        "ETag": f'"{kept.sha256}"',
        "Accept-Ranges": "bytes",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "private, no-cache",
    }


def _checked(name: str) -> str:
    """Raises FileNameInvalid."""
    if not name.isprintable() or any(part in {"", ".", ".."} for part in name.split("/")) or "\\" in name:
        raise FileNameInvalid
    return name
