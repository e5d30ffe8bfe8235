"""What the settings say of their only machine holds for a machine of another name; of several, none is guessed at."""

from __future__ import annotations

from pathlib import Path

import msgspec
import structlog

from northstar.agent.joining import Membership
from northstar.assembly.joining import as_member
from northstar.assembly.template import announced_by, tell_what_holds, template_for
from northstar.config import MachineSettings, Settings, load
from northstar.domain.admission import Grant
from northstar.store.wire import Joined

GPU = MachineSettings(
    name="any", services=("picture",), slots=3, vram_mb=24_000, gpu="RTX 4090", price_usd_per_hour=0.25
)
GRANT = Grant(pools=("fast",), region="eu", tags=("quiet",))
MEMBERSHIP = Membership(
    broker="http://127.0.0.1:1", joined=Joined(machine="gpu-7", cell="c", status="approved", grant=GRANT)
)


def settings(*machines: MachineSettings) -> Settings:
    found = load(environment={}, file=None, options={"data_dir": str(Path("/nowhere"))})
    return msgspec.structs.replace(found, machines=machines) if machines else found


def test_the_only_machine_is_the_template_of_one_with_another_name_and_the_log_says_so() -> None:
    with structlog.testing.capture_logs() as lines:
        tell_what_holds(settings(GPU), "gpu-7")
    template = template_for(settings(GPU), "gpu-7")
    assert template == msgspec.structs.replace(GPU, name="gpu-7")
    assert [(line["event"], line["of"]) for line in lines] == [("machine_settings_taken_over", "any")]


def test_what_the_template_leaves_unsaid_follows_from_the_invite() -> None:
    template = template_for(settings(GPU), "gpu-7")
    assert template is not None
    machine = as_member(settings(GPU), "gpu-7", MEMBERSHIP, services=(), template=template).machine("gpu-7")
    assert machine is not None
    assert (machine.slots, machine.vram_mb, machine.gpu, machine.price_usd_per_hour) == (3, 24_000, "RTX 4090", 0.25)
    assert (machine.pools, machine.region, machine.tags) == (("fast",), "eu", ("quiet",))
    GRANT.check_announced("gpu-7", announced_by(template))


def test_what_the_template_says_is_announced_before_a_use_of_the_invite_is_spent() -> None:
    said = announced_by(msgspec.structs.replace(GPU, pools=("slow",), tags=("loud",), region="us"))
    assert (said.pools, said.tags, said.region) == (("slow",), ("loud",), "us")


def test_of_several_machines_none_is_taken_and_the_log_names_them() -> None:
    other = msgspec.structs.replace(GPU, name="other")
    with structlog.testing.capture_logs() as lines:
        tell_what_holds(settings(GPU, other), "gpu-7")
    assert template_for(settings(GPU, other), "gpu-7") is None
    assert [(line["log_level"], line["not_used"]) for line in lines] == [("warning", ["any", "other"])]


def test_a_machine_that_the_settings_have_or_a_host_without_settings_needs_no_template() -> None:
    with structlog.testing.capture_logs() as lines:
        tell_what_holds(settings(GPU), "any")
        tell_what_holds(settings(), "gpu-7")
    assert template_for(settings(GPU), "any") is None
    assert template_for(settings(), "gpu-7") is None
    assert lines == []
