"""The history of a cell that lives in a cluster: the stream is read from the node that holds it."""

from __future__ import annotations

from northstar.store.history import HistoryDatabase
from tests.servers import RunningServer
from tests.store.history.conftest import writer_for
from tests.store.history.stored import first_ids, stored_ids
from tests.store.history.workplace import Workplace


async def test_cells_of_a_cluster_are_written_wherever_they_live(
    cluster_server: RunningServer, sqlite_database: HistoryDatabase
) -> None:
    for _ in range(3):
        async with cluster_server.client() as client:
            workplace = Workplace(client)
            await workplace.open()
            await workplace.run("a", "b")
            count = await workplace.latest_event()
            writer = writer_for(workplace, sqlite_database)
            assert await writer.step() == count
            assert await writer.step(wait_ms=10) == 0
            assert await stored_ids(sqlite_database, workplace.name) == first_ids(count)
            assert await workplace.waiting_events() == 0
