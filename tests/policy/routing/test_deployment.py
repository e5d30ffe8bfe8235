"""Where models are brought to before the job comes."""

from __future__ import annotations

from northstar.domain.machines import MachineDescription
from northstar.domain.models import ModelNeed
from northstar.policy.routing.deployment import Deployment, deployment
from northstar.policy.routing.snapshot import CellSnapshot, MachineState
from tests.policy.routing.builders import cell, folderless, machine

SDXL = ModelNeed(name="sdxl", size_bytes=6, sources=("https://x.example/sdxl",), sha256="unknown")
OWN = ModelNeed(name="own")


def busy(name: str, **changes: object) -> MachineState:
    return machine(name, **{"used": 1, "parked": False} | changes)


def ordered(snapshot: CellSnapshot, *needs: ModelNeed, ranked: tuple[str, ...] = ("a", "b")) -> Deployment | None:
    return deployment(ranked, needs or (SDXL,), snapshot)


def test_the_machine_that_has_the_job_done_first_fetches_while_it_is_busy() -> None:
    """Spec, flowchart: `P -->|No| R[Trigger Model Deployment]`."""
    assert ordered(cell(busy("a"), busy("b"))) == Deployment(machine="a", needs=(SDXL,))


def test_a_free_machine_takes_the_job_and_fetches_by_itself() -> None:
    assert ordered(cell(busy("a"), machine("b"))) is None


def test_nothing_is_brought_to_a_machine_whose_engines_are_out() -> None:
    """Nor does one that is not busy, because nobody asks it, keep others from fetching."""
    out = MachineDescription(takes_work=False)
    assert ordered(cell(busy("a", description=out), busy("b"))) == Deployment(machine="b", needs=(SDXL,))
    assert ordered(cell(machine("a", description=out), busy("b"))) == Deployment(machine="b", needs=(SDXL,))
    assert ordered(cell(busy("a", description=out)), ranked=("a",)) is None


def test_what_is_on_its_way_is_not_ordered_again() -> None:
    assert ordered(cell(busy("a"), busy("b", fetching={"sdxl": 5_000}))) is None


def test_only_what_the_machine_lacks_and_somebody_offers_is_ordered() -> None:
    assert ordered(cell(busy("a", held={"sdxl": "disk"}), busy("b"))) is None
    assert ordered(cell(busy("a"), busy("b")), OWN) is None


def test_without_a_machine_that_fits_there_is_nobody_to_order_from() -> None:
    assert ordered(cell(), ranked=()) is None


def test_nothing_is_brought_to_a_machine_that_keeps_no_models() -> None:
    """It would only answer that it fetches nothing."""
    none = folderless()
    assert ordered(cell(busy("a", description=none), busy("b"))) == Deployment(machine="b", needs=(SDXL,))
    assert ordered(cell(busy("a", description=none)), ranked=("a",)) is None
