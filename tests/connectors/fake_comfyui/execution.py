"""Running a graph: order of nodes, cache, progress, outputs, and every way to end."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from tests.connectors.fake_comfyui.node_classes import NodeClass
from tests.connectors.fake_comfyui.pictures import png
from tests.connectors.fake_comfyui.validation import Graph, is_link

#: A small JPEG as far as its first bytes tell, in the envelope of a preview.
PREVIEW = b"\x00\x00\x00\x01\x00\x00\x00\x01\xff\xd8\xff\xe0preview\xff\xd9"


class Interrupted(Exception):
    pass


class NodeError(Exception):
    def __init__(self, exception_type: str, message: str) -> None:
        super().__init__(message)
        self.exception_type = exception_type


class Disk(Protocol):
    """Where nodes put pictures; gives the reference that the history shows."""

    def store(self, prefix: str, data: bytes, *, folder: str) -> dict[str, str]: ...


class Run:
    """One prompt while it is executed. `send` takes the kind and data of a frame, or the bytes of one."""

    def __init__(
        self,
        run_id: str,
        graph: Graph,
        leaves: list[str],
        *,
        classes: Mapping[str, NodeClass],
        cache: dict[str, Any],
        keeps_its_cache: bool,
        disk: Disk,
        send: Callable[[str, dict[str, Any]], None],
        send_bytes: Callable[[bytes], None] | None,
    ) -> None:
        self.run_id = run_id
        self.interrupted = False
        self.messages: list[list[Any]] = []
        self.outputs: dict[str, Any] = {}
        self._graph = graph
        self._leaves = leaves
        self._classes = classes
        self._cache = cache
        self._keeps_its_cache = keeps_its_cache
        self._disk = disk
        self._send = send
        self._send_bytes = send_bytes
        self._states: dict[str, dict[str, Any]] = {}
        self._executed: list[str] = []

    async def execute(self) -> bool:
        """Run to the end; whether it was a success."""
        self._say("execution_start")
        order = self._order()
        signatures: dict[str, str] = {}
        for node in order:
            signatures[node] = self._signature(node, signatures)
        cached = [node for node in self._graph if signatures.get(node) in self._cache]
        self._say("execution_cached", nodes=cached)
        for node in cached:
            if (ui := self._cache[signatures[node]]) is not None:
                self._show(node, ui)
                self._progress(node, 1.0, 1.0, "finished", announce=True)
        for node in (node for node in order if node not in cached):
            if not await self._execute_node(node):
                return False
            self._executed.append(node)
            self._cache[signatures[node]] = self.outputs.get(node)
        kept = set(self._cache) if self._keeps_its_cache else {signatures[node] for node in order}
        for signature in set(self._cache) - kept:
            del self._cache[signature]
        self._say("execution_success")
        return True

    async def _execute_node(self, node: str) -> bool:
        class_name = self._graph[node]["class_type"]
        self._progress(node, 0.0, 1.0, "running")
        self._send("executing", {"node": node, "display_node": node, "prompt_id": self.run_id})
        about = {"node_id": node, "node_type": class_name, "executed": list(self._executed)}
        try:
            self._check()
            ui = await self._work(node, class_name, self._graph[node]["inputs"])
        except Interrupted:
            self._say("execution_interrupted", **about)
            return False
        except NodeError as error:
            about |= {"exception_message": f"{error}\n", "exception_type": error.exception_type}
            shown = {key: [str(value)] for key, value in self._graph[node]["inputs"].items() if not is_link(value)}
            about |= {"traceback": ["  File ..."], "current_inputs": shown, "current_outputs": [node, *self._executed]}
            self._say("execution_error", **about)
            return False
        if ui is not None:
            self._show(node, ui)
        state = self._states[node]
        self._progress(node, state["max"], state["max"], "finished")
        return True

    async def _work(self, node: str, name: str, given: Mapping[str, Any]) -> dict[str, Any] | None:
        pace_s = self._classes[name].pace_s
        if name == "KSampler":
            for step in range(1, int(given["steps"]) + 1):
                await asyncio.sleep(pace_s)
                self._check()
                self._progress(node, step, given["steps"], "running")
                self._send("progress", {"value": step, "max": given["steps"], "prompt_id": self.run_id, "node": node})
                if self._send_bytes is not None:
                    self._send_bytes(PREVIEW)
            return None
        # A node that is no sampler cannot be stopped in its middle.
        await asyncio.sleep(pace_s)
        if name == "TestFailure":
            raise NodeError(given["exception_type"], given["message"])
        if name == "TestOutputs":
            return dict(given["ui"])
        if name in {"SaveImage", "PreviewImage"}:
            return {"images": self._pictures(given)}
        return None

    def _pictures(self, given: Mapping[str, Any]) -> list[dict[str, str]]:
        prefix = given.get("filename_prefix", "ComfyUI_temp")
        if ".." in prefix:
            raise NodeError("Exception", "**** ERROR: Saving image outside the output folder is not allowed.")
        folder = "output" if "filename_prefix" in given else "temp"
        source = self._origin(given["images"][0])
        size = (int(source.get("width", 64)), int(source.get("height", 64)), int(source.get("color", 0)))
        picture = png(*size)
        return [self._disk.store(prefix, picture, folder=folder) for _ in range(int(source.get("batch_size", 1)))]

    def _origin(self, node: str) -> Mapping[str, Any]:
        """The inputs of the first node up the line that says how large a picture is."""
        while True:
            given: Mapping[str, Any] = self._graph[node]["inputs"]
            links = [value[0] for value in given.values() if is_link(value)]
            if "width" in given or not links:
                return given
            node = links[-1] if self._graph[node]["class_type"] == "KSampler" else links[0]

    def _order(self) -> list[str]:
        """As the real server's list of ready nodes gives it: the last one linked is the first one run."""
        pending: list[str] = []
        ahead = list(self._leaves)
        while ahead:
            node = ahead.pop()
            if node not in pending:
                pending.append(node)
                ahead += [value[0] for value in self._graph[node]["inputs"].values() if is_link(value)]
        order: list[str] = []
        done: set[str] = set()
        while pending:
            ready = next(node for node in pending if self._sources(node) <= done)
            done.add(ready)
            pending.remove(ready)
            order.append(ready)
        return order

    def _sources(self, node: str) -> set[str]:
        return {value[0] for value in self._graph[node]["inputs"].values() if is_link(value)}

    def _signature(self, node: str, sources: Mapping[str, str]) -> str:
        """What a node makes, by its class, its values and the signatures of its sources."""
        description = self._graph[node]
        inputs = {
            key: [sources[value[0]], value[1]] if is_link(value) else value
            for key, value in description["inputs"].items()
        }
        shown = msgspec.json.encode([description["class_type"], inputs], order="sorted")
        return hashlib.sha256(shown).hexdigest()

    def _check(self) -> None:
        if self.interrupted:
            raise Interrupted

    def _show(self, node: str, ui: dict[str, Any]) -> None:
        self.outputs[node] = ui
        self._send("executed", {"node": node, "display_node": node, "output": ui, "prompt_id": self.run_id})

    def _progress(self, node: str, value: float, most: float, state: str, *, announce: bool = True) -> None:
        self._states[node] = {
            "value": value,
            "max": most,
            "state": state,
            "node_id": node,
            "prompt_id": self.run_id,
            "display_node_id": node,
            "parent_node_id": None,
            "real_node_id": node,
        }
        if announce:
            nodes = {key: dict(entry) for key, entry in self._states.items()}
            self._send("progress_state", {"prompt_id": self.run_id, "nodes": nodes})

    def _say(self, kind: str, **data: Any) -> None:
        """A frame that also stands in the history."""
        entry = {"prompt_id": self.run_id, **data, "timestamp": time.time_ns() // 1_000_000}
        self.messages.append([kind, entry])
        self._send(kind, entry)
