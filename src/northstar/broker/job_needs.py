"""What a job needs of a machine, by the catalogue and its tenant's terms, and which pools have that; worked out once for jobs that ask alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from northstar.broker.needs import resolve_request
from northstar.domain.models import ADAPTERS, ModelName, ModelNeed
from northstar.domain.requirements import VRAM_CLASSES_MB, Requirements, read_class
from northstar.domain.workloads import Modality, ModelUse, NodeClass, Speciality, Workload
from northstar.policy.models.core_nodes import CORE_NODE_CLASSES
from northstar.policy.models.resolve import NeedNote
from northstar.policy.models.vram import vram_mb_of
from northstar.policy.routing.pool_capacity import ModelWanted
from northstar.policy.routing.pool_fallback import PoolCapacity
from northstar.policy.routing.terms import within_terms

if TYPE_CHECKING:
    from northstar.domain.jobs import JobRequest
    from northstar.domain.requirements import LaneKey
    from northstar.domain.tenancy import Tenants, TenantTerms
    from northstar.policy.models.catalogue_index import CatalogueIndex
    from northstar.policy.routing.pool_capacity import FleetCapacity

#: Needs that are remembered; clients choose what they ask for, so beyond that all are worked out anew.
MAX_NEEDS_KEPT: Final = 2_048
#: Node classes that one job may require beside the core's.
_MOST_NODE_CLASSES: Final = 64

#: All that needs follow from, beside the fleet, the catalogue and what was agreed with others: service, tenant and its terms, what is asked for, and what the payload names.
_Asked: TypeAlias = tuple[str, str, "TenantTerms", Requirements, tuple[ModelUse, ...], tuple[NodeClass, ...]]


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What jobs that ask alike need, what the catalogue says of their models, and what each pool has for them."""

    requires: Requirements
    #: Models whose sources are the operator's word, and what became of each that is named.
    declared: tuple[ModelName, ...]
    need_notes: tuple[NeedNote, ...]
    notes: tuple[str, ...]
    #: The model that a run is told by, as the history tells it: the largest that is no adapter.
    main_model: str
    capacity: dict[str, PoolCapacity]
    #: Lanes of such jobs by pool, as far as anybody has asked.
    lanes: dict[str | None, LaneKey] = {}
    #: What operators say of the models: that one is experimental, or made for one speciality, or what it makes.
    is_experimental: bool = False
    speciality: Speciality | None = None
    modalities: tuple[Modality, ...] = ()

    def lane(self, request: JobRequest) -> LaneKey:
        """The lane of a request that has these needs."""
        if request.pool not in self.lanes:
            self.lanes[request.pool] = request.lane()
        return self.lanes[request.pool]

    def told(self, workload: Workload) -> Workload:
        """The workload with what operators say of its models; what the payload says goes before that."""
        if not (self.is_experimental or self.speciality or self.modalities):
            return workload
        return msgspec.structs.replace(
            workload,
            is_experimental=workload.is_experimental or self.is_experimental,
            speciality=workload.speciality or self.speciality,
            modalities=workload.modalities or self.modalities,
        )


class JobNeeds:
    """Needs of jobs by one view of the fleet, one catalogue, and what was agreed with all tenants."""

    def __init__(self, fleet: FleetCapacity, catalogue: CatalogueIndex, tenants: Tenants) -> None:
        self.fleet = fleet
        self.catalogue = catalogue
        self.tenants = tenants
        self._known: dict[_Asked, Needs] = {}

    def is_as(self, other: JobNeeds) -> bool:
        """Whether both go by the same: not by what is equal, but by the very same objects, which are never changed."""
        return self.fleet is other.fleet and self.catalogue is other.catalogue and self.tenants is other.tenants

    def of(self, request: JobRequest, workload: Workload) -> Needs:
        """What the job needs.

        Raises:
            RegionNotAllowed, IsolationNotAllowed, ModelNotForTenant: it asks for what its tenant may not have.
            InvalidJob: its models are more files than a job may need.
        """
        asked: _Asked = (
            request.service,
            # Most tenants have the same terms and may use the same models, and need the same of machines then.
            request.tenant if self.catalogue.is_restricted else "",
            self.tenants.terms(request.tenant),
            request.requires,
            workload.models,
            workload.node_classes,
        )
        known = self._known.get(asked)
        if known is None:
            known = self._worked_out(request, workload)
            if len(self._known) >= MAX_NEEDS_KEPT:
                self._known.clear()
            self._known[asked] = known
        return known

    def _worked_out(self, request: JobRequest, workload: Workload) -> Needs:
        notes: list[str] = []
        found = resolve_request(self._with_models(request, workload, notes), self.catalogue)
        requires = self._with_machine(found.request, workload, notes)
        requires = within_terms(requires, self.tenants, tenant=request.tenant)
        models = [
            one.model
            for need in found.request.requires.models
            if (one := self.catalogue.find(need.name, kind=need.kind)) is not None
        ]
        return Needs(
            requires=requires,
            declared=found.declared,
            need_notes=found.notes,
            notes=tuple(notes),
            main_model=main_model(requires, workload),
            capacity=self._capacity(request, requires),
            is_experimental=any(model.experimental for model in models),
            speciality=next((model.speciality for model in models if model.speciality), None),
            modalities=next((tuple(sorted(one.modalities)) for one in models if one.modalities), ()),
        )

    def _with_models(self, request: JobRequest, workload: Workload, notes: list[str]) -> JobRequest:
        """The request with the models that its payload names, as far as somebody has heard of them.

        One that is unknown is left to the engine, which may know it by another name.
        """
        named = {need.name for need in request.requires.models}
        found = []
        for use in workload.models:
            if use.name in named:
                continue
            if self.fleet.holds(use.name) or self.catalogue.find(use.name) is not None:
                found.append(ModelNeed(name=use.name, kind=use.kind))
            else:
                notes.append(
                    f"model {use.name} is declared nowhere and no machine says that it has it; its engine decides"
                )
        if not found:
            return request
        # More than a job may need are refused below, and not cut: what is cut would not be checked against whom it is kept for.
        models = (*request.requires.models, *found)
        return msgspec.structs.replace(request, requires=msgspec.structs.replace(request.requires, models=models))

    def _with_machine(self, request: JobRequest, workload: Workload, notes: list[str]) -> Requirements:
        """What a machine must have: memory for the models where the catalogue knows it, and the nodes that not every server has."""
        asked = request.requires
        return msgspec.structs.replace(
            asked,
            vram_mb=asked.vram_mb or self._vram_mb(asked),
            node_classes=asked.node_classes or self._nodes_of(request.service, workload, notes),
        )

    def _vram_mb(self, requires: Requirements) -> int:
        """The most that one of the models takes by the catalogue, as a class; 0 where it does not know them."""
        found = (self.catalogue.find(need.name, kind=need.kind) for need in requires.models)
        most = max((vram_mb_of(one.version) for one in found if one is not None), default=0)
        return min(most, VRAM_CLASSES_MB[-1])

    def _nodes_of(self, service: str, workload: Workload, notes: list[str]) -> tuple[str, ...]:
        special = [name for name in workload.node_classes if name not in CORE_NODE_CLASSES]
        if not special or not self.fleet.tells_nodes(service):
            return ()
        if len(special) > _MOST_NODE_CLASSES:
            notes.append(
                f"of {len(special)} special node classes the first {_MOST_NODE_CLASSES} are required of machines"
            )
        return tuple(special[:_MOST_NODE_CLASSES])

    def _capacity(self, request: JobRequest, requires: Requirements) -> dict[str, PoolCapacity]:
        lane = msgspec.structs.replace(request, requires=requires).lane()
        wanted = tuple(
            sorted(
                ModelWanted(need.name, need.size_bytes, bool(need.sources))
                for need in requires.models
                if need.is_anchor
            )
        )
        return self.fleet.of(read_class(lane.requirement_class), wanted)


def main_model(requires: Requirements, workload: Workload) -> str:
    """The model by which a job's time is looked up: the largest that is no adapter; empty where it has none."""
    anchors = [need for need in requires.models if need.is_anchor] or list(requires.models)
    if anchors:
        return max(anchors, key=lambda need: need.size_bytes).name
    named = [use for use in workload.models if use.kind not in ADAPTERS] or list(workload.models)
    return named[0].name if named else ""
