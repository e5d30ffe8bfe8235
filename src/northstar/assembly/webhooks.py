"""Webhooks for whoever makes them or looks at them: where the key is, and who is told of what. Nothing here sends."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from northstar.assembly.session import new_id, wall_clock_ms
from northstar.broker.webhooks.deliveries import Deliveries
from northstar.broker.webhooks.registry import WebhookRegistry
from northstar.broker.webhooks.signing_key import VARIABLE, KeyHolder
from northstar.config import Settings
from northstar.policy.admission.addresses import Network, network
from northstar.store.brokers import reached_by_all, read_brokers
from northstar.store.cell import Cell
from northstar.store.history import HistoryDatabase
from northstar.store.history.webhook_log import DeliveryLog


def key_holder(settings: Settings) -> KeyHolder:
    """Where this process has the key from."""
    return KeyHolder(text=os.environ.get(VARIABLE, ""), file=key_path(settings))


def key_path(settings: Settings) -> Path:
    """The file that has the key where the environment has none."""
    file = settings.webhooks.key_file
    return Path(file).expanduser() if file else settings.data_path / "webhooks.key"


def make_webhook_key(settings: Settings) -> None:
    """Make the key of an installation that has none. Raises WebhookKeyMissing: its file cannot be written."""
    key_holder(settings).make_file(random_bytes=secrets.token_bytes)


async def registry_as_sent(cell: Cell, settings: Settings) -> WebhookRegistry:
    """The webhooks of a cell for a command: what may be reached is for those to say who send, and only without them for these settings.

    Raises:
        Unavailable: the cell does not answer.
    """
    reached = reached_by_all(await read_brokers(cell))
    return registry_of(cell, settings, allowed=None if reached is None else tuple(network(text) for text in reached))


def registry_of(cell: Cell, settings: Settings, *, allowed: tuple[Network, ...] | None = None) -> WebhookRegistry:
    """The webhooks of a cell, by this host's clock and its randomness; `allowed` networks, or those of the settings, may be reached."""
    return WebhookRegistry(
        cell,
        key_holder(settings),
        allowed=allowed_networks(settings) if allowed is None else allowed,
        random_bytes=secrets.token_bytes,
        now_ms=wall_clock_ms,
    )


def deliveries_of(cell: Cell, registry: WebhookRegistry, history: HistoryDatabase) -> Deliveries:
    """What was sent to them, and sending again."""
    return Deliveries(registry, DeliveryLog(history, cell=cell.name), new_id=new_id, now_ms=wall_clock_ms)


def allowed_networks(settings: Settings) -> tuple[Network, ...]:
    """Private networks that webhooks may reach."""
    return tuple(network(text) for text in settings.webhooks.allow_private)
