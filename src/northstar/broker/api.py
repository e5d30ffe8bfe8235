"""What a front answers clients with: who they are, and what they may ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.broker.desks import Desks
from northstar.broker.job_desk import JobDesk
from northstar.broker.job_files import JobFiles
from northstar.broker.job_past import JobPast
from northstar.broker.keys import Keys
from northstar.broker.live import Live
from northstar.broker.live_fleet import LiveFleets
from northstar.broker.measures import Measures
from northstar.broker.webhooks.desk import WebhookDesk

if TYPE_CHECKING:
    from collections.abc import Callable

    from northstar.broker.explaining import Explainer


class Api(msgspec.Struct, frozen=True, kw_only=True):
    """The parts behind the routes below `/v1`."""

    keys: Keys
    jobs: JobDesk
    measures: Measures
    fleet: LiveFleets
    past: JobPast
    webhooks: WebhookDesk
    #: An explainer by the pools that hold now.
    explainer: Callable[[], Explainer]
    live: Live
    files: JobFiles
    desks: Desks
