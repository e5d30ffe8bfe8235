"""What the HTTP interface says of itself: a valid OpenAPI document, a page of it, and nothing that is not so."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from openapi_spec_validator import OpenAPIV31SpecValidator

from northstar.surfaces.http.description.answers import codes_of, status_of_code
from northstar.surfaces.http.description.examples import EXAMPLES
from tests.surfaces.http.route_table import BEHIND_A_KEY, ROUTES, name_of
from tests.surfaces.http.site import Site

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def document(site: Site) -> dict[str, Any]:
    answer = await site.stranger().get("/openapi.json")
    assert answer.status == 200
    found: dict[str, Any] = answer.body
    return found


async def test_the_document_is_valid_by_a_judge_that_is_not_ours(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    errors = [str(error) for error in OpenAPIV31SpecValidator(document).iter_errors()]
    assert errors == []


async def test_it_tells_of_every_route_but_those_of_machines_and_of_pages(document: dict[str, Any]) -> None:
    told = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}
    pages = ("/agent/", "/live")
    described = {(route.method, route.path) for route in ROUTES if not route.path.startswith(pages)}
    assert told == described - {("GET", "/")}
    assert ("POST", "/v1/jobs") in told


async def test_every_route_says_what_it_does_and_what_it_takes(document: dict[str, Any]) -> None:
    for route in ROUTES:
        if not route.is_described:
            continue
        assert route.summary.endswith("."), name_of(route)
        told = document["paths"][route.path][route.method.lower()]
        assert told["security"] == ([{"key": []}] if route.scope else [])
        assert ("requestBody" in told) == (route.body is not None)
        if route.scope:
            assert f"`{route.scope.value}`" in told["description"]
            assert {"401", "403", "429", "500", "503"} <= set(told["responses"])
        assert {"in": "path", "name": "job"} in [
            {key: one[key] for key in ("in", "name")} for one in told.get("parameters", ())
        ] or "{job}" not in route.path


async def test_the_document_says_what_heads_may_say(document: dict[str, Any]) -> None:
    told = document["paths"]["/v1/jobs"]["post"]
    assert ("header", "Idempotency-Key") in [(one["in"], one["name"]) for one in told["parameters"]]
    assert told["responses"]["503"]["headers"]["Retry-After"]
    assert told["responses"]["429"]["headers"]["Retry-After"]
    assert "NS_UNKNOWN_WORD" in told["responses"]["422"]["description"]
    assert told["requestBody"]["required"]
    limit = next(one for one in document["paths"]["/v1/jobs"]["get"]["parameters"] if one["name"] == "limit")
    assert (limit["schema"], limit["required"]) == (
        {"type": "integer", "minimum": 1, "maximum": 500, "default": 50},
        False,
    )


async def test_fields_have_the_comments_of_the_code(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert "not charged as attempts" in schemas["JobResource"]["properties"]["recoveries"]["description"]
    assert schemas["Problem"]["required"] == ["type", "title", "status", "detail", "retryable"]


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
async def test_the_codes_of_a_route_are_those_of_errors(site: Site, route: object) -> None:
    for status, codes in codes_of(route).items():  # type: ignore[arg-type]
        assert {status_of_code(code) for code in codes} <= {status}


async def test_examples_are_what_they_are_examples_of() -> None:
    for kind, examples in EXAMPLES.items():
        for example in examples.values():
            msgspec.convert(example, kind)
    assert {repr(route.body) for route in BEHIND_A_KEY if route.path.startswith("/v1/jobs") and route.body} <= {
        repr(kind) for kind in EXAMPLES
    }


async def test_the_page_runs_nothing_and_fetches_nothing(site: Site) -> None:
    answer = await site.stranger().get("/docs")
    page = answer.body.decode()
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert "<script" not in page
    assert re.findall(r"(?:src|href)=\"(?!#|/openapi\.json)[^\"]*", page) == []
    for path in ("/v1/jobs/{job}/cancel", "/v1/jobs/batch"):
        assert path in page
    ids = re.findall(r' id="([^"]+)"', page)
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)
    assert len(ids) == len(set(ids))


_AS_IN_SERVE = """
import northstar.assembly.serve, northstar.surfaces.http.server
from tests.surfaces.http.route_table import APPLICATION
from northstar.surfaces.http.description.document import openapi_document
print(len(openapi_document(APPLICATION)["paths"]))
"""


async def test_a_broker_knows_all_errors_that_its_routes_name(document: dict[str, Any]) -> None:
    """In a process that has loaded what `serve` loads, and nothing that other tests have."""
    done = subprocess.run(
        [sys.executable, "-c", _AS_IN_SERVE], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.returncode) == (f"{len(document['paths'])}\n", 0), done.stderr
