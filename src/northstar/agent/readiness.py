"""The readiness of a machine's engines: probed before they are offered, watched while they work, taken out when they fail."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from northstar.connectors.contract import Connector, ConnectorJob, ConnectorResult, Report
from northstar.connectors.errors import EngineBusy, EngineError
from northstar.domain.engines import Fault
from northstar.domain.errors import NorthstarError
from northstar.policy.fleet.breaker import (
    Event,
    Failed,
    HealthRule,
    Phase,
    ProbeBegan,
    ProbeFailed,
    ProbePassed,
    What,
    Worked,
)
from northstar.policy.fleet.health import MachineHealth, Quarantine, judged, repaired
from northstar.telemetry import logger

log = logger(__name__)

#: What is decided of an engine, as whoever reads a log understands it without knowing of circuit breakers.
_DECIDED: Final[dict[What, str]] = {
    "goes on": "goes on",
    "asks": "is asked with the warm-up job",
    "opens": "takes no work until it answers again",
    "stays out": "still takes no work",
    "closes": "takes work",
}


class EngineNotReady(NorthstarError):
    """A job came for an engine that takes no work now; it should go back uncharged rather than fail."""

    code = "NS_ENGINE_NOT_READY"
    retryable = True

    def __init__(self, service: str, *, reason: str) -> None:
        super().__init__(f"{service} takes no work now ({reason}); the job can run on another machine")
        self.service = service
        self.reason = reason


class Admission(msgspec.Struct, frozen=True):
    """Leave to run one job; to be given back with its outcome."""

    service: str
    job: str
    generation: int


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How one engine stands, for people: `reason` is why it takes no work, `probe_at_s` when it is asked again."""

    service: str
    phase: Phase
    reason: str
    probe_at_s: float


class EngineHealth:
    """Owns the health of one machine's engines. `run` probes them for as long as the machine lives.

    `changed` is set when `offered` has changed; whoever waits for it clears it. Times are those of `clock`, in
    seconds that only grow; `jitter` gives random numbers in [0, 1).
    """

    def __init__(
        self,
        connectors: Mapping[str, Connector],
        *,
        rule: HealthRule,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        jitter: Callable[[], float],
        probe_within_s: float,
    ) -> None:
        self._connectors = dict(connectors)
        self._rule = rule
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._probe_within_s = probe_within_s
        self._health = MachineHealth.unproven(tuple(self._connectors), at_s=clock())
        self._kicks = {service: asyncio.Event() for service in self._connectors}
        self._judged = asyncio.Event()
        self.changed = asyncio.Event()

    @property
    def offered(self) -> tuple[str, ...]:
        """The services that may be offered now."""
        return self._health.offered

    def proven(self, services: Iterable[str]) -> None:
        """These engines have just answered their warm-up job to whoever started them."""
        for service in services:
            self._judge(service, ProbeBegan(at_s=self._clock()))
            self._judge(service, ProbePassed(at_s=self._clock()))
        self.changed.clear()

    @property
    def quarantine(self) -> Quarantine | None:
        """Why the whole machine takes no work, if it does not."""
        return self._health.quarantine

    @property
    def standings(self) -> tuple[Standing, ...]:
        """How every engine stands."""
        return tuple(
            Standing(
                service=service,
                phase=breaker.phase,
                reason=self._health.reason_against(service),
                probe_at_s=breaker.probe_at_s,
            )
            for service, breaker in self._health.engines.items()
        )

    @property
    def connectors(self) -> dict[str, Connector]:
        """The connectors, each behind its breaker: what runs on them is admitted and its outcome reported."""
        return {service: GuardedConnector(service, connector, self) for service, connector in self._connectors.items()}

    async def run(self) -> None:
        """Probe what is out of work, whenever its time has come, until cancelled."""
        async with asyncio.TaskGroup() as probes:
            for service in self._connectors:
                probes.create_task(self._probe_for_ever(service), name=f"health-{service}")

    async def admit(self, service: str, job: str) -> Admission:
        """Leave to run a job. Waits while a warm-up job of that engine runs, which is bounded by `probe_within_s`.

        Raises:
            EngineNotReady: the engine takes no work, or is not one of this machine.
        """
        if service not in self._connectors:
            raise EngineNotReady(service, reason="there is no such engine on this machine")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._probe_within_s):
                while self._health.quarantine is None and self._health.engines[service].phase == "half open":
                    await self._judged.wait()
        if reason := self._health.reason_against(service):
            raise EngineNotReady(service, reason=reason)
        return Admission(service, job, self._health.engines[service].generation)

    def report(self, admission: Admission, error: BaseException | None = None) -> None:
        """How an admitted job ended. What is no `EngineError` says nothing about the engine and is not counted."""
        if error is None:
            event: Event = Worked(at_s=self._clock(), job=admission.job, generation=admission.generation)
        elif isinstance(error, EngineError):
            event = self._failure(admission, fault=error.fault, why=f"{error.code}: {error}")
        else:
            return
        self._judge(admission.service, event)

    def report_death(self, service: str, reason: str) -> None:
        """The process of an engine has ended; nobody need ask it to know."""
        here = Admission(service, "", self._health.engines[service].generation)
        self._judge(service, self._failure(here, fault="fatal", why=reason))

    def repaired(self) -> None:
        """Somebody has mended the machine: probe at once what is out of work."""
        before = self.offered
        self._health = repaired(self._health, at_s=self._clock())
        self._tell(offered_before=before)

    @asynccontextmanager
    async def watched(self, service: str, job: str) -> AsyncIterator[None]:
        """Admit a job and report how the block ended. A job that was cancelled, or failed before it ran, is no news.

        Raises:
            EngineNotReady: as `admit`.
        """
        admission = await self.admit(service, job)
        try:
            yield
        except Exception as error:
            self.report(admission, error)
            raise
        self.report(admission)

    def _failure(self, admission: Admission, *, fault: Fault, why: str) -> Failed:
        return Failed(
            at_s=self._clock(),
            job=admission.job,
            generation=admission.generation,
            fault=fault,
            why=why,
            jitter=self._jitter(),
        )

    def _judge(self, service: str, event: Event) -> None:
        before = self._health
        self._health, decision = judged(before, service, event, self._rule)
        if decision.what == "goes on":
            return
        log.info("engine_judged", service=service, decision=_DECIDED[decision.what], reason=decision.reason)
        if self._health.quarantine is not before.quarantine:
            self._log_quarantine(before)
        self._tell(offered_before=before.offered)

    def _log_quarantine(self, before: MachineHealth) -> None:
        now, was = self._health.quarantine, before.quarantine
        if now is not None:
            log.warning("machine_quarantined", reason=now.reason, for_s=round(now.until_s - now.since_s, 1))
        elif was is not None:
            log.info("machine_returned", reason=was.reason)

    def _tell(self, *, offered_before: tuple[str, ...]) -> None:
        for kick in self._kicks.values():
            kick.set()
        self._judged.set()
        self._judged = asyncio.Event()
        if self.offered != offered_before:
            self.changed.set()

    # Probes -----------------------------------------------------------------------------------------------------------

    async def _probe_for_ever(self, service: str) -> None:
        kick = self._kicks[service]
        while True:
            breaker = self._health.engines[service]
            kick.clear()
            if breaker.phase == "closed":
                await kick.wait()
            elif breaker.phase == "open" and (pause_s := breaker.probe_at_s - self._clock()) > 0:
                await self._sleep_unless(kick, pause_s)
            else:
                await self._probe(service)

    async def _sleep_unless(self, kick: asyncio.Event, pause_s: float) -> None:
        waits = [asyncio.ensure_future(self._sleep(pause_s)), asyncio.ensure_future(kick.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.wait(waits)

    async def _probe(self, service: str) -> None:
        self._judge(service, ProbeBegan(at_s=self._clock()))
        try:
            async with asyncio.timeout(self._probe_within_s):
                await self._connectors[service].ready()
        except TimeoutError:
            self._probe_failed(service, f"no answer within {self._probe_within_s:g} s")
        except NorthstarError as error:
            self._probe_failed(service, f"{error.code}: {error}", busy=isinstance(error, EngineBusy))
        except Exception as error:
            log.exception("probe_raised", service=service)
            self._probe_failed(service, f"{type(error).__name__}: {error}")
        else:
            self._judge(service, ProbePassed(at_s=self._clock()))

    def _probe_failed(self, service: str, why: str, *, busy: bool = False) -> None:
        self._judge(service, ProbeFailed(at_s=self._clock(), why=why[:300], jitter=self._jitter(), busy=busy))


class GuardedConnector:
    """A connector that asks before it runs a job, and tells how the job ended."""

    def __init__(self, service: str, connector: Connector, health: EngineHealth) -> None:
        self.service = service
        self._connector = connector
        self._health = health

    async def ready(self) -> None:
        """As the connector's; its outcome is not counted, since it is the probe that counts."""
        await self._connector.ready()

    async def run(self, job: ConnectorJob, report: Report) -> ConnectorResult:
        """As the connector's.

        Raises:
            EngineNotReady: the engine takes no work now. EngineError: as the connector's.
        """
        async with self._health.watched(self.service, job.id):
            return await self._connector.run(job, report)

    async def close(self) -> None:
        """As the connector's."""
        await self._connector.close()
