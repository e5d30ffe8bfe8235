"""Which folder of a ComfyUI models directory holds which kind of model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from northstar.domain.models import ModelKind

#: Folders by the kind of what lies in them. Of one kind the first is where new files go. Any other folder is `other`.
_FOLDERS: Final[dict[ModelKind, tuple[str, ...]]] = {
    "checkpoint": ("checkpoints",),
    "diffusion_model": ("diffusion_models", "unet"),
    "llm": ("llm", "LLM"),
    "vae": ("vae",),
    "text_encoder": ("text_encoders", "clip"),
    "controlnet": ("controlnet", "t2i_adapter"),
    "upscaler": ("upscale_models",),
    "lora": ("loras",),
    "embedding": ("embeddings",),
    "other": ("other",),
}
_KINDS: Final = {folder: kind for kind, folders in _FOLDERS.items() for folder in folders}


def kind_of(folder: str) -> ModelKind:
    """The kind of model that a folder holds.

    >>> kind_of("unet"), kind_of("clip_vision")
    ('diffusion_model', 'other')
    """
    return _KINDS.get(folder, "other")


def family_of(folder: str) -> str:
    """The folder that stands for all that an engine looks through for the same name.

    >>> family_of("clip"), family_of("loras")
    ('text_encoders', 'loras')
    """
    kind = kind_of(folder)
    return folder if kind == "other" else _FOLDERS[kind][0]


def folder_for(kind: ModelKind, *, wish: str = "") -> str:
    """Where a new file goes: the wish, where there is one, else the usual folder of its kind."""
    return wish or _FOLDERS[kind][0]
