"""What the name of a ComfyUI node class says about what the node does.

ComfyUI tells what a class returns and whether it leaves files only in `/object_info` of a server that has it. Routing comes before
any server is asked, so this reads names: those of ComfyUI's own classes by heart, others by the words that they are made of.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import msgspec

from northstar.domain.workloads import Modality
from northstar.policy.models.core_nodes import CORE_NODE_CLASSES

_MAX_CLASSES: Final = 4_096

#: Words of media, the telling before the vague: a `SaveAnimatedWEBP` leaves a video, a `SaveGLB` a mesh.
_MEDIA: Final[tuple[tuple[Modality, re.Pattern[str]], ...]] = (
    ("video", re.compile(r"Video|Animated|WEBM|GIF|MP4|video|webm")),
    ("audio", re.compile(r"Audio|MP3|Opus|FLAC|Wav|Sound|Speech|audio")),
    ("3d", re.compile(r"3D|GLB|Mesh|Splat|Gaussian|FBX|STL|PLY|Voxel|mesh")),
    ("image", re.compile(r"Image|SVG|PNG|Jpe?g|Picture|Mask|EXR|image")),
    ("text", re.compile(r"Text|String|Txt|JSON|Caption|text|string")),
)
_SAVES: Final = re.compile(
    r"^(Save|Export|Write|Upload)|(Image|Video|Audio|Text)\s?Save|VideoCombine|[a-z]Save\w*Image|(Checkpoint|Model|VAE|CLIP)Save$"
)
_KEEPS_NO_MEDIUM: Final = re.compile(r"Lo[Rr][Aa]|Latent|Checkpoint|Model(?!3D|To)|Conditioning")
_SHOWS: Final = re.compile(r"^(Mask)?Preview|^(Show|Display)|Image ?Compare")
_TRAINS: Final = re.compile(r"(?<![a-z])[Tt]rain(er|ing)?(?![a-z])")
_SAMPLES: Final = re.compile(r"Sampler(?!Select|Selector)")
#: `SamplerLCM` and the like describe a way to sample and do not sample.
_WAY_TO_SAMPLE: Final = re.compile(r"^Sampler(?!Custom)")
_INNER: Final = re.compile(r"Loader|^Load(?!3D)|^Primitive|^Empty|Encode|Conditioning|Select(or)?$|^Get|^Note")
_ANIMATES: Final = re.compile(r"AnimateDiff|^ADE_")

#: Words of nodes that make a medium by themselves, often through somebody else's service; blanks between them mean nothing.
_MAKING_WORDS: Final[tuple[tuple[Modality, str], ...]] = (
    (
        "video",
        "ToVideo(?!Latent) | Video(Node|Api|Edit|Generat|Translate) | Lip[Ss]ync | MotionControl | (?<![A-Z])[IT]2V",
    ),
    (
        "text",
        "LLM | TextGenerate | Chat(Node|Completion) | ^(Gemini|Claude)Node | QwenVL | Florence2Run | Captioner | ToText$",
    ),
    ("audio", "To(Speech|Music|Dialogue|Sound|Audio|SFX) | TTS | Music(Gen|Node) | GenerateMusic"),
    ("3d", r"To(3D|Mesh)(?!\w*Latent) | (Image|Text|view)ToModel | Rodin3D | ModelTo3D | GaussianSplat"),
    ("image", r"TextToImage | GPTImage | DallE | NanoBanana | Image(Edit|Generat|Modify)\w*(Node|Api)"),
    ("image", "(?<!Style)(?<!Prompt)(?<!Talking)ImageNode"),
)
_MAKERS: Final = tuple((modality, re.compile(words, re.VERBOSE)) for modality, words in _MAKING_WORDS)
#: Where a sampler begins: what is in the latent.
_LATENTS: Final[tuple[tuple[Modality, re.Pattern[str]], ...]] = (
    ("audio", re.compile(r"Empty\w*Audio")),
    ("3d", re.compile(r"Empty\w*(3D|Trellis|Structure)")),
    ("video", re.compile(r"Empty\w*Video|ToVideo(Latent|Inplace|Extend)?$|[Ii]mg2[Vv]id|ImgToVideo")),
    ("image", re.compile(r"^Empty\w*Latent")),
)
#: Nodes whose width and height speak of what they make; those of others place something, or tell a text encoder a size.
_SIZED: Final = re.compile(r"Latent|ToVideo|EmptyImage|Scale|Resize|[Ii]mg2vid|Video|ToImage|ImageNode")
_NOT_SIZED: Final = re.compile(r"Encode(?!r)|Crop|Composite|Schedule")
_FRAMED: Final = re.compile(r"Latent|Video|[Ii]mg2[Vv]id|Sampler|Wan|LTX")


class NodeTraits(msgspec.Struct, frozen=True, kw_only=True):
    """What a node class does, as far as its name tells."""

    #: Leaves files behind, and what is in them.
    saves: bool = False
    #: Shows something without keeping it.
    shows: bool = False
    medium: Modality | None = None
    #: Makes a medium by itself.
    makes: Modality | None = None
    #: Makes the latent that a sampler works on.
    latent: Modality | None = None
    samples: bool = False
    trains: bool = False
    animates: bool = False
    #: Its width and height, and its length, are those of what it makes.
    is_sized: bool = False
    is_framed: bool = False
    #: Is of no use unless another node takes what it gives.
    is_inner: bool = False

    @property
    def leaves(self) -> bool:
        """Whether it runs even if no other node takes what it gives."""
        return self.saves or self.shows


@lru_cache(maxsize=_MAX_CLASSES)
def traits_of(class_type: str) -> NodeTraits:
    """Read the name of a class.

    >>> traits_of("SaveAnimatedWEBP").medium, traits_of("KSampler").samples, traits_of("SamplerLCM").samples
    ('video', True, False)
    >>> traits_of("EmptyHunyuanLatentVideo").latent, traits_of("ImageConstrain").trains
    ('video', False)
    """
    saves, shows = bool(_SAVES.search(class_type)), bool(_SHOWS.search(class_type))
    has_medium = (saves or shows) and not _KEEPS_NO_MEDIUM.search(class_type)
    trains = bool(_TRAINS.search(class_type))
    is_core = class_type in CORE_NODE_CLASSES
    return NodeTraits(
        saves=saves,
        shows=shows,
        medium=_first(_MEDIA, class_type) if has_medium else None,
        makes=None if saves or shows else _first(_MAKERS, class_type),
        latent=_first(_LATENTS, class_type),
        samples=bool(_SAMPLES.search(class_type)) and not _WAY_TO_SAMPLE.search(class_type),
        trains=trains,
        animates=bool(_ANIMATES.search(class_type)),
        is_sized=bool(_SIZED.search(class_type)) and not _NOT_SIZED.search(class_type),
        is_framed=bool(_FRAMED.search(class_type)) and "Audio" not in class_type,
        is_inner=not (saves or shows or trains) and (is_core or bool(_INNER.search(class_type))),
    )


def _first(table: tuple[tuple[Modality, re.Pattern[str]], ...], class_type: str) -> Modality | None:
    return next((modality for modality, words in table if words.search(class_type)), None)
