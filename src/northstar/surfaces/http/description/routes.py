"""The table of routes as their readers need it: method, path, scope, what is taken and what is answered."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Iterator
from typing import Any, Final, Literal

import msgspec
from litestar import Litestar, Response
from litestar.handlers import HTTPRouteHandler, WebsocketRouteHandler
from litestar.params import CookieParameter, HeaderParameter, ParameterKwarg, PathParameter
from litestar.response import ServerSentEvent, Stream

from northstar.domain.api_keys import Scope

#: Names by which the library hands a handler what is no parameter.
#: Heads that OpenAPI has other words for.
_OTHERWISE_TOLD: Final = frozenset({"Accept", "Authorization", "Content-Type"})
_RESERVED: Final = frozenset({"body", "cookies", "headers", "query", "request", "scope", "socket", "state"})
#: What machines speak with their broker.
_OF_MACHINES: Final = "/agent/"
_BOUNDS: Final = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "max_length": "maxLength",
    "min_length": "minLength",
    "pattern": "pattern",
}

Place = Literal["path", "query", "header"]


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """What an address or a head may say. `schema` is JSON Schema."""

    name: str
    place: Place
    required: bool
    schema: dict[str, Any]
    #: Of a path: the last one, which may hold slashes.
    is_rest: bool = False


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One method at one path; `path` is as in `/v1/jobs/{job}`."""

    method: str
    path: str
    name: str
    #: The first sentence of what it does, and the others.
    summary: str
    details: str
    #: None: whoever asks is answered.
    scope: Scope | None
    parameters: tuple[Parameter, ...]
    #: The type of its body; None: it takes none.
    body: Any
    status: int
    #: Other good statuses, such as those of parts and of what has not changed.
    also: tuple[int, ...]
    #: The types of its answer as JSON, one of them; none: `media_types` says what comes.
    answers: tuple[Any, ...]
    media_types: tuple[str, ...]
    #: Codes of errors beside those that every route of its kind has: those that its options list, and those that its words name.
    codes: tuple[str, ...]
    #: It cannot answer without the history.
    reads_history: bool
    #: Somebody looks at who asks: by the key, or by the cookie of a page.
    is_guarded: bool
    #: It is for programs, and promised to them; pages and what machines speak are not.
    is_described: bool

    @property
    def tag(self) -> str:
        """What it is about: the first word of its path below the version; else the broker itself."""
        _, version, *words = self.path.split("/")
        return words[0] if version == "v1" and words else "broker"


class SocketRoute(msgspec.Struct, frozen=True, kw_only=True):
    """A WebSocket at one path."""

    path: str
    name: str
    summary: str
    details: str
    scope: Scope | None


def http_routes(app: Litestar) -> list[Route]:
    """Every route that somebody wrote, in the order of paths and methods; what the library adds by itself is none."""
    found = [
        _route(path, parts, method, handler)
        for path, parts, handler in _handlers(app)
        if isinstance(handler, HTTPRouteHandler)
        for method in sorted(handler.http_methods)
        if method != "OPTIONS"
    ]
    return sorted(found, key=lambda route: (route.path, route.method))


def socket_routes(app: Litestar) -> list[SocketRoute]:
    """Every WebSocket."""
    return [
        SocketRoute(path=path, name=handler.handler_name, **_words(handler), scope=handler.opt.get("scope"))
        for path, _, handler in _handlers(app)
        if isinstance(handler, WebsocketRouteHandler)
    ]


def _handlers(app: Litestar) -> Iterator[tuple[str, list[Any], Any]]:
    for route in app.routes:
        for handler in getattr(route, "route_handlers", None) or [getattr(route, "route_handler", None)]:
            if handler is not None:
                yield route.path_format, route.path_components, handler


def _route(path: str, parts: list[Any], method: str, handler: HTTPRouteHandler) -> Route:
    answers, media_types = _answer(handler)
    return Route(
        method=method,
        path=path,
        name=handler.handler_name,
        **_words(handler),
        scope=handler.opt.get("scope"),
        parameters=tuple(_parameters(parts, handler)),
        body=handler.opt.get("body") or _own_body(handler),
        status=handler.status_code,
        also=tuple(handler.opt.get("also", ())),
        answers=answers,
        media_types=media_types,
        codes=tuple(dict.fromkeys([*handler.opt.get("codes", ()), *_named_codes(handler)])),
        reads_history=bool(handler.opt.get("history", False)),
        is_guarded=bool(handler.resolve_guards()),
        is_described=handler.resolve_include_in_schema() and not path.startswith(_OF_MACHINES),
    )


def _named_codes(handler: Any) -> list[str]:
    """What its docstring says that it answers, so that the words and the document are one."""
    return re.findall(r"\bNS_[A-Z0-9_]+\b", handler.fn.__doc__ or "")


def _words(handler: Any) -> dict[str, str]:
    """The docstring: its first sentence, and what follows up to the sections."""
    text = inspect.cleandoc(handler.fn.__doc__ or "").partition("\nRaises:")[0].strip()
    first, _, rest = text.partition("\n\n")
    first = " ".join(first.split())
    summary, dot, more = first.partition(". ")
    details = "\n\n".join(filter(None, (more, rest.strip())))
    return {"summary": summary + ("." if dot else ""), "details": details}


def _own_body(handler: HTTPRouteHandler) -> Any:
    found = handler.parsed_fn_signature.parameters.get("data")
    return None if found is None else found.annotation


def _parameters(parts: list[Any], handler: HTTPRouteHandler) -> Iterator[Parameter]:
    asked = _asked(handler.opt.get("query"))
    of_path = {part.name: part for part in parts if not isinstance(part, str)}
    told = handler.parsed_fn_signature.parameters
    for name, part in of_path.items():
        field = told.get(name)
        schema = _schema(field.annotation, field.kwarg_definition) if field is not None else {"type": "string"}
        yield Parameter(name=name, place="path", required=True, schema=schema, is_rest=part.full.endswith(":path"))
    for name, field in told.items():
        kwarg = field.kwarg_definition
        if name in of_path or name in _RESERVED or name == "data":
            continue
        if isinstance(kwarg, (CookieParameter, PathParameter)) or not isinstance(kwarg, (ParameterKwarg, type(None))):
            continue
        place: Place = "header" if isinstance(kwarg, HeaderParameter) else "query"
        schema = asked.get(name) or _schema(field.annotation, kwarg)
        if field.has_default and field.default not in {None, ""}:
            schema = schema | {"default": msgspec.to_builtins(field.default)}
        shown = (kwarg.name if kwarg is not None else None) or name
        if shown in _OTHERWISE_TOLD:
            continue
        yield Parameter(name=shown, place=place, required=not field.has_default, schema=schema)


def _asked(kind: Any) -> dict[str, dict[str, Any]]:
    """The schemas of parameters that are read together as one type; `null` is none of them, since what is left out is not said."""
    if kind is None:
        return {}
    return {field.name: _schema(field.type, None) for field in msgspec.structs.fields(kind)}


def _schema(annotation: Any, kwarg: Any) -> dict[str, Any]:
    """The schema of a parameter: what is left out is not `null`, so that is no part of it."""
    options = typing.get_args(annotation)
    if type(None) in options:
        (annotation,) = [option for option in options if option is not type(None)]
    schema = dict(msgspec.json.schema(annotation, schema_hook=_as_text))
    if "$defs" in schema:  # an enumeration by name; parameters stand for themselves
        (schema,) = schema["$defs"].values()
    for bound, word in _BOUNDS.items():
        value = getattr(kwarg, bound, None)
        if value is not None:
            schema[word] = value
    return {key: value for key, value in schema.items() if key not in {"title", "description"}}


def _as_text(_kind: Any) -> dict[str, Any]:
    """Types of the library, such as paths, are texts for whoever calls."""
    return {"type": "string"}


def _answer(handler: HTTPRouteHandler) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """The types of the answer where it is JSON, and its media types."""
    kind = handler.parsed_fn_signature.return_type.annotation
    if "media_type" in handler.opt:
        told = handler.opt["media_type"]
        return (), (told,) if isinstance(told, str) else tuple(told)
    origin = typing.get_origin(kind) or kind
    if isinstance(origin, type) and issubclass(origin, ServerSentEvent):
        return (), ("text/event-stream",)
    if isinstance(origin, type) and issubclass(origin, Stream):
        return (), ("application/octet-stream",)
    if isinstance(origin, type) and issubclass(origin, Response):
        (kind,) = typing.get_args(kind) or (None,)
    if kind in {None, type(None), bytes, str, Any}:
        return (), (str(getattr(handler.media_type, "value", handler.media_type) or "application/octet-stream"),)
    is_one_of = typing.get_origin(kind) in {typing.Union, types.UnionType}
    return typing.get_args(kind) if is_one_of else (kind,), ("application/json",)
