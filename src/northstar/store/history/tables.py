"""The tables of the history, as the latest migration leaves them."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Double, Index, Integer, MetaData, Table, Text

metadata = MetaData()


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _number(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


#: Everything that happened, once and in order. The order of a cell is (epoch, sequence).
events = Table(
    "events",
    metadata,
    Column("cell", Text, primary_key=True),
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    _text("kind"),
    _text("subject"),
    _number("number"),
    _number("at_ms"),
    Column("data", JSON, nullable=False),
    # The key is the order of the rows, so SQLite needs no second tree for it.
    sqlite_with_rowid=False,
)
Index("events_by_subject", events.c.cell, events.c.subject, events.c.epoch, events.c.sequence)

#: One row for each finished job. NULL is "not known" or "does not apply".
jobs = Table(
    "jobs",
    metadata,
    Column("cell", Text, primary_key=True),
    Column("job_id", Text, primary_key=True),
    _text("status"),
    Column("tenant", Text),
    Column("pool", Text),
    Column("service", Text),
    Column("submitted_ms", BigInteger),
    Column("started_ms", BigInteger),
    _number("finished_ms"),
    Column("waited_ms", BigInteger),
    Column("ran_ms", BigInteger),
    Column("attempts", Integer),
    Column("recoveries", Integer),
    Column("machine", Text),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("result_bytes", BigInteger),
    Column("result_summary", Text),
    _number("epoch"),
    _number("sequence"),
)
Index("jobs_by_finish", jobs.c.cell, jobs.c.finished_ms, jobs.c.job_id)
Index("jobs_by_tenant", jobs.c.cell, jobs.c.tenant, jobs.c.finished_ms, jobs.c.job_id)
Index("jobs_by_status", jobs.c.cell, jobs.c.status, jobs.c.finished_ms, jobs.c.job_id)

#: Up to where each cell's events are in the tables above. Changed only in the transaction that adds them.
offsets = Table(
    "offsets",
    metadata,
    Column("cell", Text, primary_key=True),
    _number("epoch"),
    _number("sequence"),
)

#: Where a cell's history is not known to be whole: between which two events, and how many are missing.
gaps = Table(
    "gaps",
    metadata,
    Column("cell", Text, primary_key=True),
    Column("next_epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("next_sequence", BigInteger, primary_key=True, autoincrement=False),
    _number("last_epoch"),
    _number("last_sequence"),
    _text("reason"),
    _number("missing"),
    _number("disowned"),
    _number("at_ms"),
)

#: One row for each run that has ended, whichever way. NULL is "not known" or "does not apply"; times are the cell's, ms since epoch.
attempts = Table(
    "attempts",
    metadata,
    Column("cell", Text, primary_key=True),
    Column("job_id", Text, primary_key=True),
    Column("claim", Integer, primary_key=True, autoincrement=False),
    Column("attempt", Integer),
    _text("outcome"),
    Column("code", Text),
    *(Column(name, Text) for name in ("tenant", "user", "session", "parent", "service", "shape", "modality")),
    Column("models", JSON, nullable=False),
    Column("work", Double),
    *(Column(name, Double) for name in ("estimate_p10_s", "estimate_p50_s", "estimate_p90_s")),
    *(Column(name, Text) for name in ("estimate_source", "optimal_pool", "pool", "route")),
    *(Column(name, Text) for name in ("machine", "gpu_class", "region")),
    Column("price_usd_per_hour", Double),
    Column("submitted_ms", BigInteger),
    _number("started_ms"),
    _number("ended_ms"),
    *(Column(name, Double) for name in ("queued_s", "waiting_s", "fetching_s", "loading_s", "running_s", "storing_s")),
    Column("fetched_bytes", BigInteger),
    Column("link_bytes_per_s", Double),
    Column("peak_vram_mb", BigInteger),
    _number("epoch"),
    _number("sequence"),
)
Index("attempts_by_order", attempts.c.cell, attempts.c.epoch, attempts.c.sequence)
Index("attempts_by_tenant", attempts.c.cell, attempts.c.tenant, attempts.c.epoch, attempts.c.sequence)
Index("attempts_by_end", attempts.c.cell, attempts.c.ended_ms)
Index("attempts_by_machine", attempts.c.cell, attempts.c.machine, attempts.c.started_ms)

#: What was last known of each machine, also of those that are gone.
machines = Table(
    "machines",
    metadata,
    Column("cell", Text, primary_key=True),
    Column("machine", Text, primary_key=True),
    *(Column(name, Text) for name in ("gpu", "gpu_class", "region")),
    Column("price_usd_per_hour", Double),
    Column("link_bytes_per_s", Double),
    Column("vram_mb", BigInteger),
    Column("pools", JSON),
    _number("first_seen_ms"),
    _number("last_seen_ms"),
)

#: When each machine was there: from its coming to its going; `until_ms` is NULL while it is there.
presences = Table(
    "presences",
    metadata,
    Column("cell", Text, primary_key=True),
    Column("machine", Text, primary_key=True),
    Column("since_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("until_ms", BigInteger),
    Column("price_usd_per_hour", Double),
)
Index("presences_by_end", presences.c.cell, presences.c.until_ms)

#: Of each webhook: up to where events have become deliveries, and how its receiver behaves. Times are ms since epoch; 0 is "not now", "never".
webhook_states = Table(
    "webhook_states",
    metadata,
    Column("cell", Text, primary_key=True),
    Column("webhook", Text, primary_key=True),
    _number("epoch"),
    _number("sequence"),
    _number("failing_since_ms"),
    _number("delivered_ms"),
)

#: One row for each event on its way to a webhook, and of those that are through or given up for a while.
#: `state`: 'behind' waits for one before it of the same subject, 'ready' is sent when due, 'delivered', 'failed'.
#: `holder` is not empty while an attempt runs; then `due_ms` is when it counts as lost.
webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("cell", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    *(_text(name) for name in ("webhook", "kind", "subject")),
    _number("epoch"),
    _number("sequence"),
    _text("state"),
    _text("body"),
    _number("made_ms"),
    _number("due_ms"),
    _text("holder"),
    Column("attempts", Integer, nullable=False),
    _number("tried_ms"),
    *(_text(name) for name in ("error", "message")),
    Column("answer_status", Integer, nullable=False),
    _text("answer"),
    _number("took_ms"),
)
_deliveries = webhook_deliveries.c
Index(
    "webhook_deliveries_by_state",
    *(_deliveries[name] for name in ("cell", "state", "webhook", "due_ms", "epoch", "sequence")),
)
Index(
    "webhook_deliveries_by_subject",
    *(_deliveries[name] for name in ("cell", "webhook", "subject", "state", "epoch", "sequence")),
)
Index("webhook_deliveries_by_time", _deliveries.cell, _deliveries.webhook, _deliveries.made_ms, _deliveries.id)
Index("webhook_deliveries_in_flight", _deliveries.cell, _deliveries.holder)

#: What this database is known by: one row, `part` is 'history'.
identity = Table("identity", metadata, Column("part", Text, primary_key=True), _text("id"))

#: Which cell of its name the rows above are of.
cells = Table("cells", metadata, Column("cell", Text, primary_key=True), _text("id"))
