"""What the demonstration asks of its simulated GPU machines: real graphs, whose time only passes, two hundred times as fast.

No job names a pool: where each runs, the router decides.
"""

from __future__ import annotations

from typing import Any, Final

from northstar.demo.commission import Commission
from northstar.demo.simulated_graphs import (
    enlarged_to_4k,
    film,
    illustration,
    lora_training,
    picture_then_clip,
    portrait,
    product_picture,
)
from northstar.domain.jobs import JobRequest
from northstar.domain.requirements import Requirements
from northstar.domain.workloads import Speciality

#: Seconds of the work that pass in one second of the demonstration.
TIME_LAPSE: Final = 200
#: The service that the simulated machines offer; the word goes through every table.
SIMULATED: Final = "simulated"
#: The tenant with enterprise terms; `demo.toml` has them.
ENTERPRISE_TENANT: Final = "meridian"
#: The one whose pool has no machine.
WITHOUT_MACHINE: Final = "heron"


def _work(
    name: str,
    title: str,
    payload: dict[str, Any],
    *,
    takes_s: float,
    tenant: str,
    is_said: bool = True,
    vram_mb: int = 0,
) -> Commission:
    """A job that would take so long on the reference GPU. `is_said`: its submitter says so; else North Star has to estimate it."""
    return Commission(
        title=title,
        file=f"{name}.simulated.txt",
        takes_s=takes_s,
        request=JobRequest(
            id=name,
            service=SIMULATED,
            payload=payload | {"simulate": {"run_s": takes_s / TIME_LAPSE}},
            tenant=tenant,
            expected_s=takes_s if is_said else None,
            requires=Requirements(vram_mb=vram_mb),
        ),
    )


def _graph(graph: dict[str, Any], *, speciality: Speciality | None = None) -> dict[str, Any]:
    hints = {"extra_data": {"northstar": {"speciality": speciality}}} if speciality is not None else {}
    return {"prompt": graph, **hints}


_CHAT: Final = {"messages": [{"role": "user", "content": "Which payments are due today?"}], "max_tokens": 40}

SIMULATED_WORK: Final = (
    # First: where the studio's machine has been given away, Heavy is free sooner, and has this one.
    _work(
        WITHOUT_MACHINE,
        "a heron in ink, in two passes",
        _graph(illustration(prompt="a heron in the reeds, ink and wash"), speciality="art"),
        takes_s=75,
        tenant="ada",
    ),
    _work(
        "portrait",
        "four portraits in evening light",
        _graph(portrait(prompt="a portrait in evening light, 85 mm"), speciality="photography"),
        takes_s=38,
        tenant="ada",
        is_said=False,
    ),
    _work(
        "bottle",
        "a bottle before eight backgrounds",
        _graph(
            product_picture(prompt="a bottle on wet slate, studio light", photograph="bottle.png"), speciality="product"
        ),
        takes_s=120,
        tenant="grace",
    ),
    _work(
        "tide-clip",
        "words become a picture, and the picture a clip",
        _graph(picture_then_clip(prompt="the tide comes in over black sand")),
        takes_s=200,
        tenant="grace",
        vram_mb=24_000,
    ),
    _work(
        "glacier-film",
        "a film of five seconds, 1280 x 720",
        _graph(film(prompt="a flight over a glacier at dawn")),
        takes_s=380,
        tenant="ada",
        is_said=False,
        vram_mb=24_000,
    ),
    _work(
        "poster-4k",
        "a photograph enlarged to 3840 x 2160",
        _graph(enlarged_to_4k(photograph="harbour.png")),
        takes_s=360,
        tenant="grace",
    ),
    _work(
        "house-style",
        "a LoRA trained on the house style",
        _graph(lora_training(folder="house-style")),
        takes_s=1_200,
        tenant="ada",
        vram_mb=24_000,
    ),
    _work(
        "ledger-chat",
        "an answer in two seconds, under enterprise terms",
        _CHAT,
        takes_s=2,
        tenant=ENTERPRISE_TENANT,
        is_said=False,
    ),
)
