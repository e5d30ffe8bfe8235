"""Whether a broker is there, look by look, and how its jobs end."""

from __future__ import annotations

import http.server
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from northstar.evaluation.errors import NothingToMeasure
from northstar.evaluation.validation.errors import ValidationImpossible
from northstar.evaluation.validation.reliability import Look, errors_of, look_at, reliability_of

AT = "2026-03-01T04:00:00Z"


@contextmanager
def broker(status: int) -> Iterator[str]:
    """Something that answers so to whoever asks whether it is ready, and 404 to all else."""

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health/ready" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with served(http.server.HTTPServer(("127.0.0.1", 0), Answers)) as url:
        yield url


@contextmanager
def nonsense() -> Iterator[str]:
    """Something that does not speak HTTP."""

    class Says(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(4_096)
            self.request.sendall(b"220 mail at your service\r\n")

    with served(socketserver.TCPServer(("127.0.0.1", 0), Says)) as url:
        yield url


@contextmanager
def served(server: socketserver.TCPServer) -> Iterator[str]:
    """Its address, while it answers."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_a_broker_that_can_serve_is_up() -> None:
    with broker(200) as url:
        look = look_at(url + "/", at=AT)
    assert (look.up, look.why, look.at) == (True, "", AT)
    assert look.took_ms > 0


def test_one_that_cannot_serve_or_is_gone_is_not_and_says_why() -> None:
    with broker(503) as url:
        assert look_at(url, at=AT).why == "answered 503"
    gone = look_at(url, at=AT)
    assert not gone.up
    assert "refused" in gone.why


def test_what_answers_nonsense_is_not_up_and_counts_as_a_look() -> None:
    with nonsense() as url:
        look = look_at(url, at=AT)
    assert not look.up
    assert "mail at your service" in look.why


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(ValidationImpossible, match="begins with http"):
        look_at("file:///etc/passwd", at=AT)
    with pytest.raises(ValidationImpossible, match="nonnumeric port"):
        look_at("http://127.0.0.1:port", at=AT)


def test_uptime_is_the_share_of_looks_in_the_time_that_is_asked_for() -> None:
    looks = [
        Look(at=f"2026-03-{day:02}T04:00:00Z", up=day != 9, took_ms=1.0, why="" if day != 9 else "answered 503")
        for day in range(1, 11)
    ]
    found = reliability_of(looks, now=datetime(2026, 3, 10, 5, tzinfo=UTC), days=4)
    assert (found.looks, found.down, found.uptime) == (4, 1, 0.75)
    assert not found.goal.is_met(found.uptime)
    with pytest.raises(NothingToMeasure):
        reliability_of(looks, now=datetime(2027, 1, 1, tzinfo=UTC), days=4)


def test_an_error_is_a_job_that_ended_and_did_not_succeed(tmp_path: Path) -> None:
    ends = ["succeeded"] * 6 + ["failed", "expired", "canceled", "released"]
    rows = (f"{1_733_054_400 + at},pictures,20,{end}\n" for at, end in enumerate(ends))
    (tmp_path / "mine.csv").write_text("submitted_s,service,ran_s,outcome\n" + "".join(rows))
    found = errors_of(tmp_path / "mine.csv")
    assert (found.jobs, found.rate) == (8, 0.25)
