"""ComfyUI's workflow templates with how often each was used: the law of what people ask for beside pictures and chats.

The condensed list of `comfyui-workflow-templates` (MIT): name, modality, bytes of all its models, use count, node types, models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from northstar.simulation.workload.errors import TraceEmpty
from northstar.simulation.workload.table import json_document_of

if TYPE_CHECKING:
    from pathlib import Path

TemplateModality = Literal["image", "video", "audio", "3d", "llm"]
_Text = Annotated[str, msgspec.Meta(max_length=4_096)]


class TemplateModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model file that a template names; nobody says how large it is."""

    #: Folder below the models folder, which says what kind of model it is.
    directory: _Text
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    url: _Text = ""


class Template(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A workflow that many people start from."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    title: _Text = ""
    category: _Text = ""
    modality: TemplateModality
    #: Whether all its models are open; None: the list does not say.
    open_source: bool | None = None
    #: Of all its models together; 0 or None: not known, or it calls a service elsewhere and has none.
    size_bytes: Annotated[int, msgspec.Meta(ge=0, le=10**13)] | None = None
    #: How often it was used.
    usage: Annotated[int, msgspec.Meta(ge=0, le=10**12)]
    date: _Text = ""
    node_types: tuple[_Text, ...] = ()
    models: tuple[TemplateModel, ...] = ()

    @property
    def runs_here(self) -> bool:
        """Whether a fleet's machines can run it: it is known which files it needs. Others call services elsewhere."""
        return bool(self.models)


def templates(path: Path) -> tuple[Template, ...]:
    """All templates, as the file has them. Raises what `json_document_of` does, and TraceEmpty for an empty list."""
    found = json_document_of(path, tuple[Template, ...])
    if not found:
        raise TraceEmpty(path)
    return found
