"""Bringing the tables of a history up to date, whoever wrote them first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from northstar.store.history.errors import HistoryTooNew

if TYPE_CHECKING:
    from sqlalchemy import Connection

MIGRATIONS: Final = Path(__file__).parent / "migrations"

#: PostgreSQL's advisory lock that lets one process at a time migrate; an arbitrary number of ours.
_LOCK: Final = 0x4E53_0001


def upgrade_tables(connection: Connection, *, place: str, to: str = "head") -> None:
    """Run the missing migrations inside the connection's transaction: all of them take effect, or none.

    Raises:
        HistoryTooNew: A later version of North Star has been here.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
    config = Config()
    # A percent sign in a path would be read as an interpolation.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    scripts = ScriptDirectory.from_config(config)
    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and not _knows(scripts, found):
        raise HistoryTooNew(place=place, found=found, known=scripts.get_current_head() or "none")
    command.upgrade(config, to)


def newest_revision() -> str:
    """The revision of the tables that this version of North Star works with."""
    return _scripts().get_current_head() or "none"


def expect_known(revision: str, *, place: str) -> None:
    """Make sure that tables of this revision can be brought up to date here. Raises HistoryTooNew."""
    if revision and not is_known(revision):
        raise HistoryTooNew(place=place, found=revision, known=newest_revision())


def is_known(revision: str) -> bool:
    """Whether this version of North Star knows tables of this revision."""
    return _knows(_scripts(), revision)


def _scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return ScriptDirectory.from_config(config)


def _knows(scripts: ScriptDirectory, revision: str) -> bool:
    try:
        return scripts.get_revision(revision) is not None
    except CommandError:
        return False
