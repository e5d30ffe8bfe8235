"""A trace of one's own becomes jobs that a broker reads as it read the real ones."""

from __future__ import annotations

from pathlib import Path

from northstar.policy.models.workload_of import workload_of
from northstar.policy.routing.duration_rules import work_of
from northstar.simulation.workload.own_jobs import OwnJobs
from northstar.simulation.workload.own_trace import traced_jobs
from northstar.simulation.workload.service_days import DAY_MS
from tests.simulation.workload.rows import written

NOON_S = 1_900_000_000 // 86_400 * 86_400 + 43_200


def own(path: Path, header: str, *rows: str) -> OwnJobs:
    return OwnJobs(traced_jobs(written(path / "mine.csv", header, *rows)))


def test_a_hand_written_line_needs_only_three_columns(tmp_path: Path) -> None:
    (job,) = own(tmp_path, "submitted_s,service,ran_s", f"{NOON_S + 1.5},paint,8")
    assert (job.at_ms, job.request.service, job.request.tenant, job.seconds_on("rtx-4090")) == (
        1_500,
        "paint",
        "default",
        8,
    )
    assert (job.fails, job.request.pool, job.request.requires.models) == (False, None, ())


def test_numbers_of_the_work_come_back_out_of_the_payload(tmp_path: Path) -> None:
    header = "submitted_s,service,modality,speciality,shape,steps,pixels,frames,images,training,experimental,ran_s,outcome,asked_pool"
    (job,) = own(tmp_path, header, f"{NOON_S},film,video,art,s1,20,589824,81,2,true,true,400,failed,heavy")
    read = workload_of("film", job.request.payload, kind="simulated")
    assert (read.modalities, read.steps, read.pixels, read.frames, read.images) == (("video",), 20, 589_824, 81, 2)
    assert (read.speciality, read.is_training, read.is_experimental) == ("art", True, True)
    assert (job.request.pool, job.fails) == ("heavy", True)


def test_of_work_that_is_one_number_the_number_stays_about_the_same(tmp_path: Path) -> None:
    header = "submitted_s,service,modality,work,ran_s,shape"
    picture, other, text = own(
        tmp_path, header, f"{NOON_S},p,image,31457280,8,a", f"{NOON_S},p,image,31457280,8,b", f"{NOON_S},t,text,200,3,"
    )
    read = [workload_of(one.request.service, one.request.payload, kind="simulated") for one in (picture, other, text)]
    assert (work_of(read[0]), read[0].pixels) == (31_457_280, 1_048_576)
    assert read[0].shape != read[1].shape
    # The limit of an answer of 200 tokens, as a client would set it.
    assert (read[2].modalities, work_of(read[2])) == (("text",), 256)


def test_files_of_known_size_are_fetched_and_others_are_in_every_engine(tmp_path: Path) -> None:
    models = '[{""name"":""big"",""kind"":""checkpoint"",""size_bytes"":7},{""name"":""small"",""kind"":""lora""}]'
    (job,) = own(tmp_path, "submitted_s,service,models,ran_s", f'{NOON_S},p,"{models}",1')
    big, small = job.request.requires.models
    assert (big.name, big.kind, big.size_bytes, bool(big.sources), len(big.sha256)) == (
        "big",
        "checkpoint",
        7,
        True,
        64,
    )
    assert (small.kind, small.sources) == ("lora", ())


def test_what_never_ran_is_counted_and_left_out(tmp_path: Path) -> None:
    jobs = own(
        tmp_path, "submitted_s,service,ran_s,outcome", f"{NOON_S},p,,canceled", f"{NOON_S + 86_400},p,0,succeeded"
    )
    assert [job.at_ms for job in jobs] == [DAY_MS]
    assert jobs.left_out == 1


def test_a_gpu_that_is_named_keeps_its_time(tmp_path: Path) -> None:
    (job,) = own(tmp_path, "submitted_s,service,gpu_class,ran_s", f"{NOON_S},p,h100,2.5")
    assert job.run_s == {"h100": 2.5, "": 2.5}


def test_jobs_of_a_region_are_its_own_and_may_run_nowhere_else(tmp_path: Path) -> None:
    rows = (f"{NOON_S},p,1,eu", f"{NOON_S + 5},p,1,us", f"{NOON_S + 9},p,1,eu")
    file = written(tmp_path / "mine.csv", "submitted_s,service,ran_s,region", *rows)
    found = list(OwnJobs(traced_jobs(file), region="us"))
    assert [(job.at_ms, job.request.requires.regions) for job in found] == [(5_000, ("us",))], (
        "the clock is that of the whole trace"
    )
    assert [job.request.requires.regions for job in OwnJobs(traced_jobs(file))] == [(), (), ()]
