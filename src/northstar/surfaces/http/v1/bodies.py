"""From the bytes of a request to the type that its route takes, or a coded error that says where they are wrong."""

from __future__ import annotations

import codecs
from typing import ClassVar, Final, TypeVar

import msgspec

from northstar.broker.requests import MalformedBody
from northstar.domain.errors import InvalidRequest
from northstar.domain.misfits import misfit_told

Asked = TypeVar("Asked")

#: Bytes of a body that is no submission.
MAX_BODY_BYTES: Final = 1_000_000


class BodyInvalid(InvalidRequest):
    """The body is JSON, but not what the route takes."""

    code: ClassVar[str] = "NS_BODY_INVALID"

    def __init__(self, detail: str) -> None:
        super().__init__(f"the body is not what this takes: {detail}")
        self.detail = detail


class QueryInvalid(InvalidRequest):
    """A parameter of the address is not what the route takes."""

    code: ClassVar[str] = "NS_QUERY_INVALID"

    def __init__(self, detail: str) -> None:
        super().__init__(f"the address asks for what cannot be: {detail}")
        self.detail = detail


def read_body(body: bytes, kind: type[Asked]) -> Asked:
    """The body as this type. Raises MalformedBody, BodyInvalid."""
    body = body.removeprefix(codecs.BOM_UTF8) or b"{}"  # no body says nothing
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as exc:
        raise BodyInvalid(misfit_told(exc, kind)) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise MalformedBody("the body", detail=f"is not valid JSON: {exc}") from exc


def read_query(given: dict[str, str | int | float | bool | None], kind: type[Asked]) -> Asked:
    """Parameters as this type; those that are None were not given. Raises QueryInvalid."""
    said = {name: value for name, value in given.items() if value is not None}
    try:
        found = msgspec.convert(said, kind, strict=False)
    except msgspec.ValidationError as exc:
        raise QueryInvalid(misfit_told(exc, kind)) from exc
    for name in said:
        if getattr(found, name) is None:  # the word `null` is read so where no text is wanted, and would mean any
            raise QueryInvalid(f"`{name}` is not possible: it is left out where any is meant")
    return found
