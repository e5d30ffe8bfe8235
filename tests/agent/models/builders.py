"""Model files, orders and stores for the tests."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

from northstar.agent.models.options import ModelStoreOptions, World
from northstar.agent.models.sources.choice import SourceRules
from northstar.agent.models.store import ModelStore
from northstar.domain.models import ModelOrder
from northstar.policy.models.pace import Patience

QUICK = Patience(connect_s=2.0, stall_s=2.0, least_bytes_per_s=1.0, grace_s=60.0, attempts=3, backoff_s=0.001)


def safetensors(payload_bytes: int = 3_000, *, seed: int = 0) -> bytes:
    """A valid safetensors file."""
    payload = random.Random(seed).randbytes(payload_bytes)
    header = json.dumps({"w": {"dtype": "U8", "shape": [payload_bytes], "data_offsets": [0, payload_bytes]}}).encode()
    return len(header).to_bytes(8, "little") + header + payload


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def order(source: str, data: bytes | None = None, *, name: str = "a.safetensors", **more: Any) -> ModelOrder:
    """An order of a file whose bytes are known."""
    facts: dict[str, Any] = {"sha256": "unknown"}
    if data is not None:
        facts = {"sha256": sha256(data), "size_bytes": len(data)}
    return ModelOrder(name=name, **({"sources": (source,)} | facts | more))


def store(root: Path, *, world: World | None = None, sources: SourceRules | None = None, **more: Any) -> ModelStore:
    """A store that may fetch from the loopback and is quick to lose patience."""
    rules = sources or SourceRules(private_hosts=frozenset({"127.0.0.1"}))
    options = ModelStoreOptions(root=root, **({"sources": rules, "patience": QUICK} | more))
    return ModelStore(options, world=world)


def visible(root: Path) -> dict[str, bytes]:
    """Every file below a models folder that an engine can see."""
    files = (path for path in root.rglob("*") if path.is_file() and ".northstar" not in path.parts)
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def left_over(root: Path) -> list[str]:
    """Files of unfinished fetches and of unfinished evictions."""
    private = root / ".northstar"
    return sorted(path.name for folder in ("partial", "trash") for path in (private / folder).glob("*"))
