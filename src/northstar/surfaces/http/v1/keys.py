"""Keys of this interface: made, replaced, revoked. All of it is for `admin`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from litestar import Request, Response, delete, get, post
from litestar.params import FromPath, RawBody

from northstar.broker.pages import page_of
from northstar.domain.api_keys import KeyTerms, KeyView, Scope
from northstar.domain.key_resources import KeyMade, KeyPage, KeyRevoked, RotateKey
from northstar.surfaces.http.v1.access import caller_of
from northstar.surfaces.http.v1.bodies import MAX_BODY_BYTES, read_body
from northstar.surfaces.http.v1.paging import NO_STORE, Cursor, Limit

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from northstar.broker.keys import Keys

_KEYS: Final = "/v1/keys"
_KEY: Final = f"{_KEYS}/{{key:str}}"
_Asked = Request[Any, Any, Any]


def key_routes(keys: Keys) -> list[HTTPRouteHandler]:
    """All of them."""
    return [*_look_routes(keys), *_change_routes(keys)]


def _look_routes(keys: Keys) -> list[HTTPRouteHandler]:
    @get(_KEYS, opt={"scope": Scope.ADMIN})
    async def list_keys(limit: Limit = 50, cursor: Cursor = "") -> KeyPage:
        """Keys, the oldest first: whose, for what, of which tenant, until when, and who changed them last. For `admin`."""
        found = await keys.views()
        shown, after = page_of(found, name=lambda view: f"{view.created_ms:015d} {view.id}", limit=limit, cursor=cursor)
        return KeyPage(keys=shown, cursor=after)

    @get(_KEY, opt={"scope": Scope.ADMIN})
    async def get_key(key: FromPath[str]) -> KeyView:
        """One key, by its id. For `admin`. NS_NO_SUCH_KEY: there is none of the id."""
        return await keys.get(key)

    return [list_keys, get_key]


def _change_routes(keys: Keys) -> list[HTTPRouteHandler]:
    @post(_KEYS, status_code=201, request_max_body_size=MAX_BODY_BYTES, opt={"scope": Scope.ADMIN, "body": KeyTerms})
    async def make_key(request: _Asked, body: RawBody) -> Response[KeyMade]:
        """Make a key: its text is in this answer and nowhere else.

        For `admin`. NS_KEY_INVALID: its parts contradict each other, such as `admin` and a tenant. NS_TOO_MANY_DOCUMENTS, NS_DOCUMENTS_TOO_LARGE: a
        bound of the cell.
        """
        made = await keys.make(read_body(body, KeyTerms), by=caller_of(request).by)
        told = KeyMade(text=made.key.reveal(), key=await keys.get(made.key.id))
        return Response(told, status_code=201, headers=NO_STORE | {"Location": f"{_KEYS}/{made.key.id}"})

    @post(
        f"{_KEY}/rotate",
        status_code=200,
        request_max_body_size=MAX_BODY_BYTES,
        opt={"scope": Scope.ADMIN, "body": RotateKey},
    )
    async def rotate_key(request: _Asked, key: FromPath[str], body: RawBody) -> Response[KeyMade]:
        """Give a key another secret, told here and nowhere else; former ones count for `grace_s` more, a day unless it is said.

        For `admin`. NS_NO_SUCH_KEY: there is none of the id. NS_DOCUMENT_CHANGED: somebody else changed it meanwhile; nothing was done.
        """
        wanted = read_body(body, RotateKey)
        made = await keys.rotate(key, grace_s=wanted.grace_s, by=caller_of(request).by)
        told = KeyMade(text=made.key.reveal(), key=await keys.get(key))
        return Response(told, status_code=200, headers=NO_STORE)

    @delete(_KEY, status_code=200, opt={"scope": Scope.ADMIN})
    async def revoke_key(request: _Asked, key: FromPath[str]) -> KeyRevoked:
        """Have a key count no more, everywhere at once. For `admin`. NS_NO_SUCH_KEY: there is none of the id."""
        await keys.revoke(key, by=caller_of(request).by)
        return KeyRevoked(id=key)

    return [make_key, rotate_key, revoke_key]
