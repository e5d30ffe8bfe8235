"""A user of the server who may read but not write, or not ring bells, is found out before it can leave half a change."""

from __future__ import annotations

import pytest
from valkey import Valkey

from tests.store.library.rig import Cell, Refusal, ask


def as_user(server: Valkey, name: str, *rules: str) -> Valkey:
    """A client of the same server whose user has only these rights."""
    ask(server, "ACL", "SETUSER", name, "reset", "on", ">secret", *rules)
    arguments = server.connection_pool.connection_kwargs
    return Valkey(unix_socket_path=arguments["path"], username=name, password="secret")


@pytest.mark.parametrize(
    ("rules", "command"),
    [
        (("~ns:*", "+@all", "resetchannels"), "SPUBLISH"),
        (("~ns:*", "&ns:*", "+@all", "-zadd"), "ZADD"),
        (("~ns:*", "&ns:*", "+@all", "-xtrim"), "XTRIM"),
    ],
)
def test_a_user_without_a_needed_right_cannot_open_a_cell(server: Valkey, rules: tuple[str, ...], command: str) -> None:
    with as_user(server, f"lacks-{command}", *rules) as limited:
        cell = Cell(limited)
        with pytest.raises(Refusal, match=f"NS_RIGHTS_MISSING command={command}"):
            cell.open()
    assert ask(server, "EXISTS", cell.keys["meta"]) == 0


def test_a_user_with_the_keys_and_channels_of_north_star_opens_and_uses_a_cell(server: Valkey) -> None:
    with as_user(server, "northstar", "~ns:*", "&ns:*", "+@all") as user:
        cell = Cell(user)
        assert cell.open()["created"]
        assert cell.call("declare", words=["model:a"], by="me", withdraw=False) == {"words": 0}
