"""Graphs as people make them: in ComfyUI's API format, and saved by its editor."""

from __future__ import annotations

from typing import Any

Graph = dict[str, Any]


def node(class_type: str, **inputs: Any) -> Graph:
    return {"class_type": class_type, "inputs": inputs}


def sdxl(
    *, prompt: str = "a hare in the snow", seed: int = 7, steps: int = 25, model: str = "sdxl.safetensors"
) -> Graph:
    """A picture of SDXL with a LoRA, two at a time."""
    return {
        "1": node("CheckpointLoaderSimple", ckpt_name=model),
        "2": node(
            "LoraLoader",
            lora_name="ink\\brush.safetensors",
            strength_model=0.8,
            strength_clip=1.0,
            model=["1", 0],
            clip=["1", 1],
        ),
        "3": node("CLIPTextEncode", text=prompt, clip=["2", 1]),
        "4": node("CLIPTextEncode", text="blurry", clip=["2", 1]),
        "5": node("EmptyLatentImage", width=1024, height=768, batch_size=2),
        "6": node(
            "KSampler",
            seed=seed,
            steps=steps,
            cfg=5.5,
            sampler_name="euler",
            scheduler="normal",
            denoise=1.0,
            model=["2", 0],
            positive=["3", 0],
            negative=["4", 0],
            latent_image=["5", 0],
        ),
        "7": node("VAEDecode", samples=["6", 0], vae=["1", 2]),
        "8": node("SaveImage", filename_prefix="hare", images=["7", 0]),
    }


def repainted(*, picture: str = "hare.png") -> Graph:
    """A picture painted over, in the last ten of thirty steps."""
    graph = sdxl()
    graph["9"] = node("LoadImage", image=picture)
    graph["5"] = node("VAEEncode", pixels=["9", 0], vae=["1", 2])
    graph["6"] = node(
        "KSamplerAdvanced",
        add_noise="enable",
        noise_seed=3,
        steps=30,
        cfg=5.5,
        sampler_name="euler",
        scheduler="normal",
        start_at_step=20,
        end_at_step=10_000,
        return_with_leftover_noise="disable",
        model=["2", 0],
        positive=["3", 0],
        negative=["4", 0],
        latent_image=["5", 0],
    )
    return graph


def enlarged() -> Graph:
    """A picture made twice as large by a second sampler, and four times as large by an upscaler."""
    graph = sdxl()
    graph["10"] = node("LatentUpscaleBy", upscale_method="nearest-exact", scale_by=2.0, samples=["6", 0])
    graph["11"] = node("KSampler", **{**graph["6"]["inputs"], "steps": 10, "denoise": 0.5, "latent_image": ["10", 0]})
    graph["7"] = node("VAEDecode", samples=["11", 0], vae=["1", 2])
    graph["12"] = node("UpscaleModelLoader", model_name="4x-sharp.pth")
    graph["13"] = node("ImageUpscaleWithModel", upscale_model=["12", 0], image=["7", 0])
    graph["8"] = node("SaveImage", filename_prefix="hare", images=["13", 0])
    return graph


def animated() -> Graph:
    """AnimateDiff: sixteen pictures of a batch are the frames of one video."""
    graph = sdxl()
    graph["5"] = node("EmptyLatentImage", width=512, height=512, batch_size=16)
    graph["14"] = node("ADE_AnimateDiffLoaderGen1", model_name="mm_v3.ckpt", model=["2", 0])
    graph["6"]["inputs"]["model"] = ["14", 0]
    graph["8"] = node("VHS_VideoCombine", frame_rate=8, format="video/h264-mp4", images=["7", 0])
    return graph


def video() -> Graph:
    """A video from a picture, by a model for much noise and one for little."""
    sampler = {"cfg": 1.0, "sampler_name": "euler", "scheduler": "simple", "steps": 20}
    return {
        "1": node("UNETLoader", unet_name="wan_high.safetensors", weight_dtype="default"),
        "2": node("UNETLoader", unet_name="wan_low.safetensors", weight_dtype="default"),
        "3": node("CLIPLoader", clip_name="umt5.safetensors", type="wan"),
        "4": node("VAELoader", vae_name="wan_vae.safetensors"),
        "5": node("CLIPTextEncode", text="it hops away", clip=["3", 0]),
        "6": node("LoadImage", image="hare.png"),
        "7": node(
            "WanImageToVideo",
            width=832,
            height=480,
            length=81,
            batch_size=1,
            positive=["5", 0],
            vae=["4", 0],
            start_image=["6", 0],
        ),
        "8": node(
            "KSamplerAdvanced", **sampler, start_at_step=0, end_at_step=10, model=["1", 0], latent_image=["7", 2]
        ),
        "9": node(
            "KSamplerAdvanced", **sampler, start_at_step=10, end_at_step=20, model=["2", 0], latent_image=["8", 0]
        ),
        "10": node("VAEDecode", samples=["9", 0], vae=["4", 0]),
        "11": node("CreateVideo", fps=16, images=["10", 0]),
        "12": node("SaveVideo", filename_prefix="hop", format="auto", codec="auto", video=["11", 0]),
    }


def chained() -> Graph:
    """A text, from it a picture, from that a video; only the video is kept."""
    picture = {f"p{identity}": moved(described, "p") for identity, described in sdxl().items() if identity != "8"}
    graph = {**picture, **video()}
    graph["7"]["inputs"]["start_image"] = ["p7", 0]
    graph["t1"] = node("LLMTextGeneratorNode", model="own.gguf", prompt="Think of an animal")
    graph["p3"]["inputs"]["text"] = ["t1", 0]
    del graph["6"]
    return graph


def moved(described: Graph, prefix: str) -> Graph:
    """A node with other ids in its links."""
    inputs = {
        name: [prefix + value[0], value[1]] if isinstance(value, list) else value
        for name, value in described["inputs"].items()
    }
    return {**described, "inputs": inputs}


def song() -> Graph:
    return {
        "1": node("CheckpointLoaderSimple", ckpt_name="song.safetensors"),
        "2": node("EmptyAceStepLatentAudio", seconds=120.0, batch_size=1),
        "3": node(
            "KSampler",
            seed=1,
            steps=50,
            cfg=5,
            sampler_name="euler",
            scheduler="simple",
            model=["1", 0],
            latent_image=["2", 0],
        ),
        "4": node("VAEDecodeAudio", samples=["3", 0], vae=["1", 2]),
        "5": node("SaveAudioMP3", filename_prefix="song", quality="V0", audio=["4", 0]),
    }


def body() -> Graph:
    return {
        "1": node("ImageOnlyCheckpointLoader", ckpt_name="hunyuan3d.safetensors"),
        "2": node("LoadImage", image="hare.png"),
        "3": node("CLIPVisionEncode", crop="none", clip_vision=["1", 1], image=["2", 0]),
        "4": node("EmptyLatentHunyuan3Dv2", resolution=3072, batch_size=1),
        "5": node(
            "KSampler",
            seed=1,
            steps=30,
            cfg=5,
            sampler_name="euler",
            scheduler="normal",
            model=["1", 0],
            latent_image=["4", 0],
        ),
        "6": node("VAEDecodeHunyuan3D", num_chunks=8000, octree_resolution=256, samples=["5", 0], vae=["1", 2]),
        "7": node("VoxelToMesh", algorithm="surface net", threshold=0.6, voxel=["6", 0]),
        "8": node("SaveGLB", filename_prefix="mesh", mesh=["7", 0]),
    }


def described_picture() -> Graph:
    """A language model says what it sees, and that is shown."""
    return {
        "1": node("LoadImage", image="hare.png"),
        "2": node("AILab_QwenVL", model_name="qwen3vl.gguf", prompt="What is it?", max_tokens=256, image=["1", 0]),
        "3": node("PreviewAny", source=["2", 0]),
    }


def trained() -> Graph:
    return {
        "1": node("CheckpointLoaderSimple", ckpt_name="sdxl.safetensors"),
        "2": node("LoadImageSetFromFolderNode", folder="hares"),
        "3": node("TrainLoraNode", steps=1_500, rank=8, batch_size=1, model=["1", 0], images=["2", 0]),
        "4": node("SaveLoRA", prefix="hares", lora=["3", 1]),
    }


def by_schedule() -> Graph:
    """A sampler whose steps stand in another node: the first twelve of thirty."""
    graph = sdxl()
    graph["20"] = node("BasicScheduler", scheduler="simple", steps=30, denoise=1.0, model=["2", 0])
    graph["21"] = node("SplitSigmas", step=12, sigmas=["20", 0])
    graph["6"] = node("SamplerCustomAdvanced", sigmas=["21", 0], latent_image=["5", 0])
    return graph
