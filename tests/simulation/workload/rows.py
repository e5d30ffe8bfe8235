"""Small traces of our own making, in the forms of the real ones."""

from __future__ import annotations

import gzip
from pathlib import Path

PICTURES = (
    "gmt_create,predict_type,predict_status,exec_time_seconds,groupId,prompt_length,negative_prompt_length,"
    "num_images_per_prompt,num_inference_steps,checkpoint_model_version_id,num_lora,style,loras"
)


def a_picture(at: str = "2030-01-01 20:00:00", **fields: object) -> str:
    given: dict[str, object] = {
        "type": "TXT_2_IMG",
        "status": "SUCCEED",
        "ran": "23.0",
        "user": "ada",
        "prompt": "40.0",
        "negative": "",
        "images": "1.0",
        "steps": "30.0",
        "model": "dunes",
        "loras": "",
        "style": "",
    }
    given |= fields
    loras = str(given["loras"])
    count = given.get("count", len(loras.split("|")) if loras else 0)
    order = ("type", "status", "ran", "user", "prompt", "negative", "images", "steps", "model")
    return ",".join(str(part) for part in (at, *(given[name] for name in order), count, given["style"], loras))


def written(path: Path, *lines: str) -> Path:
    """A file of these lines; packed if its name ends so."""
    text = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)
    return path


def pictures(path: Path, *rows: str) -> Path:
    """A trace of pictures."""
    return written(path, PICTURES, *rows)
