"""What each function on machines and on the cell must answer, and what it must do to the model."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.store.queue.calls import Reply
from tests.store.queue.expected_jobs import ExpectedJobs
from tests.store.queue.reference import OFFERED, RUNNING, Machine, Refusal, Trace

PROFILE_KEPT_MS = 7 * 86_400_000


class ExpectedMachines(ExpectedJobs):
    """Machines come, change, go and hold models; operators pause and declare."""

    def register_machine(self, request: Reply, trace: Trace, reply: Reply) -> None:
        if request["machine"] not in self.machines and len(self.machines) >= self.limits["max_machines"]:
            raise Refusal("NS_TOO_MANY_MACHINES")
        before = self.machines.get(request["machine"])
        stays = before.status if before is not None and before.session == request["session"] else "active"
        machine = self._arrived(request, trace, reply["profile"])
        machine.status, machine.wants, machine.disturbed = stays, None, False
        machine.slots, machine.vram_mb, machine.session = request["slots"], request["vram_mb"], request["session"]
        self.words.update(request["words"])
        for kind, fits in request["fits"]:
            self.fits.setdefault((machine.profile, kind), fits)
        self.sign_of_life(machine)
        trace.next("machine.registered", machine.name)
        running = [[job.id, job.token] for job in machine.held.values() if job.status == RUNNING]
        assert sorted(reply["held"]) == sorted(running)
        undecided = [[kind, key] for key, kind in self.kinds.items() if (machine.profile, kind) not in self.fits]
        assert sorted(reply["undecided"]) == sorted(undecided)
        self.expect_offers(trace)

    def _arrived(self, request: Reply, trace: Trace, profile: str) -> Machine:
        machine = self.machines.get(request["machine"])
        if machine is None:
            machine = Machine(request["machine"], request["session"], profile, 0, 0)
            self.machines[machine.name] = machine
            self.idle_profiles.pop(profile, None)
        if machine.session != request["session"]:
            machine.wants = None
            self.expect_all_returned(trace, machine, "agent_restarted", charged=True)
            machine.fetches.clear()
            machine.nonce = ""
        if machine.profile != profile:
            before, machine.profile, machine.candidates = machine.profile, profile, []
            self.idle_profiles.pop(profile, None)
            self._left(before)
        assert self.profiles.setdefault(request["profile"], profile) == profile
        return machine

    def _left(self, profile: str) -> None:
        """A machine has this profile no more; the last one's is kept for a week."""
        if all(machine.profile != profile for machine in self.machines.values()):
            self.idle_profiles[profile] = self.now + PROFILE_KEPT_MS

    def update_machine(self, request: Reply, trace: Trace, reply: Reply) -> None:
        machine = self.present(request)
        machine.slots, machine.vram_mb = request["slots"], request["vram_mb"]
        machine.disturbed = True
        self.sign_of_life(machine)
        trace.next("machine.updated", machine.name)
        assert reply == {"used": len(machine.held)}

    def drain_machine(self, request: Reply, trace: Trace, reply: Reply) -> None:
        machine = self._known(request)
        machine.status = "draining" if request["draining"] else "active"
        if request["draining"]:
            machine.wants = None
            for offer in list(machine.offers):
                self.expect_return(trace, self.jobs[offer], "machine_draining", charged=False)
        trace.next("machine." + machine.status, machine.name)
        assert reply == {"used": len(machine.held)}
        self.expect_offers(trace)

    def remove_machine(self, request: Reply, trace: Trace, reply: Reply) -> None:
        machine = self._known(request)
        assert reply == {"returned": len(machine.held)}
        self.gone(machine, trace, "machine.removed", request["because"], charged=request["lost"])
        self.expect_offers(trace)

    def gone(self, machine: Machine, trace: Trace, kind: str, because: str, *, charged: bool) -> None:
        machine.wants = None
        self.expect_all_returned(trace, machine, because, charged=charged)
        del self.machines[machine.name]
        self._left(machine.profile)
        assert trace.next(kind, machine.name).data == {"because": because}
        for name, (_, model, _) in machine.orders.items():
            told = {"order": name, "model": model, "outcome": "gone"}
            assert trace.next("order.ended", machine.name).data == told

    def _known(self, request: Reply) -> Machine:
        machine = self.machines.get(request["machine"])
        if machine is None:
            raise Refusal("NS_NO_SUCH_MACHINE")
        return machine

    def set_candidates(self, request: Reply, trace: Trace, reply: Reply) -> None:
        for name, wanted in request["machines"]:
            if name in self.machines:
                self.refuse_candidates(self.machines[name], wanted)
        assert reply == {"unknown": [name for name, _ in request["machines"] if name not in self.machines]}
        for name, wanted in request["machines"]:
            if machine := self.machines.get(name):
                self.choose_candidates(machine, wanted)
                machine.disturbed = False
                event = trace.peek()
                if event is not None and event.data.get("machine") == name:
                    self.expect_offers(trace, only=name)

    def decide_fits(self, request: Reply, trace: Trace, reply: Reply) -> None:
        decided = 0
        for profile, kind, fits in request["fits"]:
            if (profile, kind) not in self.fits and kind in self.kinds.values() and profile in self.profiles.values():
                self.fits[profile, kind] = fits
                decided += 1
        for machine in self.machines.values():
            machine.disturbed = True
        assert reply == {"decided": decided}

    # Models ------------------------------------------------------------------------------------------------------

    def models_present(self, request: Reply, trace: Trace, reply: Reply) -> None:
        machine = self.present(request)
        assert reply == {"changed": machine.models != request["models"]}
        if machine.models != request["models"]:
            assert trace.next("machine.models", machine.name).data == {"models": len(request["models"])}
        machine.models = request["models"]
        self.words.update("model:" + model for model, _, _ in request["models"])

    def fetch_started(self, request: Reply, trace: Trace, reply: Reply) -> None:
        machine = self.present(request)
        if request["model"] in machine.fetches:
            raise Refusal("NS_ALREADY_FETCHING")
        fetching = [m.fetches[request["model"]] for m in self.machines.values() if request["model"] in m.fetches]
        if sum(self.now < late_at_ms for _, late_at_ms in fetching) >= request["copies"]:
            raise Refusal("NS_FETCH_IN_FLIGHT")
        # Three times as long as expected, and a minute: then it holds nobody up any more.
        machine.fetches[request["model"]] = (self.now, self.now + 3 * request["expected_ms"] + 60_000)
        trace.next("fetch.started", machine.name)
        assert reply == {"fetching": len(fetching) + 1}

    def fetch_ended(self, request: Reply, trace: Trace, reply: Reply) -> None:
        machine = self.present(request)
        if request["model"] not in machine.fetches:
            raise Refusal("NS_NOT_FETCHING")
        since, _ = machine.fetches.pop(request["model"])
        event = trace.next("fetch.ended", machine.name)
        assert event.data == {"model": request["model"], "outcome": request["outcome"]}
        assert reply == {"took_ms": self.now - since}

    def order_models(self, request: Reply, trace: Trace, reply: Reply) -> None:
        machine = self._known(request)
        given: list[tuple[str, bool]] = []
        orders = dict(machine.orders)
        for wanted in request["orders"]:
            same = wanted["what"], wanted["model"], wanted["body"]
            known = next((name for name, order in orders.items() if order == same or name == wanted["id"]), None)
            given.append((known or wanted["id"], known is None))
            if known is None:
                if len(orders) >= 32:
                    raise Refusal("NS_TOO_MANY_ORDERS")
                orders[wanted["id"]] = same
        for name, fresh in given:
            if fresh:
                what, model, _ = orders[name]
                event = trace.next("order.given", machine.name)
                assert event.data == {"order": name, "what": what, "model": model, "by": request["by"]}
        machine.orders = orders
        assert reply == {"given": [list(one) for one in given]}

    def pending_orders(self, request: Reply, trace: Trace, reply: Reply) -> None:
        machine = self.present(request)
        assert [order[:4] for order in reply["orders"]] == [[name, *order] for name, order in machine.orders.items()]

    def order_ended(self, request: Reply, trace: Trace, reply: Reply) -> None:
        machine = self.present(request)
        if request["order"] not in machine.orders:
            raise Refusal("NS_NO_SUCH_ORDER")
        _, model, _ = machine.orders.pop(request["order"])
        told = {name: request[name] for name in ("order", "outcome", "code", "message")}
        assert trace.next("order.ended", machine.name).data == told | {"model": model}
        assert reply == {"open": len(machine.orders)}

    # The cell ----------------------------------------------------------------------------------------------------

    def declare(self, request: Reply, trace: Trace, reply: Reply) -> None:
        assert reply == {"words": len(self.words)}
        change = self.words.difference_update if request["withdraw"] else self.words.update
        change(request["words"])

    def pause(self, request: Reply, trace: Trace, reply: Reply) -> None:
        assert reply == {"paused": request["scope"] not in self.pauses}
        if request["scope"] not in self.pauses:
            trace.next("cell.paused", request["scope"])
        self.pauses.add(request["scope"])

    def resume(self, request: Reply, trace: Trace, reply: Reply) -> None:
        assert reply == {"resumed": request["scope"] in self.pauses}
        if request["scope"] in self.pauses:
            trace.next("cell.resumed", request["scope"])
        self.pauses.discard(request["scope"])

    def outage(self, request: Reply, trace: Trace, reply: Reply) -> None:
        self.skipped_ms += request["gap_ms"]
        assert reply == {"skipped_ms": self.skipped_ms}

    def bind_history(self, request: Reply, trace: Trace, reply: Reply) -> None:
        known = self.history
        if known and known != request["history"] and not request["take"]:
            raise Refusal("NS_HISTORY_ELSEWHERE")
        self.history = request["history"]
        same = known == request["history"]
        assert reply == {"bound": not same, "former": "" if same else known and f"place of {known}"}

    history: str = ""

    def events_committed(self, request: Reply, trace: Trace, reply: Reply) -> None:
        if self.history and self.history != request.get("history", ""):
            raise Refusal("NS_HISTORY_ELSEWHERE")
        earlier = request["epoch"] < self.epoch
        event = min(request["event"], self.epoch_began) if earlier else request["event"]
        if event > self.event or request["epoch"] > self.epoch:
            raise Refusal("NS_BAD_ARGUMENT")
        self.committed = max(self.committed, event)
        assert reply == {"backlog": self.event - self.committed}

    def open_cell(self, request: Reply, trace: Trace, reply: Reply) -> None:
        """Join a cell that is there; on another server its epoch is raised."""
        if request["clock"] != "virtual":
            raise Refusal("NS_CLOCK_MISMATCH")
        if request["server"] != self.server:
            self.epoch, self.epoch_began, self.server = self.epoch + 1, self.event, request["server"]
        assert (reply["created"], reply["epoch"], reply["event"]) == (False, self.epoch, self.event)
        if request["configure"]:
            self.limits = request["limits"]
        assert reply["limits"] == self.limits

    server: str = "one"
    epoch_began = 0  # number of the latest event of the epoch before

    def statistics(self, request: Reply, trace: Trace, reply: Reply) -> None:
        counts: dict[str, Any] = reply["counts"]
        assert {name: counts[name] for name in self.finished} == self.finished
        assert (counts["live"], counts["submitted"], counts["event"]) == (self.live(), self.submitted, self.event)
        assert counts["waiting_size"] == sum(1 for _ in self.waiting())
        assert counts["leases_size"] == sum(job.status in {RUNNING, OFFERED} for job in self.jobs.values())
        assert counts["parked_size"] == sum(machine.parked for machine in self.machines.values())
        assert (counts["jobs_size"], counts["machines_size"]) == (len(self.jobs), len(self.machines))
        waiting = Counter(job.lane.id for job in self.waiting())
        lanes = [[lane.id, lane.key, lane.pool, waiting[lane.id], lane.live] for lane in self.lanes.values()]
        assert sorted(reply["lanes"]) == sorted(lanes)
