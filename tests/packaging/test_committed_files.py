"""What a committed file must not name: hosts of package registries, and places of one particular machine."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Put together from parts, so that this file does not name them either.
HOSTS = (
    "py" + "pi.org",
    "py" + "thonhosted.org",
    "registry." + "npmjs.org",
    "registry." + "yarnpkg.com",
    "deb." + "debian.org",
    "security." + "debian.org",
    "static." + "crates.io",
    "proxy." + "golang.org",
)
PLACES = ("/" + "work/", "/" + "tmp/brief", "/" + "opt/pypi", "/" + "opt/wheels")
FORBIDDEN = re.compile(
    "|".join([*(re.escape(host) for host in HOSTS), *(rf"(?<![\w.-]){re.escape(place)}" for place in PLACES)]),
    re.IGNORECASE,
)


def project_files() -> list[Path]:
    """List what is committed or would be: tracked files, and new ones that git does not ignore."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=60).stdout.decode()
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def places_of(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8", errors="replace")
    return [
        f"{path.relative_to(ROOT)}:{number}: {found.group()}"
        for number, line in enumerate(text.splitlines(), start=1)
        if (found := FORBIDDEN.search(line))
    ]


def test_no_file_names_a_registry_host_or_a_place_of_one_machine() -> None:
    files = project_files()
    assert ROOT / "pyproject.toml" in files
    assert [place for path in files for place in places_of(path)] == []


@pytest.mark.parametrize("text", [f"https://{HOSTS[0]}/simple", f"see {PLACES[0]}notes.md", f"`{PLACES[1]}`"])
def test_the_search_finds_what_it_looks_for(text: str) -> None:
    assert FORBIDDEN.search(text)


@pytest.mark.parametrize(
    "text", ["src/" + PLACES[0].strip("/") + "/x.py", "net" + PLACES[0].strip("/") + "s", "homework/1"]
)
def test_the_search_leaves_other_words_alone(text: str) -> None:
    assert FORBIDDEN.search(text) is None
