"""Write docs/reference/configuration.md from the code: `python scripts/write_configuration_reference.py`.

Values and what they mean come from `defaults.toml`, types and bounds from the settings' types, and what is not in the
defaults (machines and services) from the comments beside its fields. A test fails when the page is not what this writes.
"""

from __future__ import annotations

import inspect
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from northstar.config import (
    ComfyUIPatienceSettings,
    ComfyUIService,
    CommandLimitSettings,
    CommandService,
    FixedTimeSettings,
    LognormalTimeSettings,
    MachineSettings,
    OllamaPatienceSettings,
    OllamaService,
    OpenAIService,
    PatienceSettings,
    Settings,
    SimulatedService,
    StepTimeSettings,
    variables,
)
from northstar.domain.tenancy import TenantTerms
from northstar.surfaces.http.description.field_comments import field_comments

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "configuration.md"
_KEY = re.compile(r"^(\w+) = ")
_TABLE = re.compile(r"^\[(\w+)\]$")

_HEAD = """# Configuration

This page is written by `scripts/write_configuration_reference.py` from the code; change it there.

Settings come from four places, and the later one wins, key by key: the defaults below; a TOML file (`--config FILE`, else
`NORTHSTAR_CONFIG`, else `northstar/northstar.toml` in `$XDG_CONFIG_HOME` or `~/.config`); environment variables; options of the
command. A key that does not exist is an error that names it (`NS_INVALID_SETTINGS`), and so is a variable that begins with
`NORTHSTAR_` and sets nothing. `[[machines]]` of a file replace those of the defaults as a whole, and so does each
`[services.NAME]`.

Some variables are no settings: `NORTHSTAR_CONFIG`; for `northstar agent` `NORTHSTAR_JOIN` (the broker to join) and
`NORTHSTAR_INVITE` (the invite to join by); for brokers `NORTHSTAR_WEBHOOK_KEY` ([webhooks](../how-to/webhooks.md)). In a variable the items of a list stand with commas between them.
"""

#: What the types do not say.
_NOTES = {
    "`[tenants.NAME]`": "What holds is what the cell says: these tables make up the file of `northstar tenants apply`. In the settings of a broker they are\n"
    "put in force where its cell has never had terms of tenants; elsewhere, and for every other process, they say nothing, and where they differ\n"
    "from the cell that is named (`NS_TERMS_DIFFER`, `NS_TERMS_NOT_APPLIED`). See [routing](../explanation/routing.md)."
}


def page() -> str:
    """The page as it must be."""
    return "\n".join([_HEAD, *_tables(), *_machines_and_services()]) + "\n"


def _tables() -> Iterator[str]:
    text = resources.files("northstar").joinpath("defaults.toml").read_text()
    values: dict[str, Any] = tomllib.loads(text)
    names = {key: variable for variable, key in variables().items()}
    table, comment = "", ""
    yield from _heading("Top level")
    for line in text.splitlines():
        if found := _TABLE.match(line):
            table, comment = found[1], ""
            yield from ("", *_heading(f"`[{table}]`"))
        elif line.startswith("[["):
            return
        elif line.startswith("# "):
            comment = f"{comment} {line[2:]}".strip()
        elif found := _KEY.match(line):
            key = f"{table}.{found[1]}" if table else found[1]
            value = (values[table] if table else values)[found[1]]
            yield f"| `{found[1]}` | {_shown(value)} | {_range(key)} | `{names[key]}` | {comment} |"
            comment = ""
        elif not line:
            comment = ""


def _heading(title: str) -> tuple[str, ...]:
    return (f"## {title}", "", "| key | default | type | variable | meaning |", "| --- | --- | --- | --- | --- |")


def _range(key: str) -> str:
    kind: type[msgspec.Struct] = Settings
    *tables, name = key.split(".")
    for table in tables:
        kind = next(field.type for field in msgspec.structs.fields(kind) if field.name == table)
    return _type(next(field.type for field in msgspec.structs.fields(kind) if field.name == name))


def _machines_and_services() -> Iterator[str]:
    for title, kind in (
        ("`[tenants.NAME]`", TenantTerms),
        ("`[[machines]]`", MachineSettings),
        ('`[services.NAME]` with `connector = "openai"`', OpenAIService),
        ('`[services.NAME.patience]` with `connector = "openai"`', PatienceSettings),
        ('`[services.NAME]` with `connector = "ollama"`', OllamaService),
        ('`[services.NAME.patience]` with `connector = "ollama"`', OllamaPatienceSettings),
        ('`[services.NAME]` with `connector = "command"`', CommandService),
        ('`[services.NAME.limits]` with `connector = "command"`', CommandLimitSettings),
        ('`[services.NAME]` with `connector = "simulated"`', SimulatedService),
        ("Times of a simulated service: fixed", FixedTimeSettings),
        ("Times of a simulated service: lognormal", LognormalTimeSettings),
        ("Times of a simulated service: steps", StepTimeSettings),
        ('`[services.NAME]` with `connector = "comfyui"`', ComfyUIService),
        ("`[services.NAME.patience]` of a ComfyUI server", ComfyUIPatienceSettings),
    ):
        yield from ("", f"## {title}", "", (inspect.getdoc(kind) or "").strip(), "")
        if title in _NOTES:
            yield from (_NOTES[title], "")
        yield from ("| key | default | type | meaning |", "| --- | --- | --- | --- |")
        comments = field_comments(kind)
        for field in msgspec.structs.fields(kind):
            value = "required" if field.required else _shown(field.default)
            yield f"| `{field.name}` | {value} | {_type(field.type)} | {comments[field.name]} |"


def _shown(value: Any) -> str:
    if isinstance(value, msgspec.Struct):
        return "as below"
    if value is msgspec.NODEFAULT or value is None or value in ("", (), {}, frozenset()):
        return "empty"
    plain = {True: "true", False: "false"}.get(value) if isinstance(value, bool) else None
    return f"`{plain or msgspec.json.encode(value).decode()}`"


def _type(annotation: Any) -> str:
    """A type in a few words, with its bounds."""
    info = msgspec.inspect.type_info(annotation)
    return _words(info).replace("|", "\\|")


def _words(info: Any) -> str:
    match info:
        case msgspec.inspect.IntType() | msgspec.inspect.FloatType():
            word = "whole number" if isinstance(info, msgspec.inspect.IntType) else "number"
            low = [f"from {info.ge}" if info.ge is not None else "", f"above {info.gt}" if info.gt is not None else ""]
            high = f"up to {info.le:,}" if info.le is not None else ""
            return " ".join(part for part in (word, *low, high) if part)
        case msgspec.inspect.BoolType():
            return "true or false"
        case msgspec.inspect.LiteralType():
            return " or ".join(f'`"{value}"`' for value in info.values)
        case msgspec.inspect.StrType():
            return "text"
        case msgspec.inspect.VarTupleType() | msgspec.inspect.FrozenSetType():
            return f"list of {_words(info.item_type)}"
        case msgspec.inspect.UnionType():
            kinds = (_words(kind) for kind in info.types if not isinstance(kind, msgspec.inspect.NoneType))
            return " or ".join(dict.fromkeys(kinds))
        case _:
            return "table"


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE} written\n")
