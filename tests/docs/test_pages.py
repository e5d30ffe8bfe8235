"""What the documentation shows is true: its commands run, its files are used as shown, its links lead somewhere.

Every block of commands has a mark that says who runs it (`tests/docs/page.py`), so that a new one cannot escape. The pages that begin with
a plain `northstar up` are followed on one, each by a reader with a folder of his own, because starting it takes longer than they do.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from northstar.config import load
from northstar.surfaces.cli.commands import COMMANDS, Group, plain, with_commands
from tests.conftest import in_ci
from tests.docs.page import NEEDS, PAGES, ROOT, Block, blocks, calls_of_northstar
from tests.docs.reader import Host, Reader

#: Pages that have a test of their own.
APART: Final = {"first-hour.md"}
RUNNABLE: Final = [
    page for page in PAGES if page.name not in APART and any(block.mark == "run" for block in blocks(page))
]
_LINK = re.compile(r"\[[^\]]*\]\((?!https?:|#)([^)#\s]+)")


def a_job_that_waits(reader: Reader) -> str:
    """One that no machine here can run."""
    needs = {"service": "picture", "payload": {"prompt": "a sky"}, "requires": {"vram_mb": 20_000}}
    told = reader.northstar("submit", "-", "--json", stdin=json.dumps(needs).encode())
    return str(json.loads(told)["jobs"][0]["id"])


def the_last_key(reader: Reader) -> str:
    return reader.shown["nsk_"].split("_")[1]


def the_last_invite(reader: Reader) -> str:
    return reader.shown["nsi_"]


#: What pages leave to their readers, in capitals.
WORDS: Final[dict[str, dict[str, Callable[[Reader], str]]]] = {
    "give-keys.md": {"KEY": the_last_key},
    "let-machines-join.md": {"NAME": lambda _reader: "second", "INVITE": the_last_invite},
    "operate.md": {"ID": a_job_that_waits},
}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    host = Host(tmp_path_factory.mktemp("home"))
    with host.is_up():
        yield host


#: Pages that start a server of their own for what other tests show as well (`tests/connectors`, `tests/acceptance/test_up.py`).
OF_THE_LONG_PROFILE: Final = {"connect-an-engine.md", "use-your-own-server.md"}


def as_cases(pages: list[Path]) -> list[Any]:
    long = pytest.mark.long
    return [
        pytest.param(page, id=page.name, marks=[long] if page.name in OF_THE_LONG_PROFILE else []) for page in pages
    ]


@pytest.mark.parametrize("page", as_cases(RUNNABLE))
def test_every_marked_command_of_a_page_runs(page: Path, host: Host, tmp_path: Path) -> None:
    if "curl " in page.read_text() and shutil.which("curl") is None and not in_ci():
        pytest.skip("curl is not on the path")
    with contextlib.ExitStack() as stack:
        reader = Reader(host, tmp_path, stack, words=WORDS.get(page.name, {}))
        (tmp_path / "ink.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
        reader.follow(blocks(page))
    assert reader.ran > 0


def shown_commands() -> Iterator[tuple[Path, Block]]:
    return ((page, block) for page in PAGES for block in blocks(page) if block.shows_commands)


def test_every_block_of_commands_says_who_runs_it() -> None:
    for page, block in shown_commands():
        where = f"{page.relative_to(ROOT)}:{block.line}"
        assert block.language == "console", f"{where}: commands stand in blocks of the language console"
        match block.mark:
            case "run":
                others = [line for line in block.text.splitlines() if line[:2] != "$ "]
                assert all("\n" in command for command in block.commands()) or others == [], f"{where}: {others}"
            case "tested":
                test = ROOT / block.about
                assert test.is_file(), f"{where}: {block.about} is not there"
            case "needs":
                assert block.about in NEEDS, f"{where}: {block.about!r} is none of {sorted(NEEDS)}"
            case _:
                pytest.fail(f"{where}: nobody says who runs these commands; see tests/docs/page.py")


def test_what_is_tested_elsewhere_is_tested_by_something_that_runs_such_commands() -> None:
    for page, block in shown_commands():
        if block.mark != "tested":
            continue
        text = (ROOT / block.about).read_text()
        for command in block.commands():
            for words in calls_of_northstar(command):
                assert words[0] in text, f"{page.name}:{block.line}: {block.about} does not run `northstar {words[0]}`"


def options_of(words: list[str]) -> set[str] | None:
    """The options of the command that begins with these words; None: there is no such command."""
    found = COMMANDS.get(words[0])
    if isinstance(found, Group):
        if len(words) < 2 or words[1].startswith("-"):
            return {"--help"}
        if words[1] not in found.commands:
            return None
    elif found is None:
        return None
    command: Any = with_commands(plain("northstar"), COMMANDS)
    for word in words[: 2 if isinstance(found, Group) else 1]:
        command = command.commands[word]
    return {"--help"} | {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}


def told_calls() -> Iterator[tuple[str, list[str]]]:
    """Every call of ours on any page, whether it stands in a block or in a sentence."""
    for page in PAGES:
        text = page.read_text()
        for command in re.findall(r"`(northstar [a-z][^`]*)`", text):
            yield from ((page.name, words) for words in calls_of_northstar(command.replace("\n", " ")))
        for block in blocks(page):
            if block.shows_commands:
                for command in block.commands():
                    yield from ((page.name, words) for words in calls_of_northstar(command))


def test_every_command_that_a_page_names_exists_with_its_options() -> None:
    seen = 0
    for page, words in told_calls():
        options = options_of(words)
        assert options is not None, f"{page}: there is no command `northstar {' '.join(words)}`"
        for word in words:
            if word.startswith("--"):
                assert word.partition("=")[0] in options, f"{page}: `northstar {' '.join(words)}` has no {word}"
        seen += 1
    assert seen > 100


#: Files that are no settings; what reads them is run.
_OTHER_FILES: Final = {"models.toml", "tenants.toml"}


def test_every_settings_file_that_a_page_shows_is_accepted(tmp_path: Path) -> None:
    seen = 0
    for page in PAGES:
        for block in blocks(page):
            if block.language != "toml" or block.about in _OTHER_FILES or page.parent.name == "explanation":
                continue
            file = tmp_path / f"{page.stem}-{block.line}.toml"
            file.write_text(block.text.replace("FOLDER", str(tmp_path)))
            load(environment={}, file=file, options={"data_dir": str(tmp_path)})
            seen += 1
    assert seen > 15


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda page: str(page.relative_to(ROOT))
)
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(page.read_text()):
        assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, beyond = set[Path](), {ROOT / "README.md"}
    while beyond:
        page = beyond.pop()
        reached.add(page)
        links = ((page.parent / link).resolve() for link in _LINK.findall(page.read_text()))
        beyond |= {link for link in links if link.suffix == ".md" and link.is_file()} - reached
    assert set(PAGES) - reached == set()


def test_the_commands_of_the_readme_are_targets_of_the_makefile() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = re.findall(r"^\$ make ([a-z-]+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert named == ["demo", "test"]
    assert set(named) <= set(targets)
