"""What GPUs this host has, as its driver's own program says."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

import msgspec

from northstar.domain.amounts import exactly
from northstar.domain.errors import Unavailable
from northstar.domain.machines import Gpu
from northstar.policy.fleet.gpus import (
    MEMORY_QUERY,
    QUERY,
    FoundGpus,
    GpuLineInvalid,
    parse_gpus,
    parse_used_memory,
    visible_gpus,
)

_PROGRAM: Final = "nvidia-smi"
_FORMAT: Final = "--format=csv,noheader,nounits"
#: The first call after boot initialises every card, which takes seconds; a card that is lost makes it hang for ever.
_WITHIN_S: Final = 20.0
#: Later ones are quick; what is asked all the time is not waited for so long.
_MEMORY_WITHIN_S: Final = 5.0
_KILL_S: Final = 2.0
#: No more than it needs; what else the agent knows, keys among it, is not its business.
_PASSED_ON: Final = ("PATH", "LD_LIBRARY_PATH")
_MAX_BYTES: Final = 64 * 1024
_CHUNK_BYTES: Final = 16 * 1024
#: Its exit code for "no devices were found".
_NO_DEVICES: Final = 6
_SHOWN: Final = 200


class HardwareUnknown(Unavailable):
    """The driver's program is there, but does not tell which GPUs are."""

    code: ClassVar[str] = "NS_HARDWARE_UNKNOWN"

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"{_PROGRAM} does not say which GPUs are here ({reason}); run it by hand and mend the driver, "
            "or declare gpus and vram_mb for the machine in the settings"
        )
        self.reason = reason


async def find_gpus(environment: Mapping[str, str], *, within_s: float = _WITHIN_S) -> FoundGpus:
    """The GPUs that processes with this environment may use (`PATH`, `CUDA_VISIBLE_DEVICES`).

    None where the program is not installed or finds no device: such a host has no NVIDIA driver, or no card.

    Raises:
        HardwareUnknown: the program fails, hangs, or prints something else than it was asked for.
    """
    program = shutil.which(_PROGRAM, path=environment.get("PATH", os.defpath))
    if program is None:
        return FoundGpus()
    text = await _asked(program, QUERY, environment, within_s=within_s)
    if text is None:
        return FoundGpus()
    try:
        found = parse_gpus(text)
    except GpuLineInvalid as exc:
        raise HardwareUnknown(str(exc)) from exc
    return msgspec.structs.replace(found, gpus=visible_gpus(found.gpus, environment.get("CUDA_VISIBLE_DEVICES")))


async def used_memory_mb(environment: Mapping[str, str], gpu: Gpu, *, within_s: float = _MEMORY_WITHIN_S) -> int | None:
    """How much memory of this GPU is in use now, MB, by whatever program; None where its driver does not say.

    Raises:
        HardwareUnknown: the driver's program has gone, fails, hangs, or prints something else than it was asked for.
    """
    program = shutil.which(_PROGRAM, path=environment.get("PATH", os.defpath))
    text = None if program is None else await _asked(program, MEMORY_QUERY, environment, within_s=within_s)
    if text is None:
        raise HardwareUnknown("it, or the GPU that it found before, is gone")
    try:
        return parse_used_memory(text, gpu)
    except GpuLineInvalid as exc:
        raise HardwareUnknown(str(exc)) from exc


async def _asked(program: str, query: Sequence[str], environment: Mapping[str, str], *, within_s: float) -> str | None:
    """What it prints of each GPU; None where it finds no device. Raises HardwareUnknown."""
    code, printed = await _printed_by(program, f"--query-gpu={','.join(query)}", environment, within_s=within_s)
    text = printed.decode(errors="replace")
    if code == _NO_DEVICES:
        return None
    if code != 0:
        said = " ".join(text.split())[:_SHOWN]
        raise HardwareUnknown(f"it ended with code {code}: {said or 'no words'}")
    return text


async def _printed_by(
    program: str, query: str, environment: Mapping[str, str], *, within_s: float
) -> tuple[int, bytes]:
    """Exit code and output of the program, which is ended by force if it says too much or takes too long."""
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            query,
            _FORMAT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={name: environment[name] for name in _PASSED_ON if name in environment} | {"LC_ALL": "C"},
            start_new_session=True,  # so that whatever it starts can be ended with it
        )
    except OSError as exc:
        raise HardwareUnknown(f"it cannot be run: {exc.strerror or exc}") from exc
    try:
        async with asyncio.timeout(within_s):
            printed = await _bounded(process)
            return await process.wait(), printed
    except TimeoutError as exc:
        raise HardwareUnknown(f"no answer within {within_s:g} s") from exc
    finally:
        await _ended(process)


async def _bounded(process: asyncio.subprocess.Process) -> bytes:
    printed = bytearray()
    assert process.stdout is not None  # noqa: S101 - it was asked for
    while chunk := await process.stdout.read(_CHUNK_BYTES):
        printed += chunk
        if len(printed) > _MAX_BYTES:
            raise HardwareUnknown(f"it printed more than {exactly(_MAX_BYTES)}")
    return bytes(printed)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """End the program and all it started. One that hangs inside the driver cannot be ended; it is not waited for."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_KILL_S):
            await process.wait()
