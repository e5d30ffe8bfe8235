"""Which history a cell has, seen from the command line: two that differ are not accepted, and what is stuck is said."""

from __future__ import annotations

import re
import secrets
import shutil
from pathlib import Path

import pytest

from tests.northstar_command import SETTINGS, Answer, Northstar, eventually
from tests.servers import RunningServer

SERVING = "[serve]\nport = 0\n\n[assets]\nurl = 'OUTPUTS'\n\n[history]\nurl = 'sqlite:///HISTORY'\n" + SETTINGS


class Cell:
    """One cell on a Valkey of others, and brokers that come to it."""

    def __init__(self, folder: Path, valkey: str) -> None:
        self.folder = folder
        self._options = ("--valkey", valkey, "--cell", f"histories-{secrets.token_hex(6)}")

    def broker(self, name: str, history: str) -> Northstar:
        settings = SERVING.replace("HISTORY", str(self.folder / history)).replace(
            "OUTPUTS", str(self.folder / "outputs")
        )
        return Northstar(self.folder / name, settings=settings, options=self._options)


@pytest.fixture
def cell(tmp_path: Path, kill_server: RunningServer) -> Cell:
    return Cell(tmp_path, kill_server.url)


def refused(northstar: Northstar, *arguments: str) -> Answer:
    answer = northstar.run("serve", *arguments)
    assert answer.code == 3, answer
    return answer


def test_a_second_history_is_refused_until_it_is_taken(cell: Cell) -> None:
    one, two = cell.broker("one", "one.db"), cell.broker("two", "two.db")
    with one.started("serve", *one.options) as first:
        first.until(lambda: "North Star serves" in first.words(), what="the first serves")
        answer = refused(two)
        assert re.match(
            r"NS_HISTORY_ELSEWHERE: the events of this cell go to another history, sqlite:\S+one\.db", answer.err
        )
        assert one.good("status")["history"]["place"].endswith("one.db")
        with two.started("serve", "--take-history", *two.options) as second:
            second.until(lambda: "North Star serves" in second.words(), what="the second serves")
            assert one.good("status")["history"]["place"].endswith("two.db")


def test_status_says_that_the_history_is_stuck_and_why(cell: Cell) -> None:
    one = cell.broker("one", "gone/one.db")
    with one.started("serve", *one.options) as serving:
        serving.until(lambda: "North Star serves" in serving.words(), what="it serves")
        shutil.rmtree(cell.folder / "gone")
        one.good("pause", "cell")  # an event to write
        eventually(lambda: one.good("status")["history"]["code"] == "NS_HISTORY_GONE", what="it is said", pause_s=0.2)
        text = one.run("status").out
        assert "STUCK" in text
        assert "NS_HISTORY_GONE: the history at sqlite:" in text
        assert "jobs go on" in text
