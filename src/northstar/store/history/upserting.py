"""Inserting in the words of the database.

A statement is built once for each database and kept: building one costs a table's worth of objects that refer to each other, which
the writer would leave to the collector with every batch, and the collector's pauses would be waits of jobs.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import sqlite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Table


def upsert(connection: Connection, table: Table, *, key: Sequence[str], new: Sequence[str]) -> Any:
    """An insert that, where a row of the same `key` is there, gives it these columns of the one that was to come."""
    return _upsert(connection.dialect.name, table, tuple(key), tuple(new))


def insert_if_absent(connection: Connection, table: Table) -> Any:
    """An insert that leaves a row of the same key as it is; its result tells how many rows were added."""
    return _insert_if_absent(connection.dialect.name, table)


@cache
def _upsert(dialect: str, table: Table, key: tuple[str, ...], new: tuple[str, ...]) -> Any:
    statement = _insert(dialect, table)
    taken = {name: statement.excluded[name] for name in new}
    return statement.on_conflict_do_update(index_elements=key, set_=taken)


@cache
def _insert_if_absent(dialect: str, table: Table) -> Any:
    return _insert(dialect, table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)


def _insert(dialect: str, table: Table) -> Any:
    if dialect != "postgresql":
        return sqlite.insert(table)
    # Seven times as large as the other, and commands that read SQLite wait for what is loaded.
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415

    return postgresql.insert(table)
