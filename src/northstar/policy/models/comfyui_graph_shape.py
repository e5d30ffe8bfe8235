"""The shape of a ComfyUI graph: equal for graphs that are expected to take equally long."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec

from northstar.policy.models.comfyui_graph import MAX_NUMBER, ComfyGraph, GraphNode
from northstar.policy.models.comfyui_graph_models import is_model_file

_DIGEST_CHARS: Final = 20
_MAX_WORD: Final = 64
#: Inputs whose numbers change how long a node runs. Strengths, guidance and the like are turned all the time and do not.
_NUMBERS: Final = re.compile(
    r"step|width|height|length|frame|batch|amount|count|scale|size|megapixel|duration|second|fps|tile|overlap|resolution|factor|"
    r"num_|loops?$|iterations|^n$|max_tokens|face|polygon",
    re.IGNORECASE,
)
_NOT_NUMBERS: Final = re.compile(r"seed|strength|weight|noise|bucket", re.IGNORECASE)
#: Inputs whose words are one of a list, and change how long a node runs.
_WORDS: Final = re.compile(
    r"sampler|scheduler|method|resolution|size|ratio|duration|quality|dtype|precision|device|^model(?!_prompt)|^mode$|preset|noise$",
    re.IGNORECASE,
)
#: Guidance of 1 spares every sampler half of its work.
_GUIDANCE: Final = re.compile(r"^cfg$|cfg_scale")


class _Use(msgspec.Struct, frozen=True, kw_only=True):
    words: bool
    numbers: bool
    is_guidance: bool


def shape_of(graph: ComfyGraph, running: Sequence[str]) -> str:
    """Digest the nodes that run, without their ids, texts, seeds and names of files that they read.

    `running` has sources before what uses them; a node's digest holds those of its sources, so that their order does not matter.
    """
    digests: dict[str, str] = {}
    used: set[str] = set()
    for identity in running:
        node = graph.nodes[identity]
        digests[identity] = _digest(graph, node, digests)
        used.update(link.node for link in node.links.values())
    ends = sorted(digest for identity, digest in digests.items() if identity not in used)
    return hashlib.sha256("".join(ends).encode()).hexdigest()[:_DIGEST_CHARS] if ends else ""


def _digest(graph: ComfyGraph, node: GraphNode, digests: Mapping[str, str]) -> str:
    parts = [f"{name}={said}" for name, value in node.values.items() if (said := _said(name, value)) is not None]
    for name, link in node.links.items():
        value = graph.value(node, name) if link.node in graph.tellers else None
        if value is not None:
            # It makes no difference whether a number stands in the node or in another one for it.
            said = _said(name, value)
            parts += [] if said is None else [f"{name}={said}"]
        elif (source := digests.get(link.node)) is not None:
            parts.append(f"{name}<{link.slot}{source}")
    parts.sort()
    return hashlib.sha256("\0".join([node.class_type, *parts]).encode(errors="replace")).hexdigest()


def _said(name: str, value: Any) -> str | float | None:
    """What of a value counts; None if nothing does."""
    if isinstance(value, str):
        if is_model_file(value):
            return value.replace("\\", "/")
        return value if 0 < len(value) <= _MAX_WORD and _use(name[:_MAX_WORD]).words else None
    if isinstance(value, int | float) and abs(value) <= MAX_NUMBER:
        use = _use(name[:_MAX_WORD])
        if use.is_guidance:
            return "1" if value == 1 else "more"
        # A switch counts whatever it is called; of `2` and `2.0` editors write now this, now that.
        return float(value) if use.numbers or isinstance(value, bool) else None
    return None


@lru_cache(maxsize=4_096)
def _use(name: str) -> _Use:
    """What of an input of this name counts."""
    numbers = bool(_NUMBERS.search(name)) and not _NOT_NUMBERS.search(name)
    return _Use(words=bool(_WORDS.search(name)), numbers=numbers, is_guidance=bool(_GUIDANCE.search(name)))
