"""Profiles and what the marks mean. Fixtures live beside the tests that use them."""

from __future__ import annotations

import os
import shutil
import signal

import pytest
from hypothesis import HealthCheck, settings

#: Modules that take longest, and begin first: a module stays on one worker, and one that begins last leaves the others idle until its
#: end. The rest follows in the order of its names; that it is many small modules makes the end even.
LONGEST_FIRST = (
    "tests/acceptance/test_up.py",
    "tests/acceptance/test_fleet.py",
    "tests/docs/test_pages.py",
    "tests/store/library/test_bad_requests.py",
    "tests/acceptance/test_demo.py",
    "tests/packaging/test_wheel.py",
    "tests/store/queue/test_state_machine.py",
    "tests/store/library/test_no_half_transition.py",
    "tests/surfaces/cli/test_moving.py",
    "tests/surfaces/cli/test_jobs.py",
    "tests/surfaces/cli/test_admission.py",
    "tests/acceptance/test_fleet_kills.py",
    "tests/acceptance/test_fleet_wake_ups.py",
    "tests/acceptance/test_wake_ups.py",
)
LONG = "long"
SHORT = "short"

# A slow, shared machine must not turn a correct property red: wall-clock limits are pytest-timeout's business.
settings.register_profile(SHORT, max_examples=50, stateful_step_count=50, deadline=None)
settings.register_profile(
    LONG,
    max_examples=2_000,
    stateful_step_count=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def chosen_profile() -> str:
    """Name the profile that the environment asks for: `short` unless NORTHSTAR_PROFILE says `long`."""
    profile = os.environ.get("NORTHSTAR_PROFILE", SHORT)
    if profile not in {SHORT, LONG}:
        message = f"NORTHSTAR_PROFILE is {profile!r}; it must be {SHORT!r} or {LONG!r}"
        raise pytest.UsageError(message)
    return profile


def in_ci() -> bool:
    """Whether a missing server is a failure (CI) or a reason to skip (a developer's machine)."""
    return os.environ.get("CI", "").lower() in {"1", "true"}


def pytest_configure() -> None:
    settings.load_profile(chosen_profile())
    # A shell that starts us in the background has us ignore some signals, and so would every program that the tests start.
    for number in (signal.SIGHUP, signal.SIGINT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def pytest_report_header() -> str:
    return f"profile: {chosen_profile()} (NORTHSTAR_PROFILE={SHORT}|{LONG})"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {module: number for number, module in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: place.get(item.nodeid.partition("::")[0], len(place)))
    if chosen_profile() == LONG:
        return
    for item in items:
        if item.get_closest_marker("long") is not None:
            item.add_marker(pytest.mark.skip(reason="long profile only: make test-long"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("redis7") is None or shutil.which("redis-server") is not None:
        return
    reason = "redis-server is not on the path; `make test` installs it as root on Debian"
    if in_ci():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
