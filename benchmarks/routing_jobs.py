"""Submissions as they come in: chats, pictures with LoRAs, films, trainings and embeddings, of tenants with terms and without.

Payloads repeat as people's do: most graphs are one of a few dozen that somebody has made, with another seed each time and often another
prompt. Every request is a payload of its own: none is the same object as another.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final

from northstar.domain.catalogue import CatalogueFile, CatalogueModel, CatalogueVersion
from northstar.domain.jobs import JobRequest
from northstar.domain.requirements import Requirements
from northstar.domain.tenancy import Tenants, TenantTerms

_GB: Final = 1_000_000_000
_CHECKPOINTS, _LORAS, _TEXTS, _FILMS, _GRAPHS = 60, 300, 12, 10, 40
#: A quarter of the tenants has agreed something.
TERMS: Final = {
    "acme": TenantTerms(enterprise=True, priority_at_least=50),
    "bank": TenantTerms(enterprise=True, regions=("eu-1",)),
    "clinic": TenantTerms(regions=("eu-1", "eu-2")),
}
#: What was agreed with all of them.
AGREED: Final = Tenants(tenants=TERMS)
_TENANTS: Final = (*TERMS, *(f"tenant-{number}" for number in range(9)))
_WORDS: Final = (
    "hare",
    "snow",
    "lighthouse",
    "moss",
    "copper",
    "rain",
    "train",
    "field",
    "glass",
    "harbour",
    "at",
    "the",
)
#: What comes in, in parts of all.
MIX: Final = {"chat": 0.35, "picture": 0.4, "embedding": 0.1, "film": 0.1, "training": 0.05}

Graph = dict[str, Any]


def catalogue() -> list[CatalogueModel]:
    """The models that the payloads name; a LoRA in three is not among them, as in real life."""
    found = [_model(f"base-{number}.safetensors", "checkpoint", 2 + number % 6) for number in range(_CHECKPOINTS)]
    found += [_model(f"lora-{number}.safetensors", "lora", 0.1) for number in range(_LORAS) if number % 3]
    found += [_model(f"chat-{number}", "llm", 4 + number) for number in range(_TEXTS)]
    for number in range(_FILMS):
        found += [_model(f"film-{number}-{noise}.safetensors", "diffusion_model", 14) for noise in ("high", "low")]
    return found


def requests(count: int, *, seed: int) -> list[JobRequest]:
    """So many submissions in a fixed order."""
    rng = random.Random(seed)
    makers: dict[str, Callable[[random.Random], JobRequest]] = {
        "chat": _chat,
        "picture": _picture,
        "embedding": _embedding,
        "film": _film,
        "training": _training,
    }
    kinds = rng.choices(list(MIX), list(MIX.values()), k=count)
    return [makers[kind](rng) for kind in kinds]


def _model(name: str, kind: Any, size_gb: float) -> CatalogueModel:
    file = CatalogueFile(
        name=name,
        kind=kind,
        size_bytes=round(size_gb * _GB),
        sha256="ab" * 32,
        sources=(f"https://models.example/{name}",),
    )
    version = CatalogueVersion(version="1", files=(file,))
    return CatalogueModel(name=name.removesuffix(".safetensors"), versions=(version,), current="1")


def _request(rng: random.Random, service: str, payload: Graph, **fields: Any) -> JobRequest:
    tenant = rng.choice(_TENANTS)
    regions = ("eu-1",) if rng.random() < 0.1 else ()
    return JobRequest(
        service=service,
        payload=payload,
        tenant=tenant,
        user=f"user-{rng.randrange(40)}",
        requires=Requirements(regions=regions),
        **fields,
    )


def _few(rng: random.Random, count: int) -> int:
    """One of so many, by Zipf's law."""
    return rng.choices(range(count), [1 / (number + 1) for number in range(count)])[0]


def _prompt(rng: random.Random, words: int = 30) -> str:
    return " ".join(rng.choices(_WORDS, k=words))


def _chat(rng: random.Random) -> JobRequest:
    turns = [
        {"role": "user" if turn % 2 == 0 else "assistant", "content": _prompt(rng, rng.randrange(5, 120))}
        for turn in range(rng.choice((1, 1, 3, 5, 9)))
    ]
    payload = {"model": f"chat-{_few(rng, _TEXTS)}", "messages": turns, "max_tokens": rng.choice((64, 256, 512, 1_024))}
    return _request(rng, "chat", payload)


def _embedding(rng: random.Random) -> JobRequest:
    return _request(rng, "chat", {"model": "chat-0", "input": [_prompt(rng) for _ in range(rng.choice((1, 4, 16)))]})


def _picture(rng: random.Random) -> JobRequest:
    """A graph of SDXL with up to two LoRAs, one of a few dozen that people use again."""
    graph = picture(random.Random(_few(rng, _GRAPHS)))
    return _request(rng, "comfy", {"prompt": _again(graph, rng)})


def _film(rng: random.Random) -> JobRequest:
    return _request(rng, "comfy", {"prompt": _again(film(_few(rng, _FILMS)), rng)})


def _training(rng: random.Random) -> JobRequest:
    graph = {
        "1": node("CheckpointLoaderSimple", ckpt_name=f"base-{_few(rng, _CHECKPOINTS)}.safetensors"),
        "2": node("LoadImageSetFromFolderNode", folder=f"set-{rng.randrange(1_000)}"),
        "3": node("TrainLoraNode", steps=1_500, rank=8, batch_size=1, seed=0, model=["1", 0], images=["2", 0]),
        "4": node("SaveLoRA", prefix="own", lora=["3", 1]),
    }
    return _request(rng, "comfy", {"prompt": _again(graph, rng)})


def _again(graph: Graph, rng: random.Random) -> Graph:
    """The same graph with another seed, and in two of three cases another prompt."""
    is_new_prompt = rng.random() < 2 / 3
    for described in graph.values():
        inputs = described["inputs"]
        for name in ("seed", "noise_seed"):
            if name in inputs:
                inputs[name] = rng.getrandbits(60)
        if is_new_prompt and "text" in inputs:
            inputs["text"] = _prompt(rng)
    return graph


def node(class_type: str, **inputs: Any) -> Graph:
    """A node of a graph in the API format."""
    return {"class_type": class_type, "inputs": inputs}


def picture(rng: random.Random) -> Graph:
    """A picture from a text: 8 to 20 nodes."""
    graph = {"1": node("CheckpointLoaderSimple", ckpt_name=f"base-{_few(rng, _CHECKPOINTS)}.safetensors")}
    origin = "1"
    for number in range(rng.choice((0, 1, 1, 2))):
        name, lora = f"l{number}", f"lora-{rng.randrange(_LORAS)}.safetensors"
        strength = {"strength_model": 0.8, "strength_clip": 1.0}
        graph[name] = node("LoraLoader", lora_name=lora, **strength, model=[origin, 0], clip=[origin, 1])
        origin = name
    graph["3"] = node("CLIPTextEncode", text=_prompt(rng), clip=[origin, 1])
    graph["4"] = node("CLIPTextEncode", text="blurry", clip=[origin, 1])
    side, batch = rng.choice((768, 1_024, 1_536)), rng.choice((1, 1, 2, 4))
    graph["5"] = node("EmptyLatentImage", width=side, height=side, batch_size=batch)
    latent = "5"
    for number in range(rng.choice((1, 1, 2, 3))):
        name = f"k{number}"
        graph[name] = node(
            "KSampler",
            seed=0,
            steps=rng.choice((20, 25, 30, 40)),
            cfg=5.5,
            sampler_name="euler",
            scheduler="normal",
            denoise=1.0 if number == 0 else 0.5,
            model=[origin, 0],
            positive=["3", 0],
            negative=["4", 0],
            latent_image=[latent, 0],
        )
        graph[f"u{number}"] = node("LatentUpscaleBy", upscale_method="nearest-exact", scale_by=1.5, samples=[name, 0])
        latent = f"u{number}"
    graph["7"] = node("VAEDecode", samples=[latent, 0], vae=["1", 2])
    graph["8"] = node("SaveImage", filename_prefix="own", images=["7", 0])
    return graph


def film(number: int) -> Graph:
    """A film from a picture: two models after each other."""
    sampler = {"cfg": 1.0, "sampler_name": "euler", "scheduler": "simple", "steps": 20, "noise_seed": 0}
    size = {"width": 832, "height": 480, "length": 81, "batch_size": 1}
    return {
        "1": node("UNETLoader", unet_name=f"film-{number}-high.safetensors", weight_dtype="default"),
        "2": node("UNETLoader", unet_name=f"film-{number}-low.safetensors", weight_dtype="default"),
        "3": node("CLIPLoader", clip_name="umt5.safetensors", type="wan"),
        "4": node("VAELoader", vae_name="wan_vae.safetensors"),
        "5": node("CLIPTextEncode", text="it hops away", clip=["3", 0]),
        "6": node("LoadImage", image="first.png"),
        "7": node("WanImageToVideo", **size, positive=["5", 0], vae=["4", 0], start_image=["6", 0]),
        "8": node(
            "KSamplerAdvanced", **sampler, start_at_step=0, end_at_step=10, model=["1", 0], latent_image=["7", 2]
        ),
        "9": node(
            "KSamplerAdvanced", **sampler, start_at_step=10, end_at_step=20, model=["2", 0], latent_image=["8", 0]
        ),
        "10": node("VAEDecode", samples=["9", 0], vae=["4", 0]),
        "11": node("CreateVideo", fps=16, images=["10", 0]),
        "12": node("SaveVideo", filename_prefix="film", format="auto", codec="auto", video=["11", 0]),
    }
