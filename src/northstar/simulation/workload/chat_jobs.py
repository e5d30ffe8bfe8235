"""Chats: lengths from a trace or from a law, and the time that a language model takes for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Protocol

import msgspec

from northstar.domain.jobs import JobRequest
from northstar.domain.requirements import Requirements
from northstar.simulation.inputs import SimulatedJob
from northstar.simulation.workload.draws import Choice, Draws, share_of
from northstar.simulation.workload.in_time import in_time
from northstar.simulation.workload.needed_files import needed_file
from northstar.simulation.workload.payloads import chat_payload
from northstar.simulation.workload.sittings import SittingLaw, sittings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from northstar.simulation.workload.sittings import Sitting


class TokenRequest(Protocol):
    """A request of a trace (`llm_traces`)."""

    @property
    def at_ms(self) -> int:
        """When it came, by the trace's clock."""

    @property
    def read_tokens(self) -> int:
        """Tokens of the prompt."""

    @property
    def made_tokens(self) -> int:
        """Tokens of the answer."""


class ChatModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A language model on a card of the 24 GB kind. The rates are of one request alone; what batching costs it is not in them."""

    name: str
    size_bytes: Annotated[int, msgspec.Meta(gt=0)]
    #: Of the users, beside the other models' shares.
    share: Annotated[float, msgspec.Meta(ge=0)]
    made_per_s: Annotated[float, msgspec.Meta(gt=0)]
    read_per_s: Annotated[float, msgspec.Meta(gt=0)]

    def run_s(self, *, read_tokens: int, made_tokens: int) -> float:
        """Seconds to the last token."""
        return round(_START_S + read_tokens / self.read_per_s + made_tokens / self.made_per_s, 3)


class ChatLaw(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Chats without a trace. Tokens are by their quantiles at `QUANTILES`, a straight line between two of them."""

    sittings: SittingLaw
    read_tokens: Annotated[tuple[int, ...], msgspec.Meta(min_length=9, max_length=9)]
    made_tokens: Annotated[tuple[int, ...], msgspec.Meta(min_length=9, max_length=9)]


QUANTILES: Final = (0.0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)
_START_S: Final = 0.05
#: Assumed: sizes are of 16-bit weights of 3, 8 and 14 billion parameters; rates round figures of one consumer card (the third in 8 bits).
CHAT_MODELS: Final = (
    ChatModel(name="chat-8b.safetensors", size_bytes=16_000_000_000, share=0.55, made_per_s=80.0, read_per_s=5_000.0),
    ChatModel(name="chat-3b.safetensors", size_bytes=6_400_000_000, share=0.35, made_per_s=150.0, read_per_s=12_000.0),
    ChatModel(name="chat-14b.safetensors", size_bytes=15_000_000_000, share=0.10, made_per_s=50.0, read_per_s=3_000.0),
)


def chat_jobs(
    requests: Iterable[TokenRequest],
    *,
    seed: int,
    models: Sequence[ChatModel] = CHAT_MODELS,
    service: str = "chat",
    tenant: str = "default",
    begins_ms: int | None = None,
) -> Iterator[SimulatedJob]:
    """The requests of a trace as jobs, from `begins_ms` of its clock on; None: from the first one. It has no users; models are drawn."""
    choice = Choice([(model, model.share) for model in models])
    for number, request in enumerate(requests):
        if begins_ms is None:
            begins_ms = request.at_ms
        model = choice.at(share_of(seed, "chat model", str(number)))
        yield _job(
            model,
            at_ms=request.at_ms - begins_ms,
            read_tokens=request.read_tokens,
            made_tokens=request.made_tokens,
            service=service,
            tenant=tenant,
            user="",
        )


def generated_chats(
    law: ChatLaw,
    *,
    days: int,
    seed: int,
    first_weekday: int = 0,
    models: Sequence[ChatModel] = CHAT_MODELS,
    service: str = "chat",
    tenant: str = "default",
) -> Iterator[SimulatedJob]:
    """Chats of people who sit down and go, each with one model; lengths are drawn for each request by itself."""
    choice = Choice([(model, model.share) for model in models])
    draws = Draws(seed, "chats")

    def jobs(sitting: Sitting) -> Iterator[SimulatedJob]:
        model = choice.at(share_of(seed, "chat model", str(sitting.user)))
        for at_ms in sitting.at_ms:
            yield _job(
                model,
                at_ms=at_ms,
                read_tokens=at_quantile(law.read_tokens, draws.share()),
                made_tokens=at_quantile(law.made_tokens, draws.share()),
                service=service,
                tenant=tenant,
                user=f"c{sitting.user}",
            )

    return in_time(sittings(law.sittings, days=days, seed=seed, first_weekday=first_weekday, stream="chats"), jobs)


def at_quantile(values: Sequence[int], share: float) -> int:
    """The value at a share from 0 to 1 of the requests, between the quantiles that are known.

    >>> at_quantile((0, 5, 10, 25, 50, 75, 90, 99, 100), 0.6)
    60
    """
    for place, upper in enumerate(QUANTILES[1:], start=1):
        if share <= upper:
            lower = QUANTILES[place - 1]
            part = (share - lower) / (upper - lower)
            return round(values[place - 1] + part * (values[place] - values[place - 1]))
    return values[-1]


def _job(
    model: ChatModel, *, at_ms: int, read_tokens: int, made_tokens: int, service: str, tenant: str, user: str
) -> SimulatedJob:
    return SimulatedJob(
        at_ms=at_ms,
        request=JobRequest(
            service=service,
            payload=chat_payload(model.name, read_tokens=read_tokens, made_tokens=made_tokens),
            requires=Requirements(models=(needed_file(model.name, "llm", model.size_bytes),)),
            tenant=tenant,
            user=user,
        ),
        run_s={"": model.run_s(read_tokens=read_tokens, made_tokens=made_tokens)},
    )
