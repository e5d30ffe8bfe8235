"""Models: the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from litestar import Request, delete, get, put
from litestar.params import FromPath, RawBody

from northstar.broker.model_desk import WantedModel
from northstar.domain.api_keys import Scope
from northstar.domain.model_rows import ModelDeclared, ModelForgotten, ModelPage, ModelSheet
from northstar.surfaces.http.v1.access import caller_of
from northstar.surfaces.http.v1.bodies import MAX_BODY_BYTES, read_body
from northstar.surfaces.http.v1.paging import Cursor, Flag, Limit

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from northstar.broker.model_desk import ModelDesk

#: Names of models may have folders.
_MODEL: Final = "/v1/models/{model:path}"
_Asked = Request[Any, Any, Any]


def model_routes(desk: ModelDesk) -> list[HTTPRouteHandler]:
    """All of them."""

    @get("/v1/models", opt={"scope": Scope.READ})
    async def list_models(request: _Asked, limit: Limit = 50, cursor: Cursor = "") -> ModelPage:
        """Models of the catalogue by name, each with its versions and files. For everybody: a key of one tenant finds those that its jobs may use."""
        return await desk.page(caller_of(request), limit=limit, cursor=cursor)

    @get(_MODEL, opt={"scope": Scope.READ})
    async def get_model(request: _Asked, model: FromPath[str]) -> ModelSheet:
        """What a name, an alias, either with `@version`, or the name of a file means, and which machines hold it.

        For everybody. NS_NO_SUCH_MODEL: the catalogue has nothing of the name, or nothing that this tenant's jobs may use.
        """
        return await desk.sheet(caller_of(request), model.removeprefix("/"))

    @put(_MODEL, status_code=200, request_max_body_size=MAX_BODY_BYTES, opt={"scope": Scope.ADMIN, "body": WantedModel})
    async def declare_model(
        *, request: _Asked, model: FromPath[str], body: RawBody, replace: Flag = False
    ) -> ModelDeclared:
        """Declare a model, or a version of it, which becomes current; the same again changes nothing. Nothing is read of its addresses.

        For `admin`. NS_CATALOGUE_ENTRY_INVALID: it can never stand there. NS_MODEL_VERSION_EXISTS: that version says something else by now, and
        `replace` was not said. NS_MODEL_NAME_IN_USE: a name or alias means another model.
        """
        wanted = read_body(body, WantedModel)
        return await desk.declare(caller_of(request), model.removeprefix("/"), wanted, replace=replace)

    @delete(_MODEL, status_code=200, opt={"scope": Scope.ADMIN})
    async def forget_model(request: _Asked, model: FromPath[str], *, dry_run: Flag = False) -> ModelForgotten:
        """Take a model, or with `NAME@VERSION` one version of it, out of the catalogue; `dry_run` only says what would go. Machines keep their files.

        For `admin`. NS_NO_SUCH_MODEL: there is none of the name, or it is that of a file.
        """
        return await desk.forget(caller_of(request), model.removeprefix("/"), dry_run=dry_run)

    return [list_models, get_model, declare_model, forget_model]
