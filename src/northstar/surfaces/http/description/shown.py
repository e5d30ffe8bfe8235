"""Where the description is shown: `/openapi.json` for programs and `/docs` for people, both open, since they hold no secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar import Request, Response, get

from northstar.surfaces.http.description.document import openapi_document
from northstar.surfaces.http.description.page import POLICY, html_page

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

DOCUMENT_PATH: Final = "/openapi.json"
PAGE_PATH: Final = "/docs"


def description_routes() -> list[HTTPRouteHandler]:
    """The document and its page, made when they are first asked for."""
    made: dict[str, bytes] = {}

    def once(request: Request[Any, Any, Any], path: str) -> bytes:
        if not made:
            document = openapi_document(request.app)
            made[DOCUMENT_PATH] = msgspec.json.encode(document)
            made[PAGE_PATH] = html_page(document).encode()
        return made[path]

    @get(DOCUMENT_PATH, sync_to_thread=False, media_type="application/json")
    def show_openapi(request: Request[Any, Any, Any]) -> Response[bytes]:
        """What this interface takes and gives, as OpenAPI 3.1."""
        return Response(once(request, DOCUMENT_PATH), media_type="application/json")

    @get(PAGE_PATH, sync_to_thread=False, media_type="text/html")
    def show_docs(request: Request[Any, Any, Any]) -> Response[bytes]:
        """What this interface takes and gives, as a page."""
        headers = {"Content-Security-Policy": POLICY}
        return Response(once(request, PAGE_PATH), media_type="text/html", headers=headers)

    return [show_openapi, show_docs]
