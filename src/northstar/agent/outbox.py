"""Results and failures on their way to the broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from northstar.domain.refusals import ResultTooLarge
from northstar.store.messages import Done, Failure, Held
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.agent.link import BrokerLink
    from northstar.domain.jobs import ClaimedJob
    from northstar.store.messages import Outcome

log = logger(__name__)


class Outbox:
    """Oldest first. What is under way stays until it is acknowledged, so that it is sent again and its lease renewed meanwhile."""

    def __init__(self, link: BrokerLink, *, batch: int) -> None:
        self._link = link
        self._batch = batch
        self._done: list[Done] = []
        self._failed: list[Failure] = []

    def __len__(self) -> int:
        return len(self._done) + len(self._failed)

    def add_result(self, done: Done) -> None:
        """A run ended well."""
        self._done.append(done)

    def add_failure(self, failure: Failure) -> None:
        """A run failed."""
        self._failed.append(failure)

    def named(self) -> list[Held]:
        """Leases that these runs still need."""
        done = [Held(ended.id, ended.token) for ended in self._done]
        return done + [Held(ended.id, ended.token) for ended in self._failed]

    async def send(self) -> None:
        """One batch of each. Raises what the link raises; then everything is still here."""
        await self._send_failures()
        if done := self._done[: self._batch]:
            self._acknowledge(await self._link.complete(done))

    async def send_and_claim(self, credits_: int) -> Sequence[ClaimedJob]:
        """One batch of each, and work for free slots. Raises what the link raises; then everything is still here."""
        await self._send_failures()
        credits_ = max(0, min(credits_, self._batch))
        done = self._done[: self._batch]
        if not done:
            return (await self._link.claim(credits_=credits_)).jobs if credits_ else ()
        reply = await self._link.complete_and_claim(done, credits_=credits_)
        self._acknowledge(reply.completed)
        return reply.jobs

    async def _send_failures(self) -> None:
        if failed := self._failed[: self._batch]:
            await self._link.fail(failed)
            del self._failed[: len(failed)]

    def _acknowledge(self, outcomes: Sequence[Outcome]) -> None:
        done = self._done[: len(outcomes)]
        del self._done[: len(outcomes)]
        for result, outcome in zip(done, outcomes, strict=True):
            if outcome.word == ResultTooLarge.code:
                # The job still runs by the books; without this it would come back again and again.
                why = str(ResultTooLarge())
                self.add_failure(
                    Failure(
                        result.id,
                        result.token,
                        outcome.word,
                        why,
                        retryable=False,
                        jitter=0.0,
                        report=result.report,
                    )
                )
            elif outcome.word not in {"ok", "replayed"}:
                log.warning("result_refused", job=outcome.id, code=outcome.word)
