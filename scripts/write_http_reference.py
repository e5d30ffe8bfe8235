"""Write docs/reference/http.md from the application's routes: `python scripts/write_http_reference.py`.

Routes, parameters, bodies and answers come from the same table as the OpenAPI document, meanings from docstrings and the comments
beside fields, statuses from the one place that gives them. A test fails when the page is not what this writes.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final
from unittest.mock import MagicMock

import msgspec
from litestar import Litestar

import northstar
from northstar.assembly.front import AppParts
from northstar.domain.errors import Refused
from northstar.surfaces.http.app import make_app
from northstar.surfaces.http.description.answers import (
    OF_BODIES,
    OF_KEYS,
    OF_THE_STORE,
    all_kinds,
    codes_of,
    status_of_code,
)
from northstar.surfaces.http.description.document import openapi_document
from northstar.surfaces.http.description.routes import Route, http_routes, socket_routes
from northstar.surfaces.http.problems import OF_THE_FRONT, status_of_kind

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "reference" / "http.md"
#: Modules that take part in an answer; what only commands and machines raise leaves by no HTTP.
_ANSWERING: Final = (
    "northstar.config.pool_errors.",
    "northstar.broker.",
    "northstar.domain.",
    "northstar.policy.",
    "northstar.store.",
    "northstar.surfaces.http.",
)
#: And parts of those that only simulations use.
_SIMULATING: Final = "northstar.policy.baselines."

#: Told once for all routes.
_USUAL: Final = frozenset({*OF_BODIES, *OF_KEYS, *OF_THE_STORE, "NS_FAULT"})
_HEAD: Final = """# HTTP

This page is written by `scripts/write_http_reference.py` from the program; change it there. Each broker tells the same of itself: `/openapi.json`
for programs (OpenAPI 3.1), `/docs` for people.

`northstar up` prints the address (`broker`); elsewhere it is that of `northstar serve`. Every call shows [a key](../how-to/give-keys.md):
`Authorization: Bearer nsk_…`. Open are only whether the broker lives and is ready, and the description. Bodies and answers are JSON; times are
ms since the epoch by the cell's clock. A key of one tenant reaches that tenant's jobs; others' are for it as if they did not exist.

## Errors

An error is `application/problem+json`:

```json
{"type": "urn:northstar:NS_NO_SUCH_JOB", "title": "NS_NO_SUCH_JOB", "status": 404, "detail": "there is no job a-1", "retryable": false}
```

Programs compare `title`; `detail` is for people and may change. `retryable` says whether the same call may succeed later without being changed;
429 and 503 say when, in seconds, in `Retry-After`. Of a fault (`NS_FAULT`) the answer names a `trace`, under which the log of the broker says
what it was. [Which code has which status](#statuses) stands at the end, [what each means](errors.md) in the page of errors.

A call that submits may be repeated when nothing was heard of it: with the same `Idempotency-Key`, or the same ids, it is answered with the same jobs.

## Bounds

The head of a request has at most 64 KiB and comes within `serve.head_within_s`; its body within `serve.body_within_s`, of at most the size that the
route takes. `serve.max_clients` connections are held at a time; when more come, the one that has asked nothing for the longest is closed.
[The settings](configuration.md).
"""


def application() -> Litestar:
    """The application with nothing behind it."""
    parts = MagicMock(spec=AppParts)
    parts.configure_mock(trusted_proxies=(), max_output_bytes=1, body_within_s=1.0, cell="c")
    return make_app(parts)


def load_answering() -> None:
    """Load whatever takes part in an answer, so that all its errors are known, whoever else has been loaded."""
    for module in pkgutil.walk_packages(northstar.__path__, "northstar."):
        if _takes_part(f"{module.name}.") and "command_launcher" not in module.name:
            importlib.import_module(module.name)


def _takes_part(module: str) -> bool:
    return module.startswith(_ANSWERING) and not module.startswith(_SIMULATING)


def page() -> str:
    """The page as it must be."""
    load_answering()
    app = application()
    document = openapi_document(app)
    routes = [route for route in http_routes(app) if route.is_described]
    lines = [_HEAD.rstrip(), "", *_usual()]
    for tag in sorted({route.tag for route in routes}):
        lines += ["", f"## {tag.capitalize()}"]
        for route in routes:
            if route.tag == tag:
                lines += _route(route, document)
    lines += _sockets(app)
    lines += ["", "## Types"]
    for name, schema in document["components"]["schemas"].items():
        lines += _type(name, schema)
    return "\n".join([*lines, *_statuses()]) + "\n"


def _usual() -> Iterator[str]:
    yield "## Answers of many routes"
    yield from ("", f"Every route that wants a key: {_listed([*OF_KEYS, *OF_THE_STORE, 'NS_FAULT'])}.")
    yield from ("", f"Every route that takes a body: {_listed(OF_BODIES)}.")
    yield from (
        "",
        f"Whatever was asked: {_listed(['NS_HEAD_TOO_LARGE', 'NS_REQUEST_UNREADABLE', 'NS_TOO_MANY_CLIENTS'])}.",
    )
    yield from ("", "Each route says below which others it has.")


def _route(route: Route, document: dict[str, Any]) -> Iterator[str]:
    told = document["paths"][route.path][route.method.lower()]
    yield from ("", f"### `{route.method} {route.path}`", "", " ".join(filter(None, (route.summary, route.details))))
    if route.scope is not None:
        yield from ("", f"Scope: `{route.scope.value}`.")
    if "parameters" in told:
        yield from ("", "| parameter | in | is |", "| --- | --- | --- |")
        for one in told["parameters"]:
            must = " (must be given)" if one["required"] and one["in"] != "path" else ""
            yield f"| `{one['name']}` | {one['in']} | {_words(one['schema'])}{must} |"
    for media_type, content in told.get("requestBody", {}).get("content", {}).items():
        yield from ("", f"Body ({media_type}): {_words(content['schema'])}.")
        for example in content.get("examples", {}).values():
            yield from ("", "```json", msgspec.json.encode(example["value"]).decode(), "```")
    good = told["responses"][str(route.status)]
    kinds = [
        f"{_words(of['schema'])} as {name}" if "schema" in of else name for name, of in good.get("content", {}).items()
    ]
    own = {status: [code for code in codes if code not in _USUAL] for status, codes in codes_of(route).items()}
    else_ = _listed([code for codes in own.values() for code in codes])
    answers = f"Answers {route.status}{': ' if kinds else ''}{'; '.join(kinds)}."
    if route.also:
        answers += f" Or {', '.join(map(str, route.also))}."
    yield from ("", f"{answers} Else {else_}." if else_ else answers)


def _listed(codes: Iterable[str]) -> str:
    """Codes by their status."""
    found: dict[int, list[str]] = {}
    for code in codes:
        found.setdefault(status_of_code(code), []).append(f"`{code}`")
    return "; ".join(f"{status} {', '.join(sorted(listed))}" for status, listed in sorted(found.items()))


def _sockets(app: Litestar) -> Iterator[str]:
    found = [one for one in socket_routes(app) if not one.path.startswith("/agent/")]
    if found:
        yield from ("", "## WebSockets")
    for one in found:
        yield from ("", f"### `{one.path}`", "", " ".join(filter(None, (one.summary, one.details))))
        if one.scope is not None:
            yield from ("", f"Scope: `{one.scope.value}`.")


def _type(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield from ("", f"### {name}", "", schema.get("description", "").replace("\n", " ") or _words(schema) + ".")
    if "properties" not in schema:
        if "enum" in schema and "description" in schema:
            yield from ("", f"{_words(schema).capitalize()}.")
        return
    needed = schema.get("required", ())
    yield from ("", "| field | is | meaning |", "| --- | --- | --- |")
    for field, of in schema["properties"].items():
        default = (
            "" if field in needed or of.get("default") in (None, [], {}) else f", by default `{_json(of['default'])}`"
        )
        may = "" if field in needed or default else ", may be left out"
        yield f"| `{field}` | {_words(of)}{default}{may} | {of.get('description', '').replace('|', chr(92) + '|') or '-'} |"


def _words(schema: dict[str, Any]) -> str:  # noqa: PLR0911 - one for each kind of schema
    """A schema in a few words."""
    match schema:
        case {"$ref": ref}:
            name = str(ref).rpartition("/")[2]
            return f"[{name}](#{name.lower()})"
        case {"anyOf": options}:
            return " or ".join(_words(one) for one in options)
        case {"enum": values}:
            return " or ".join(f"`{value}`" for value in values)
        case {"type": "array", "items": items}:
            most = f" of at most {schema['maxItems']}" if "maxItems" in schema else ""
            return f"list{most}: {_words(items)}"
        case {"type": "integer" | "number" as kind}:
            word = "whole number" if kind == "integer" else "number"
            low, high = (
                schema.get("minimum", schema.get("exclusiveMinimum")),
                schema.get("maximum", schema.get("exclusiveMaximum")),
            )
            told = [word, "" if low is None else f"from {_bound(low)}", "" if high is None else f"to {_bound(high)}"]
            return " ".join(filter(None, told))
        case {"type": "string"}:
            return f"text, at most {schema['maxLength']:,} letters" if "maxLength" in schema else "text"
        case {"type": "boolean"}:
            return "`true` or `false`"
        case {"type": "null"}:
            return "`null`"
        case {"type": "object"}:
            return "object"
        case _:
            return "anything"


def _bound(value: float) -> str:
    """A bound in one way: types that say 30 and 30.0 are one to Python, and whichever was made first is what both say."""
    return f"{int(value) if value == int(value) else value:,}"


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def statuses() -> dict[str, tuple[int, bool]]:
    """Every code that an answer may have: its status, and whether the same call may succeed later."""
    found = {code: (status, False) for status, (code, _) in OF_THE_FRONT.items()}
    load_answering()
    for kind in all_kinds():
        if not _takes_part(f"{kind.__module__}.") or kind is Refused:  # a root that nothing raises as it is
            continue
        if "code" in vars(kind) and kind.code not in found:
            status = status_of_kind(kind)
            if status != 500:
                found[kind.code] = (status, kind.retryable)
    return found


def _statuses() -> Iterator[str]:
    yield from ("", "## Statuses", "", "| status | code | retryable |", "| --- | --- | --- |")
    for code, (status, retryable) in sorted(statuses().items(), key=lambda one: (one[1][0], one[0])):
        yield f"| {status} | `{code}` | {'yes' if retryable else 'no'} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE} written\n")
