"""Targets of scale, on a machine with 2 cores."""

from __future__ import annotations

from typing import Final

from northstar.evaluation.targets import Target, at_least, at_most, number

SCALE_TARGETS: Final = (
    Target(
        id="concurrent-workflows",
        section="scale",
        spec="Concurrent Workflows: 1000+ complex multi-step workflows",
        definition="live workflows of 5 to 15 models each, with every guarantee on",
        known="",
        figures=(number("concurrent-workflows", "live at once", "n", at_least(10_000), at_least(1_000)),),
    ),
    Target(
        id="machines",
        section="scale",
        spec="Machine Management: 500+ machines across all pools",
        definition="real connections of agents to one broker, with heartbeats and what they hold; and simulated",
        known="",
        figures=(
            number("machines-connected", "connected to one broker", "n", at_least(2_000), at_least(500)),
            number("machines-simulated", "simulated", "n", at_least(10_000), at_least(500)),
        ),
    ),
    Target(
        id="throughput",
        section="scale",
        spec="Request Throughput: 10,000+ requests per hour peak",
        definition="one hour through HTTP, agents and history; and the queue alone beside the fastest Python queues of the same run",
        known="",
        figures=(
            number("hour-finished", "finished in the hour", "n", at_least(10_000), at_least(10_000)),
            number("hour-lost", "lost in the hour", "n", at_most(0)),
            number("queue-ratio", "of the fastest Python queue, for each worker process", "x", at_least(2.0)),
            number(
                "claim-growth",
                "cost of a claim at 1,000,000 jobs over that at 1,000, with 1,000 lanes",
                "x",
                at_most(1.5),
            ),
        ),
    ),
    Target(
        id="dispatch",
        section="scale",
        spec="Dispatch to an idle machine",
        definition="an idle fit machine: submit accepted until the job is at the agent, on loopback",
        known="",
        figures=(number("dispatch-p99", "99th percentile", "ms", at_most(10.0)),),
        note="the specification names no number",
    ),
    Target(
        id="model-throughput",
        section="scale",
        spec="Model Throughput: 1,000+ model predictions per minute",
        definition="both readings: demand forecasts of 100 models for 24 h, and inferences through the broker on simulated engines",
        known="",
        figures=(
            number("forecasts", "forecasts", "/s", at_least(1_000), at_least(1_000 / 60)),
            number("inferences", "inferences", "/s", at_least(1_000), at_least(1_000 / 60)),
        ),
    ),
)
