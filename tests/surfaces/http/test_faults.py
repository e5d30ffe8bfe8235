"""What leaves when something goes wrong: a code, when to come back, and never more of the inside than a trace."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

import northstar.assembly.serve  # noqa: F401 - so that every error of a broker is loaded
from northstar.broker.job_desk import JobDesk
from northstar.domain.api_keys import Scope
from northstar.domain.errors import NorthstarError
from northstar.surfaces.http.description.answers import all_kinds
from northstar.surfaces.http.problems import problem, status_of_kind
from tests.surfaces.http.site import Site

pytestmark = pytest.mark.asyncio(loop_scope="session")
ANY_REQUEST: Any = None


class Strange(Exception):
    """Nobody has foreseen it."""


async def test_a_fault_is_told_by_a_trace_that_the_log_has_too(
    site: Site, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    async def fails(*_: object, **__: object) -> None:
        raise Strange("the password is hunter2")

    reader = await site.client(Scope.READ)
    monkeypatch.setattr(JobDesk, "get", fails)
    answer = await reader.get("/v1/jobs/a-job")
    assert (answer.status, answer.code, answer.body["retryable"]) == (500, "NS_FAULT", False)
    told = str(answer.body) + str(answer.headers)
    assert "hunter2" not in told
    assert "Strange" not in told
    assert "Traceback" not in told
    said = capfd.readouterr()
    assert re.fullmatch(r"[0-9a-f]{16}", answer.body["trace"])
    assert answer.body["trace"] in said.out + said.err
    assert "hunter2" in said.out + said.err  # whoever mends it reads what it was


@pytest.mark.parametrize(
    "kind", [kind for kind in all_kinds() if status_of_kind(kind) in {429, 503}], ids=lambda kind: kind.__name__
)
async def test_whoever_shall_come_back_is_told_when(kind: type[NorthstarError]) -> None:
    error = kind.__new__(kind)
    Exception.__init__(error, "no")
    if hasattr(kind, "retry_after_s"):
        error.facts = {"retry_after_ms": "2600"}  # type: ignore[attr-defined]
    response = problem(ANY_REQUEST, error)
    assert int(response.headers["Retry-After"]) == (3 if hasattr(kind, "retry_after_s") else 1)


@pytest.mark.parametrize(
    ("path", "is_page"), [("/v1/jobs", False), ("/health", False), ("/nowhere", False), ("/docs", True)]
)
async def test_every_answer_tells_browsers_to_guess_keep_and_run_nothing(site: Site, path: str, is_page: bool) -> None:
    headers = (await site.stranger().get(path)).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert ("sandbox" in headers["Content-Security-Policy"]) != is_page
    assert "server" not in headers


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "NS_NO_SUCH_PATH"),
        ("DELETE", "/v1/jobs", 405, "NS_METHOD_NOT_ALLOWED"),
        ("GET", "/v1/jobs/x/cancel", 405, "NS_METHOD_NOT_ALLOWED"),
    ],
)
async def test_what_is_not_there_is_told_as_every_other_error(
    site: Site, method: str, path: str, status: int, code: str
) -> None:
    answer = await site.stranger().ask(method, path)
    assert (answer.status, answer.code, answer.body["status"]) == (status, code, status)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert ("GET" in answer.headers.get("Allow", "")) == (status == 405 and not path.endswith("cancel"))
    assert msgspec.json.decode(msgspec.json.encode(answer.body))["type"] == f"urn:northstar:{code}"


async def test_ready_is_the_other_name_of_health_ready(site: Site) -> None:
    answers = [await site.stranger().get(path) for path in ("/ready", "/health/ready")]
    assert [(answer.status, answer.body) for answer in answers] == [(200, {"status": "ready"})] * 2
