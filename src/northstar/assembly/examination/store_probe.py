"""What is known of the history and of the place for outputs."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, select

from northstar.assembly.examination.troubles import trouble_of
from northstar.assembly.outputs import asset_store
from northstar.config import Settings
from northstar.domain.errors import NorthstarError
from northstar.policy.health_checks.finding import Trouble
from northstar.policy.health_checks.stores import HistoryFacts
from northstar.store.cell import Cell
from northstar.store.history.bond import read_bond
from northstar.store.history.database import HistoryDatabase
from northstar.store.history.state import read_history_state
from northstar.store.history.tables import identity
from northstar.store.history.upgrade import is_known, newest_revision
from northstar.store.history.url import parse_history_url


async def history_facts(settings: Settings, cell: Cell | None) -> HistoryFacts:
    """Ask the database, and the cell where there is one."""
    try:
        url = parse_history_url(settings.history_url)
        facts = HistoryFacts(place=url.shown, newest=newest_revision())
        facts = await _with_words_of_the_cell(facts, cell)
        if url.path is not None and not url.path.exists():
            return msgspec.structs.replace(facts, is_missing=True)
        database = HistoryDatabase(settings.history_url)
        try:
            revision, known_as = await database.read(_look)
        finally:
            await database.close()
    except NorthstarError as exc:
        return HistoryFacts(place="history.url", trouble=trouble_of(exc))
    return msgspec.structs.replace(facts, revision=revision, id=known_as, is_known=not revision or is_known(revision))


async def _with_words_of_the_cell(facts: HistoryFacts, cell: Cell | None) -> HistoryFacts:
    """What the cell says of its history; one that was never opened says nothing."""
    if cell is None:
        return facts
    bond = await read_bond(cell)
    if bond is None:
        return facts
    facts = msgspec.structs.replace(facts, id_of_cell=bond.history, place_of_cell=bond.place)
    try:
        now_ms = (await cell.inspect(())).now_ms
        state = await read_history_state(cell, now_ms=now_ms)
    except NorthstarError:  # nobody has opened it since its server started, so nobody writes either
        return facts
    return msgspec.structs.replace(
        facts, is_stuck=state.stuck, waiting_ms=state.waiting_ms, code=state.code, sentence=state.sentence
    )


def _look(connection: Connection) -> tuple[str, str]:
    revision = MigrationContext.configure(connection).get_current_revision() or ""
    has_identity = inspect(connection).has_table(identity.name)
    known_as = connection.execute(select(identity.c.id)).scalar() if has_identity else ""
    return revision, known_as or ""


async def assets_trouble(settings: Settings, *, probe: str) -> tuple[str, Trouble | None, bool]:
    """Where outputs go, what is wrong there, and whether there is no such place yet. A file named `probe` is written, read and removed."""
    place = settings.assets_url
    if isinstance(place, Path) and not place.exists():
        return str(place), None, True
    try:
        store = asset_store(settings)
        words = b"northstar doctor"

        def try_it() -> None:
            store.place.write(probe, iter((words,)), sha256=hashlib.sha256(words).hexdigest())
            store.place.remove(probe)

        await store.in_thread(try_it)
    except NorthstarError as exc:
        return str(place), trouble_of(exc), False
    return store.url, None, False
