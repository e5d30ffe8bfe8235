"""Reading a scenario: YAML to a checked `Scenario`; whatever is wrong is told with file, line and key."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from northstar.config.pools import load_pools, packaged_pools
from northstar.config.tenants import load_tenants
from northstar.domain.amounts import exactly
from northstar.domain.pools import Pools
from northstar.simulation.fleet.errors import PlanImpossible
from northstar.simulation.fleet.laws import Spot
from northstar.simulation.fleet.plan import FleetPlan
from northstar.simulation.fleet.prices import named_prices
from northstar.simulation.scenario.checks import check_pools, check_scenario
from northstar.simulation.scenario.errors import InvalidScenario
from northstar.simulation.scenario.plan import Scenario
from northstar.simulation.scenario.shape import DoesNotFit, shaped
from northstar.simulation.scenario.workload_plan import GenTd26
from northstar.simulation.scenario.yaml_text import Document, parts, read_document, written
from northstar.simulation.tenant_terms import check_terms
from northstar.simulation.workload.gpu_prices import cloud_prices

#: As large as a scenario may be, bytes; what is larger is a trace.
MAX_FILE_BYTES: Final = 200_000
_PIECE: Final = 1 << 20
_NOT_DIGESTED: Final = frozenset({"about", "seeds", "policies"})


class ReadScenario:
    """A scenario with where it was read, so that later problems can be told with their line too."""

    def __init__(self, scenario: Scenario, document: Document, *, source: str, folder: Path) -> None:
        self.scenario = scenario
        #: From which its files are named.
        self.folder = folder
        self._document = document
        self._source = source

    def of_fleet(self, fleet: FleetPlan, *, is_uniform: bool = False) -> ReadScenario:
        """The same with other machines, which no line of the file tells of; `is_uniform`: with pools switched off.

        Raises:
            PlanImpossible: the pools do not take such machines.
        """
        settings = self.scenario.settings
        if is_uniform:
            settings = msgspec.structs.replace(settings, routing="uniform")
        scenario = msgspec.structs.replace(self.scenario, fleet=fleet, settings=settings)
        found = ReadScenario(scenario, self._document, source=self._source, folder=self.folder)
        check_pools(fleet, found.pools())
        return found

    @contextmanager
    def places(self) -> Iterator[None]:
        """What is wrong with the fleet is told with the file and the line."""
        try:
            yield
        except PlanImpossible as exc:
            if exc.where:
                raise
            line = self._document.line_of(parts(exc.path))
            where = self._source if line is None else f"{self._source}:{line}"
            raise type(exc)(exc.problem, path=exc.path, where=f"{where}: ") from exc

    def with_sizes(self, seed: int) -> ReadScenario:
        """The same with other sizes of model files, where a trace does not say them (`sizes_seed`)."""
        workload = self.scenario.workload
        sources = tuple(
            msgspec.structs.replace(source, sizes_seed=seed) if isinstance(source, GenTd26) else source
            for source in workload.sources
        )
        scenario = msgspec.structs.replace(self.scenario, workload=msgspec.structs.replace(workload, sources=sources))
        return ReadScenario(scenario, self._document, source=self._source, folder=self.folder)

    def pools(self) -> Pools:
        """The pools that hold, and how jobs are routed to them. Raises InvalidPools: the file that is named cannot be used."""
        settings = self.scenario.settings
        found = packaged_pools() if settings.pools is None else load_pools(self.folder / settings.pools)
        if settings.routing is None:
            return found
        return msgspec.structs.replace(found, routing=msgspec.structs.replace(found.routing, mode=settings.routing))

    def tenants(self) -> str:
        """What was agreed with tenants, as its file says it; empty: nothing. Raises InvalidTenants, BudgetNotSimulated: the file cannot be used."""
        file = self.scenario.settings.tenants
        if file is None:
            return ""
        load_tenants(self.folder / file)
        text = (self.folder / file).read_text()
        with self.places():
            check_terms(text)
        return text

    def prices(self) -> dict[str, float]:
        """What an hour costs of kinds that name their price. Raises NoSuchPrice, and what `cloud_prices` does."""
        table = self.scenario.prices
        with self.places():
            return named_prices(self.scenario.fleet, None if table is None else cloud_prices(self.folder / table))

    def files(self) -> tuple[Path, ...]:
        """The files that it names, in a fixed order."""
        scenario = self.scenario
        series = {group.lifetime.file for group in scenario.fleet.groups if isinstance(group.lifetime, Spot)}
        named = [
            *scenario.workload.files(),
            *series,
            scenario.settings.pools,
            scenario.settings.tenants,
            scenario.prices,
        ]
        return tuple(self.folder / name for name in sorted({name for name in named if name is not None}))

    def digest(self) -> str:
        """Of what is simulated: the same for the same scenario and the same contents of its files, wherever they lie.

        Which seeds and policies it has does not count: each of these is a run of its own, and more may be added later.

        Raises:
            InvalidScenario: a file that it names cannot be read.
        """
        said = {key: value for key, value in self._document.data.items() if key not in _NOT_DIGESTED}
        found = hashlib.sha256(msgspec.json.encode(said, order="sorted"))
        for file in self.files():
            found.update(b"\0" + _digest_of(file, self._source))
        return found.hexdigest()


def read_scenario(file: Path, *, policies: Collection[str]) -> ReadScenario:
    """The scenario of a file. `policies` are the names of those that can be compared.

    Raises:
        InvalidScenario: it cannot be read, or is not what a scenario is. PlanImpossible: its parts contradict each other.
        ScenarioReaderMissing: nothing is installed that reads YAML. What the files that it names are wrong with.
    """
    return read_scenario_text(scenario_text(file), source=str(file), folder=file.parent, policies=policies)


def read_scenario_text(
    text: str, *, source: str, folder: Path, policies: Collection[str], is_seen: bool = True
) -> ReadScenario:
    """The scenario of a text; `source` says in errors where it comes from, `folder` is where its files lie. Raises as `read_scenario`.

    `is_seen`: somebody has the text before him; else problems name no line of it.
    """
    document = read_document(text, source=source)
    if not is_seen:
        document = document._replace(lines={})
    return scenario_of(document, source=source, folder=folder, policies=policies)


def scenario_of(document: Document, *, source: str, folder: Path, policies: Collection[str]) -> ReadScenario:
    """The scenario of a document that was read already. Raises as `read_scenario`."""
    try:
        scenario = shaped(document.data, Scenario)
    except DoesNotFit as exc:
        wrong = exc.wrong
        raise InvalidScenario(
            wrong.problem, source=source, line=document.line_of(wrong.path), path=written(wrong.path)
        ) from exc
    found = ReadScenario(scenario, document, source=source, folder=folder)
    with found.places():
        check_scenario(scenario, policies=policies)
        check_pools(scenario.fleet, found.pools())
    found.tenants()
    return found


def scenario_text(file: Path) -> str:
    """The text of a scenario. Raises InvalidScenario: it cannot be read."""
    try:
        with file.open("rb") as stream:
            raw = stream.read(MAX_FILE_BYTES + 1)
        if len(raw) > MAX_FILE_BYTES:
            raise InvalidScenario(
                f"has more than {exactly(MAX_FILE_BYTES)}; a few thousand are usual", source=str(file)
            )
        return raw.decode()
    except OSError as exc:
        raise InvalidScenario(f"cannot be read: {exc.strerror}", source=str(file)) from exc
    except UnicodeDecodeError as exc:
        raise InvalidScenario(f"is no text: {exc}", source=str(file)) from exc


def _digest_of(file: Path, source: str) -> bytes:
    found = hashlib.sha256()
    try:
        with file.open("rb") as stream:
            while piece := stream.read(_PIECE):
                found.update(piece)
    except OSError as exc:
        raise InvalidScenario(f"names {file}, which cannot be read: {exc.strerror}", source=source) from exc
    return found.digest()
