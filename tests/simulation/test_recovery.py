"""A fleet that begins with empty disks and is busy at once comes out of it, instead of fetching for good."""

from __future__ import annotations

import random
from statistics import mean

from northstar.simulation.policy import NorthStar
from tests.simulation.policies.test_baselines_run import FETCH_MS, in_order, job, machines, model, simulated

GB = 1_000_000_000
SIZE_GB = 2.0
RUN_S = 10.0
#: 8 machines do .7 jobs a second where models are there, and .3 where each is fetched: this many come in between.
PER_S = 0.5


async def test_waits_fall_though_more_comes_than_machines_that_fetch_for_each_job_could_do() -> None:
    """Decision 17: where a machine went by order alone once holders cannot keep up, waits would grow from third to third."""
    draw = random.Random(1)
    models = [model(f"m{number}.safetensors", gb=SIZE_GB) for number in range(20)]
    popularity = [1 / (number + 1) for number in range(20)]
    jobs = [job(number / PER_S, *draw.choices(models, popularity), run_s=RUN_S) for number in range(150)]
    outcome = await simulated(jobs, machines(8, disk_gb=14), NorthStar())
    waits_s = [one.waited_s for one in in_order(outcome)]
    begun, middle, last = (mean(waits_s[first : first + 50]) for first in (0, 50, 100))
    assert middle < 1.1 * begun
    assert last < begun / 2
    # Less than one fetch, and fewer fetches than one for two jobs.
    assert last < FETCH_MS / 1000 * SIZE_GB
    assert outcome.fetched_bytes < len(jobs) * SIZE_GB * GB / 2
