"""What a machine's pools ask of it while it lives: how much disk its models may take, and what its engines find in their environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from northstar.config.pools import packaged_pools
from northstar.domain.pool_terms import pool_terms
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.agent.kept_models import KeptModels
    from northstar.domain.pool_terms import PoolTerms

log = logger(__name__)


class PoolLife:
    """The terms of one machine. Until its broker has spoken, the pools that come with North Star are believed."""

    def __init__(self, pools: Sequence[str], models: KeptModels) -> None:
        self._models = models
        #: What programs find in their environment; the same object for ever, so that whoever was given it sees what changes.
        self.environment = dict(pool_terms(packaged_pools(), pools).environment)
        #: Engines that run with what was so when they were started, by service.
        self.started: dict[str, dict[str, str]] = {}

    def engine_environment(self, service: str) -> dict[str, str]:
        """For an engine that is started now."""
        self.started[service] = dict(self.environment)
        return self.started[service]

    def hear(self, terms: PoolTerms) -> None:
        """The broker says this from now on: at each registration."""
        self._models.cap_disk(terms.max_disk_bytes)
        self._models.set_kept(terms.keeps)
        if terms.environment == self.environment:
            return
        self.environment.clear()
        self.environment.update(terms.environment)
        if stale := sorted(service for service, began in self.started.items() if began != self.environment):
            log.warning(
                "engine_environment_changed",
                services=stale,
                variables=sorted(self.environment),
                hint="their engines run with what was so when they were started; start the machine again to change that",
            )
