"""Which models are in memory, as far as the jobs that used them tell."""

from __future__ import annotations

from northstar.policy.fleet.residency import Residency

GB = 1_000_000_000
CARD = Residency(vram_bytes=24 * GB)


def test_nothing_is_in_memory_before_the_first_job() -> None:
    assert CARD.resident() == ()


def test_models_of_the_latest_jobs_stay_as_far_as_they_fit_together() -> None:
    sdxl, flux, llm = ("sdxl", 7 * GB), ("flux", 16 * GB), ("llm", 5 * GB)
    after = CARD.used([sdxl]).used([flux])
    assert after.resident() == ("flux", "sdxl")
    assert after.used([llm]).resident() == ("llm", "flux")
    assert after.used([sdxl]).used([llm]).resident() == ("llm", "sdxl")


def test_the_models_of_one_job_count_in_the_order_in_which_they_are_loaded() -> None:
    job = [("encoder", 10 * GB), ("flux", 16 * GB), ("vae", GB)]
    assert CARD.used(job).resident() == ("vae", "flux")


def test_a_model_larger_than_the_memory_is_never_there_and_pushes_out_the_others() -> None:
    assert CARD.used([("sdxl", 7 * GB)]).used([("huge", 80 * GB)]).resident() == ()


def test_a_model_of_unknown_size_is_there_alone() -> None:
    after = CARD.used([("sdxl", 7 * GB)]).used([("mystery", 0)])
    assert after.resident() == ("mystery",)
    assert after.used([("sdxl", 7 * GB)]).resident() == ("sdxl",)


def test_an_engine_that_began_anew_holds_nothing() -> None:
    assert CARD.used([("sdxl", 7 * GB)]).restarted().resident() == ()


def test_without_a_known_memory_nothing_is_claimed() -> None:
    assert Residency(vram_bytes=0).used([("sdxl", 7 * GB)]).used([("mystery", 0)]).resident() == ()


def test_a_job_without_models_changes_nothing() -> None:
    after = CARD.used([("sdxl", 7 * GB)])
    assert after.used([]) == after
