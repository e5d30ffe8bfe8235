"""What the values of a saved workflow's node are called: the workflow keeps them as a list, in the order of the class's own inputs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

#: What the editor puts behind each seed: whether it shall be another one the next time.
_AFTER_GENERATE: Final = frozenset({"fixed", "increment", "decrement", "randomize", "increment-wrap"})
_VIDEO: Final = "width height length batch_size"
#: Inputs that are set and not linked, of ComfyUI's own classes whose values tell about the work; `seed` includes what stands behind it.
_ORDER: Final[dict[str, tuple[str, ...]]] = {
    name: tuple(inputs.split())
    for name, inputs in {
        "BasicScheduler": "scheduler steps denoise",
        "CheckpointLoaderSimple": "ckpt_name",
        "CLIPLoader": "clip_name type device",
        "ControlNetLoader": "control_net_name",
        "CreateVideo": "fps",
        "DualCLIPLoader": "clip_name1 clip_name2 type device",
        "EmptyAceStepLatentAudio": "seconds batch_size",
        "EmptyCosmosLatentVideo": _VIDEO,
        "EmptyFlux2LatentImage": "width height batch_size",
        "EmptyHunyuanLatentVideo": _VIDEO,
        "EmptyImage": "width height batch_size color",
        "EmptyLatentAudio": "seconds batch_size",
        "EmptyLatentImage": "width height batch_size",
        "EmptyLTXVLatentVideo": _VIDEO,
        "EmptyMochiLatentVideo": _VIDEO,
        "EmptySD3LatentImage": "width height batch_size",
        "Flux2Scheduler": "steps width height",
        "EmptyHunyuanVideo15Latent": _VIDEO,
        "HunyuanVideo15ImageToVideo": _VIDEO,
        "HunyuanImageToVideo": f"{_VIDEO} guidance_type",
        "ImageOnlyCheckpointLoader": "ckpt_name",
        "ImageScale": "upscale_method width height crop",
        "ImageScaleBy": "upscale_method scale_by",
        "ImageScaleToTotalPixels": "upscale_method megapixels",
        "KSampler": "seed steps cfg sampler_name scheduler denoise",
        "KSamplerAdvanced": "add_noise noise_seed steps cfg sampler_name scheduler start_at_step end_at_step return_with_leftover_noise",
        "KSamplerSelect": "sampler_name",
        "LatentUpscale": "upscale_method width height crop",
        "LatentUpscaleBy": "upscale_method scale_by",
        "LoadAudio": "audio",
        "LoadImage": "image upload",
        "LoadVideo": "file upload",
        "LoraLoader": "lora_name strength_model strength_clip",
        "LoraLoaderModelOnly": "lora_name strength_model",
        "LTXVImgToVideo": f"{_VIDEO} strength",
        "LTXVScheduler": "steps max_shift base_shift stretch terminal",
        "ManualSigmas": "sigmas",
        "PrimitiveBoolean": "value",
        "PrimitiveFloat": "value",
        "PrimitiveInt": "value",
        "PrimitiveString": "value",
        "PrimitiveStringMultiline": "value",
        "AlignYourStepsScheduler": "model_type steps denoise",
        "BetaSamplingScheduler": "steps alpha beta",
        "ComfyMathExpression": "expression",
        "ComfySwitchNode": "switch",
        "ExponentialScheduler": "steps sigma_max sigma_min",
        "GITSScheduler": "coeff steps denoise",
        "KarrasScheduler": "steps sigma_max sigma_min rho",
        "LaplaceScheduler": "steps sigma_max sigma_min mu beta",
        "PolyexponentialScheduler": "steps sigma_max sigma_min rho",
        "VPScheduler": "steps beta_d beta_min eps_s",
        "RandomNoise": "noise_seed",
        "RepeatImageBatch": "amount",
        "RepeatLatentBatch": "amount",
        "SamplerCustom": "add_noise noise_seed cfg",
        "SaveAudio": "filename_prefix",
        "SaveImage": "filename_prefix",
        "SDTurboScheduler": "steps denoise",
        "SplitSigmas": "step",
        "SplitSigmasDenoise": "denoise",
        "SVD_img2vid_Conditioning": "width height video_frames motion_bucket_id fps augmentation_level",
        "TripleCLIPLoader": "clip_name1 clip_name2 clip_name3",
        "UNETLoader": "unet_name weight_dtype",
        "UpscaleModelLoader": "model_name",
        "VAELoader": "vae_name",
        "Wan22ImageToVideoLatent": _VIDEO,
        "WanAnimateToVideo": _VIDEO,
        "WanCameraImageToVideo": _VIDEO,
        "WanFirstLastFrameToVideo": _VIDEO,
        "WanFunControlToVideo": _VIDEO,
        "WanFunInpaintToVideo": _VIDEO,
        "WanImageToVideo": _VIDEO,
        "WanSoundImageToVideo": _VIDEO,
        "WanVaceToVideo": f"{_VIDEO} strength",
    }.items()
}
#: Without exception ComfyUI's own classes of these names begin with these numbers.
_FAMILIES: Final = (
    (re.compile(r"ToVideo$|Empty\w*Video\w*$"), tuple(_VIDEO.split())),
    (re.compile(r"^Empty\w*Latent(Image)?$"), ("width", "height", "batch_size")),
)


def named_values(node: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a saved node by the names of its inputs; those whose names nobody says are called `#` and their place.

    >>> named_values({"type": "KSampler", "widgets_values": [7, "fixed", 20, 5.5, "euler", "simple", 1]})["steps"]
    20
    >>> named_values({"type": "Other", "widgets_values": ["ink.safetensors", 3]})
    {'#0': 'ink.safetensors', '#1': 3}
    """
    for key in ("widgets_values_named", "widgets_values"):
        if isinstance(found := node.get(key), dict):
            return {name: value for name, value in found.items() if isinstance(name, str)}
    values = node.get("widgets_values")
    if not isinstance(values, list):
        return {}
    kept = _without_after_generate(values)
    listed = widget_inputs(node)
    names: Sequence[str] = listed if len(listed) == len(kept) else _known_names(str(node.get("type")), kept)
    return {(names[at] if at < len(names) else f"#{at}"): value for at, value in enumerate(kept)}


def widget_inputs(node: Mapping[str, Any]) -> list[str]:
    """Inputs of a saved node that can be set as well as linked; newer editors list all of them, older ones only those linked."""
    inputs = node.get("inputs")
    if not isinstance(inputs, list):
        return []
    return [
        entry["name"]
        for entry in inputs
        if isinstance(entry, dict) and isinstance(entry.get("widget"), dict) and isinstance(entry.get("name"), str)
    ]


def _known_names(class_type: str, values: Sequence[Any]) -> Sequence[str]:
    if class_type in _ORDER:
        return _ORDER[class_type]
    for words, names in _FAMILIES:
        begin = values[: len(names)]
        if len(begin) == len(names) and all(isinstance(value, int) for value in begin) and words.search(class_type):
            return names
    return ()


def _without_after_generate(values: Sequence[Any]) -> list[Any]:
    """The values without what stands behind a seed. A number before such a word is a seed, whatever the class."""
    return [
        value
        for at, value in enumerate(values)
        if not (at and isinstance(value, str) and value in _AFTER_GENERATE and isinstance(values[at - 1], int))
    ]
