"""Whether a cell knows a request by its idempotency key. A plain read of one field."""

from __future__ import annotations

from typing import TYPE_CHECKING

from northstar.store.valkey import FAULTS, ValkeyClient, translate

if TYPE_CHECKING:
    from northstar.domain.jobs import JobRequest
    from northstar.store.keys import CellKeys


async def has_key(client: ValkeyClient, keys: CellKeys, request: JobRequest) -> bool:
    """Whether this very request was accepted under its key; false for another one under the same key. Raises Unavailable."""
    field = f"{request.tenant}\0{request.idempotency_key}"
    try:
        known: bytes | None = await client.execute_command("HGET", keys["idempotency"], field)
    except FAULTS as exc:
        raise translate(exc) from exc
    return known is not None and known.split(b" ", 1)[0].decode() == request.digest()


async def job_of_key(client: ValkeyClient, keys: CellKeys, *, tenant: str, key: str) -> str | None:
    """The job that a tenant submitted under a key; None: there is none, or it is forgotten. Raises Unavailable."""
    try:
        known: bytes | None = await client.execute_command("HGET", keys["idempotency"], f"{tenant}\0{key}")
    except FAULTS as exc:
        raise translate(exc) from exc
    return None if known is None else known.partition(b" ")[2].decode()
