"""What an operator sees and does from the command line, against a real broker with a real machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.northstar_command import Northstar, eventually


def submit(northstar: Northstar, *ids: str, wait: bool = False, **fields: Any) -> Any:
    payload = fields.pop("payload", {"text": "x"})
    jobs = [{"id": job_id, "service": "copy", "payload": payload} | fields for job_id in ids]
    return northstar.good("submit", "-", *(["--wait"] if wait else []), stdin=json.dumps(jobs))["jobs"]


def status_of(northstar: Northstar, job_id: str) -> str:
    return str(northstar.good("jobs", "show", job_id)["status"])


def test_submit_gives_ids_and_waits_if_asked(running: Northstar) -> None:
    accepted = submit(running, "s-1", "s-2")
    assert [(job["id"], job["replayed"]) for job in accepted] == [("s-1", False), ("s-2", False)]
    waited = submit(running, "s-1", "s-2", wait=True)
    assert [(job["id"], job["status"]) for job in waited] == [("s-1", "succeeded"), ("s-2", "succeeded")]


def test_submit_without_json_says_what_to_do_next(running: Northstar) -> None:
    answer = running.run("submit", "-", stdin='{"id": "s-3", "service": "copy"}')
    assert answer.out == "s-3  queued in standard: standard has a free machine\nnext: northstar explain s-3\n"


def test_a_result_is_shown_with_the_place_of_its_file(running: Northstar) -> None:
    answer = running.run("submit", "-", "--wait", stdin='{"id": "s-4", "service": "copy", "payload": {"text": "abc"}}')
    first, second, text = answer.out.splitlines()
    assert (first, text) == ("s-4  succeeded", "  abcabcabc")
    name, _, rest = second.strip().partition(": ")
    assert name == "copy.txt"
    assert Path(rest.partition(" (")[0]).read_text() == "abcabcabc"


def test_the_files_of_a_finished_job_are_brought_to_a_folder_and_overwrite_nothing(
    running: Northstar, tmp_path: Path
) -> None:
    submit(running, "o-5", wait=True, payload={"text": "abc"})
    (saved,) = running.good("jobs", "outputs", "o-5", "--out", str(tmp_path / "new"))["outputs"]
    assert (saved["name"], saved["size_bytes"], Path(saved["path"]).read_text()) == ("copy.txt", 9, "abcabcabc")
    again = running.run("jobs", "outputs", "o-5", "--out", str(tmp_path / "new"))
    assert (again.code, again.err.partition(":")[0]) == (3, "NS_OUTPUT_EXISTS")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["copy.txt"]


def test_a_folder_that_cannot_be_written_to_is_said_in_a_sentence(running: Northstar, tmp_path: Path) -> None:
    submit(running, "o-9", wait=True)
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", Path("/proc/x")):
        answer = running.run("jobs", "outputs", "o-9", "--out", str(folder))
        assert (answer.code, answer.err.count("\n"), answer.err.partition(":")[0]) == (
            2,
            1,
            "NS_OUTPUT_FOLDER_UNUSABLE",
        )


def test_a_job_that_is_not_done_has_no_outputs_to_bring(running: Northstar, tmp_path: Path) -> None:
    submit(running, "o-6", payload={"until": str(tmp_path / "never")})
    answer = running.run("jobs", "outputs", "o-6")
    assert (answer.code, answer.err.partition(":")[0]) == (3, "NS_NO_OUTPUTS")
    running.good("jobs", "cancel", "o-6")


def test_a_text_is_printed_as_it_is_however_long_its_lines_are(running: Northstar) -> None:
    text = "a :smile: [bold]word[/bold]\tand " + "on and " * 100
    job = {"id": "s-8", "service": "copy", "payload": {"text": text}}
    assert text * 3 in running.run("submit", "-", "--wait", stdin=json.dumps(job)).out
    assert text * 3 in running.run("jobs", "show", "s-8").out
    assert text * 3 in running.run("jobs", "watch", "s-8").out


def test_waiting_for_a_job_that_fails_ends_with_exit_code_1(running: Northstar) -> None:
    job = {"id": "s-5", "service": "copy", "payload": {"fail": "/nowhere"}}
    answer = running.run("submit", "-", "--wait", "--json", stdin=json.dumps(job))
    assert answer.code == 1
    assert answer.json["jobs"][0]["error_code"] == "NS_ENGINE_PROGRAM_FAILED"


def test_a_wait_has_an_end(running: Northstar) -> None:
    job = {"id": "s-6", "service": "copy", "payload": {"steps": 100}}
    answer = running.run("submit", "-", "--wait", "--timeout", "0.3", stdin=json.dumps(job))
    assert answer.code == 1
    assert answer.err == (
        "waiting for s-6\nNS_WAIT_TIMEOUT: 1 job did not finish within 0.3 s (s-6) and goes on: northstar jobs list\n"
    )
    running.good("jobs", "cancel", "s-6")


def test_a_job_is_watched_to_its_end_with_its_progress(running: Northstar) -> None:
    running.good("pause", "cell")
    submit(running, "w-1", payload={"steps": 20})
    with running.started("jobs", "watch", "w-1", "--json") as watching:
        watching.until(lambda: '"queued"' in watching.words(), what="the job is seen in the queue")
        running.good("resume", "cell")
        assert watching.popen.wait(timeout=30) == 0
    news = [json.loads(line) for line in (running.folder / "out.log").read_text().splitlines() if '"event"' in line]
    states = [item["job"]["status"] for item in news if item["event"] == "state"]
    assert states[0] == "queued"
    assert states[-1] == "succeeded"
    fractions = [item["fraction"] for item in news if item["event"] == "progress"]
    assert fractions
    assert fractions == sorted(fractions)


def test_a_waiting_job_is_shown_with_its_place_and_why_its_time_is_unknown(running: Northstar) -> None:
    running.good("pause", "cell", "--because", "upkeep")
    submit(running, "q-1", "q-2")
    lines = running.run("jobs", "show", "q-2").out.splitlines()
    assert "status     queued (position 2, time unknown: cell is paused (upkeep))" in lines
    running.good("jobs", "cancel", "q-1", "q-2")
    running.good("resume", "cell")


def test_a_running_job_is_shown_with_what_its_machine_does(running: Northstar) -> None:
    submit(running, "r-1", payload={"steps": 1_000})

    def told() -> bool:
        progress = running.good("jobs", "show", "r-1")["progress"]
        return progress is not None and progress["phase"] == "running" and (progress["fraction"] or 0) > 0

    eventually(told, what="the job says how far it is")
    running.good("jobs", "cancel", "r-1")


def test_watching_a_finished_job_gives_its_result_for_people(running: Northstar) -> None:
    submit(running, "w-2", wait=True)
    answer = running.run("jobs", "watch", "w-2")
    assert answer.code == 0
    assert answer.out.splitlines()[0] == "job w-2: succeeded"
    assert "copy.txt: " in answer.out


def test_an_unknown_job_is_refused_by_name(running: Northstar) -> None:
    for command in (["show"], ["watch"]):
        answer = running.run("jobs", *command, "no-such-job")
        assert (answer.code, answer.err.split(":")[0]) == (3, "NS_NO_SUCH_JOB")
        assert "no job no-such-job in this cell" in answer.err


def test_waiting_jobs_can_be_moved_up_and_canceled(running: Northstar) -> None:
    running.good("pause", "cell")
    submit(running, "c-1", "c-2", "c-3")
    assert running.good("jobs", "reprioritise", "c-2", "--priority", "90") == {"jobs": [{"id": "c-2", "outcome": "ok"}]}
    waiting = [job["id"] for job in running.good("jobs", "list", "--in", "waiting")["jobs"]]
    assert waiting == ["c-2", "c-1", "c-3"]
    assert running.good("jobs", "cancel", "c-1", "c-3")["jobs"][0] == {"id": "c-1", "outcome": "canceled"}
    running.good("resume", "cell")
    assert submit(running, "c-2", wait=True)[0]["status"] == "succeeded"
    assert (status_of(running, "c-1"), status_of(running, "c-3")) == ("canceled", "canceled")


def test_a_running_job_is_canceled_on_its_machine(running: Northstar) -> None:
    submit(running, "c-4", payload={"steps": 400})
    eventually(lambda: status_of(running, "c-4") == "running", what="it runs", pause_s=0.1)
    running.good("jobs", "cancel", "c-4", "--because", "changed my mind")
    assert status_of(running, "c-4") == "canceled"

    def idle() -> bool:
        return all(machine["busy"] == 0 for machine in running.good("machines", "list")["machines"])

    eventually(idle, what="the machine is free again", pause_s=0.1, within_s=10.0)


def test_what_cannot_be_done_to_some_jobs_is_said_for_each_and_done_to_the_others(running: Northstar) -> None:
    submit(running, "c-5", wait=True)
    answer = running.run("jobs", "cancel", "c-5", "no-such-job", "--json")
    assert answer.code == 3
    outcomes = {job["id"]: job["outcome"] for job in answer.json["jobs"]}
    assert outcomes == {"c-5": "NS_JOB_FINISHED", "no-such-job": "NS_NO_SUCH_JOB"}
    assert answer.err.splitlines()[0] == ("NS_JOB_FINISHED: job c-5: the job is finished already and cannot be changed")


def test_the_list_tells_where_each_job_is(running: Northstar) -> None:
    submit(running, "l-1", wait=True)
    finished = running.good("jobs", "list", "--in", "finished", "--limit", "500")["jobs"]
    assert "l-1" in {job["id"] for job in finished}
    table = running.run("jobs", "list")
    assert table.out.split()[:3] == ["ID", "STATUS", "POOL"]


def test_what_ended_last_is_listed_first_and_what_is_left_out_is_counted(running: Northstar) -> None:
    for job_id in ("n-1", "n-2", "n-3"):
        submit(running, job_id, wait=True)
    listed = running.good("jobs", "list", "--in", "finished", "--limit", "2")
    assert [job["id"] for job in listed["jobs"]] == ["n-3", "n-2"]
    (left_out,) = listed["more"].values()
    table = running.run("jobs", "list", "--in", "finished", "--limit", "2").out
    assert table.splitlines()[-1] == f"… and {left_out} more finished; --limit shows more"
    assert left_out >= 1
    running.run("submit", "-", "--wait", stdin=json.dumps(failing("n-4", "n-5")))
    letters = running.good("dead", "list", "--tenant", "grace", "--limit", "1")
    assert ([letter["id"] for letter in letters["jobs"]], letters["is_cut"]) == (["n-5"], True)
    table = running.run("dead", "list", "--tenant", "grace", "--limit", "1").out
    assert table.splitlines()[-1] == "… and more; --limit shows more"


def failing(*ids: str) -> list[dict[str, Any]]:
    """Jobs that fail one after the other: a second one is begun when the first has failed."""
    return [
        {"id": job_id, "service": "copy", "tenant": "grace", "payload": {"fail": "/nowhere", "steps": 3 * number}}
        for number, job_id in enumerate(ids)
    ]


def test_a_job_is_shown_with_everything_that_is_known_of_it(running: Northstar) -> None:
    submit(running, "l-2", wait=True, tenant="ada")
    shown = running.good("jobs", "show", "l-2")
    assert (shown["body"]["service"], shown["tenant"], shown["result"]["outputs"][0]["name"]) == (
        "copy",
        "ada",
        "copy.txt",
    )
    for_people = running.run("jobs", "show", "l-2").out
    assert "tenant     ada, priority 60" in for_people


def test_a_finished_job_still_names_its_machine(running: Northstar) -> None:
    submit(running, "k-1", wait=True)
    assert running.good("jobs", "show", "k-1")["machine"] == "local"
    listed = running.good("jobs", "list", "--in", "finished", "--limit", "500")["jobs"]
    assert {job["machine"] for job in listed if job["id"] == "k-1"} == {"local"}
    assert " on local" in running.run("jobs", "show", "k-1").out


def test_what_happened_to_a_job_is_told_in_order(running: Northstar, tmp_path: Path) -> None:
    job = {"id": "e-1", "service": "copy", "tenant": "ada", "payload": {"fail": "/nowhere"}}
    running.run("submit", "-", "--wait", stdin=json.dumps(job))
    told = running.good("jobs", "events", "e-1")
    assert told["is_whole"]
    assert [step["event"] for step in told["events"] if step["event"] != "offered"] == [
        "submitted",
        "started",
        "failed",
    ]
    assert (told["events"][-1]["machine"], told["events"][-1]["attempt"]) == ("local", 1)
    assert told["events"][-1]["why"] == "NS_ENGINE_PROGRAM_FAILED"
    table = running.run("jobs", "events", "e-1").out
    assert "submitted by ada, queued with priority 60" in table
    assert "not tried again, since NS_ENGINE_PROGRAM_FAILED is not retryable" in table
    assert "dead replay" not in table, "which would fail in the same way"


def test_the_past_of_a_job_whose_history_cannot_be_read_is_told_as_far_as_it_is_known(running: Northstar) -> None:
    submit(running, "e-2", wait=True)
    elsewhere = {"NORTHSTAR_HISTORY_URL": f"sqlite:///{running.folder}/no-history.db"}
    answer = running.run("jobs", "events", "e-2", **elsewhere)
    assert answer.code == 4
    assert answer.err.startswith("NS_HISTORY_UNREADABLE: what is older is missing: ")
    assert "history.db, as host" in answer.err
    shown = running.run("jobs", "show", "e-2", **elsewhere)
    assert shown.code == 0
    assert "machine    not known: " in shown.out


def test_no_events_of_a_job_that_never_was(running: Northstar) -> None:
    answer = running.run("jobs", "events", "no-such-job")
    assert (answer.code, answer.err.split(":")[0]) == (3, "NS_NO_SUCH_JOB")


def test_the_list_says_where_jobs_are_and_in_which_order_it_is(running: Northstar) -> None:
    submit(running, "o-1", wait=True)
    table = running.run("jobs", "list").out
    assert table.split()[:6] == ["ID", "STATUS", "POOL", "SERVICE", "MACHINE", "AGE"]
    (row,) = [line.split() for line in table.splitlines() if line.startswith("o-1 ")]
    assert row[1:5] == ["succeeded", "standard", "copy", "local"]
    (job,) = [job for job in running.good("jobs", "list")["jobs"] if job["id"] == "o-1"]
    assert (job["pool"], job["tenant"], job["attempts"]) == ("standard", "default", 0)
    assert "running, then waiting, delayed, failed, finished" in table
    assert "of them failed" in running.run("status").out


# Dead letters -------------------------------------------------------------------------------------------------------


def test_dead_letters_are_listed_shown_and_replayed_once_their_cause_is_gone(
    running: Northstar, tmp_path: Path
) -> None:
    cure = tmp_path / "cure"
    job = {"id": "d-1", "service": "copy", "payload": {"fail": str(cure)}}
    assert running.run("submit", "-", "--wait", stdin=json.dumps(job)).code == 1
    (letter,) = [x for x in running.good("dead", "list")["jobs"] if x["id"] == "d-1"]
    assert (letter["code"], letter["attempts"]) == ("NS_ENGINE_PROGRAM_FAILED", 1)
    assert "this work fails until its file is there" in letter["message"]
    assert running.good("dead", "show", "d-1")["status"] == "failed"
    cure.touch()
    assert running.good("dead", "replay", "d-1") == {"jobs": [{"id": "d-1", "outcome": "ok"}]}
    assert submit(running, "d-1", wait=True, payload={"fail": str(cure)})[0]["status"] == "succeeded"


def test_replay_by_filter_asks_first_and_refuses_where_nobody_can_answer(running: Northstar, tmp_path: Path) -> None:
    cure = str(tmp_path / "cure")
    many = [{"id": f"d-{n}", "service": "copy", "tenant": "eve", "payload": {"fail": cure}} for n in range(10, 14)]
    assert running.run("submit", "-", "--wait", stdin=json.dumps(many)).code == 1
    asked = running.run("dead", "replay", "--tenant", "eve", "--json")
    assert asked.code == 2
    assert asked.err == (
        "NS_CONFIRMATION_NEEDED: 4 dead letters go back to work (4 copy NS_ENGINE_PROGRAM_FAILED); "
        "nothing was changed: add --yes to go on\n"
    )
    assert len(running.good("dead", "list", "--tenant", "eve")["jobs"]) == 4
    Path(cure).touch()
    replayed = running.good("dead", "replay", "--code", "NS_ENGINE_PROGRAM_FAILED", "--tenant", "eve", "--all", "--yes")
    assert len(replayed["jobs"]) == 4
    waited = running.good("submit", "-", "--wait", stdin=json.dumps(many))["jobs"]
    assert {job["status"] for job in waited} == {"succeeded"}


def test_replay_of_what_is_not_dead_is_refused(running: Northstar) -> None:
    submit(running, "d-2", wait=True)
    answer = running.run("dead", "replay", "d-2", "no-such-job")
    assert answer.code == 3
    codes = [line.split(":")[0] for line in answer.err.splitlines()]
    assert codes == ["NS_NOT_DEAD", "NS_NO_SUCH_JOB"]


def test_replay_needs_ids_or_a_filter_and_not_both(running: Northstar) -> None:
    for arguments in ([], ["some-id", "--all"]):
        answer = running.run("dead", "replay", *arguments)
        assert (answer.code, answer.err.split(":")[0]) == (2, "NS_NOTHING_NAMED")


# Pauses and machines ------------------------------------------------------------------------------------------------


def test_a_pause_is_seen_and_told_apart_from_one_that_was_there(running: Northstar) -> None:
    assert running.good("pause", "pool:standard", "--because", "new cooling") == {
        "scope": "pool:standard",
        "changed": True,
    }
    assert running.good("pause", "pool:standard")["changed"] is False
    assert "PAUSED pool:standard" in running.run("status").out
    (pause,) = running.good("status")["pauses"]
    assert (pause["scope"], pause["because"]) == ("pool:standard", "new cooling")
    assert running.good("resume", "pool:standard")["changed"] is True
    assert running.run("resume", "pool:standard").out == "pool:standard  was not paused\n"


def test_a_scope_that_is_none_is_refused(running: Northstar) -> None:
    answer = running.run("pause", "everything")
    assert (answer.code, answer.err) == (
        2,
        "NS_NO_SUCH_SCOPE: 'everything' cannot be paused or resumed; name `cell`, or one pool as `pool:NAME`\n",
    )


def test_a_pool_that_nobody_offers_is_not_paused_and_the_known_ones_are_named(running: Northstar) -> None:
    answer = running.run("pause", "pool:standrad")
    before, _, known = answer.err.partition("; there are ")
    assert (answer.code, before) == (2, "NS_NO_SUCH_POOL: there is no pool 'standrad'")
    assert {"standard", "lightning", "fast-lane", *running.good("pools", "list")["pools"]} <= set(
        known.strip().split(", ")
    )
    assert running.good("status")["pauses"] == []
    assert running.good("resume", "pool:standrad")["changed"] is False


def test_a_drained_machine_gets_nothing_new_until_it_is_active_again(running: Northstar) -> None:
    running.good("machines", "drain", "local")
    assert running.good("machines", "list")["machines"][0]["status"] == "draining"
    submit(running, "m-1")
    assert status_of(running, "m-1") == "queued"
    running.good("machines", "drain", "local", "--undo")
    assert submit(running, "m-1", wait=True)[0]["status"] == "succeeded"


def test_removing_a_machine_asks_and_one_that_lives_comes_back(running: Northstar) -> None:
    assert running.run("machines", "remove", "local").err.startswith("NS_CONFIRMATION_NEEDED: machine local is removed")
    assert running.good("machines", "remove", "local", "--yes") == {"machine": "local", "returned": 0}
    running.until_machines("local")
    assert submit(running, "m-2", wait=True)[0]["status"] == "succeeded"


def test_a_machine_that_is_unknown_is_refused(running: Northstar) -> None:
    for command in (["drain", "ghost"], ["remove", "ghost", "--yes"]):
        answer = running.run("machines", *command)
        assert answer.code == 3
        assert answer.err == (
            "NS_NO_SUCH_MACHINE: machine ghost is not registered in this cell, or was silent too long; register it again\n"
        )


def test_status_joins_jobs_lanes_and_machines(running: Northstar) -> None:
    seen = running.good("status")
    assert set(seen) == {
        *(
            "cell",
            "now_ms",
            "jobs",
            "totals",
            "history_behind",
            "history",
            "lanes",
            "machines",
            "machines_waiting",
            "pauses",
            "troubles",
            "brokers",
            "budgets",
        )
    }
    assert (seen["machines"][0]["id"], seen["machines"][0]["services"]) == ("local", ["copy"])
    for_people = running.run("status").out
    assert "cell default at " in for_people
    assert "local" in for_people


def test_a_job_that_nobody_began_in_time_says_by_when_it_was_to_start(running: Northstar) -> None:
    """Whoever set the deadline may be somebody else than who reads that it has passed."""
    late = {"id": "late-1", "service": "copy", "pool": "heavy", "payload": {}, "start_within_s": 0.2}
    told = "NS_NOT_STARTED_IN_TIME: it was to start within 0.2 s of its submission (start_within_s), by 20"
    waited = running.run("submit", "-", "--wait", stdin=json.dumps(late))
    assert (waited.code, told in waited.out + waited.err) == (1, True)
    assert told in running.run("jobs", "show", "late-1").out
    explained = running.run("explain", "late-1").out
    assert told in explained
    assert "is given up unless" not in explained
    assert running.good("jobs", "show", "late-1")["error_message"].startswith("it was to start within 0.2 s")
