"""What a run left: which files and texts its nodes name, fetched, and checked before anybody relies on them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

import msgspec

from northstar.connectors.comfyui.server import ComfyServer, FileReference
from northstar.connectors.contract import INLINE_TEXT_BYTES, Output
from northstar.connectors.errors import (
    EmptyOutput,
    EngineFailed,
    LimitExceeded,
    MalformedAnswer,
    OutputMissing,
    OutputTooLarge,
)
from northstar.connectors.media import fits_its_name
from northstar.connectors.outputs import OutputRules, collect_outputs
from northstar.connectors.wholeness import is_whole

_TEXT_KEYS: Final = frozenset({"text", "texts", "string"})
_NAME_BYTES: Final = 180
_UNUSUAL: Final = re.compile(r"[^\w.,@ ()+=-]")


class RunOutputs(msgspec.Struct, frozen=True):
    """Files and texts by the names that they get here, which are unique."""

    files: Mapping[str, FileReference]
    texts: Mapping[str, str]

    def __len__(self) -> int:
        return len(self.files) + len(self.texts)


def outputs_of(outputs: Mapping[str, Mapping[str, Any]], *, most: int, service: str) -> RunOutputs:
    """What the history names, of whatever kind: images, gifs, video, audio, 3d, and text.

    Files of type `temp` are previews and left out unless there is nothing else; those of type `input` always are.

    Raises:
        OutputMissing: nothing at all.
        LimitExceeded: more than `most`.
        MalformedAnswer: a name that no client could use.
    """
    found = list(dict.fromkeys(_references(outputs)))
    kept = [reference for reference in found if reference.type == "output"]
    texts = dict(_texts(outputs))
    if not kept and not texts:
        kept = [reference for reference in found if reference.type == "temp"]
    if len(kept) + len(texts) > most:
        raise LimitExceeded("files", allowed=f"{most}", service=service)
    if not kept and not texts:
        raise OutputMissing("an output of any node", found="", service=service)
    files: dict[str, FileReference] = {}
    for reference in kept:
        name = _checked_name(reference.filename, service=service)
        files[_free_name(name, files)] = reference
    return RunOutputs(files, {_free_name(f"text-{node}.txt", files): text for node, text in texts.items()})


async def fetched(
    outputs: RunOutputs, server: ComfyServer, workspace: Path, *, expects: tuple[str, ...]
) -> tuple[Output, ...]:
    """Every output, verified: there, not empty, whole, and of the kind that its name promises.

    Raises:
        EngineError: one is not, or cannot be fetched.
    """
    bounds = server.http.bounds
    rules = OutputRules(expects=expects, max_bytes=bounds.output_bytes, max_files=bounds.outputs)
    left_bytes = bounds.output_bytes
    try:
        await asyncio.to_thread(_furnish, workspace)
        for name, reference in outputs.files.items():
            left_bytes -= await server.download(reference, workspace / "out" / name, left_bytes=left_bytes)
        return await asyncio.to_thread(_verified, outputs, workspace, rules, server.service, left_bytes)
    except OSError as error:
        raise EngineFailed(f"the job's workspace cannot be written: {error}", service=server.service) from error


def _furnish(workspace: Path) -> None:
    for folder in ("out", "text"):
        (workspace / folder).mkdir()


def _verified(
    outputs: RunOutputs, workspace: Path, rules: OutputRules, service: str, left_bytes: int
) -> tuple[Output, ...]:
    files = collect_outputs(workspace / "out", rules, service=service) if outputs.files else ()
    for output in files:
        if not fits_its_name(output.media_type, output.name):
            raise MalformedAnswer(f"the output {output.name!r} is of type {output.media_type}", service=service)
        if output.path is not None and not is_whole(output.path, output.media_type):
            raise MalformedAnswer(f"the output {output.name!r} is cut off before its end", service=service)
    folder = workspace / "text"
    texts = [_text(name, text, folder, service=service) for name, text in outputs.texts.items()]
    if sum(output.size_bytes for output in texts) > left_bytes:
        raise OutputTooLarge("all outputs together", service=service, limit_bytes=rules.max_bytes)
    return (*files, *texts)


def _text(name: str, text: str, folder: Path, *, service: str) -> Output:
    output = Output.of_text(_checked_name(name, service=service), text)
    if output.size_bytes == 0:
        raise EmptyOutput(f"the output {output.name!r}", service=service)
    if output.size_bytes <= INLINE_TEXT_BYTES:
        return output
    path = folder / output.name
    path.write_bytes(text.encode())
    return msgspec.structs.replace(output, path=path, text=None)


def _references(outputs: Mapping[str, Mapping[str, Any]]) -> Iterator[FileReference]:
    for output in outputs.values():
        for entries in output.values():
            for entry in entries if isinstance(entries, list) else ():
                if isinstance(entry, dict) and isinstance(entry.get("filename"), str):
                    yield FileReference(
                        entry["filename"], str(entry.get("subfolder") or ""), str(entry.get("type") or "output")
                    )


def _texts(outputs: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for node, output in outputs.items():
        lines = [
            text
            for key in sorted(_TEXT_KEYS & set(output))
            for text in (output[key] if isinstance(output[key], list | tuple) else [output[key]])
            if isinstance(text, str) and text
        ]
        if lines:
            yield node, "\n".join(lines)


def _free_name(name: str, taken: Mapping[str, object]) -> str:
    """The name, with a number before it where another output has it already."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{number}-{name}"
    return free


def _checked_name(filename: str, *, service: str) -> str:
    """The last part of a name that the engine gave; it becomes a file of ours, so nothing of it is trusted.

    What no file store takes becomes an underscore: prefixes with quotes or brackets are no reason to lose a picture.
    """
    name = PurePosixPath(filename.replace("\\", "/")).name
    if not name.strip(". ") or not name.isprintable() or len(name.encode()) > _NAME_BYTES:
        raise MalformedAnswer(f"an output has the unusable name {filename[:80]!r}", service=service)
    name = _UNUSUAL.sub("_", name).rstrip(". ")
    return name if name[0].isalnum() or name[0] == "_" else f"_{name}"
