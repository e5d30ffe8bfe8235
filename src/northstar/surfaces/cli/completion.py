"""`northstar completion`: what a shell must be told so that it completes our commands."""

from __future__ import annotations

import enum
import sys
from typing import Annotated, Final

import typer

#: Typer's script for zsh, read by zsh as an autoloaded function at the first Tab, only says who completes from the next Tab on.
_AT_THE_NEXT: Final = "compdef _northstar_completion northstar"
_AT_ONCE: Final = f"""\
if [[ $funcstack[1] == _northstar ]]; then
  _northstar_completion "$@"
else
  {_AT_THE_NEXT}
fi"""


class Shell(enum.StrEnum):
    """The shells that can be told."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.", case_sensitive=False)],
) -> None:
    """Print the script by which a shell completes commands, groups and options of `northstar`.

    For bash it goes into ~/.local/share/bash-completion/completions/northstar, for zsh into a file _northstar in a folder of $fpath, for
    fish into ~/.config/fish/completions/northstar.fish.
    """
    from typer._completion_shared import get_completion_script

    from northstar.surfaces.cli.commands import COMPLETE_VARIABLE

    script = get_completion_script(prog_name="northstar", complete_var=COMPLETE_VARIABLE, shell=shell.value)
    if shell is Shell.ZSH:
        script = script.replace(_AT_THE_NEXT, _AT_ONCE)
    sys.stdout.write(f"{script}\n")


def answer_as_the_scripts_expect() -> None:
    """Have the shells' questions answered in Typer's way, in which its scripts ask; it has others when it completes nothing by itself."""
    from typer._completion_classes import completion_init  # what Typer itself calls where it adds options of its own

    completion_init()
