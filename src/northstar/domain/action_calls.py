"""The call of the HTTP interface that does what a command of an explanation does: whoever asks by HTTP may have no command line."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote

import msgspec

from northstar.domain.explanations import Action

#: Options of an invite: the field of its body, and whether it holds several.
_INVITE: Final = {
    "--pool": ("pools", True),
    "--tag": ("tags", True),
    "--region": ("region", False),
    "--dedicated-to": ("dedicated_to", False),
}


def with_calls(actions: Iterable[Action]) -> tuple[Action, ...]:
    """The actions, each with its call where there is one."""
    return tuple(msgspec.structs.replace(one, http=call_for(one.command)) for one in actions)


def call_for(command: str) -> str:
    """Method, path and body, as one line; empty where a command has no call, or is for the host on which it is typed.

    >>> call_for("northstar machines invite --pool heavy --tag eu")
    'POST /v1/invites {"pools":["heavy"],"tags":["eu"]}'
    >>> call_for("northstar machines drain m 1 --undo"), call_for("northstar machines drain m-1 --undo")
    ('', 'POST /v1/machines/m-1/drain {"draining":false}')
    >>> call_for("northstar resume pool:heavy"), call_for("northstar up")
    ('DELETE /v1/pauses/pool%3Aheavy', '')
    """
    try:
        words = shlex.split(command)
    except ValueError:
        return ""
    match words:
        case ["northstar", "machines", what, *rest]:
            return _of_machines(what, rest)
        case ["northstar", "resume", scope]:
            return _call("DELETE", "pauses", scope)
        case ["northstar", "cancel", job] | ["northstar", "jobs", "cancel", job]:
            return _call("POST", "jobs", job, "cancel")
        case _:
            return ""


def _of_machines(what: str, rest: list[str]) -> str:
    match what, rest:
        case "invite", _:
            return _invite(rest)
        case "drain", [machine, *undo] if undo in ([], ["--undo"]):
            return _call("POST", "machines", machine, "drain", body={"draining": not undo})
        case "approve", [machine]:
            return _call("POST", "machines", machine, "approve")
        case "show", [machine]:
            return _call("GET", "machines", machine)
        case "fetch", [machine, model]:
            return _call("POST", "machines", machine, "models", "fetch", body={"model": model})
        case "fetch", [machine, model, "--from", source, "--sha256", digest]:
            body = {"model": model, "sources": [source], "sha256": digest}
            return _call("POST", "machines", machine, "models", "fetch", body=body)
        case _:
            return ""


def _invite(options: list[str]) -> str:
    body: dict[str, Any] = {}
    for option, value in zip(options[::2], options[1::2], strict=False):
        if option not in _INVITE:
            return ""
        field, is_list = _INVITE[option]
        body[field] = [*body.get(field, []), value] if is_list else value
    return "" if len(options) % 2 else _call("POST", "invites", body=body)


def _call(method: str, *path: str, body: dict[str, Any] | None = None) -> str:
    address = "/".join(["/v1", *(quote(part, safe="") for part in path)])
    said = "" if body is None else f" {msgspec.json.encode(body).decode()}"
    return f"{method} {address}{said}"
