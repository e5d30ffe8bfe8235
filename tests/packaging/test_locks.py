"""The locks promise that every machine installs the same files, checked by hash."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
#: lock -> (extras, groups) that it must hold beside the core.
LOCKS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "core": ((), ()),
    "demo": (("demo", "speed"), ("build",)),
    "agent": (("speed", "s3"), ()),
    "production": (("serve", "speed", "postgres", "s3"), ()),
    "dev": (("serve", "speed", "postgres", "s3", "demo", "simulation"), ("build", "images", "dev")),
}


@cache
def entries(lock: str) -> tuple[str, ...]:
    """Split a lock into its entries, each with its hashes."""
    text = (ROOT / "constraints" / f"{lock}.txt").read_text(encoding="utf-8")
    lines = [line for line in text.replace("\\\n", " ").splitlines() if not line.lstrip().startswith("#")]
    return tuple(line for line in lines if line.strip())


@cache
def pins(lock: str) -> dict[str, frozenset[Version]]:
    """Collect the versions pinned for each package; there are several where the Python version decides."""
    found: dict[str, set[Version]] = {}
    for entry in entries(lock):
        requirement = Requirement(entry.split(" --hash", 1)[0].strip())
        (pin,) = requirement.specifier
        assert pin.operator == "=="
        found.setdefault(canonicalize_name(requirement.name), set()).add(Version(pin.version))
    return {name: frozenset(versions) for name, versions in found.items()}


def declared(lock: str) -> list[Requirement]:
    extras, groups = LOCKS[lock]
    lines: list[str] = list(PROJECT["project"]["dependencies"])
    for extra in extras:
        lines += PROJECT["project"]["optional-dependencies"][extra]
    for group in groups:
        lines += [line for line in PROJECT["dependency-groups"][group] if isinstance(line, str)]
    return [Requirement(line) for line in lines]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_every_declared_package_within_its_declared_bounds(lock: str) -> None:
    pinned = pins(lock)
    for requirement in declared(lock):
        versions = pinned.get(canonicalize_name(requirement.name), frozenset())
        assert versions, f"{lock}.txt does not pin {requirement.name}; run: make lock"
        for version in versions:
            assert version in requirement.specifier, f"{lock}.txt pins {requirement.name} {version}; run: make lock"


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_nothing_but_pins_with_hashes(lock: str) -> None:
    assert entries(lock)
    for entry in entries(lock):
        assert re.match(r"[A-Za-z0-9._\[\],-]+==\S+( ; [^-]*?)?( +--hash=sha256:[0-9a-f]{64})+$", entry.rstrip()), entry


@pytest.mark.parametrize("lock", sorted(set(LOCKS) - {"dev"}))
def test_the_locks_are_parts_of_one_resolution(lock: str) -> None:
    everything = pins("dev")
    for name, versions in pins(lock).items():
        assert versions <= everything.get(name, frozenset()), f"{lock}.txt and dev.txt disagree about {name}"


def test_a_python_older_than_the_resolver_s_own_finds_the_packages_only_it_needs() -> None:
    # Debian 12 ships Python 3.11.2, for which the Valkey client asks for one package more than for 3.11.3.
    assert any(entry.startswith("async-timeout==") and "3.11.3" in entry for entry in entries("core"))
