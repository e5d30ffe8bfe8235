"""The fake's queue, history, sockets and routes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import web

from tests.connectors.fake_comfyui.disk import FakeDisk
from tests.connectors.fake_comfyui.execution import Run
from tests.connectors.fake_comfyui.node_classes import NodeClass, node_classes
from tests.connectors.fake_comfyui.routes import Routes


class FakeComfyUI:
    """A server; tests turn its faults on by setting its fields."""

    def __init__(self, *, checkpoints: tuple[str, ...] = (), pace_s: float = 0.001) -> None:
        self.checkpoints = checkpoints
        self.pace_s = pace_s
        self.disk = FakeDisk()
        self.url = ""
        #: What newer servers have, and what older ones lack.
        self.is_newer = False  # as 0.27.0 answers; otherwise as 0.3.64
        self.reads_interrupt_id = True
        self.keeps_prompt_ids = True
        self.sends_previews = False
        #: Custom nodes: the module that a class comes from, where it is not one of ComfyUI's own; and classes that it lacks.
        self.modules: dict[str, str] = {}
        self.lacks: frozenset[str] = frozenset()
        #: Faults.
        self.refuses_sockets = False
        self.drops_sockets_at_once = False
        self.silent_to = ""  # path that is never answered
        self.answers: dict[str, tuple[int, bytes]] = {}  # path to status and body, instead of the real answer
        self.redirects: dict[str, str] = {}  # path to another address
        self.withholds_frames = False
        self.loses_history = False
        self.keeps_its_cache = False  # of other graphs than the last one too, as with `--cache-lru`
        self.ignores_interruptions = False
        self.chatters = False  # an extension tells every client how the machine feels, many times a second
        #: What was asked for, as (method, path, body).
        self.calls: list[tuple[str, str, Any]] = []
        self.history: dict[str, Any] = {}
        self.pending: list[list[Any]] = []
        self.running: list[Any] | None = None
        self.run: Run | None = None
        self.sockets: dict[str, web.WebSocketResponse] = {}
        self.work = asyncio.Condition()
        self._cache: dict[str, Any] = {}
        self.number = 0
        self._runner: web.AppRunner | None = None
        self._executor: asyncio.Task[None] | None = None
        self._sender: asyncio.Task[None] | None = None
        self._outbox: asyncio.Queue[tuple[str | None, dict[str, Any] | bytes]] = asyncio.Queue()

    # -- life ---------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[FakeComfyUI]:
        """Listen on a free port of the loopback."""
        await self.start()
        try:
            yield self
        finally:
            await self.stop()

    async def start(self, port: int = 0) -> None:
        routes = Routes(self)
        app = web.Application(client_max_size=100 * 1024 * 1024, middlewares=[routes.faults])
        app.add_routes(routes.all())
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self._executor = asyncio.create_task(self._execute_for_ever())
        self._sender = asyncio.create_task(self._send_for_ever())

    async def stop(self) -> None:
        """End as a killed process ends: no goodbye on any connection, and nothing is remembered."""
        for task in (self._executor, self._sender):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        self.hang_up()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self.pending, self.running, self.run, self.history, self._cache = [], None, None, {}, {}

    async def restart(self) -> None:
        """Be killed and come back at the same address, without what was queued, running or in the history."""
        port = int(self.url.rpartition(":")[2])
        await self.stop()
        await self.start(port)

    def hang_up(self) -> None:
        """Drop every socket without a word."""
        for socket in self.sockets.values():
            transport = socket._req.transport if socket._req is not None else None
            if transport is not None:
                transport.abort()
        self.sockets.clear()

    # -- frames -------------------------------------------------------------------------------------------------------

    def send(self, kind: str, data: dict[str, Any], client_id: str | None) -> None:
        if not self.withholds_frames:
            self._outbox.put_nowait((client_id, {"type": kind, "data": data}))

    def send_status(self) -> None:
        self.send("status", {"status": self.status()}, None)

    async def _send_for_ever(self) -> None:
        while True:
            if self.chatters and self._outbox.empty():
                await asyncio.sleep(0.01)
                self._outbox.put_nowait((None, {"type": "monitor.feelings", "data": {"cpu": 3}}))
            client_id, frame = await self._outbox.get()
            for name, socket in list(self.sockets.items()):
                if client_id in {None, name}:
                    with contextlib.suppress(ConnectionError):
                        await (socket.send_bytes(frame) if isinstance(frame, bytes) else socket.send_json(frame))

    def status(self) -> dict[str, Any]:
        return {"exec_info": {"queue_remaining": len(self.pending) + (self.running is not None)}}

    # -- queue --------------------------------------------------------------------------------------------------------

    @property
    def classes(self) -> dict[str, NodeClass]:
        known = node_classes(checkpoints=self.checkpoints, uploads=self.disk.uploads, pace_s=self.pace_s)
        return {
            name: msgspec.structs.replace(found, module=self.modules.get(name, found.module))
            for name, found in known.items()
            if name not in self.lacks
        }

    async def _execute_for_ever(self) -> None:
        while True:
            async with self.work:
                await self.work.wait_for(lambda: bool(self.pending))
                self.pending.sort(key=lambda item: item[0])
                self.running = self.pending.pop(0)
            self.send_status()
            await self._execute(self.running)

    async def _execute(self, item: list[Any]) -> None:
        _number, run_id, graph, extra_data, leaves = item
        client_id = extra_data.get("client_id")
        run = self.run = Run(
            run_id,
            graph,
            leaves,
            classes=self.classes,
            cache=self._cache,
            keeps_its_cache=self.keeps_its_cache,
            disk=self.disk,
            send=lambda kind, data: self.send(kind, data, client_id),
            send_bytes=(lambda data: self._outbox.put_nowait((client_id, data))) if self.sends_previews else None,
        )
        success = await run.execute()
        status = {"status_str": "success" if success else "error", "completed": success, "messages": run.messages}
        meta = {
            node: {"node_id": node, "display_node": node, "parent_node": None, "real_node_id": node}
            for node in run.outputs
        }
        self.running = self.run = None
        if not self.loses_history:
            outputs = run.outputs if success else {}
            self.history[run_id] = {
                "prompt": item,
                "outputs": outputs,
                "status": status,
                "meta": meta if success else {},
            }
        self.send_status()
        self.send("executing", {"node": None, "prompt_id": run_id}, client_id)

    def delete(self, run_ids: list[str]) -> None:
        for run_id in run_ids:
            if any(item[1] == run_id for item in self.pending):
                self.pending = [item for item in self.pending if item[1] != run_id]
                self.send_status()

    def interrupt(self, run_id: str | None) -> None:
        if self.ignores_interruptions or self.run is None:
            return
        if run_id in {None, self.run.run_id} or not self.reads_interrupt_id:
            self.run.interrupted = True
