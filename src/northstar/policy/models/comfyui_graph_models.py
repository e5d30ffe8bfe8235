"""The model files that a ComfyUI graph loads, and those that a saved workflow says where to have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from northstar.domain.models import ModelKind
from northstar.domain.workloads import ModelDownload, ModelUse
from northstar.policy.models.comfyui_graph import ComfyGraph, GraphNode
from northstar.policy.models.folders import kind_of
from northstar.policy.models.names import PICKLES, PLAIN

MAX_MODELS: Final = 500
_MAX_NAME: Final = 256
_MAX_URL: Final = 4_096
_ENDINGS: Final = (*PLAIN, *PICKLES)
_ENDING_CHARS: Final = max(map(len, _ENDINGS))
_FOLDER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\ud800-\udfff]")

#: Inputs for what people write, whatever it ends with.
_PROMPTS: Final = re.compile(
    r"text(_[a-z0-9])?|prompt(_[0-9]+)?|.*_prompt|string(_[a-z])?|caption|lyrics|tags|positive|negative|filename_prefix"
)
#: By the input that names the file.
_INPUTS: Final[tuple[tuple[ModelKind, re.Pattern[str]], ...]] = (
    ("checkpoint", re.compile(r"^ckpt")),
    ("diffusion_model", re.compile(r"^(unet|diffusion_model)")),
    ("vae", re.compile(r"^vae")),
    ("lora", re.compile(r"^lora")),
    ("controlnet", re.compile(r"^(control_?net|control_net)")),
    ("text_encoder", re.compile(r"^(clip_name|text_encoder|t5)")),
    ("upscaler", re.compile(r"^upscale_model")),
)
#: By words of the class that loads it, where the input does not say, or says too little.
_CLASSES: Final[tuple[tuple[ModelKind, re.Pattern[str]], ...]] = (
    ("other", re.compile(r"CLIPVision|Style|LatentUpscale|ModelPatch|PhotoMaker|GLIGEN|Hypernetwork|AudioEncoder")),
    ("lora", re.compile(r"Lo[Rr][Aa]")),
    ("llm", re.compile(r"LLM|[Ll]lama|QwenVL|GGUF\w*Chat")),
    ("upscaler", re.compile(r"Upscale(Model)?|ESRGAN")),
    ("controlnet", re.compile(r"Control_?[Nn]et|T2IAdapter")),
    ("vae", re.compile(r"VAE")),
    ("text_encoder", re.compile(r"CLIP|TextEncoder|T5")),
    ("diffusion_model", re.compile(r"U[Nn][Ee][Tt]|[Dd]iffusionModel")),
    ("checkpoint", re.compile(r"Checkpoint")),
)


def models_of(
    graph: ComfyGraph, running: Iterable[str], downloads: Sequence[ModelDownload]
) -> tuple[tuple[ModelUse, ...], tuple[str, ...]]:
    """The models that nodes which run load, sorted, each once; and what of them was left out.

    A file's kind is that of the folder which the workflow's own list gives it, else what the loader's input or class says.
    """
    folders = {one.name: one.folder for one in downloads}
    found: dict[str, ModelKind] = {}
    odd = 0
    for identity in running:
        node = graph.nodes[identity]
        for key, value in _words(graph, node):
            if not names_model(key, value):
                continue
            name = value.replace("\\", "/")
            if _UNPRINTABLE.search(name) or len(found) >= MAX_MODELS:
                odd += 1
            elif found.get(name, "other") == "other":
                found[name] = _kind(name, key, node, folders)
    unread = (f"{odd} names of models are not printable or too many",) if odd else ()
    return tuple(sorted(ModelUse(name, kind) for name, kind in found.items())), unread


def names_model(key: str, text: str) -> bool:
    """Whether what an input is set to is the name of a model file: by its ending, unless the input is for people's words.

    >>> names_model("lora_name", "styles/ink.SafeTensors"), names_model("image", "ink.png"), names_model("text", "no .ckpt")
    (True, False, False)
    """
    # Prompts are long and many: they are told by their length, or by their last letters.
    is_file = len(text) <= _MAX_NAME and text[-_ENDING_CHARS:].lower().endswith(_ENDINGS)
    return is_file and not _PROMPTS.fullmatch(key)


def downloads_of(nodes: Iterable[Mapping[str, Any]]) -> tuple[tuple[ModelDownload, ...], tuple[str, ...]]:
    """What the `properties.models` of a workflow's nodes say, each once and in their order; and what of it was left out."""
    found: dict[ModelDownload, None] = {}
    odd = 0
    for node in nodes:
        properties = node.get("properties")
        listed = properties.get("models") if isinstance(properties, dict) else None
        for entry in listed if isinstance(listed, list) else ():
            one = _download(entry)
            if one is None or len(found) >= MAX_MODELS:
                odd += one not in found
            else:
                found[one] = None
    unread = (f"{odd} entries of lists of models have no usable name and address, or are too many",) if odd else ()
    return tuple(found), unread


def _words(graph: ComfyGraph, node: GraphNode) -> Iterator[tuple[str, str]]:
    """The texts that a node's inputs are set to."""
    for key, value in node.values.items():
        if isinstance(value, str):
            yield key, value
        elif isinstance(value, dict) and value.get("on") is not False:
            # Loaders with a list of rows write each as an object with a switch of its own.
            yield from ((key, one) for one in value.values() if isinstance(one, str))
    for key, link in node.links.items():
        if link.node in graph.tellers and isinstance(value := graph.value(node, key), str):
            yield key, value


def _kind(name: str, key: str, node: GraphNode, folders: Mapping[str, str]) -> ModelKind:
    folder = folders.get(name) or folders.get(name.rpartition("/")[2], "")
    if folder and kind_of(folder) != "other":
        return kind_of(folder)
    by_class = next((kind for kind, words in _CLASSES if words.search(node.class_type)), None)
    if by_class == "other" or folder:
        return "other"
    return next((kind for kind, words in _INPUTS if words.search(key)), by_class or "other")


def _download(entry: Any) -> ModelDownload | None:
    match entry:
        case {"name": str(name), "url": str(url)} if 0 < len(name) <= _MAX_NAME and 0 < len(url) <= _MAX_URL:
            pass
        case _:
            return None
    if _UNPRINTABLE.search(name + url):
        return None
    folder, digest, algorithm = entry.get("directory"), entry.get("hash"), entry.get("hash_type")
    is_hash = isinstance(digest, str) and _SHA256.fullmatch(digest.lower()) is not None
    is_sha256 = is_hash and str(algorithm or "sha256").lower().replace("-", "") == "sha256"
    return ModelDownload(
        name=name.replace("\\", "/"),
        url=url,
        folder=folder if isinstance(folder, str) and _FOLDER.fullmatch(folder) else "",
        sha256=digest.lower() if is_sha256 else "",
    )
