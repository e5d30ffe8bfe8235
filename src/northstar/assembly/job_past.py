"""The past of a cell's jobs and orders for a command: the history of the settings, if it is this cell's and can be read from here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import ClassVar

from northstar.assembly.session import Session
from northstar.broker.job_past import JobPast
from northstar.broker.order_past import OrderPast
from northstar.domain.errors import InvalidRequest, Unavailable
from northstar.store.history import Bond, HistoryDatabase, HistoryReader, history_id, read_bond


class HistoryUnreadable(Unavailable):
    """The cell's history is not where these settings look for it, or cannot be read from this host."""

    code: ClassVar[str] = "NS_HISTORY_UNREADABLE"
    retryable = False

    def __init__(self, *, tried: str, bond: Bond | None, reason: str) -> None:
        known = f"; the cell's history is {bond.place}, as host {bond.host} sees it" if bond else ""
        super().__init__(f"{tried} cannot be read as the history of this cell ({reason}){known}: set history.url to it")
        self.tried = tried
        self.reason = reason


@asynccontextmanager
async def job_past(broker: Session) -> AsyncIterator[JobPast]:
    """The past of the cell's jobs until the block ends. Where the history cannot be read, `fault` says why.

    Raises:
        Unavailable: the cell does not answer.
    """
    async with _history(broker) as (reader, fault):
        yield JobPast(broker.cell, reader, fault=fault)


@asynccontextmanager
async def order_past(broker: Session) -> AsyncIterator[OrderPast]:
    """The answered orders of the cell's machines until the block ends. Where the history cannot be read, `fault` says why.

    Raises:
        Unavailable: the cell does not answer.
    """
    async with _history(broker) as (reader, fault):
        yield OrderPast(broker.cell, reader, fault=fault)


@asynccontextmanager
async def history_of(broker: Session) -> AsyncIterator[HistoryDatabase]:
    """The database with the cell's history, until the block ends.

    Raises:
        HistoryUnreadable: it is not there, or cannot be read from here.
        Unavailable: the cell does not answer.
    """
    async with _database(broker) as (database, fault):
        if database is None:
            raise fault or HistoryUnreadable(tried="history.url", bond=None, reason="nobody says why")
        yield database


@asynccontextmanager
async def _history(broker: Session) -> AsyncIterator[tuple[HistoryReader | None, HistoryUnreadable | None]]:
    """What reads the cell's history, or why nothing does."""
    async with _database(broker) as (database, fault):
        yield None if database is None else HistoryReader(database, cell=broker.cell.name), fault


@asynccontextmanager
async def _database(broker: Session) -> AsyncIterator[tuple[HistoryDatabase | None, HistoryUnreadable | None]]:
    bond = await read_bond(broker.cell)
    url = broker.settings.history_url
    async with AsyncExitStack() as stack:
        try:
            database = HistoryDatabase(url)
        except (Unavailable, InvalidRequest) as exc:
            yield None, HistoryUnreadable(tried="history.url", bond=bond, reason=str(exc))
            return
        stack.push_async_callback(database.close)
        reason = await _unfit(database, bond)
        if reason:
            yield None, HistoryUnreadable(tried=database.place, bond=bond, reason=reason)
        else:
            yield database, None


async def _unfit(database: HistoryDatabase, bond: Bond | None) -> str:
    """Why this database does not serve as the history of the cell; empty when it does."""
    try:
        found = await history_id(database)
    except Unavailable as exc:
        return exc.code
    return "" if bond is not None and found == bond.history else "it is another one"
