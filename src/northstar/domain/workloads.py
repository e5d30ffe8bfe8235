"""What a job is made of, as far as its payload tells: what the decision matrix and the duration estimate read."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from northstar.domain.models import ModelKind, ModelName

#: What goes in or comes out. `3d` is meshes; `embedding` is vectors of texts.
Modality = Literal["text", "image", "video", "audio", "3d", "embedding"]
#: The four specialities of the Standard pool (spec, "Specialization Sub-pools").
Speciality = Literal["photography", "art", "product", "multi-modal"]

_Count = Annotated[int, msgspec.Meta(ge=0, le=10**15)]
#: Name of a node class; ComfyUI's have blanks, brackets and letters of all scripts.
NodeClass = Annotated[str, msgspec.Meta(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f]+$")]


class ModelUse(msgspec.Struct, frozen=True, order=True):
    """A model file that the payload names, and what kind of model it is loaded as."""

    name: ModelName
    kind: ModelKind = "other"


class ModelDownload(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a payload says that a model file can be had. It is what the payload says: nobody has looked."""

    name: ModelName
    url: Annotated[str, msgspec.Meta(min_length=1, max_length=4_096)]
    #: Folder below the models folder, as ComfyUI calls it; empty: it does not say.
    folder: Annotated[str, msgspec.Meta(max_length=64, pattern=r"^([A-Za-z0-9][A-Za-z0-9_-]*)?$")] = ""
    #: The file's SHA-256 in hexadecimal; empty: it does not say.
    sha256: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?$")] = ""


class Workload(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A payload, read. Zero and empty mean "not known" or "does not apply"; nothing is ever guessed into a field."""

    #: What its results are, sorted; several for a chain such as text → image → video.
    modalities: tuple[Modality, ...] = ()
    #: Short text that is equal for jobs of which equal times are expected: the graph without prompts, seeds and file names of inputs.
    shape: str = ""
    models: tuple[ModelUse, ...] = ()
    #: Where the payload says that models can be had, also models that it does not use as it stands.
    downloads: tuple[ModelDownload, ...] = ()
    #: ComfyUI's node classes, sorted, each once.
    node_classes: tuple[NodeClass, ...] = ()
    #: Denoising steps over all samplers, and the steps of a training.
    steps: _Count = 0
    #: Pixels of one picture or frame, the largest that the work makes.
    pixels: _Count = 0
    #: Frames of a video; seconds of sound times its rate are not frames.
    frames: _Count = 0
    #: Pictures (or videos) that come out: the batch.
    images: _Count = 0
    #: Tokens that a text engine may make at most, and letters that it reads.
    tokens: _Count = 0
    input_chars: _Count = 0
    #: Of the Standard pool, where the payload or its submitter says it.
    speciality: Speciality | None = None
    #: Trains or fine-tunes a model.
    is_training: bool = False
    #: Uses models or nodes that their owner calls experimental.
    is_experimental: bool = False
    #: What of the payload could not be read, in sentences.
    unread: tuple[str, ...] = ()

    @property
    def is_multi_modal(self) -> bool:
        """Whether it makes several kinds of things (spec, flowchart: "Multi-Modal")."""
        return len(self.modalities) > 1
