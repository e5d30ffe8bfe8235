"""Whatever happens in whichever order - receivers that fail, brokers that die, clocks that go on - each job is told in its order."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.broker.webhooks.office import Office, Post
from tests.broker.webhooks.receiver import Heard, Receiver, saying

STEPS = 60


async def killed(post: Post) -> None:
    """It dies after its receivers have answered and before anything is noted."""
    await post.keeper.turn()
    await post.sender.idle()
    post.sender._settled.clear()


async def something(office: Office, posts: list[Post], chance: random.Random, jobs: int) -> int:
    """Any one thing that can happen; gives how many pairs of jobs have run."""
    match chance.choice(["run", "turn", "turn", "turn", "both", "kill", "later"]):
        case "run":
            await office.run(f"j{jobs}", f"k{jobs}")
            return 1
        case "turn":
            await chance.choice(posts).keeper.turn()
        case "both":
            await asyncio.gather(*(post.keeper.turn() for post in posts))
        case "kill":
            await killed(chance.choice(posts))
        case _:
            office.later(s=chance.choice([1, 10, 400, 4_000]))
    return 0


@pytest.mark.parametrize("seed", range(3))
async def test_every_event_is_taken_at_least_once_and_none_before_the_one_before_it(
    office: Office, receiver: Receiver, seed: int
) -> None:
    chance = random.Random(seed)
    taken: list[Heard] = []
    failing = 0.5

    async def moody(heard: Heard, out: asyncio.StreamWriter) -> None:
        good = chance.random() >= failing
        if good:
            taken.append(heard)
        await saying(200 if good else chance.choice([302, 404, 500, 503]))(heard, out)

    receiver.answer = moody
    made = await office.webhook(receiver.url)
    posts = [await office.post(rule={"off_after_ms": 10**12, "per_receiver": 3}) for _ in range(3)]
    jobs = 0
    for _ in range(STEPS):
        jobs += await something(office, posts, chance, jobs)
    failing = 0.0
    for _ in range(4):
        office.later(s=100_000)
        for post in posts:
            await post.round()
    assert {one.status for one in await office.log(made)} == {"delivered"}
    assert len(await office.log(made)) == 6 * jobs
    for job in {one.job for one in taken}:
        numbers = [one.message["data"]["event"]["number"] for one in taken if one.job == job]
        assert numbers == sorted(numbers), job
        assert set(numbers) == {1, 2, 3}, job
    assert len({one.job for one in taken}) == 2 * jobs
