"""`northstar keys`: who may call the HTTP interface, for which tenant, and for how long.

A key's text stands alone on the standard output, so that it can be captured; all that is said of it goes to the standard error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

import msgspec
import typer

from northstar.domain.api_keys import KeyInvalid, KeyTerms, Scope
from northstar.domain.errors import InvalidRequest
from northstar.domain.misfits import misfit_told
from northstar.surfaces.cli.durations import milliseconds
from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, Yes, confirm, me, run, settings_of
from northstar.surfaces.cli.printing import moment, print_aside, print_hint, print_json, print_table, print_text, span

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from northstar.broker.keys import Keys, NewKey
    from northstar.config import Settings
    from northstar.domain.api_keys import KeyView, StoredKey

KeyId = Annotated[str, typer.Argument(metavar="KEY", help="Its id, or its whole text.")]

COLUMNS: Final = ("KEY", "NAME", "SCOPES", "TENANT", "CREATED (UTC)", "UNTIL (UTC)", "CHANGED BY")
#: The tenant of jobs that name none, and so of keys that name none.
_USUAL_TENANT: Final = "default"
#: Scopes that reach jobs; a key without them is no tenant's.
_OF_JOBS: Final = frozenset({Scope.SUBMIT, Scope.READ})


class TenantUnclear(InvalidRequest):
    """A key is wanted for one tenant and for all."""

    code: ClassVar[str] = "NS_TENANT_UNCLEAR"

    def __init__(self) -> None:
        super().__init__("a key is of one tenant or of all; give --tenant or --all-tenants, not both")


def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who has it, or for what: words for people.")],
    scope: Annotated[list[Scope], typer.Option("--scope", help="What it may do, again for more.")],
    tenant: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The one tenant whose jobs it reaches. [default; every tenant with the scopes admin and machine]",
        ),
    ] = None,
    all_tenants: Annotated[bool, typer.Option("--all-tenants", help="It reaches the jobs of every tenant.")] = False,
    expires: Annotated[
        str | None, typer.Option(metavar="TIME", help="How long it is good: 12h, 30d. Default: until it is revoked.")
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Make a key and print it, once: the text alone on the standard output, so that it can be captured."""
    terms = _terms(name, scope, tenant=tenant, all_tenants=all_tenants, expires=expires)
    settings = settings_of(config, data_dir, valkey, cell)
    made = run(_with_keys(settings, lambda keys: keys.make(terms, by=me())))
    if as_json:
        print_json(_document(made))
        return
    print_text(made.key.reveal())
    print_aside(f"{made.key.id}  {_meaning(made.stored)}")
    print_aside("Whoever has this text can use it; it is shown only now.")
    print_aside(_to_try(made.stored, _address(settings)))


def _terms(name: str, scopes: list[Scope], *, tenant: str | None, all_tenants: bool, expires: str | None) -> KeyTerms:
    """Raises KeyInvalid, TenantUnclear, DurationInvalid."""
    if tenant is not None and all_tenants:
        raise TenantUnclear
    if tenant is None and not all_tenants and Scope.ADMIN not in scopes and _OF_JOBS & set(scopes):
        if Scope.MACHINE in scopes:
            raise KeyInvalid(
                f"{Scope.MACHINE.value!r} reaches all tenants; add --all-tenants, or make a key of its own for machines"
            )
        tenant = _USUAL_TENANT
    expires_in_s = None if expires is None else milliseconds(expires) / 1000
    given = {"name": name, "scopes": tuple(scopes), "tenant": tenant, "expires_in_s": expires_in_s}
    try:
        terms = msgspec.convert(given, KeyTerms)
    except msgspec.ValidationError as exc:
        raise KeyInvalid(misfit_told(exc, KeyTerms)) from exc
    terms.check()
    return terms


def list_(
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """List all keys, the oldest first. Nothing that is listed lets anybody in."""
    views = run(_with_keys(settings_of(config, data_dir, valkey, cell), lambda keys: keys.views()))
    if as_json:
        print_json({"keys": views})
        return
    print_table(COLUMNS, map(_cells, views))
    if not views:
        print_hint("there are no keys; next: northstar keys add NAME --scope submit --scope read")


def show(
    key: KeyId,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Show a key: what it may do, for whom, until when, and who changed it last."""
    key_id = id_of(key)
    view = run(_with_keys(settings_of(config, data_dir, valkey, cell), lambda keys: keys.get(key_id)))
    if as_json:
        print_json(view)
        return
    for word, value in _sheet(view):
        print_text(f"{word:<9} {value}")


def rotate(
    key: KeyId,
    grace: Annotated[
        str,
        typer.Option(metavar="TIME", help="How long the present text still counts beside the new one; 0s: no longer."),
    ] = "1h",
    yes: Yes = False,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Give a key a new text and print it, once. The present one counts for a time of grace; without one the command asks first."""
    settings = settings_of(config, data_dir, valkey, cell)
    key_id, grace_ms = id_of(key), milliseconds(grace)
    if not grace_ms:
        view = run(_with_keys(settings, lambda keys: keys.get(key_id)))
        confirm(f"the present text of key {_named(view)} counts no more, anywhere, at once", yes=yes, as_json=as_json)
    made = run(_with_keys(settings, lambda keys: keys.rotate(key_id, grace_s=grace_ms / 1000, by=me())))
    if as_json:
        print_json(_document(made) | {"former_until_s": grace_ms / 1000})
        return
    print_text(made.key.reveal())
    former = f"the former text counts for {span(grace_ms)} more" if grace_ms else "the former text counts no more"
    print_aside(f"{key_id}  {_meaning(made.stored)}; {former}")
    print_aside("Whoever has this text can use it; it is shown only now.")


def revoke(
    key: KeyId,
    yes: Yes = False,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Have a key count no more, at every broker and at once, after showing which it is. Jobs that were submitted with it stay."""
    settings, key_id = settings_of(config, data_dir, valkey, cell), id_of(key)
    view = run(_with_keys(settings, lambda keys: keys.get(key_id)))
    confirm(f"key {_named(view)} counts no more, anywhere, at once", yes=yes, as_json=as_json)
    run(_with_keys(settings, lambda keys: keys.revoke(key_id, by=me())))
    if as_json:
        print_json({"key": key_id, "revoked": True})
    else:
        print_text(f"{key_id}  revoked")


def id_of(text: str) -> str:
    """The id of a key that is named by it or by its whole text. Raises TokenMalformed."""
    from northstar.domain.tokens import Token, TokenKind

    return Token.parse(text, TokenKind.KEY).id if text.startswith(TokenKind.KEY.value + "_") else text


async def _with_keys(settings: Settings, asked: Callable[[Keys], Awaitable[Any]]) -> Any:
    from northstar.assembly.keys import keys_of
    from northstar.assembly.session import session

    async with session(settings) as broker:
        return await asked(keys_of(broker.cell))


def _address(settings: Settings) -> str:
    """Where clients reach a broker, as far as this host can tell."""
    from northstar.assembly.run_file import NotRunning, read_run_file

    if settings.join.url:
        return settings.join.url.replace("ws", "http", 1).rstrip("/")
    try:
        return "https://BROKER" if settings.valkey.url else read_run_file(settings.data_path).front
    except NotRunning:
        return "https://BROKER"


def _to_try(stored: StoredKey, address: str) -> str:
    """A command that shows whether the key is good; its text stands in a variable."""
    curl = 'With the text in KEY: curl -H "Authorization: Bearer $KEY"'
    may = set(stored.scopes)
    if may & {Scope.READ, Scope.ADMIN}:
        return f"{curl} {address}/v1/jobs"
    if Scope.SUBMIT in may:
        return f"""{curl} {address}/v1/jobs -d '{{"service": "picture", "payload": {{"prompt": "a star"}}}}'"""
    return f"{curl} {address}/v1/…"


def _document(made: NewKey) -> dict[str, Any]:
    stored = made.stored
    return {
        "id": made.key.id,
        "key": made.key.reveal(),
        "name": stored.name,
        "scopes": stored.scopes,
        "tenant": stored.tenant,
        "expires_ms": stored.expires_ms,
    }


def _meaning(stored: StoredKey) -> str:
    return f"{stored.name}: {_scopes(stored)}, {_reach(stored)}, {_until(stored)}"


def _named(view: KeyView) -> str:
    return f"{view.id} ({view.name}: {_scopes(view)}, {_reach(view)})"


def _scopes(key: StoredKey | KeyView) -> str:
    return " ".join(key.scopes)


def _reach(key: StoredKey | KeyView) -> str:
    return "all tenants" if key.tenant is None else f"tenant {key.tenant}"


def _until(key: StoredKey | KeyView) -> str:
    return f"until {moment(key.expires_ms)}" if key.expires_ms else "until it is revoked"


def _cells(view: KeyView) -> tuple[object, ...]:
    until = moment(view.expires_ms) if view.expires_ms else "-"
    return view.id, view.name, _scopes(view), view.tenant or "(all)", moment(view.created_ms), until, view.by


def _sheet(view: KeyView) -> list[tuple[str, object]]:
    former = f"{view.former} former, in their time of grace" if view.former else "one"
    return [
        ("key", view.id),
        ("name", view.name),
        ("scopes", _scopes(view)),
        ("reaches", _reach(view)),
        ("good", _until(view)),
        ("texts", f"the present one and {former}" if view.former else former),
        ("created", moment(view.created_ms)),
        ("changed", f"{moment(view.changed_ms)} by {view.by}"),
    ]
