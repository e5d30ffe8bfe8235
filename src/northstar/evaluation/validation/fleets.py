"""The two fleets of which costs are compared: the one that somebody has, and uniform machines that can each do all of its work."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from northstar.evaluation.validation.errors import ValidationImpossible
from northstar.simulation.scenario.policies import POLICIES
from northstar.simulation.scenario.reading import ReadScenario, read_scenario, read_scenario_text
from northstar.simulation.scenario.yaml_text import read_document
from northstar.simulation.workload.own_trace import traced_jobs

if TYPE_CHECKING:
    from collections.abc import Mapping

PACKAGED: Final = Path(__file__).parent / "scenarios" / "monthly.yaml"
#: The only kind, and the only group, of the uniform fleet.
_UNIFORM: Final = "uniform"
#: Numbers of a kind of which a uniform machine has the most that any kind has.
_NUMBERS: Final = ("vram_gb", "disk_gb", "link_mb_per_s", "load_gb_per_s")
#: Of a digest.
_DIGITS: Final = 16


class CostFleet:
    """A scenario whose costs are looked at."""

    def __init__(self, data: dict[str, Any], *, source: str, folder: Path, has_own_jobs: bool) -> None:
        """`data` is a scenario as its YAML says it; `has_own_jobs`: its jobs are somebody's latest, and others the next time."""
        self._data = data
        self._source = source
        self._folder = folder
        self.own = self._read(data)
        self.has_own_jobs = has_own_jobs
        kinds = self.own.scenario.fleet.kinds
        #: Machines that it has at a time.
        self.machines = sum(group.count for group in self.own.scenario.fleet.groups)
        self.has_prices = all(kinds[group.kind].price_usd_per_hour for group in self.own.scenario.fleet.groups)

    @property
    def basis(self) -> str:
        """On what its costs are measured: its jobs and machines, or its machines alone where the jobs are others each time."""
        if not self.has_own_jobs:
            return self.own.digest()[:_DIGITS]
        machines = {key: value for key, value in self._data.items() if key != "workload"}
        found = hashlib.sha256(msgspec.json.encode(machines, order="sorted")).hexdigest()
        return f"own jobs on {found[:_DIGITS]}"

    def uniform(self, count: int) -> ReadScenario:
        """The same work on so many uniform machines, and without pools.

        A uniform machine has the card and the price of the kind that costs most, of everything else the most that any kind has; it offers all
        services, runs one job at a time, and lives as the first group's machines do. What was agreed with tenants needs machines of their own, so it is left out.

        Raises what reading a scenario does: there are pools that no machine may be in together.
        """
        fleet = self._data["fleet"]
        kinds: dict[str, dict[str, Any]] = fleet["kinds"]
        prices = self.own.prices()
        dearest = max(kinds, key=lambda name: (prices.get(name, 0.0), kinds[name].get("vram_gb", 0)))
        whole = {**kinds[dearest], "slots": 1}
        whole.pop("dedicated_to", None)  # it takes all work
        for number in _NUMBERS:
            told = [kind[number] for kind in kinds.values() if number in kind]
            if told:
                whole[number] = max(told)
        for words in ("pools", "services", "tags", "node_packs"):
            told = [word for kind in kinds.values() for word in kind.get(words, ())]
            if told:
                whole[words] = list(dict.fromkeys(told))
        group = {**fleet["groups"][0], "name": _UNIFORM, "kind": _UNIFORM, "count": count}
        settings = {key: value for key, value in self._data.get("settings", {}).items() if key != "tenants"}
        changed = {
            **self._data,
            "fleet": {"kinds": {_UNIFORM: whole}, "groups": [group]},
            "settings": {**settings, "routing": "uniform"},
            # Faults of groups that are not there any more would be a mistake; those of all machines stay.
            "faults": [fault for fault in self._data.get("faults", ()) if "group" not in fault],
        }
        return self._read(changed)

    def _read(self, data: dict[str, Any]) -> ReadScenario:
        text = msgspec.json.encode(data).decode()  # which is YAML too
        return read_scenario_text(text, source=self._source, folder=self._folder, policies=POLICIES)


def cost_fleet(
    scenario: Path | None = None, *, trace: Path | None = None, prices: Mapping[str, float] | None = None
) -> CostFleet:
    """The fleet of a scenario, or the one that comes with North Star.

    Args:
        scenario: a scenario file as `northstar simulate` takes it.
        trace: one's own history, in place of the scenario's jobs (`northstar export --for simulation`); every machine then offers the services of it.
        prices: kind -> US dollars an hour, in place of the scenario's.

    Raises:
        What reading scenarios and traces does. ValidationImpossible: a price is of no kind that there is.
    """
    file = scenario or PACKAGED
    read_scenario(file, policies=POLICIES)  # what is wrong is told with its line
    data: dict[str, Any] = read_document(file.read_text(), source=str(file)).data
    kinds = data["fleet"]["kinds"]
    if trace is not None:
        services = sorted({one.service for one in traced_jobs(trace)})
        data["workload"] = {"sources": [{"from": "own", "trace": str(trace.resolve())}]}
        data.pop("window", None)
        for kind in kinds.values():
            kind["services"] = services
    for name, price in (prices or {}).items():
        if name not in kinds:
            raise ValidationImpossible(
                f"--price {name}: {file} has no such kind of machine; there are {', '.join(kinds)}"
            )
        kinds[name]["price_usd_per_hour"] = price
    return CostFleet(data, source=str(file), folder=file.parent, has_own_jobs=trace is not None)
