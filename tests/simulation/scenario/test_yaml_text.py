"""YAML as scenarios use it: plain data with lines, and nothing that could mean two things."""

from __future__ import annotations

import builtins
from typing import Any

import pytest

from northstar.simulation.scenario.errors import InvalidScenario, ScenarioReaderMissing
from northstar.simulation.scenario.yaml_text import parts, read_document, written

TEXT = """\
# What it is for
about: >
  Two lines
  of text.
fleet:
  groups:
    - name: day
      count: 24
    - {name: night, count: 2}
window: {from: 2d}
"""


def test_every_key_and_element_has_its_line() -> None:
    document = read_document(TEXT, source="x.yaml")
    assert document.data["fleet"]["groups"] == [{"name": "day", "count": 24}, {"name": "night", "count": 2}]
    lines = {path: document.line_of(parts(path)) for path in ("about", "fleet.groups[0].count", "fleet.groups[1].name")}
    assert lines == {"about": 2, "fleet.groups[0].count": 8, "fleet.groups[1].name": 9}
    assert document.line_of(("fleet", "groups", 1, "kind")) == 9, "of what is missing: where it should be"
    assert document.line_of(("faults",)) == 2


@pytest.mark.parametrize("path", ["", "fleet", "fleet.groups[0].count", "fleet.kinds.rtx-4090.pools[2]"])
def test_paths_are_read_as_they_are_written(path: str) -> None:
    assert written(parts(path)) == path


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("2024-12-01", "2024-12-01"),
        ("0x10", "0x10"),
        ("12h", "12h"),
        ("'12'", "12"),
        ("12", 12),
        ("50_000", 50_000),
        ("-3", -3),
        ("1.5", 1.5),
        ("1e-3", 0.001),
        (".inf", ".inf"),
        ("true", True),
        ("null", None),
        ("", None),
    ],
)
def test_words_are_words_and_numbers_numbers(word: str, value: object) -> None:
    assert read_document(f"key: {word}", source="x").data == {"key": value}


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a: 1\nb: [1, 2\n", 3, "is not valid YAML"),
        ("a: 1\n\tb: 2\n", 2, "is not valid YAML"),
        ("a: 1\nb: 2\na: 3\n", 3, "`a` stands twice"),
        ("a: &x [1]\nb: 2\n", 1, "`a` has an anchor"),
        ("a: 1\nb: *x\n", 2, "`b` has an anchor"),
        ("a: 1\n<<: {b: 2}\n", 2, "merges another object"),
        ("a: !!python/object:os.system 1\n", 1, "has the tag"),
        ("? [1, 2]\n: 3\n", 1, "no plain word"),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("a: " + "[" * 30 + "]" * 30, 1, "nested more than 20 deep"),
    ],
)
def test_what_could_be_misunderstood_is_refused_with_its_line(text: str, line: int, says: str) -> None:
    with pytest.raises(InvalidScenario) as refused:
        read_document(text, source="x.yaml")
    assert refused.value.code == "NS_INVALID_SCENARIO"
    assert refused.value.line == line
    assert str(refused.value).startswith(f"x.yaml:{line}: ")
    assert says in str(refused.value)


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "a\x00b"])
def test_a_text_without_a_scenario_is_refused(text: str) -> None:
    with pytest.raises(InvalidScenario):
        read_document(text, source="x.yaml")


def test_a_small_file_cannot_become_a_huge_one() -> None:
    bomb = "a: &a [x, x]\n" + "\n".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]" for n in range(20)
    )
    with pytest.raises(InvalidScenario, match="anchor"):
        read_document(bomb, source="x.yaml")


def test_without_the_package_that_reads_yaml_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_yaml(name: str, *arguments: Any) -> Any:
        if name == "yaml":
            raise ImportError(name)
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without_yaml)
    with pytest.raises(ScenarioReaderMissing, match=r"pip install 'northstar-broker\[simulation\]'"):
        read_document(TEXT, source="x.yaml")
