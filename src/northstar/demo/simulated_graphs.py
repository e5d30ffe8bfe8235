"""Graphs in ComfyUI's API format for the simulated machines: what a picture, a clip, a film and a training look like to the router.

They are graphs as ComfyUI takes them and name models as they are published; no machine of the demonstration has a GPU to run them.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

Graph: TypeAlias = dict[str, Any]

_SDXL: Final = "sd_xl_base_1.0.safetensors"
_BLURRED: Final = "blurry, low quality"


def portrait(*, prompt: str) -> Graph:
    """Four photographs of one and a half megapixels, thirty steps each."""
    return {
        "1": _node("UNETLoader", unet_name="flux1-dev.safetensors", weight_dtype="default"),
        "2": _node("DualCLIPLoader", clip_name1="t5xxl_fp16.safetensors", clip_name2="clip_l.safetensors", type="flux"),
        "3": _node("VAELoader", vae_name="ae.safetensors"),
        "4": _node("CLIPTextEncode", text=prompt, clip=["2", 0]),
        "5": _node("FluxGuidance", guidance=3.5, conditioning=["4", 0]),
        "6": _node("CLIPTextEncode", text="", clip=["2", 0]),
        "7": _node("EmptySD3LatentImage", width=1_024, height=1_536, batch_size=4),
        "8": _sampler(model="1", positive="5", negative="6", latent="7", steps=30, cfg=1.0),
        "9": _node("VAEDecode", samples=["8", 0], vae=["3", 0]),
        "10": _node("SaveImage", filename_prefix="portrait", images=["9", 0]),
    }


def product_picture(*, prompt: str, photograph: str) -> Graph:
    """A photographed product before eight new backgrounds: its outline holds, the rest is painted."""
    return {
        "1": _node("CheckpointLoaderSimple", ckpt_name=_SDXL),
        "2": _node("LoadImage", image=photograph),
        "3": _node("ControlNetLoader", control_net_name="controlnet-depth-sdxl-1.0.safetensors"),
        "4": _node("CLIPTextEncode", text=prompt, clip=["1", 1]),
        "5": _node("CLIPTextEncode", text=_BLURRED, clip=["1", 1]),
        "6": _node(
            "ControlNetApplyAdvanced",
            positive=["4", 0],
            negative=["5", 0],
            control_net=["3", 0],
            image=["2", 0],
            strength=0.9,
            start_percent=0.0,
            end_percent=1.0,
        ),
        "7": _node("EmptyLatentImage", width=1_536, height=1_536, batch_size=8),
        "8": _sampler(model="1", positive="6", negative="6", latent="7", steps=35, cfg=6.0),
        "9": _node("VAEDecode", samples=["8", 0], vae=["1", 2]),
        "10": _node("SaveImage", filename_prefix="product", images=["9", 0]),
    }


def illustration(*, prompt: str) -> Graph:
    """An illustration in two passes, the second at twice the size."""
    return {
        "1": _node("CheckpointLoaderSimple", ckpt_name=_SDXL),
        "2": _node(
            "LoraLoader",
            lora_name="ink-and-wash.safetensors",
            strength_model=0.8,
            strength_clip=1.0,
            model=["1", 0],
            clip=["1", 1],
        ),
        "3": _node("CLIPTextEncode", text=prompt, clip=["2", 1]),
        "4": _node("CLIPTextEncode", text=_BLURRED, clip=["2", 1]),
        "5": _node("EmptyLatentImage", width=1_024, height=1_024, batch_size=1),
        "6": _sampler(model="2", positive="3", negative="4", latent="5", steps=40, cfg=7.0),
        "7": _node("LatentUpscaleBy", upscale_method="bislerp", scale_by=2.0, samples=["6", 0]),
        "8": _sampler(model="2", positive="3", negative="4", latent="7", steps=30, cfg=7.0),
        "9": _node("VAEDecode", samples=["8", 0], vae=["1", 2]),
        "10": _node("SaveImage", filename_prefix="illustration", images=["9", 0]),
    }


def picture_then_clip(*, prompt: str) -> Graph:
    """Words become a picture, which is kept, and the picture becomes a clip of three seconds."""
    return {
        "1": _node("CheckpointLoaderSimple", ckpt_name=_SDXL),
        "2": _node("CLIPTextEncode", text=prompt, clip=["1", 1]),
        "3": _node("CLIPTextEncode", text=_BLURRED, clip=["1", 1]),
        "4": _node("EmptyLatentImage", width=1_024, height=576, batch_size=1),
        "5": _sampler(model="1", positive="2", negative="3", latent="4", steps=25, cfg=6.0),
        "6": _node("VAEDecode", samples=["5", 0], vae=["1", 2]),
        "7": _node("SaveImage", filename_prefix="first-frame", images=["6", 0]),
        **_wan_loaders("wan2.1_i2v_480p_14B_fp8_scaled.safetensors"),
        "23": _node("CLIPTextEncode", text=prompt, clip=["21", 0]),
        "24": _node("CLIPTextEncode", text=_BLURRED, clip=["21", 0]),
        "25": _node(
            "WanImageToVideo",
            width=832,
            height=480,
            length=49,
            batch_size=1,
            positive=["23", 0],
            negative=["24", 0],
            vae=["22", 0],
            start_image=["6", 0],
        ),
        "26": _node(
            "KSampler",
            seed=1,
            steps=20,
            cfg=6.0,
            sampler_name="uni_pc",
            scheduler="simple",
            denoise=1.0,
            model=["20", 0],
            positive=["25", 0],
            negative=["25", 1],
            latent_image=["25", 2],
        ),
        **_kept_video("26", prefix="clip"),
    }


def film(*, prompt: str) -> Graph:
    """Five seconds of video at 1280 x 720 in thirty steps, by a model of 14 billion parameters."""
    return {
        **_wan_loaders("wan2.1_t2v_14B_fp8_scaled.safetensors"),
        "23": _node("CLIPTextEncode", text=prompt, clip=["21", 0]),
        "24": _node("CLIPTextEncode", text=_BLURRED, clip=["21", 0]),
        "25": _node("EmptyHunyuanLatentVideo", width=1_280, height=720, length=81, batch_size=1),
        "26": _sampler(model="20", positive="23", negative="24", latent="25", steps=30, cfg=6.0),
        **_kept_video("26", prefix="film"),
    }


def enlarged_to_4k(*, photograph: str) -> Graph:
    """A photograph sharpened by a model and brought to 3840 x 2160."""
    return {
        "1": _node("LoadImage", image=photograph),
        "2": _node("UpscaleModelLoader", model_name="4x-UltraSharp.pth"),
        "3": _node("ImageUpscaleWithModel", upscale_model=["2", 0], image=["1", 0]),
        "4": _node("ImageScale", upscale_method="lanczos", width=3_840, height=2_160, crop="center", image=["3", 0]),
        "5": _node("SaveImage", filename_prefix="poster", images=["4", 0]),
    }


def lora_training(*, folder: str) -> Graph:
    """A LoRA trained on a folder of pictures."""
    return {
        "1": _node("CheckpointLoaderSimple", ckpt_name=_SDXL),
        "2": _node("LoadImageTextSetFromFolderNode", folder=folder, resize_method="None"),
        "3": _node("CLIPTextEncode", text="in the house style", clip=["1", 1]),
        "4": _node("VAEEncode", pixels=["2", 0], vae=["1", 2]),
        "5": _node(
            "TrainLoraNode",
            model=["1", 0],
            latents=["4", 0],
            positive=["3", 0],
            batch_size=1,
            steps=1_500,
            learning_rate=0.0005,
            rank=16,
            seed=7,
        ),
        "6": _node("SaveLoRA", lora=["5", 1], prefix="loras/house-style"),
    }


def _node(class_type: str, **inputs: Any) -> Graph:
    return {"class_type": class_type, "inputs": inputs}


def _sampler(*, model: str, positive: str, negative: str, latent: str, steps: int, cfg: float) -> Graph:
    # ControlNet gives both conditionings, one output each; a text encoder gives one.
    return _node(
        "KSampler",
        seed=1,
        steps=steps,
        cfg=cfg,
        sampler_name="euler",
        scheduler="normal",
        denoise=1.0,
        model=[model, 0],
        positive=[positive, 0],
        negative=[negative, int(positive == negative)],
        latent_image=[latent, 0],
    )


def _wan_loaders(model: str) -> Graph:
    return {
        "20": _node("UNETLoader", unet_name=model, weight_dtype="default"),
        "21": _node("CLIPLoader", clip_name="umt5_xxl_fp8_e4m3fn_scaled.safetensors", type="wan"),
        "22": _node("VAELoader", vae_name="wan_2.1_vae.safetensors"),
    }


def _kept_video(sampler: str, *, prefix: str) -> Graph:
    return {
        "27": _node("VAEDecode", samples=[sampler, 0], vae=["22", 0]),
        "28": _node("CreateVideo", images=["27", 0], fps=16),
        "29": _node("SaveVideo", video=["28", 0], filename_prefix=prefix, format="mp4", codec="h264"),
    }
