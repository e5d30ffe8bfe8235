"""Write docs/reference/cli.md from the program: `python scripts/write_command_reference.py`.

Commands, their arguments and options come from the signatures by which Typer calls them, meanings from their docstrings and
help texts. A test fails when the page is not what this writes.
"""

from __future__ import annotations

import enum
import inspect
import sys
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from typer.models import ArgumentInfo, OptionInfo

from northstar.surfaces.cli.commands import COMMANDS, Group, function_at
from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, Yes

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "reference" / "cli.md"

_HEAD: Final = """# Commands

This page is written by `scripts/write_command_reference.py` from the program; change it there. `northstar COMMAND --help` says the same.

The standard output is for results, the standard error for everything else: errors as `NS_CODE: sentence` ([all of them](errors.md)),
and logs. With `--json` a command prints JSON alone and never asks: what would ask is refused (`NS_CONFIRMATION_NEEDED`) without `--yes`.
Lengths of time are a whole number and a unit: `90s`, `15m`, `12h`, `30d`.

| exit code | says |
| --- | --- |
| 0 | done |
| 1 | failed: a job did not succeed, or something that has no number of its own |
| 2 | the command or the request can never work as it is |
| 3 | refused by the present state |
| 4 | unavailable: something that is needed is missing, full, broken or of the wrong version |
| 5 | `northstar doctor` found a fault |
| 130, 143 | ended by Ctrl-C, by SIGTERM |
| 141 | whoever read the output has gone |

## Completion

`northstar completion SHELL` prints what makes bash, zsh or fish complete commands, options and their choices:

<!-- tested: tests/surfaces/cli/test_whole_program.py -->
```console
$ northstar completion bash > ~/.local/share/bash-completion/completions/northstar
$ northstar completion zsh > "${fpath[1]}/_northstar"
$ northstar completion fish > ~/.config/fish/completions/northstar.fish
```

## Options of many commands

| option | meaning |
| --- | --- |
"""
#: Told once at the top; a command only names which of them it has.
_SHARED: Final = {
    "config": Config,
    "data_dir": DataDir,
    "valkey": Valkey,
    "cell": CellName,
    "as_json": AsJson,
    "yes": Yes,
}


class Parameter(typing.NamedTuple):
    """One argument or option as its reader needs it."""

    key: str
    shown: str
    help: str
    is_argument: bool


def page() -> str:
    """The page as it must be."""
    shared = [_parameter(key, kind, inspect.Parameter.empty) for key, kind in _SHARED.items()]
    rows = [f"| `{known.shown}` | {known.help} |" for known in shared if known is not None]
    return _HEAD + "\n".join([*rows, *_program(COMMANDS, "northstar")]) + "\n"


def _program(commands: Mapping[str, str | Group], name: str) -> Iterator[str]:
    """Commands, and those of groups, in the order in which `--help` has them."""
    for command, place in commands.items():
        title = f"{name} {command}"
        if isinstance(place, Group):
            yield from ("", f"## `{title}`", "", _sentence(place.help))
            yield from _program(place.commands, title)
        else:
            yield from _command(title, function_at(place))


def _command(title: str, callback: Callable[..., Any]) -> Iterator[str]:
    known = list(_parameters(callback))
    arguments = "".join(f" {one.shown}" for one in known if one.is_argument)
    level = "##" if title.count(" ") == 1 else "###"
    yield from ("", f"{level} `{title}{arguments}`", "", inspect.cleandoc(callback.__doc__ or ""))
    own = [one for one in known if one.key not in _SHARED and (one.help or not one.is_argument)]
    if own:
        yield from ("", "| argument or option | meaning |", "| --- | --- |")
        yield from (f"| `{one.shown}` | {one.help or '-'} |" for one in own)
    shared = [f"`{one.shown.split()[0].rstrip(',')}`" for one in known if one.key in _SHARED]
    if shared:
        yield from ("", f"And {', '.join(shared)}.")


def _parameters(callback: Callable[..., Any]) -> Iterator[Parameter]:
    hints = typing.get_type_hints(callback, include_extras=True)
    for key, given in inspect.signature(callback).parameters.items():
        found = _parameter(key, hints[key], given.default)
        if found is not None:
            yield found


def _parameter(key: str, hint: Any, default: Any) -> Parameter | None:
    kind, *more = typing.get_args(hint)
    info = next((one for one in more if isinstance(one, (ArgumentInfo, OptionInfo))), None)
    if info is None:
        raise LookupError(f"{key} is annotated with neither an argument nor an option")
    if info.hidden:
        return None
    is_list, plain = _plain(kind)
    meaning = _sentence(str(info.help or ""))
    if is_list and "again" not in meaning and "several" not in meaning and isinstance(info, OptionInfo):
        meaning += " May be given several times."
    bounds = _bounds(info)
    meaning += _choices(plain) + ("" if bounds.strip(" .") in meaning else bounds) + _default(default)
    if default is inspect.Parameter.empty and isinstance(info, OptionInfo) and key not in _SHARED:
        meaning += " Must be given."
    variables = [info.envvar] if isinstance(info.envvar, str) else list(info.envvar or [])
    if variables:
        meaning += " From the environment: " + ", ".join(f"`{name}`" for name in variables) + "."
    meaning = meaning.strip().replace("|", "\\|")
    if isinstance(info, ArgumentInfo):
        shown = info.metavar or key.upper()
        return Parameter(key, f"[{shown}]" if default is None else shown, meaning, is_argument=True)
    # Inside `Annotated` the first name of an option stands where a default would.
    first = [info.default] if isinstance(info.default, str) else []
    names = [*first, *(info.param_decls or [])] or [f"--{_dashed(key)}"]
    value = "" if plain is bool else f" {info.metavar or _word(plain)}"
    return Parameter(key, ", ".join(names) + value, meaning, is_argument=False)


def _plain(kind: Any) -> tuple[bool, Any]:
    """Whether it is a list, and the type without `None` and list around it."""
    options = [one for one in typing.get_args(kind) if one is not type(None)]
    if type(None) in typing.get_args(kind) and len(options) == 1:
        kind = options[0]
    if typing.get_origin(kind) is list:
        return True, typing.get_args(kind)[0]
    return False, kind


def _word(kind: Any) -> str:
    return {int: "N", float: "N"}.get(kind, "TEXT")


def _choices(kind: Any) -> str:
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return " One of " + ", ".join(f"`{choice.value}`" for choice in kind) + "."
    if typing.get_origin(kind) is not Literal:
        return ""
    return " One of " + ", ".join(f"`{choice}`" for choice in typing.get_args(kind)) + "."


def _bounds(info: ArgumentInfo | OptionInfo) -> str:
    match info.min, info.max:
        case None, None:
            return ""
        case low, None:
            return f" At least {low:,}."
        case None, high:
            return f" At most {high:,}."
        case low, high:
            return f" {low:,} to {high:,}."


def _default(value: Any) -> str:
    """The default, where there is one that says something."""
    if value in {None, False, "", inspect.Parameter.empty} or isinstance(value, bool):
        return ""
    return f" Default: `{value}`."


def _sentence(text: str) -> str:
    return text if not text or text.endswith((".", "]")) else f"{text}."


def _dashed(name: str) -> str:
    return name.replace("_", "-")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE} written\n")
