"""llama.cpp's own HTTP server as a separate process on 127.0.0.1, that ends when its parent ends.

The port is chosen by the server (0), so two engines never race for one. The child reads its settings as the first line
of its standard input, answers one line with its address, and takes the end of that input as the order to stop: the
kernel closes it however the parent dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections import deque
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import IO, Any, ClassVar, Final, TypeVar

import msgspec

from northstar.demo.parts import require
from northstar.domain.errors import Unavailable

PipeT = TypeVar("PipeT", asyncio.StreamReader, asyncio.StreamWriter)

_STOP_S: Final = 5.0
_LINE_BYTES: Final = 64 * 1024
_LOG_LINES: Final = 40


class EngineSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine serves. `context_tokens` is shared out evenly among `slots`."""

    model: str
    alias: str = "north-star-storyteller"
    slots: int = 2
    context_tokens: int = 16_384
    api_key: str | None = None


class EngineAddress(msgspec.Struct, frozen=True):
    """The one line that the engine's process prints."""

    url: str


class TextEngineFailed(Unavailable):
    """The engine's process ended, or did not answer in time, before it was ready."""

    code: ClassVar[str] = "NS_DEMO_ENGINE_FAILED"

    def __init__(self, reason: str, *, log_tail: str) -> None:
        super().__init__(f"the text engine did not start: {reason}; its last words were: {log_tail or '(none)'}")
        self.reason = reason
        self.log_tail = log_tail


class TextEngine:
    """A running engine: its address, its process id, and the way to stop it."""

    def __init__(self, process: asyncio.subprocess.Process, *, settings: EngineSettings) -> None:
        self._process = process
        self._log: deque[str] = deque(maxlen=_LOG_LINES)
        self._drain = asyncio.create_task(self._keep_log(), name="text-engine-log")
        self.settings = settings
        self.url = ""

    @property
    def pid(self) -> int:
        """The engine's process id."""
        return self._process.pid

    @classmethod
    async def start(
        cls, settings: EngineSettings, *, within_s: float = 30.0, environment: Mapping[str, str] | None = None
    ) -> TextEngine:
        """Start an engine and give it back once it answers.

        Raises:
            DemoPartMissing: the `xllamacpp` package is not installed.
            TextEngineFailed: it ended or stayed silent for `within_s` seconds.
        """
        require("xllamacpp")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # nothing in the present directory is taken for a module
            "-m",
            "northstar.demo.text_engine",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_LINE_BYTES,
            env={**os.environ, **(environment or {})},
            start_new_session=True,  # Ctrl-C in a terminal is the parent's to handle
        )
        engine = cls(process, settings=settings)
        try:
            async with asyncio.timeout(within_s):
                engine.url = await engine._hand_over()
        except TimeoutError:
            await engine.stop()
            raise TextEngineFailed(f"no answer within {within_s:g} s", log_tail=engine.log_tail()) from None
        except BaseException:
            await engine.stop()
            raise
        return engine

    async def stop(self) -> None:
        """End the process: politely by closing its input, by force after five seconds. May be called twice."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(_STOP_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._drain

    async def wait(self) -> int:
        """Wait until the process ends, for whatever reason; give its exit code."""
        return await self._process.wait()

    def log_tail(self) -> str:
        """The last lines that the engine logged."""
        return "\n".join(self._log)

    async def _hand_over(self) -> str:
        stdin, stdout = _open(self._process.stdin), _open(self._process.stdout)
        stdin.write(msgspec.json.encode(self.settings) + b"\n")
        with contextlib.suppress(ConnectionError):  # it died at once: the missing answer says so below
            await stdin.drain()
        line = await stdout.readline()
        if not line:
            code = await self._process.wait()
            await self._drain
            raise TextEngineFailed(f"its process ended with code {code}", log_tail=self.log_tail())
        return msgspec.json.decode(line, type=EngineAddress).url

    async def _keep_log(self) -> None:
        stderr = _open(self._process.stderr)
        while True:
            try:
                line = await stderr.readline()
            except ValueError:  # longer than the limit: that line is dropped
                continue
            if not line:
                return
            self._log.append(line.decode(errors="replace").rstrip())


def _open(pipe: PipeT | None) -> PipeT:
    if pipe is None:
        raise ValueError("the engine's process was started without this pipe")
    return pipe


@contextlib.asynccontextmanager
async def text_engine(
    model: Path, *, slots: int = 2, context_tokens: int = 16_384, environment: Mapping[str, str] | None = None
) -> AsyncIterator[TextEngine]:
    """A running engine for `model` that is stopped on the way out; it finds `environment` beside this process's own."""
    settings = EngineSettings(model=str(model), slots=slots, context_tokens=context_tokens)
    engine = await TextEngine.start(settings, environment=environment)
    try:
        yield engine
    finally:
        await engine.stop()


def _parameters(settings: EngineSettings) -> Any:
    parameters = require("xllamacpp").CommonParams()
    parameters.model.path = settings.model
    parameters.model_alias = {settings.alias}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.n_ctx = settings.context_tokens
    parameters.n_parallel = settings.slots
    parameters.n_gpu_layers = 0
    parameters.cpuparams.n_threads = 1
    parameters.cache_ram_mib = 0
    parameters.endpoint_metrics = True
    parameters.endpoint_slots = True
    parameters.ui = False
    parameters.cors_origins = ""
    parameters.offline = True
    if settings.api_key is not None:
        parameters.api_keys = [settings.api_key]
    return parameters


def _serve(orders: IO[bytes]) -> None:
    """Serve until `orders` ends; its first line holds the settings."""
    settings = msgspec.json.decode(orders.readline(_LINE_BYTES), type=EngineSettings)
    server = require("xllamacpp").Server(_parameters(settings))
    sys.stdout.buffer.write(msgspec.json.encode(EngineAddress(url=server.listening_address)) + b"\n")
    sys.stdout.buffer.flush()
    while orders.read(_LINE_BYTES):
        pass
    # Leaving by the ordinary way would wait for running generations; nobody is left to read them.
    os._exit(0)


if __name__ == "__main__":
    _serve(sys.stdin.buffer)
