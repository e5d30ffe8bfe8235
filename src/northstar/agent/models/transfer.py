"""One try to bring a file from one source into its unfinished file."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from northstar.agent.models.errors import ModelTooLarge
from northstar.agent.models.fetch_errors import FetchTooSlow, FetchTruncated, ModelSizeWrong
from northstar.agent.models.sources.contract import Resume
from northstar.agent.models.threads import to_its_end

if TYPE_CHECKING:
    from northstar.agent.models.pace import Clock, Pace
    from northstar.agent.models.partial import Partial
    from northstar.agent.models.sources.contract import Body, Source
    from northstar.domain.models import ModelOrder
    from northstar.policy.models.pace import Patience

#: Where nobody says how large a file is, room is set aside in such steps.
STEP_BYTES: Final = 256 * 1024 * 1024


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What a fetch must keep to."""

    patience: Patience
    #: No file may be larger, whatever an order says.
    largest_bytes: int


#: Sets so many bytes aside for the whole file, then writes the note; blocks.
Admit = Callable[[int, Callable[[], None]], None]
#: Told of the bytes that are there and those of the whole, where they are known.
OnBytes = Callable[[int, int | None], None]


class Transfer:
    """The rules of one try. `run` returns when the whole body is in the unfinished file, not yet verified."""

    def __init__(
        self,
        order: ModelOrder,
        partial: Partial,
        *,
        bounds: Bounds,
        admit: Admit,
        pace: Pace,
        on_bytes: OnBytes,
        clock: Clock = time.monotonic,
    ) -> None:
        self._order = order
        self._partial = partial
        self._bounds = bounds
        self._admit = admit
        self._pace = pace
        self._on_bytes = on_bytes
        self._clock = clock

    async def run(self, source: Source) -> None:
        """Bring what is missing.

        Raises:
            FetchFailed: what came so far is kept where it may still be of use.
            ModelTooLarge: more came than is allowed.
            ModelStoreFull: there is no room.
        """
        if self._order.size_bytes > self._bounds.largest_bytes:
            raise ModelTooLarge(self._order.name, limit_bytes=self._bounds.largest_bytes)
        if self._is_whole():
            return
        async with source.open(self._resume(source)) as body:
            total = self._agreed_size(body, source)
            if body.offset != self._partial.size_bytes:
                await to_its_end(self._partial.restart)
            await self._set_aside(total, body, source)
            await self._read(body, source, total=total)
        if total is not None and self._partial.size_bytes < total:
            raise FetchTruncated(
                model=self._order.name,
                source=source.shown,
                received_bytes=self._partial.size_bytes,
                expected_bytes=total,
            )

    def _is_whole(self) -> bool:
        """Whether an earlier try brought everything; without a hash to prove it, the source is asked."""
        return self._partial.size_bytes > 0 and self._partial.sha256 == self._order.expected_sha256

    def _resume(self, source: Source) -> Resume:
        """Where to go on: at the same version of the same source, or anywhere if a hash will judge the whole."""
        state = self._partial.state
        if not self._partial.size_bytes:
            return Resume()
        if state.source == source.id and state.validator:
            return Resume(self._partial.size_bytes, state.validator)
        return Resume(self._partial.size_bytes) if self._order.expected_sha256 else Resume()

    def _agreed_size(self, body: Body, source: Source) -> int | None:
        ordered, found = self._order.size_bytes, body.total_bytes
        if ordered and found is not None and ordered != found:
            raise ModelSizeWrong(model=self._order.name, source=source.shown, expected_bytes=ordered, found_bytes=found)
        total = found if found is not None else ordered or None
        if total is not None and total > self._bounds.largest_bytes:
            raise ModelTooLarge(self._order.name, limit_bytes=self._bounds.largest_bytes)
        return total

    async def _set_aside(self, total: int | None, body: Body, source: Source) -> None:
        partial = self._partial
        reserved = total if total is not None else partial.size_bytes + STEP_BYTES

        def write_note() -> None:
            partial.note(source=source.id, validator=body.validator, reserved_bytes=reserved)

        await to_its_end(self._admit, reserved - partial.size_bytes, write_note)

    async def _read(self, body: Body, source: Source, *, total: int | None) -> None:
        began_s, began_bytes, waited_s = self._clock(), self._partial.size_bytes, 0.0
        limit = total if total is not None else self._bounds.largest_bytes
        patience = self._bounds.patience
        async for chunk in body.chunks:
            if self._partial.size_bytes + len(chunk) > limit:
                await to_its_end(self._partial.restart)
                raise ModelTooLarge(self._order.name, limit_bytes=limit)
            if self._partial.size_bytes + len(chunk) > self._partial.state.reserved_bytes:
                await self._set_aside(None, body, source)
            await to_its_end(self._partial.append, chunk)
            self._on_bytes(self._partial.size_bytes, total)
            waited_s += await self._pace.spend(len(chunk))
            elapsed_s = self._clock() - began_s - waited_s
            if patience.is_too_slow(self._partial.size_bytes - began_bytes, elapsed_s=elapsed_s):
                raise FetchTooSlow(
                    model=self._order.name, source=source.shown, least_bytes_per_s=patience.least_bytes_per_s
                )
