"""The shape of a ComfyUI graph: equal for graphs that are expected to take equally long."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from northstar.policy.models.comfyui_graph import ComfyGraph, GraphNode
from northstar.policy.models.names import PICKLES, PLAIN

_DIGEST_CHARS: Final = 20
_MAX_WORD: Final = 64
_ENDINGS: Final = (*PLAIN, *PICKLES)
#: Inputs whose numbers change how long a node runs. Strengths, guidance and the like are turned all the time and do not.
_NUMBERS: Final = re.compile(
    r"step|width|height|length|frame|batch|amount|count|scale|size|megapixel|duration|second|fps|tile|overlap|resolution|factor|"
    r"num_|loops?$|iterations|^n$|^value$|max_tokens|face|polygon",
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
    digests: dict[str, bytes] = {}
    used: set[str] = set()
    for identity in running:
        node = graph.nodes[identity]
        digests[identity] = _digest(graph, node, digests)
        used.update(link.node for link in node.links.values())
    ends = sorted(digest for identity, digest in digests.items() if identity not in used)
    return hashlib.sha256(b"".join(ends)).hexdigest()[:_DIGEST_CHARS] if ends else ""


def _digest(graph: ComfyGraph, node: GraphNode, digests: Mapping[str, bytes]) -> bytes:
    parts = [node.class_type.encode(errors="replace")]
    for name in sorted({*node.values, *node.links}):
        link = node.links.get(name)
        if link is not None and link.node in digests:
            parts.append(b"%s<%d" % (name.encode(errors="replace"), link.slot) + digests[link.node])
            continue
        said = _said(name, graph.value(node, name) if link is not None else node.values[name])
        if said:
            parts.append(f"{name}={said}".encode(errors="replace"))
    return hashlib.sha256(b"\0".join(parts)).digest()


def _said(name: str, value: Any) -> str:
    """What of a value counts; empty if nothing does."""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int | float):
        kind = _kind(name)
        if kind == "guidance":
            return "1" if value == 1 else "more"
        return f"{value:.6g}" if kind == "number" else ""
    if not isinstance(value, str) or not value:
        return ""
    if value.lower().endswith(_ENDINGS):
        return value.replace("\\", "/")
    return value if len(value) <= _MAX_WORD and _WORDS.search(name) else ""


@lru_cache(maxsize=4_096)
def _kind(name: str) -> str:
    if _GUIDANCE.search(name):
        return "guidance"
    return "number" if _NUMBERS.search(name) and not _NOT_NUMBERS.search(name) else ""
