"""Sizes that no trace has: as the caching measurements assumed them."""

from __future__ import annotations

import pytest

from northstar.simulation.workload.file_sizes import base_bytes, lora_bytes

NAMES = [f"M{number:04}" for number in range(4_000)]


def test_base_models_are_of_three_sizes() -> None:
    """Measurements: "base 2-7 GB (40 % ~2.1, 25 % ~4.1, 35 % ~6.7)"."""
    sizes = [base_bytes(name, seed=1) / 1e9 for name in NAMES]
    assert min(sizes) > 2.0
    assert max(sizes) < 7.0
    for around, share in ((2.1, 0.40), (4.1, 0.25), (6.7, 0.35)):
        assert sum(abs(size - around) < 0.3 for size in sizes) / len(sizes) == pytest.approx(share, abs=0.025)


def test_loras_are_log_uniform() -> None:
    """Measurements: "LoRA 20-200 MB log-uniform"."""
    sizes = sorted(lora_bytes(name, seed=1) / 1e6 for name in NAMES)
    assert 20 <= sizes[0] < 20.5
    assert 195 < sizes[-1] <= 200
    assert sizes[len(sizes) // 2] == pytest.approx(63.2, rel=0.04)


def test_a_file_has_one_size_for_each_seed() -> None:
    assert base_bytes("M0001", seed=1) == base_bytes("M0001", seed=1)
    assert [base_bytes(name, seed=1) for name in NAMES[:50]] != [base_bytes(name, seed=2) for name in NAMES[:50]]
    # These bytes are the same on every machine: experiments with a seed can be repeated elsewhere.
    assert (base_bytes("M0001", seed=1), lora_bytes("L0001", seed=1)) == (2_094_225_975, 36_421_618)
