"""What the demonstration asks of its real machines: ten jobs of two tenants, for three services, with different priorities."""

from __future__ import annotations

from typing import Final

import msgspec

from northstar.domain.jobs import JobRequest, RetryRule


class Commission(msgspec.Struct, frozen=True, kw_only=True):
    """One job, what a person calls it, and the file in which its result is kept."""

    title: str
    file: str
    request: JobRequest
    #: What will be done to it, for the gallery; empty: nothing.
    trial: str = ""
    #: Simulated work: seconds that it would take on a real GPU; 0: it is real.
    takes_s: float = 0.0

    @property
    def is_simulated(self) -> bool:
        """Whether only time passes for it."""
        return self.takes_s > 0

    @property
    def is_picture(self) -> bool:
        """Whether its result is a picture; else it is text."""
        return self.file.endswith(".png")


#: Its machine is killed in the middle.
LOST: Final = "mountains"
#: Its program fails the first time.
FAILED_ONCE: Final = "storm"


def _picture(
    name: str, prompt: str, *, seed: int, tenant: str, priority: int = 50, service: str = "picture", size: int = 1
) -> Commission:
    trials = {
        LOST: "its machine is killed (kill -9) in the middle of the work",
        FAILED_ONCE: "its program ends with an error the first time",
    }
    payload = {"prompt": prompt, "seed": seed, "width": 480 * size, "height": 320 * size, "steps": 20 * size}
    payload |= {"northstar": {"modalities": ["image"]}}  # nothing else in the payload of a program tells what it makes
    return Commission(
        title=prompt,
        file=f"{prompt.replace(' ', '-')}.png",
        trial=trials.get(name, ""),
        request=JobRequest(
            id=name,
            service=service,
            payload=payload,
            tenant=tenant,
            priority=priority,
            expected_s=float(size * size),
            retry=RetryRule(max_attempts=3, backoff_s=0.5),
        ),
    )


def _story(
    name: str, prompt: str, *, seed: int, tenant: str, tokens: int = 70, priority: int = 50, endless: bool = False
) -> Commission:
    payload = {
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": tokens,
        "temperature": 1.1,
        "seed": seed,
        "ignore_eos": endless,
    }
    return Commission(
        title=prompt,
        file=f"{name}.txt",
        request=JobRequest(id=name, service="text", payload=payload, tenant=tenant, priority=priority),
    )


COMMISSIONS: Final = (
    _picture(LOST, "aurora over the mountains", seed=11, tenant="ada", priority=90, size=2),
    _picture("sea", "sunset over the sea", seed=4, tenant="ada"),
    _picture(FAILED_ONCE, "storm over the hills", seed=8, tenant="ada", service="fresco", priority=70),
    _picture("forest", "moon over the forest", seed=5, tenant="grace", priority=60),
    _picture("city", "night over the city", seed=9, tenant="grace"),
    _picture("desert", "dawn over the desert", seed=2, tenant="grace"),
    _story("whale-story", "Tell me of a whale and a lighthouse.", seed=10, tenant="ada"),
    _story("fox-story", "Tell me of a fox in the forest.", seed=11, tenant="grace"),
    _story("tram-story", "Tell me of the last tram in the city.", seed=4, tenant="grace"),
    _story(
        "star-saga",
        "Tell me a long story of the stars in the sky.",
        seed=4,
        tenant="ada",
        tokens=1_000,
        priority=40,
        endless=True,
    ),
)
