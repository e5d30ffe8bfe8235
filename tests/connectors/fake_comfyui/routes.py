"""The fake's answers to HTTP calls, and its sockets."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from typing import TYPE_CHECKING, Any

from aiohttp import WSMessage, web

from tests.connectors.fake_comfyui.facts import FOLDERS, system_stats
from tests.connectors.fake_comfyui.validation import Refused, check_run_id, outputs_to_run

if TYPE_CHECKING:
    from tests.connectors.fake_comfyui.server import FakeComfyUI


class Routes:
    """What can be asked of one fake."""

    def __init__(self, fake: FakeComfyUI) -> None:
        self._fake = fake

    def all(self) -> list[web.RouteDef]:
        gets = {
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
            web.get("/system_stats", self._get_system_stats),
            web.get("/api/system_stats", self._get_system_stats),
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
            web.get("/api/jobs", self._get_jobs),
            web.post("/api/jobs/{id}/cancel", self._post_cancel),
        ]

    @web.middleware
    async def faults(self, request: web.Request, handler: Any) -> web.StreamResponse:
        body = await request.text() if request.content_type == "application/json" else None
        self._fake.calls.append((request.method, request.path, json.loads(body) if body else None))
        if self._fake.silent_to and request.path.startswith(self._fake.silent_to):
            await asyncio.Event().wait()
        if request.path in self._fake.redirects:
            raise web.HTTPFound(self._fake.redirects[request.path])
        for path, (status, answer) in self._fake.answers.items():
            if request.path.startswith(path):
                return web.Response(status=status, body=answer, content_type="application/json")
        answer_: web.StreamResponse = await handler(request)
        return answer_

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if self._fake.refuses_sockets:
            return web.Response(status=403)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        client_id = request.query.get("clientId") or uuid.uuid4().hex
        await socket.send_json({"type": "status", "data": {"status": self._fake.status(), "sid": client_id}})
        if self._fake.drops_sockets_at_once:
            return socket
        self._fake.sockets[client_id] = socket
        if (
            self._fake.run is not None
            and self._fake.running is not None
            and self._fake.running[3].get("client_id") == client_id
        ):
            node = next(reversed(self._fake.run._states), None)
            if node is not None:
                await socket.send_json({"type": "executing", "data": {"node": node}})
        message: WSMessage
        async for message in socket:
            if "feature_flags" in str(message.data):
                flags = {"supports_preview_metadata": True, "max_upload_size": 104857600}
                await socket.send_json({"type": "feature_flags", "data": flags})
        if self._fake.sockets.get(client_id) is socket:
            del self._fake.sockets[client_id]
        return socket

    async def _get_system_stats(self, _request: web.Request) -> web.Response:
        return web.json_response(system_stats(is_newer=self._fake.is_newer))

    async def _get_prompt(self, _request: web.Request) -> web.Response:
        return web.json_response(self._fake.status())

    async def _post_prompt(self, request: web.Request) -> web.Response:
        body = await request.json()
        number = (
            float(body["number"]) if "number" in body else self._fake.number
        )  # null is a TypeError, so a 500, as there
        if "number" not in body:
            self._fake.number += 1
            number = -number if body.get("front") else number
        try:
            if self._fake.is_newer:
                check_run_id(body.get("prompt_id"))
            leaves, faults = outputs_to_run(body["prompt"], self._fake.classes, is_newer=self._fake.is_newer)
        except Refused as refused:
            return web.json_response(refused.body, status=400)
        run_id = body.get("prompt_id") if self._fake.keeps_prompt_ids else None
        run_id = run_id or str(uuid.uuid4())
        extra_data = body.get("extra_data", {}) | {"client_id": body["client_id"]}
        if self._fake.is_newer:
            extra_data["create_time"] = time.time_ns() // 1_000_000
        async with self._fake.work:
            self._fake.pending.append([number, run_id, body["prompt"], extra_data, leaves])
            self._fake.send_status()
            self._fake.work.notify()
        return web.json_response({"prompt_id": run_id, "number": number, "node_errors": faults})

    async def _get_queue(self, _request: web.Request) -> web.Response:
        running = [self._fake.running] if self._fake.running is not None else []
        return web.json_response({"queue_running": running, "queue_pending": self._fake.pending})

    async def _post_queue(self, request: web.Request) -> web.Response:
        self._fake.delete((await request.json()).get("delete", []))
        return web.Response()

    async def _get_history(self, request: web.Request) -> web.Response:
        run_id = request.match_info.get("id")
        found = (
            self._fake.history
            if run_id is None
            else {run_id: self._fake.history[run_id]}
            if run_id in self._fake.history
            else {}
        )
        return web.json_response(found)

    async def _post_history(self, request: web.Request) -> web.Response:
        body = await request.json()
        for run_id in list(self._fake.history) if body.get("clear") else body.get("delete", []):
            self._fake.history.pop(run_id, None)
        return web.Response()

    async def _post_interrupt(self, request: web.Request) -> web.Response:
        body = await request.text()
        self._fake.interrupt(json.loads(body).get("prompt_id") if body else None)
        return web.Response()

    async def _post_cancel(self, request: web.Request) -> web.Response:
        if not self._fake.is_newer:
            return web.Response(status=405)
        run_id = request.match_info["id"]
        known = any(
            item[1] == run_id for item in [*self._fake.pending, *([self._fake.running] if self._fake.running else [])]
        )
        self._fake.delete([run_id])
        self._fake.interrupt(run_id)
        return web.json_response({"cancelled": known})

    async def _get_jobs(self, _request: web.Request) -> web.Response:
        if not self._fake.is_newer:
            return web.Response(status=404)
        jobs = [{"id": item[1], "status": "pending"} for item in self._fake.pending]
        page = {"offset": 0, "limit": None, "total": len(jobs), "has_more": False}
        return web.json_response({"jobs": jobs, "pagination": page})

    async def _post_nothing(self, _request: web.Request) -> web.Response:
        return web.Response()

    async def _get_object_info(self, request: web.Request) -> web.Response:
        name = request.match_info.get("name")
        classes = self._fake.classes
        chosen = classes if name is None else {name: classes[name]} if name in classes else {}
        return web.json_response({key: found.described(key) for key, found in chosen.items()})

    async def _get_models(self, request: web.Request) -> web.Response:
        folder = request.match_info["folder"]
        if folder not in FOLDERS:
            return web.Response(status=404)
        return web.json_response(list(self._fake.checkpoints) if folder == "checkpoints" else [])

    async def _get_view(self, request: web.Request) -> web.StreamResponse:
        return await self._fake.disk.view(request)

    async def _post_upload(self, request: web.Request) -> web.Response:
        return await self._fake.disk.upload(request)


def _constant(body: Any) -> Any:
    async def answer(_request: web.Request) -> web.Response:
        return web.json_response(body)

    return answer
