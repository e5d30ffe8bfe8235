"""What `nvidia-smi` prints, which cards a process may use, and what is declared instead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from northstar.domain.machines import MAX_GPUS, Gpu
from northstar.policy.fleet.gpus import GpuLineInvalid, declared_gpus, parse_gpus, visible_gpus

#: A name as drivers give them, commas included, and nothing that is cut or trimmed.
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9 ,()/-]{0,50}[A-Za-z0-9)]", fullmatch=True).map(
    lambda name: ", ".join(part.strip() for part in name.split(","))[:64].strip(", ")
)


@given(
    st.lists(
        st.tuples(NAMES, st.integers(0, 9_000_000), st.from_regex(r"GPU-[0-9a-f-]{1,40}", fullmatch=True)), max_size=16
    )
)
def test_every_card_is_read_whatever_its_name(cards: list[tuple[str, int, str]]) -> None:
    text = "".join(f"{index}, {uuid}, {name}, {mib}, 570.1\n" for index, (name, mib, uuid) in enumerate(cards))
    found = parse_gpus(text)
    assert [(gpu.index, gpu.name, gpu.uuid) for gpu in found.gpus] == [
        (index, name, uuid) for index, (name, _, uuid) in enumerate(cards)
    ]
    assert [gpu.vram_mb for gpu in found.gpus] == [mib * 1_048_576 // 1_000_000 for _, mib, _ in cards]


@given(st.text(max_size=300))
def test_whatever_is_printed_is_read_or_refused(text: str) -> None:
    try:
        found = parse_gpus(text)
    except GpuLineInvalid:
        return
    assert len(found.gpus) <= MAX_GPUS


@pytest.mark.parametrize("absent", ["[N/A]", "[Not Supported]", "[Insufficient Permissions]", "[GPU is lost]", "N/A"])
def test_a_value_that_the_driver_keeps_to_itself_is_unknown(absent: str) -> None:
    (gpu,) = parse_gpus(f"0, {absent}, NVIDIA A100, {absent}, {absent}").gpus
    assert (gpu.vram_mb, gpu.uuid) == (0, "")


def test_lines_of_slices_are_not_cards() -> None:
    text = "0, GPU-1, NVIDIA A100, 40536, 550.1\n  MIG 3g.20gb     Device  0: (UUID: MIG-5)\n\n1, GPU-2, NVIDIA A100, 40536, 550.1\n"
    assert [gpu.uuid for gpu in parse_gpus(text).gpus] == ["GPU-1", "GPU-2"]


@pytest.mark.parametrize(
    "line",
    [
        "index, uuid, name, memory.total [MiB], driver_version",
        "0, GPU-1, NVIDIA L4, 23034 MiB, 550.1",
        "0, GPU-1, NVIDIA L4, 23034",
        "-1, GPU-1, NVIDIA L4, 23034, 550.1",
        "0, L4, NVIDIA L4, 23034, 550.1",
        "0, GPU-1, NVIDIA L4, 23034, 550.1\n0, GPU-2, NVIDIA L4, 23034, 550.1",
        "\n".join(f"{index}, GPU-{index}, A, 1, 1" for index in range(65)),
    ],
)
def test_anything_else_is_refused(line: str) -> None:
    with pytest.raises(GpuLineInvalid):
        parse_gpus(line)


CARDS = tuple(Gpu(index=number, name=f"card {number}", vram_mb=24_000, uuid=f"GPU-{number}abc") for number in range(4))


@pytest.mark.parametrize(
    ("devices", "names"),
    [
        (None, ["card 0", "card 1", "card 2", "card 3"]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("2,0", ["card 2", "card 0"]),
        (" 1 , 3 ", ["card 1", "card 3"]),
        ("1,9,2", ["card 1"]),
        ("1,1,2", ["card 1"]),
        ("GPU-3abc,GPU-0", ["card 3", "card 0"]),
        ("GPU-", []),
        ("MIG-1f2e,MIG-3c4d", ["MIG slice", "MIG slice"]),
    ],
)
def test_devices_are_chosen_as_cuda_chooses_them(devices: str | None, names: list[str]) -> None:
    assert [gpu.name for gpu in visible_gpus(CARDS, devices)] == names


def test_nothing_declared_leaves_what_was_found() -> None:
    assert declared_gpus(CARDS, count=None, name="", vram_mb=0) == CARDS


def test_what_is_declared_wins_and_what_was_found_fills_in() -> None:
    (one,) = declared_gpus(CARDS[:1], count=None, name="RTX 4090", vram_mb=20_000)
    assert one == Gpu(index=0, name="RTX 4090", vram_mb=20_000, uuid="GPU-0abc")


def test_another_number_than_was_found_identifies_no_card() -> None:
    assert [gpu.uuid for gpu in declared_gpus(CARDS, count=2, name="", vram_mb=0)] == ["", ""]
    three = declared_gpus(CARDS[:1], count=3, name="L4", vram_mb=24_000)
    assert [(gpu.name, gpu.vram_mb) for gpu in three] == [("L4", 24_000)] * 3


def test_a_card_that_is_only_declared_is_one_card() -> None:
    assert declared_gpus((), count=None, name="RX 7900", vram_mb=24_000) == (
        Gpu(index=0, name="RX 7900", vram_mb=24_000),
    )
    assert declared_gpus((), count=None, name="", vram_mb=0) == ()
    assert declared_gpus(CARDS, count=0, name="", vram_mb=0) == ()
