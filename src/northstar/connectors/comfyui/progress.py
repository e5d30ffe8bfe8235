"""From a run's frames to news for the person who waits: which node of how many, which step, how far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from northstar.connectors.comfyui.frames import Event, Frame, Preview, Remark
from northstar.domain.progress import Phase, Progress

#: At most so many previews a second are passed on; a fast sampler sends more than anybody can see.
PREVIEWS_EVERY_S: Final = 0.25


class RunProgress:
    """Follows one run. Nodes weigh the same, for nobody knows which is long; the fraction never goes back.

    A node that loads a model is the phase `loading`, every other node `running`. Before the first node there is no phase: the
    run waits in the engine's own queue, or the engine looks what it has in its cache. Nodes from the cache are not counted.
    """

    def __init__(self, node_classes: Mapping[str, str], model_names: Mapping[str, str] | None = None) -> None:
        """`node_classes` by the nodes' ids; `model_names`, where known, of those that load a model."""
        self._classes = node_classes
        self._models = model_names or {}
        self._done: set[str | None] = set()
        self._cached: set[str] = set()
        self._node: str | None = None
        self._step: tuple[float, float] = (0.0, 1.0)
        self._fraction = 0.0
        self._told = Progress()
        self._preview_at: float | None = None

    @property
    def cached(self) -> int:
        """How many nodes the engine did not have to run again."""
        return len(self._cached)

    def queued(self, ahead: int) -> Progress | None:
        """News that the run waits in the engine's own queue behind `ahead` others."""
        return self._news("queued in the engine" + (f", {ahead} ahead" if ahead else ""))

    def storing(self, outputs: int) -> Progress | None:
        """News that the run is over and its outputs are being fetched."""
        return Progress(phase="storing", message=f"{outputs} output{'s' if outputs != 1 else ''} of the engine")

    def hear(self, frame: Frame, *, now: float) -> Progress | None:
        """What a frame of this run says that was not said before. `now` is in seconds of a monotonic clock."""
        if isinstance(frame, Preview):
            if self._preview_at is not None and now - self._preview_at < PREVIEWS_EVERY_S:
                return None
            self._preview_at = now
            return self._now(self._told.message, preview=frame.picture)
        if isinstance(frame, Remark):
            return self._news(frame.text)
        return self._event(frame)

    def _event(self, event: Event) -> Progress | None:
        data = event.data
        if event.type == "execution_start":
            return self._news("started in the engine")
        if event.type == "execution_cached":
            nodes = data.get("nodes")
            self._cached = {node for node in nodes if isinstance(node, str)} if isinstance(nodes, list) else set()
        elif event.type == "executing" and isinstance(data.get("node"), str):
            self._begin(data["node"])
            return self._news()
        elif event.type == "progress":
            return self._stepped(data.get("node"), data.get("value"), data.get("max"))
        elif event.type == "progress_state" and isinstance(data.get("nodes"), dict):
            self._done |= {node for node, state in data["nodes"].items() if _is_finished(state)}
            state = data["nodes"].get(self._node)
            if isinstance(state, dict):
                return self._stepped(self._node, state.get("value"), state.get("max"))
        return None

    def _begin(self, node: str) -> None:
        if self._node is not None and self._node != node:
            self._done.add(self._node)
        self._node, self._step = node, (0.0, 1.0)

    def _stepped(self, node: Any, value: Any, most: Any) -> Progress | None:
        if not isinstance(value, int | float) or not isinstance(most, int | float) or not 0 < most < 1e9:
            return None
        if isinstance(node, str) and node != self._node:
            self._begin(node)
        self._step = (min(max(value, 0), most), most)
        return self._news()

    def _nodes(self) -> int:
        return max(len(self._classes) - len(self._cached), len(self._done | {self._node} - {None}), 1)

    def _news(self, message: str = "") -> Progress | None:
        """The state with a message, unless all of that was told already."""
        value, most = self._step
        reached = (len(self._done - {self._node}) + (value / most if self._node is not None else 0.0)) / self._nodes()
        self._fraction = min(1.0, max(self._fraction, reached))
        news = self._now(message)
        if _what_is_seen(news) == _what_is_seen(self._told):
            return None
        self._told = news
        return news

    def _now(self, message: str, *, preview: bytes | None = None) -> Progress:
        if self._node is None:
            return Progress(message=message, preview=preview)
        value, most = self._step
        # A node that a node put into the graph while running is called after its parent, as in `4.0.1`.
        name = self._classes.get(self._node) or self._classes.get(self._node.partition(".")[0]) or ""
        phase: Phase = "loading" if "Loader" in name else "running"
        return Progress(
            phase=phase,
            fraction=self._fraction,
            message=message,
            preview=preview,
            model=self._models.get(self._node, "") if phase == "loading" else "",
            node=len(self._done | {self._node}),
            nodes=self._nodes(),
            node_name=name,
            step=int(value) if most > 1 and value >= 1 else None,
            steps=int(most) if most > 1 and value >= 1 else None,
        )


def _what_is_seen(news: Progress) -> tuple[object, ...]:
    """Everything but the fraction, which moves with it."""
    return (news.phase, news.message, news.model, news.node, news.nodes, news.node_name, news.step, news.steps)


def _is_finished(state: Any) -> bool:
    return isinstance(state, dict) and state.get("state") == "finished"
