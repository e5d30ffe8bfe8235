"""The memory of each engine of a machine, as far as its jobs tell."""

from __future__ import annotations

from northstar.policy.fleet.engine_memory import EngineMemory

GB = 1_000_000_000
CARD = EngineMemory(vram_bytes=24 * GB)


def test_what_one_engine_loads_pushes_out_nothing_of_another() -> None:
    after = CARD.used("picture", [("flux", 20 * GB)]).used("text", [("llm", 20 * GB)])
    assert set(after.resident()) == {"flux", "llm"}


def test_within_one_engine_the_latest_models_stay_as_far_as_they_fit() -> None:
    after = CARD.used("picture", [("flux", 20 * GB)]).used("picture", [("sdxl", 7 * GB)])
    assert after.resident() == ("sdxl",)


def test_only_the_engine_that_began_anew_has_an_empty_memory() -> None:
    after = CARD.used("picture", [("flux", 20 * GB)]).used("text", [("llm", 5 * GB)])
    assert after.restarted(["text", "unknown"]).resident() == ("flux",)


def test_of_a_card_of_unknown_size_nothing_is_claimed() -> None:
    assert EngineMemory(vram_bytes=0).used("text", [("llm", 5 * GB)]).resident() == ()
