"""The jobs that entered an index last. A plain read of one key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from northstar.store.valkey import FAULTS, ValkeyClient, translate

if TYPE_CHECKING:
    from northstar.store.keys import CellKeys


async def read_latest(
    client: ValkeyClient,
    keys: CellKeys,
    index: Literal["dead", "finished"],
    *,
    skip: int = 0,
    count: int = 500,
    until_ms: int | None = None,
) -> list[str]:
    """Ids of `count` jobs, the one that is kept longest first, after the first `skip` of them.

    With `until_ms` only those that are forgotten by then. The index is in the order in which jobs are forgotten: among jobs of equal retention the last to end is the first here. Jobs
    that end between two reads push the others on, so a job may be seen twice, and none is left out.

    Raises:
        Unavailable: the server does not answer.
    """
    try:
        highest = "+inf" if until_ms is None else until_ms
        answer: Any = await client.execute_command(
            "ZREVRANGEBYSCORE", keys[index], highest, "-inf", "LIMIT", skip, count
        )
    except FAULTS as exc:
        raise translate(exc) from exc
    return [job_id.decode() for job_id in answer]
