"""The framework and the server alone: `python -m benchmarks.http.bare PORT`."""

from __future__ import annotations

import sys

import msgspec
import uvicorn
from litestar import Litestar, Response, get, post
from litestar.params import FromPath, RawBody

#: As long as the answers of North Star that stand beside them.
TAKEN = msgspec.json.encode({"id": "job_" + "0" * 26, "padding": "x" * 560})
TOLD = msgspec.json.encode({"id": "job_" + "0" * 26, "padding": "x" * 700})


@get("/health", sync_to_thread=False)
def health() -> dict[str, str]:
    return {"status": "ok"}


@post("/v1/jobs", status_code=202)
async def take(body: RawBody) -> Response[bytes]:
    msgspec.json.decode(body)
    return Response(TAKEN, media_type="application/json")


@get("/v1/jobs/{job:str}")
async def tell(job: FromPath[str]) -> Response[bytes]:
    return Response(TOLD, media_type="application/json")


def main() -> None:
    app = Litestar(route_handlers=[health, take, tell], openapi_config=None, logging_config=None)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_config=None, access_log=False, lifespan="off")


if __name__ == "__main__":
    main()
