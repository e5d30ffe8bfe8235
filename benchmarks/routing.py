"""How many jobs a second are routed, and how many rightly: `python -m benchmarks routing`, with `--traces DIR` on the recorded trace.

A decision is all that `Router.route` does at a submit (reading the payload, catalogue, terms, estimates, matrix, capacity, fallback, and the
decision with its reasons), the job's lane, and the machine of that lane which has it done first. Submissions are of many kinds and tenants
(`routing_jobs`), none is seen twice, and the router has routed as many others before, from whose runs the estimator has learned.
A second figure is that of a submitter, which ranks the machines of each lane once for a view of the fleet, and not for each job.

Not in it: storing the decision as JSON, Valkey, HTTP, admission, and taking in a new view of the fleet, which comes once a second and is
told apart. Some of the machines chosen are compared with looking at every machine.
"""

from __future__ import annotations

import gc
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks import routed_share
from benchmarks.contract import Options, Outcome
from benchmarks.measure import ProcessorWatch, Sample, interleaved, quietest, spread
from benchmarks.routing_fleet import a_fleet
from benchmarks.routing_jobs import AGREED, catalogue, requests
from northstar.broker.job_needs import JobNeeds
from northstar.broker.routed import Routed
from northstar.broker.routing import Router
from northstar.broker.wanted_lanes import wanted_lane
from northstar.config.pools import packaged_pools
from northstar.domain.estimates import FinishedRun
from northstar.domain.jobs import JobRequest
from northstar.domain.requirements import read_anchors, read_class
from northstar.policy.models.catalogue_index import CatalogueIndex
from northstar.policy.models.workload_memory import WorkloadMemory
from northstar.policy.routing.duration import DurationEstimator, JobToTime
from northstar.policy.routing.fit import decide_fit
from northstar.policy.routing.fleet_index import FleetIndex
from northstar.policy.routing.machine_choice import JobNeed, expected_completion
from northstar.policy.routing.pool_capacity import FleetCapacity
from northstar.policy.routing.ready_after import PatienceRule
from northstar.policy.routing.snapshot import ASSUMED_RUN_S, CellSnapshot

#: Decisions a second of processor time in the small fleet.
GOAL: Final = 5_000
_SMALL, _LARGE = 500, 10_000
_JOBS: Final = 2_000
_COMPARED: Final = 40
_ATTEMPTS: Final = 3
_GPU: Final = "rtx-4090"
#: Of `Figures`, and what a reader calls it.
_PARTS: Final = {
    "read": "payload",
    "needs": "catalogue and capacity",
    "estimates": "estimates",
    "rest": "matrix, fallback, lane, reasons and first looks at a class",
    "machine": "machine",
}


class Figures(msgspec.Struct, frozen=True):
    """One look at a fleet: seconds of processor time a job, but for `view_s`, which is a view of the fleet taken in."""

    decision_s: float
    #: With each lane's machines ranked once.
    by_lane_s: float
    #: Nothing routed before: every payload is read, every need worked out.
    cold_s: float
    read_s: float
    needs_s: float
    estimates_s: float
    machine_s: float
    view_s: float

    @property
    def rest_s(self) -> float:
        """Matrix, fallback, lane, the decision with its reasons, and first looks: machines that fit a class nobody has asked for yet."""
        return self.decision_s - self.read_s - self.needs_s - self.estimates_s - self.machine_s


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """A fleet, submissions for it, and what a router goes by."""

    fleet: CellSnapshot
    before: list[JobRequest]
    jobs: list[JobRequest]
    models: CatalogueIndex
    estimator: DurationEstimator

    def router(self) -> Router:
        """One that has routed nothing yet, and sees the fleet."""
        pools = packaged_pools()
        router = Router(
            pools=lambda: pools, tenants=lambda: AGREED, estimates=self.estimator, catalogue=lambda: self.models
        )
        router.see(self.fleet)
        return router


def a_scene(size: int, *, jobs: int) -> Scene:
    """A fleet of that size, and as many submissions before as are measured."""
    scene = Scene(
        fleet=a_fleet(size),
        before=requests(jobs, seed=1),
        jobs=requests(jobs, seed=2),
        models=CatalogueIndex(catalogue()),
        estimator=DurationEstimator(),
    )
    rng, router = random.Random(size), scene.router()
    for number, request in enumerate(scene.before):
        scene.estimator.learn(_run(router.route(request, key=str(number)), request, rng))
    return scene


def _run(routed: Routed, request: JobRequest, rng: random.Random) -> FinishedRun:
    decision, models = routed.decision, routed.resolved.request.requires.models
    return FinishedRun(
        shape=decision.shape,
        service=request.service,
        model=max(models, key=lambda need: need.size_bytes).name if models else "",
        user=f"{request.tenant}/{request.user}",
        gpu_class=_GPU,
        ran_s=decision.estimate.p50_s * rng.lognormvariate(0, 0.3),
        work=decision.work,
    )


def need_of(routed: Routed) -> JobNeed:
    """What decides the machine, as the submitter ranks machines for the lane."""
    request = routed.resolved.request
    lane, expected_s = request.lane(), request.expected_s or ASSUMED_RUN_S
    return JobNeed(
        wanted=read_class(lane.requirement_class),
        models=read_anchors(lane.anchors),
        run_s={name: expected_s * pace for name, pace in routed.paces.factors.items()},
        run_elsewhere_s=expected_s,
    )


def measured(scene: Scene) -> Figures:
    """Route everything cold, and again after the submissions before; and the parts by themselves."""
    cold = scene.router()
    index, view_s = _timed(lambda: (FleetCapacity(scene.fleet), FleetIndex(scene.fleet))[1])
    _, cold_s = _timed(lambda: _decide(cold, scene.jobs, index))
    warm = scene.router()
    _decide(warm, scene.before, index)
    _, decision_s = _timed(lambda: _decide(warm, scene.jobs, index))
    _, by_lane_s = _timed(lambda: _decide_by_lane(warm, scene, index))
    routed = [warm.route(request, key=str(number)) for number, request in enumerate(scene.jobs)]
    needs = [need_of(one) for one in routed]
    _, machine_s = _timed(lambda: [index.best(need) for need in needs])
    jobs = len(scene.jobs)
    read_s, needs_s, estimates_s = _parts(scene)
    return Figures(
        decision_s=decision_s / jobs,
        by_lane_s=by_lane_s / jobs,
        cold_s=cold_s / jobs,
        read_s=read_s / jobs,
        needs_s=needs_s / jobs,
        estimates_s=estimates_s / jobs,
        machine_s=machine_s / jobs,
        view_s=view_s,
    )


def _decide(router: Router, jobs: Sequence[JobRequest], index: FleetIndex) -> None:
    for number, request in enumerate(jobs):
        index.best(need_of(router.route(request, key=str(number))))


def _decide_by_lane(router: Router, scene: Scene, index: FleetIndex) -> None:
    """As the submitter does: all 64 candidates of a lane, once."""
    ranked = set()
    for number, one in enumerate(scene.jobs):
        routed = router.route(one, key=str(number))
        lane = routed.resolved.request.lane().key
        if lane not in ranked:
            ranked.add(lane)
            request = routed.resolved.request
            wanted_lane(
                request.lane(),
                scene.fleet,
                PatienceRule(),
                index=index,
                run_s=request.expected_s,
                terms=router.ranking_terms(),
                paces=routed.paces,
            )


def _parts(scene: Scene) -> tuple[float, float, float]:
    """Seconds to read all payloads, to work out all needs, and to estimate all, each after the submissions before."""
    memory, fleet = WorkloadMemory(), FleetCapacity(scene.fleet)
    needs = JobNeeds(fleet, scene.models, AGREED)

    def read(jobs: Sequence[JobRequest]) -> list[Any]:
        return [memory.workload_of(one.service, one.payload, kind=fleet.engine_kind(one.service)) for one in jobs]

    def work_out(jobs: Sequence[JobRequest], workloads: Sequence[Any]) -> list[Any]:
        return [needs.of(one, workload) for one, workload in zip(jobs, workloads, strict=True)]

    work_out(scene.before, read(scene.before))
    workloads, read_s = _timed(lambda: read(scene.jobs))
    found, needs_s = _timed(lambda: work_out(scene.jobs, workloads))
    asked = [
        JobToTime(
            service=one.service,
            workload=workload,
            model=need.main_model,
            user=f"{one.tenant}/{one.user}",
            gpu_class=gpu,
        )
        for one, workload, need in zip(scene.jobs, workloads, found, strict=True)
        for gpu in ("", _GPU)
    ]
    _, estimates_s = _timed(lambda: [scene.estimator.estimate(job) for job in asked])
    return read_s, needs_s, estimates_s


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began_s = time.process_time()
    done = work()
    return done, time.process_time() - began_s


def wrong_choices(scene: Scene) -> int:
    """Of some jobs, for how many another machine would have been sooner."""
    index, snapshot, router = FleetIndex(scene.fleet), scene.fleet, scene.router()
    wrong = 0
    for number, request in enumerate(scene.jobs[:_COMPARED]):
        job = need_of(router.route(request, key=str(number)))
        fitting = {
            name
            for name, profile in snapshot.profiles.items()
            if decide_fit(profile, job.wanted, snapshot.node_sets).fits
        }
        times_s = [
            expected_completion(machine, job, now_ms=snapshot.now_ms).total_s
            for machine in snapshot.machines.values()
            if machine.active and machine.profile in fitting
        ]
        best = index.best(job)
        wrong += (best.total_s if best is not None else None) != min(times_s, default=None)
    return wrong


def run(options: Options) -> Outcome:
    """Both fleets in rounds, then the share that is routed rightly."""
    sizes = (_SMALL, _SMALL * 4) if options.quick else (_SMALL, _LARGE)
    scenes = {size: a_scene(size, jobs=_JOBS // 4 if options.quick else _JOBS) for size in sizes}
    taken: dict[int, list[Sample[Figures]]] = {size: [] for size in sizes}
    with _as_serve_collects():
        for number, size in interleaved(list(sizes), options.rounds):
            print(f"round {number + 1} of {options.rounds}: {size:,} machines", file=sys.stderr, flush=True)
            taken[size].append(quietest(partial(_sample, scenes[size]), attempts=_ATTEMPTS))
    speed = _outcome(taken, wrong=sum(wrong_choices(scene) for scene in scenes.values()))
    named = os.environ.get("NORTHSTAR_TRACES")
    share = routed_share.measured(options.traces or (Path(named) if named else None), quick=options.quick)
    return Outcome(
        text=f"{speed.text}\n{share.text}",
        figures=speed.figures | {"routed rightly": share.figures},
        failures=speed.failures + share.failures,
    )


@contextmanager
def _as_serve_collects() -> Iterator[None]:
    """The collector leaves alone what there is at the start, as in `serve`."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def _sample(scene: Scene) -> Sample[Figures]:
    watch = ProcessorWatch()
    return Sample(value=measured(scene), others_cores=watch.read().others_cores)


def _outcome(taken: dict[int, list[Sample[Figures]]], *, wrong: int) -> Outcome:
    lines, figures = [], dict[str, Any]()
    medians_s: dict[int, float] = {}
    for size, samples in taken.items():
        told, found = _of_fleet(size, samples)
        medians_s[size] = 1 / found["decisions_per_s"].median
        lines += told
        figures[str(size)] = msgspec.to_builtins(found)
    small, large = min(medians_s), max(medians_s)
    grows, fleet = medians_s[large] / medians_s[small], large / small
    lines.append(f"a fleet {fleet:.0f} times as large makes a decision {grows:.1f} times as long")
    held = medians_s[small] <= 1 / GOAL
    lines.append(
        f"{'goal held' if held else 'GOAL MISSED'}: {1 / medians_s[small]:,.0f} a second at {small:,}; goal {GOAL:,}"
    )
    failures = [f"{wrong} choices are not the best"] if wrong else []
    failures += ["the cost of a decision grows as fast as the fleet"] if grows >= fleet else []
    return Outcome(text="\n".join(lines), figures=figures | {"grows": grows}, failures=tuple(failures))


def _of_fleet(size: int, samples: Sequence[Sample[Figures]]) -> tuple[list[str], dict[str, Any]]:
    values = [sample.value for sample in samples]
    each = spread(1 / value.decision_s for value in values)
    by_lane, cold = (spread(1 / value.by_lane_s for value in values), spread(1 / value.cold_s for value in values))
    view = spread(value.view_s for value in values)
    parts = {name: spread(getattr(value, f"{name}_s") * 1e6 for value in values) for name in _PARTS}
    noise = "" if all(sample.quiet for sample in samples) else ", others used the machine meanwhile"
    lines = [
        f"{size:,} machines: {each.median:,.0f} decisions a second of processor time ({each.low:,.0f}-{each.high:,.0f}){noise}",
        f"{size:,} machines: {by_lane.median:,.0f} where each lane's machines are ranked once a view; {cold.median:,.0f} of a router that has just started",
        f"{size:,} machines, µs a decision: {', '.join(f'{what} {parts[name].median:.0f}' for name, what in _PARTS.items())}",
        f"{size:,} machines: a new view of the fleet takes {1_000 * view.median:.1f} ms",
    ]
    return lines, {"decisions_per_s": each, "by_lane_per_s": by_lane, "cold_per_s": cold, "view_s": view, "us": parts}
