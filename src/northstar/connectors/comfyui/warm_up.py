"""The small run that proves, before a machine takes work, that its ComfyUI does too."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from northstar.connectors.contract import Json
from northstar.connectors.errors import EngineRejected


def warm_up_payload(
    configured: Mapping[str, Json] | None, node_classes: Collection[str], *, salt: int, service: str
) -> Mapping[str, Json]:
    """The payload of the warm-up: the configured one, else a picture of one colour, previewed and not kept.

    `salt` chooses the colour, so that the server cannot answer from its cache.

    Raises:
        EngineRejected: nothing is configured, and the server lacks the nodes for a picture of one colour.
    """
    if configured is not None:
        return configured
    leaf = next((node for node in ("PreviewImage", "SaveImage") if node in node_classes), None)
    if leaf is None or "EmptyImage" not in node_classes:
        raise EngineRejected("it lacks EmptyImage or PreviewImage, so a warm_up must be configured", service=service)
    last: dict[str, Any] = {"images": ["1", 0]}
    if leaf == "SaveImage":
        last["filename_prefix"] = "northstar-warm-up"
    size = {"width": 64, "height": 64, "batch_size": 1, "color": salt % 0xFFFFFF}
    graph = {"1": {"class_type": "EmptyImage", "inputs": size}, "2": {"class_type": leaf, "inputs": last}}
    return {"prompt": graph}
