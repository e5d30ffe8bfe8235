"""The fake's queue, history, sockets and routes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import WSMessage, web

from tests.connectors.fake_comfyui.disk import FakeDisk
from tests.connectors.fake_comfyui.execution import Run
from tests.connectors.fake_comfyui.facts import FOLDERS, SYSTEM_STATS
from tests.connectors.fake_comfyui.node_classes import NodeClass, node_classes
from tests.connectors.fake_comfyui.validation import Refused, outputs_to_run


class FakeComfyUI:
    """A server; tests turn its faults on by setting its fields."""

    def __init__(self, *, checkpoints: tuple[str, ...] = (), pace_s: float = 0.001) -> None:
        self.checkpoints = checkpoints
        self.pace_s = pace_s
        self.disk = FakeDisk()
        self.url = ""
        #: What newer servers have, and what older ones lack.
        self.has_jobs_api = False
        self.reads_interrupt_id = True
        self.keeps_prompt_ids = True
        self.sends_previews = False
        #: Faults.
        self.refuses_sockets = False
        self.drops_sockets_at_once = False
        self.silent_to = ""  # path that is never answered
        self.answers: dict[str, tuple[int, bytes]] = {}  # path to status and body, instead of the real answer
        self.redirects: dict[str, str] = {}  # path to another address
        self.withholds_frames = False
        self.loses_history = False
        self.ignores_interruptions = False
        #: What was asked for, as (method, path, body).
        self.calls: list[tuple[str, str, Any]] = []
        self.history: dict[str, Any] = {}
        self.pending: list[list[Any]] = []
        self.running: list[Any] | None = None
        self.run: Run | None = None
        self._sockets: dict[str, web.WebSocketResponse] = {}
        self._sent: set[asyncio.Task[None]] = set()
        self._work = asyncio.Condition()
        self._cache: dict[str, Any] = {}
        self._number = 0
        self._runner: web.AppRunner | None = None
        self._executor: asyncio.Task[None] | None = None
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
        app = web.Application(client_max_size=100 * 1024 * 1024, middlewares=[self._faults])
        app.add_routes(self._routes())
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
        for socket in self._sockets.values():
            transport = socket._req.transport if socket._req is not None else None
            if transport is not None:
                transport.abort()
        self._sockets.clear()

    # -- frames -------------------------------------------------------------------------------------------------------

    def send(self, kind: str, data: dict[str, Any], client_id: str | None) -> None:
        if not self.withholds_frames:
            self._outbox.put_nowait((client_id, {"type": kind, "data": data}))

    def send_status(self) -> None:
        self.send("status", {"status": self._status()}, None)

    async def _send_for_ever(self) -> None:
        while True:
            client_id, frame = await self._outbox.get()
            for name, socket in list(self._sockets.items()):
                if client_id in {None, name}:
                    with contextlib.suppress(ConnectionError):
                        await (socket.send_bytes(frame) if isinstance(frame, bytes) else socket.send_json(frame))

    def _status(self) -> dict[str, Any]:
        return {"exec_info": {"queue_remaining": len(self.pending) + (self.running is not None)}}

    # -- queue --------------------------------------------------------------------------------------------------------

    @property
    def classes(self) -> dict[str, NodeClass]:
        return node_classes(checkpoints=self.checkpoints, uploads=self.disk.uploads, pace_s=self.pace_s)

    async def _execute_for_ever(self) -> None:
        while True:
            async with self._work:
                await self._work.wait_for(lambda: bool(self.pending))
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

    # -- routes -------------------------------------------------------------------------------------------------------

    def _routes(self) -> list[web.RouteDef]:
        gets = {
            "/system_stats": SYSTEM_STATS,
            "/embeddings": [],
            "/features": {"supports_preview_metadata": True, "max_upload_size": 104857600},
            "/users": {"storage": "server", "migrated": False},
            "/models": [*list(FOLDERS), "configs", "custom_nodes"],
            "/experiment/models": [{"name": name, "folders": folders} for name, folders in FOLDERS.items()],
        }
        routes = [web.get(path, _constant(body)) for path, body in gets.items()]
        routes += [web.get(f"/api{path}", _constant(body)) for path, body in gets.items()]
        return [
            *routes,
            web.get("/ws", self._socket),
            web.get("/prompt", self._get_prompt),
            web.post("/prompt", self._post_prompt),
            web.get("/queue", self._get_queue),
            web.post("/queue", self._post_queue),
            web.get("/history", self._get_history),
            web.get("/history/{id}", self._get_history),
            web.post("/history", self._post_history),
            web.post("/interrupt", self._post_interrupt),
            web.post("/free", self._post_nothing),
            web.get("/object_info", self._get_object_info),
            web.get("/object_info/{name}", self._get_object_info),
            web.get("/models/{folder}", self._get_models),
            web.get("/view", self._get_view),
            web.post("/upload/image", self._post_upload),
            web.post("/api/jobs/{id}/cancel", self._post_cancel),
        ]

    @web.middleware
    async def _faults(self, request: web.Request, handler: Any) -> web.StreamResponse:
        body = await request.text() if request.content_type == "application/json" else None
        self.calls.append((request.method, request.path, json.loads(body) if body else None))
        if self.silent_to and request.path.startswith(self.silent_to):
            await asyncio.Event().wait()
        if request.path in self.redirects:
            raise web.HTTPFound(self.redirects[request.path])
        for path, (status, answer) in self.answers.items():
            if request.path.startswith(path):
                return web.Response(status=status, body=answer, content_type="application/json")
        answer_: web.StreamResponse = await handler(request)
        return answer_

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if self.refuses_sockets:
            return web.Response(status=403)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        client_id = request.query.get("clientId") or uuid.uuid4().hex
        await socket.send_json({"type": "status", "data": {"status": self._status(), "sid": client_id}})
        if self.drops_sockets_at_once:
            return socket
        self._sockets[client_id] = socket
        if self.run is not None and self.running is not None and self.running[3].get("client_id") == client_id:
            node = next(reversed(self.run._states), None)
            if node is not None:
                await socket.send_json({"type": "executing", "data": {"node": node}})
        message: WSMessage
        async for message in socket:
            if "feature_flags" in str(message.data):
                flags = {"supports_preview_metadata": True, "max_upload_size": 104857600}
                await socket.send_json({"type": "feature_flags", "data": flags})
        if self._sockets.get(client_id) is socket:
            del self._sockets[client_id]
        return socket

    async def _get_prompt(self, _request: web.Request) -> web.Response:
        return web.json_response(self._status())

    async def _post_prompt(self, request: web.Request) -> web.Response:
        body = await request.json()
        number = float(body["number"]) if "number" in body else self._number  # null is a TypeError, so a 500, as there
        if "number" not in body:
            self._number += 1
            number = -number if body.get("front") else number
        try:
            leaves, faults = outputs_to_run(body["prompt"], self.classes)
        except Refused as refused:
            return web.json_response(refused.body, status=400)
        run_id = body.get("prompt_id") if self.keeps_prompt_ids else None
        run_id = run_id or str(uuid.uuid4())
        extra_data = body.get("extra_data", {}) | {"client_id": body["client_id"]}
        async with self._work:
            self.pending.append([number, run_id, body["prompt"], extra_data, leaves])
            self.send_status()
            self._work.notify()
        return web.json_response({"prompt_id": run_id, "number": number, "node_errors": faults})

    async def _get_queue(self, _request: web.Request) -> web.Response:
        running = [self.running] if self.running is not None else []
        return web.json_response({"queue_running": running, "queue_pending": self.pending})

    async def _post_queue(self, request: web.Request) -> web.Response:
        self.delete((await request.json()).get("delete", []))
        return web.Response()

    async def _get_history(self, request: web.Request) -> web.Response:
        run_id = request.match_info.get("id")
        found = self.history if run_id is None else {run_id: self.history[run_id]} if run_id in self.history else {}
        return web.json_response(found)

    async def _post_history(self, request: web.Request) -> web.Response:
        body = await request.json()
        for run_id in list(self.history) if body.get("clear") else body.get("delete", []):
            self.history.pop(run_id, None)
        return web.Response()

    async def _post_interrupt(self, request: web.Request) -> web.Response:
        body = await request.text()
        self.interrupt(json.loads(body).get("prompt_id") if body else None)
        return web.Response()

    async def _post_cancel(self, request: web.Request) -> web.Response:
        if not self.has_jobs_api:
            return web.Response(status=405)
        run_id = request.match_info["id"]
        known = any(item[1] == run_id for item in [*self.pending, *([self.running] if self.running else [])])
        self.delete([run_id])
        self.interrupt(run_id)
        return web.json_response({"cancelled": known})

    async def _post_nothing(self, _request: web.Request) -> web.Response:
        return web.Response()

    async def _get_object_info(self, request: web.Request) -> web.Response:
        name = request.match_info.get("name")
        classes = self.classes
        chosen = classes if name is None else {name: classes[name]} if name in classes else {}
        return web.json_response({key: found.described(key) for key, found in chosen.items()})

    async def _get_models(self, request: web.Request) -> web.Response:
        folder = request.match_info["folder"]
        if folder not in FOLDERS:
            return web.Response(status=404)
        return web.json_response(list(self.checkpoints) if folder == "checkpoints" else [])

    async def _get_view(self, request: web.Request) -> web.StreamResponse:
        return await self.disk.view(request)

    async def _post_upload(self, request: web.Request) -> web.Response:
        return await self.disk.upload(request)


def _constant(body: Any) -> Any:
    async def answer(_request: web.Request) -> web.Response:
        return web.json_response(body)

    return answer
