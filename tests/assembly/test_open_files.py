"""How many files a broker asks to have open: one for each connection that it may hold."""

from __future__ import annotations

from pathlib import Path

from northstar.assembly.open_files import files_of
from northstar.broker.stream_places import MOST_STRANGERS, MOST_STREAMS
from northstar.config import load


def test_there_is_a_file_for_every_machine_client_and_stream(tmp_path: Path) -> None:
    sizes = {"serve.max_machines": 3_000, "serve.max_clients": 4_000}
    settings = load(environment={}, file=None, options={"data_dir": str(tmp_path), **sizes})
    assert files_of(settings.serve) >= 3_000 + 4_000 + MOST_STREAMS + MOST_STRANGERS + 500
