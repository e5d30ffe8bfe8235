"""Run by alembic: migrate over the connection that `upgrade.py` gives, inside its transaction."""

from __future__ import annotations

from alembic import context

from northstar.store.history.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite's DDL is transactional too, because the transaction is begun by us and not by its driver.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
