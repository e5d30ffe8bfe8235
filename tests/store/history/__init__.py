"""History: events and finished jobs in SQLite and PostgreSQL, each once, whatever dies in between."""
