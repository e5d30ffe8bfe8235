"""Agreed scenarios that take a second: three people ask for pictures by two models, on two machines."""

from __future__ import annotations

from pathlib import Path

from northstar.evaluation.agreed.reading import Agreed, agreed_set

ROWS = [
    f'{1_733_054_400 + 60 * at},pictures,{"abc"[at % 3]},image,20,"[{{""name"":""{"xy"[at % 2]}.safetensors"",""kind"":""checkpoint"",""size_bytes"":6000000000}}]",20'
    for at in range(12)
]
TRACE = "\n".join(["submitted_s,service,user,modality,steps,models,ran_s", *ROWS, ""])
PAIR = """\
about: Twelve pictures on two machines.
evaluation:
  takes: 1s
  feeds:
    wait-10s: {beside: uniform-lru}
    completion: {}
    replicas: {}
    demand-held: {}
    availability-dynamic: {}
    redundant-cut-40: {cut: redundant, against: uniform-lru}
    dollars-cut: {cut: dollars, against: uniform-lru, of: whole}
workload:
  sources: [{from: own, trace: own.csv}]
fleet:
  kinds:
    l4: {gpu: NVIDIA L4, vram_gb: 24, disk_gb: 10, pools: [lightning], services: [pictures], price_usd_per_hour: 0.5}
  groups:
    - {name: all, kind: l4, count: 2}
policies: [north-star, uniform-lru]
settings: {routing: uniform}
"""
WHOLE = """\
about: The same on one that holds every model.
evaluation:
  takes: 1s
  every_model: true
workload:
  sources: [{from: own, trace: own.csv}]
fleet:
  kinds:
    a100: {gpu: NVIDIA A100, vram_gb: 80, disk_gb: 80, pools: [fast-lane], services: [pictures], price_usd_per_hour: 2}
  groups:
    - {name: all, kind: a100, count: 1}
policies: [uniform-lru]
settings: {routing: uniform}
"""


def written(folder: Path, **scenarios: str) -> Path:
    """A folder with a set called `tiny`, and the trace beside it in `traces`."""
    (folder / "sets" / "tiny").mkdir(parents=True, exist_ok=True)
    (folder / "traces").mkdir(exist_ok=True)
    (folder / "traces" / "own.csv").write_text(TRACE)
    for name, text in (scenarios or {"pair": PAIR, "whole": WHOLE}).items():
        (folder / "sets" / "tiny" / f"{name}.yaml").write_text(text)
    return folder / "sets"


def tiny(folder: Path, **scenarios: str) -> tuple[Agreed, ...]:
    """The set, read."""
    return agreed_set("tiny", traces=folder / "traces", folder=written(folder, **scenarios))
