"""How well policy reads real ComfyUI workflows, and how fast: `python -m benchmarks templates --traces DIR`.

DIR holds `comfyui_templates_full.tar.gz`: workflows as the editor saves them, and `index.json`, which files each under what it makes.
The index is the judge, though not a perfect one: it files a workflow that makes pictures and then a film of them where its authors
wanted it to be seen.

A reading agrees with the index if what the index says is made is among the modalities, and none of the others is more derived: texts
become sounds and pictures, pictures become bodies, all of them become videos.
"""

from __future__ import annotations

import json
import tarfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks.contract import Options, Outcome
from benchmarks.measure import ProcessorWatch, Sample, quietest, spread
from benchmarks.template_decisions import Decided, broken_promises, changed, decided, digest, told
from northstar.domain.workloads import Modality, Workload
from northstar.policy.models.workload_of import workload_of

ARCHIVE: Final = "comfyui_templates_full.tar.gz"
#: Least share of readings that agree with the index.
GOAL_AGREEMENT: Final = 0.95
#: Most processor seconds for a graph of so many nodes.
GOAL_S, NODES = 0.002, 200
_ATTEMPTS: Final = 3
#: From what is derived least to what is derived most.
_DERIVED: Final[tuple[Modality, ...]] = ("text", "audio", "image", "3d", "video")
#: What the index calls otherwise.
_WORDS: Final = {"llm": "text"}


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow and what the index says about it; `files_under` is the kind of its category."""

    name: str
    workflow: Mapping[str, Any]
    entry: Mapping[str, Any]
    files_under: str

    @property
    def workload(self) -> Workload:
        return workload_of("comfyui", {"prompt": self.workflow}, kind="comfyui")


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of all workflows."""

    templates: int
    #: As defined above.
    agrees: float
    #: What the index says is made, among others or alone.
    among: float
    alone: float
    #: Entries of lists of models, each counted once a workflow, and those that were not read.
    listed: int
    missed: int
    #: Workflows that could not be read at all.
    unread: tuple[str, ...]
    disagreeing: tuple[str, ...]


def read(traces: Path) -> Iterator[tuple[str, Workload, Mapping[str, Any]]]:
    """Name, workload and entry of the index of each real workflow."""
    for template in templates(traces):
        yield template.name, template.workload, template.entry


def templates(traces: Path) -> list[Template]:
    """The real workflows, in the order of the index."""
    with tarfile.open(traces / ARCHIVE) as archive:
        files = {
            Path(member.name).name: content.read()
            for member in archive
            if member.isfile() and (content := archive.extractfile(member)) is not None
        }
    return [
        Template(
            name=entry["name"],
            workflow=json.loads(files[f"{entry['name']}.json"]),
            entry=entry,
            files_under=_WORDS.get(category["type"], category["type"]),
        )
        for category in json.loads(files["index.json"])
        for entry in category["templates"]
    ]


def decisions(found: Sequence[Template]) -> list[Decided]:
    """What the matrix decides for each, in the order of the index."""
    return [decided(one.name, one.workload, one.entry, files_under=one.files_under) for one in found]


def agreement(found: Sequence[Template]) -> Agreement:
    """Compare what was read with the index, and with another way to find lists of models."""
    agrees = among = alone = listed = missed = 0
    unread, disagreeing = [], []
    for template in found:
        workload = template.workload
        made = workload.modalities
        is_among = template.files_under in made
        is_last = is_among and max(made, key=_DERIVED.index) == template.files_under
        among, alone, agrees = among + is_among, alone + (made == (template.files_under,)), agrees + is_last
        expected = set(_listed(template.workflow))
        listed += len(expected)
        missed += len(expected - {(one.name, one.url, one.folder) for one in workload.downloads})
        if not workload.node_classes or not workload.shape:
            unread.append(template.name)
        if not is_last:
            disagreeing.append(f"{template.name}: {template.files_under}, read {'+'.join(made) or 'nothing'}")
    return Agreement(
        templates=len(found),
        agrees=agrees / len(found),
        among=among / len(found),
        alone=alone / len(found),
        listed=listed,
        missed=missed,
        unread=tuple(unread),
        disagreeing=tuple(disagreeing),
    )


def chain(nodes: int) -> dict[str, Any]:
    """A graph in the API format of so many nodes: samplers, each behind nodes that prepare for it, and one picture."""
    graph: dict[str, Any] = {
        "0": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "own.safetensors"}},
        "1": {"class_type": "EmptyLatentImage", "inputs": {"width": 1024, "height": 1024, "batch_size": 1}},
    }
    latent = "1"
    while len(graph) + 4 <= nodes - 2:
        at = len(graph)
        texts, sampler = (str(at), str(at + 1)), str(at + 3)
        for text in texts:
            graph[text] = {
                "class_type": "CLIPTextEncode",
                "inputs": {"text": "a hare in the snow " * 20, "clip": ["0", 1]},
            }
        graph[str(at + 2)] = {"class_type": "FreeU_V2", "inputs": {"model": ["0", 0], "b1": 1.3, "b2": 1.4}}
        numbers = {"seed": at, "steps": 20, "cfg": 7.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 0.5}
        links = {
            "model": [str(at + 2), 0],
            "positive": [texts[0], 0],
            "negative": [texts[1], 0],
            "latent_image": [latent, 0],
        }
        graph[sampler] = {"class_type": "KSampler", "inputs": numbers | links}
        latent = sampler
    graph["decode"] = {"class_type": "VAEDecode", "inputs": {"samples": [latent, 0], "vae": ["0", 2]}}
    graph["save"] = {"class_type": "SaveImage", "inputs": {"images": ["decode", 0], "filename_prefix": "own"}}
    return graph


def run(options: Options) -> Outcome:
    """Read all real workflows, where there are any, and a graph of our own against the clock."""
    samples = [
        quietest(partial(_sample, [{"prompt": chain(NODES)}] * (5 if options.quick else 50)), attempts=_ATTEMPTS)
        for _ in range(options.rounds)
    ]
    taken = spread(sample.value for sample in samples)
    word = "goal held" if taken.median <= GOAL_S else "GOAL MISSED"
    busy = "" if all(sample.quiet for sample in samples) else ", others used the machine meanwhile"
    lines = [
        f"{word}: a graph of {NODES} nodes in {taken.median * 1e3:.2f} ms of processor time; goal {GOAL_S * 1e3:g} ms{busy}"
    ]
    figures: dict[str, Any] = {f"{NODES} nodes, s": msgspec.to_builtins(taken)}
    if options.traces is None or not (options.traces / ARCHIVE).is_file():
        lines.append(f"no real workflows: --traces names no folder with {ARCHIVE}")
        return Outcome(text="\n".join(lines), figures=figures)
    found = templates(options.traces)
    each = _sample([{"prompt": template.workflow} for template in found])
    read_well, routed = agreement(found), decisions(found)
    return Outcome(
        text="\n".join(
            [
                *lines,
                *_told(read_well, found),
                f"{each.value * 1e3:.2f} ms of processor time each, on the average",
                *told(routed),
            ]
        ),
        figures=figures | msgspec.to_builtins(read_well) | {"each, s": each.value, "decisions": digest(routed)},
        failures=(*_failures(read_well), *broken_promises(routed)[:5], *changed(routed)),
    )


def _told(told: Agreement, found: Sequence[Template]) -> list[str]:
    word = "goal held" if told.agrees >= GOAL_AGREEMENT else "GOAL MISSED"
    workloads = [template.workload for template in found]
    sampled = [one for one in workloads if one.steps]
    videos = [one for one in sampled if "video" in one.modalities]
    unread = Counter(sentence for one in workloads for sentence in one.unread)
    return [
        f"{told.templates} workflows, {len(told.unread)} that cannot be read",
        f"{word}: {told.agrees:.1%} agree with the index; goal {GOAL_AGREEMENT:.0%}",
        f"what the index says is among what is made in {told.among:.1%}, alone in {told.alone:.1%}",
        f"{told.missed} of {told.listed} entries of lists of models missed",
        f"of {len(sampled)} with samplers, pixels are known of {sum(one.pixels > 0 for one in sampled)}",
        f"of {len(videos)} videos among them, frames of {sum(one.frames > 0 for one in videos)}",
        *(f"{count} times: {sentence}" for sentence, count in unread.most_common(5)),
        "they do not agree:",
        *(f"  {line}" for line in told.disagreeing),
    ]


def _failures(told: Agreement) -> tuple[str, ...]:
    failures = [f"{name} cannot be read" for name in told.unread[:5]]
    failures += [f"only {told.agrees:.1%} agree with the index"] if told.agrees < GOAL_AGREEMENT else []
    failures += [f"{told.missed} entries of lists of models missed"] if told.missed else []
    return tuple(failures)


def _sample(payloads: Sequence[Mapping[str, Any]]) -> Sample[float]:
    """Processor seconds for one payload."""
    watch, before_s = ProcessorWatch(), time.process_time()
    for payload in payloads:
        workload_of("comfyui", payload, kind="comfyui")
    return Sample(value=(time.process_time() - before_s) / len(payloads), others_cores=watch.read().others_cores)


def _listed(found: Any) -> Iterator[tuple[str, str, str]]:
    """Every entry of a list `models` under `properties`, wherever it stands; knows nothing of workflows."""
    if isinstance(found, list):
        for one in found:
            yield from _listed(one)
    elif isinstance(found, dict):
        properties = found.get("properties")
        for entry in (properties.get("models") or []) if isinstance(properties, dict) else []:
            yield entry["name"], entry["url"], entry.get("directory", "")
        for one in found.values():
            yield from _listed(one)
