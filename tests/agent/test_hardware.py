"""What GPUs a host has, asked of a program called `nvidia-smi` on the path."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from northstar.agent.hardware import HardwareUnknown, find_gpus
from northstar.domain.machines import Gpu
from northstar.policy.fleet.gpus import FoundGpus
from tests.agent.nvidia_smi import H200, TWO_L4, fake_nvidia_smi


async def test_the_cards_of_a_host_are_found(tmp_path: Path) -> None:
    found = await find_gpus(fake_nvidia_smi(tmp_path, H200))
    assert found == FoundGpus(
        gpus=(Gpu(index=0, name="NVIDIA H200", vram_mb=150_754, uuid="GPU-0e1b7c2a-5d7f-4b3c-9a52-1f0b6f5d9c11"),),
        driver="570.86.15",
    )


async def test_only_the_cards_that_processes_may_use_count(tmp_path: Path) -> None:
    environment = fake_nvidia_smi(tmp_path, TWO_L4) | {"CUDA_VISIBLE_DEVICES": "1"}
    assert [gpu.index for gpu in (await find_gpus(environment)).gpus] == [1]


async def test_a_host_without_the_program_has_no_gpus(tmp_path: Path) -> None:
    assert await find_gpus({"PATH": str(tmp_path)}) == FoundGpus()


async def test_a_driver_that_finds_no_device_has_no_gpus(tmp_path: Path) -> None:
    assert await find_gpus(fake_nvidia_smi(tmp_path, "No devices were found\n", code=6)) == FoundGpus()


@pytest.mark.parametrize(
    ("prints", "code", "then", "reason"),
    [
        (
            "NVIDIA-SMI has failed because it couldn't\ncommunicate.\n",
            9,
            "",
            "code 9: NVIDIA-SMI has failed because it",
        ),
        ("", 255, "", "code 255: no words"),
        ("GPU 0: NVIDIA H200 (UUID: GPU-1)\n", 0, "", "not index, uuid, name, memory.total, driver_version: 'GPU 0"),
        ("x" * 100_000, 0, "", "printed more than 65,536 bytes (65.5 kB)"),
        ("", 0, "time.sleep(600)", "no answer within 0.5 s"),
    ],
)
async def test_a_driver_in_trouble_is_told_with_what_to_do(
    tmp_path: Path, prints: str, code: int, then: str, reason: str
) -> None:
    environment = fake_nvidia_smi(tmp_path, prints, code=code, then=then)
    with pytest.raises(HardwareUnknown, match=r"mend the driver, or declare gpus and vram_mb") as caught:
        await find_gpus(environment, within_s=0.5 if then else 20.0)
    assert reason in caught.value.reason
    assert caught.value.code == "NS_HARDWARE_UNKNOWN"


async def test_a_program_that_hangs_is_ended(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    leave = f"import os; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    with pytest.raises(HardwareUnknown, match="no answer"):
        await find_gpus(fake_nvidia_smi(tmp_path, then=leave), within_s=1.0)
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


async def test_a_program_that_cannot_be_run_is_told(tmp_path: Path) -> None:
    environment = fake_nvidia_smi(tmp_path)
    (tmp_path / "bin" / "nvidia-smi").write_text("no program at all")
    with pytest.raises(HardwareUnknown, match="it cannot be run"):
        await find_gpus(environment)


async def test_the_program_learns_no_secrets_of_the_agent(tmp_path: Path) -> None:
    tell = "import os; print(sorted(os.environ))"
    with pytest.raises(HardwareUnknown) as caught:
        await find_gpus(fake_nvidia_smi(tmp_path, then=tell, code=1) | {"HF_TOKEN": "hf_secret"})
    assert "PATH" in caught.value.reason
    assert "HF_TOKEN" not in caught.value.reason
