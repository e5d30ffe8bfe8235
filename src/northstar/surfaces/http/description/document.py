"""The OpenAPI 3.1 document of an application, made from its routes and from the types that they take and give."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from litestar import Litestar

from northstar import __version__
from northstar.surfaces.http.description.answers import codes_of
from northstar.surfaces.http.description.examples import EXAMPLES
from northstar.surfaces.http.description.field_comments import field_comments
from northstar.surfaces.http.description.field_words import words_for
from northstar.surfaces.http.description.routes import Parameter, Route, http_routes
from northstar.surfaces.http.problems import MEDIA_TYPE, Problem

_REF: Final = "#/components/schemas/{name}"
_PHRASES: Final = {
    400: "The request cannot be read.",
    401: "A key is wanted, and none that counts was shown.",
    403: "The key is good, but not for this.",
    404: "It is not there, or not for this key.",
    408: "The body did not come in time.",
    409: "The present state does not allow it.",
    410: "It was there, and is kept no longer.",
    413: "The body is too large.",
    416: "The file has no such bytes.",
    422: "The request can be read, and can never be done as it is.",
    429: "Too much at once; come back when `Retry-After` says.",
    500: "A fault of North Star.",
    503: "A part that is needed does not answer or is full; come back when `Retry-After` says.",
}
_GOOD: Final = {
    202: "Taken in.",
    204: "There is nothing to tell, or nothing more.",
    206: "The part that was asked for.",
    304: "What is known already has not changed.",
    416: "There are no such bytes.",
}
#: Answers without a body.
_EMPTY: Final = frozenset({204, 304, 416})
_WHEN: Final = {"schema": {"type": "integer", "minimum": 1}, "description": "Seconds after which to come back."}


def openapi_document(app: Litestar) -> dict[str, Any]:
    """The document; its keys are in the order in which people read them."""
    routes = [route for route in http_routes(app) if route.is_described]
    kinds = [Problem, *(kind for route in routes for kind in (route.body, *route.answers) if kind is not None)]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    by_place = dict(zip(map(repr, kinds), schemas, strict=True))
    _tell_fields(kinds, components)
    paths: dict[str, dict[str, Any]] = {}
    named: set[str] = set()
    for route in routes:
        told = _operation(route, by_place, is_first=route.name not in named)
        if links := _links(route, routes):
            told["responses"][str(route.status)]["links"] = links
        paths.setdefault(route.path, {})[route.method.lower()] = told
        named.add(route.name)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "North Star",
            "version": __version__,
            "summary": "A broker for AI work on fleets of ephemeral GPU machines.",
            "description": "Errors are `application/problem+json`; their `title` is a stable code. Times are ms since the epoch.",
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The broker that gives this document."}],
        "tags": [{"name": tag} for tag in sorted({route.tag for route in routes})],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key, `nsk_…`, as `northstar keys add` prints it.",
                }
            },
            "schemas": components,
        },
    }


def _operation(route: Route, schemas: dict[str, Any], *, is_first: bool) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": route.name if is_first else _alias(route),
        "tags": [route.tag],
        "summary": route.summary.rstrip("."),
        "security": [] if route.scope is None else [{"key": []}],
    }
    about = [route.details, "" if route.scope is None else f"The key needs the scope `{route.scope.value}`."]
    if any(about):
        told["description"] = "\n\n".join(filter(None, about))
    if route.parameters:
        told["parameters"] = [_parameter(one) for one in route.parameters]
    if route.body is not None:
        told["requestBody"] = _body(route, schemas)
    told["responses"] = dict(_responses(route, schemas))
    return told


def _links(route: Route, routes: list[Route]) -> dict[str, Any]:
    """What can be asked next of something that was made: what stands below its address, by its id."""
    if route.method != "POST" or not any("id" in getattr(kind, "__struct_fields__", ()) for kind in route.answers):
        return {}
    below = re.compile(re.escape(route.path) + r"/\{(\w+)\}(/|$)")
    found = ((one, below.match(one.path)) for one in routes)
    return {
        one.name: {"operationId": one.name, "parameters": {place[1]: "$response.body#/id"}}
        for one, place in found
        if place is not None
    }


def _alias(route: Route) -> str:
    """The id of a route at another of its paths."""
    return f"{route.name}_at_{re.sub(r'[^a-z0-9]+', '_', route.path.lower()).strip('_')}"


def _parameter(one: Parameter) -> dict[str, Any]:
    told: dict[str, Any] = {"name": one.name, "in": one.place, "required": one.required, "schema": one.schema}
    if one.is_rest:
        told["description"] = "The rest of the path; it may hold slashes."
    return told


def _body(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": schemas[repr(route.body)]}
    if route.body in EXAMPLES:
        content["examples"] = {name: {"value": value} for name, value in EXAMPLES[route.body].items()}
    return {"required": _must_be_there(route.body), "content": {"application/json": content}}


def _must_be_there(kind: Any) -> bool:
    """Whether nothing at all, which is read as an empty object, is no such body."""
    try:
        msgspec.convert({}, kind)
    except msgspec.ValidationError:
        return True
    return False


def _responses(route: Route, schemas: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    found = [schemas[repr(kind)] for kind in route.answers]
    schema = found[0] if len(found) == 1 else {"anyOf": found}
    content = {media_type: {"schema": schema} if found else {} for media_type in route.media_types}
    for status in sorted({route.status, *route.also}):
        good: dict[str, Any] = {"description": _GOOD.get(status, "Done.")}
        if status not in _EMPTY:
            good["content"] = content
        yield str(status), good
    for status, codes in codes_of(route).items():
        phrase = _PHRASES.get(status, "It was not done.")
        listed = f" Codes: {', '.join(f'`{code}`' for code in codes)}." if codes else ""
        problem = {"schema": schemas[repr(Problem)], "examples": _examples(status, codes)}
        told: dict[str, Any] = {"description": phrase + listed, "content": {MEDIA_TYPE: problem}}
        if status in {429, 503}:
            told["headers"] = {"Retry-After": _WHEN}
        yield str(status), told


def _examples(status: int, codes: tuple[str, ...]) -> dict[str, Any]:
    return {
        code: {
            "value": {
                "type": f"urn:northstar:{code}",
                "title": code,
                "status": status,
                "detail": "A sentence for people, which may change.",
                "retryable": status in {408, 429, 503},
            }
        }
        for code in codes[:1]
    }


def _tell_fields(kinds: list[Any], components: dict[str, Any]) -> None:
    """Give each field the comment that stands beside it in the code, else what fields of its name are (`field_words`)."""
    for kind in {known.__name__: known for known in _structs(kinds)}.values():
        properties = components.get(kind.__name__, {}).get("properties", {})
        beside = field_comments(kind)
        for name, told in properties.items():
            if words := beside.get(name) or words_for(kind.__name__, name):
                properties[name] = {**told, "description": words}


def _structs(kinds: list[Any]) -> list[type[msgspec.Struct]]:
    found: dict[type[msgspec.Struct], None] = {}
    waiting = [msgspec.inspect.type_info(kind) for kind in kinds]
    while waiting:
        info = waiting.pop()
        if isinstance(info, msgspec.inspect.StructType):
            if info.cls in found:
                continue
            found[info.cls] = None
            waiting += [field.type for field in info.fields]
        for part in ("type", "item_type", "key_type", "value_type"):
            inner = getattr(info, part, None)
            waiting += [inner] if isinstance(inner, msgspec.inspect.Type) else []
        for parts in ("types", "item_types"):
            waiting += list(getattr(info, parts, ()))
    return list(found)
