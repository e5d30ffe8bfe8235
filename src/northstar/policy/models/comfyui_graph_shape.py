"""The shape of a ComfyUI graph: equal for graphs that are expected to take equally long."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from northstar.policy.models.comfyui_graph import MAX_NUMBER, ComfyGraph, GraphNode
from northstar.policy.models.comfyui_graph_models import names_model

_DIGEST_CHARS: Final = 20
#: Of a node's digest, which goes into those of the nodes behind it.
_INNER_CHARS: Final = 32
_MAX_WORD: Final = 64
_MAX_NAME: Final = 256
_BACKSLASH: Final = "\\"
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


def shape_of(graph: ComfyGraph, running: Sequence[str]) -> str:
    """Digest the nodes that run, without their ids, texts, seeds and names of files that they read.

    `running` has sources before what uses them; a node's digest holds those of its sources, so that their order does not matter.
    """
    digests: dict[str, str] = {}
    for identity in running:
        digests[identity] = _digest(graph, graph.nodes[identity], digests)
    used = {link.node for identity in running for link in graph.nodes[identity].links.values()}
    ends = sorted(digest for identity, digest in digests.items() if identity not in used)
    return hashlib.sha256("".join(ends).encode()).hexdigest()[:_DIGEST_CHARS] if ends else ""


def _digest(graph: ComfyGraph, node: GraphNode, digests: Mapping[str, str]) -> str:
    parts: list[str] = []
    for name, value in node.values.items():
        if part := _part(name, value):
            parts.append(part)
    for name, link in node.links.items():
        if link.node not in graph.tellers or (value := graph.value(node, name)) is None:
            parts.append(f"{name}<{link.slot}{digests.get(link.node, '')}")
        elif part := _part(name, value):
            # It makes no difference whether a number stands in the node or in another one for it.
            parts.append(part)
    parts.sort()
    parts.append(node.class_type)
    return hashlib.sha256("\0".join(parts).encode(errors="replace")).hexdigest()[:_INNER_CHARS]


def _part(name: str, value: Any) -> str:
    """What of a value counts, with its name; empty if nothing does. Prompts are long, and are not even looked at."""
    is_short = len(value) <= _MAX_NAME if isinstance(value, str) else isinstance(value, (int, float))
    return _known_part(name, value) if is_short and len(name) <= _MAX_WORD else ""


@lru_cache(maxsize=8_192, typed=True)
def _known_part(name: str, value: str | float) -> str:
    if isinstance(value, str):
        counts = names_model(name, value) or (len(value) <= _MAX_WORD and _WORDS.search(name))
        return f"{name}={value.replace(_BACKSLASH, '/')}" if counts else ""
    # A switch counts whatever it is called.
    if isinstance(value, bool):
        return f"{name}={value}"
    if _GUIDANCE.search(name):
        return f"{name}={value == 1}"
    counts = _NUMBERS.search(name) and not _NOT_NUMBERS.search(name) and abs(value) <= MAX_NUMBER
    # Of `2` and `2.0` editors write now this, now that.
    return f"{name}={float(value)}" if counts else ""
