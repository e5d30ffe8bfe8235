"""Which machines fetch a model, and which were ordered to. Plain reads of fixed keys; nothing is changed, nothing is locked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.domain.explanations import ModelFetch
from northstar.store.messages import StoredOrder
from northstar.store.snapshots import read_at_once
from northstar.store.stored_records import UNREADABLE
from northstar.store.valkey import FAULTS, ValkeyClient, translate

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from northstar.store.keys import CellKeys

#: Fetches of one model that are read in full; of a model for which there are more, the others are left out.
MOST_FETCHES = 200

_read_names = msgspec.msgpack.Decoder(list[str]).decode
_read_times = msgspec.msgpack.Decoder(list[float]).decode
_read_orders = msgspec.msgpack.Decoder(list[StoredOrder]).decode


async def read_model_fetches(client: ValkeyClient, keys: CellKeys, models: Collection[str]) -> list[ModelFetch]:
    """Fetches of the models that are under way, then orders to fetch them that have not begun, each by machine.

    Two round trips, whatever the fleet. What this version cannot read is left out.

    Raises:
        Unavailable: the server does not answer.
    """
    if not models:
        return []
    names = sorted(models)
    try:
        fetchers, orders = await read_at_once(
            client, [("HMGET", keys["fetches"], *(f"\0{name}" for name in names)), ("HGETALL", keys["orders"])]
        )
        pairs = [
            (machine, name)
            for name, packed in zip(names, fetchers, strict=True)
            for machine in _machines(packed)[:MOST_FETCHES]
        ]
        fields = [f"{machine}\0{name}" for machine, name in pairs]
        times = await client.execute_command("HMGET", keys["fetches"], *fields) if fields else []
    except FAULTS as exc:
        raise translate(exc) from exc
    running = [fetch for pair, packed in zip(pairs, times, strict=True) if (fetch := _running(*pair, packed))]
    begun = {(fetch.machine, fetch.model) for fetch in running}
    ordered = _ordered(dict(orders).items(), frozenset(names))
    return [*running, *(fetch for fetch in ordered if (fetch.machine, fetch.model) not in begun)]


def _machines(packed: bytes | None) -> list[str]:
    if packed is None:
        return []
    try:
        return sorted(_read_names(packed))
    except UNREADABLE:
        return []


def _running(machine: str, model: str, packed: bytes | None) -> ModelFetch | None:
    """None for one that ended meanwhile."""
    if packed is None:
        return None
    try:
        started, expected, size, *_ = _read_times(packed)
    except UNREADABLE:
        return None
    return ModelFetch(
        model=model, machine=machine, since_ms=int(started), expected_ms=int(expected), size_bytes=int(size)
    )


def _ordered(orders: Iterable[tuple[bytes, bytes]], models: frozenset[str]) -> list[ModelFetch]:
    found = []
    for machine, packed in orders:
        try:
            open_orders = _read_orders(packed)
        except UNREADABLE:
            continue
        found += [
            ModelFetch(model=order.model, machine=machine.decode(), since_ms=order.given_ms, order=order.id)
            for order in open_orders
            if order.what == "fetch" and order.model in models
        ]
    return sorted(found, key=lambda fetch: (fetch.machine, fetch.model))
