"""Tries, pauses and mirrors until a file is there with the right hash, or nobody is left to ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from northstar.agent.models.errors import ModelAddressPrivate, ModelTooLarge
from northstar.agent.models.fetch_errors import FetchFailed, ModelDamaged, SourceBusy
from northstar.agent.models.threads import to_its_end

if TYPE_CHECKING:
    from northstar.agent.models.pace import Sleep
    from northstar.agent.models.partial import Partial
    from northstar.agent.models.sources.contract import Source
    from northstar.domain.errors import NorthstarError
    from northstar.policy.models.pace import Patience

#: A try that brought so much was no failure of the source: of a large file over a bad line, only the others count.
PROGRESS_BYTES: Final = 16 * 1024 * 1024


class Attempts:
    """All tries of one fetch."""

    def __init__(
        self,
        partial: Partial,
        transfer: Callable[[Source], Awaitable[None]],
        *,
        patience: Patience,
        sleep: Sleep,
        jitter: Callable[[], float],
    ) -> None:
        """`transfer` is one try; it leaves what came in `partial`."""
        self._partial = partial
        self._transfer = transfer
        self._patience = patience
        self._sleep = sleep
        self._jitter = jitter

    async def run(self, sources: Sequence[Source], *, model: str) -> Source:
        """Bring the whole file; the source that gave it.

        Raises:
            FetchFailed, ModelTooLarge, ModelAddressPrivate: of the last source.
        """
        last: NorthstarError | None = None
        for source in sources:
            try:
                await self._from(source, model=model)
            except (FetchFailed, ModelAddressPrivate, ModelTooLarge) as error:
                last = error
            else:
                return source
        raise last or ValueError("an order has at least one source")

    async def _from(self, source: Source, *, model: str) -> None:
        """Try one source. A wrong hash of bytes from several tries may be a mixture: then once more, from the start."""
        resumed, fresh_start_left = False, True
        failures = 0
        while True:
            before = self._partial.size_bytes
            resumed = resumed or before > 0
            try:
                await self._transfer(source)
            except FetchFailed as error:
                if not error.retryable:
                    raise
                failures = 1 if self._partial.size_bytes - before >= PROGRESS_BYTES else failures + 1
                if failures >= self._patience.attempts:
                    raise
                wish_s = error.retry_after_s if isinstance(error, SourceBusy) else None
                await self._sleep(self._patience.pause_s(failures, wish_s=wish_s, jitter=self._jitter()))
                continue
            if (found := self._wrong_hash()) is None:
                return
            await to_its_end(self._partial.restart)
            if not (resumed and fresh_start_left):
                expected = self._partial.state.expected_sha256 or ""
                raise ModelDamaged(model=model, source=source.shown, expected_sha256=expected, found_sha256=found)
            resumed, fresh_start_left = False, False

    def _wrong_hash(self) -> str | None:
        expected = self._partial.state.expected_sha256
        return self._partial.sha256 if expected not in {None, self._partial.sha256} else None
