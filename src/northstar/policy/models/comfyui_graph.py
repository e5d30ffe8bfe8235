"""A ComfyUI graph as policy reads it, whichever of the two formats it came in: what it says, and which of it runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec

from northstar.policy.models.comfyui_graph_arithmetic import worked_out
from northstar.policy.models.comfyui_graph_classes import traits_of

_T = TypeVar("_T")

#: Most nodes that are read, subgraphs unfolded; ComfyUI's own graphs stay far below it.
MAX_NODES: Final = 5_000
MAX_UNREAD: Final = 20
MAX_CLASS_NAME: Final = 256
#: Larger numbers are taken for nonsense.
MAX_NUMBER: Final = 10**15
#: A value that is handed on through more nodes than this counts as unknown; each formula and switch on the way halves it.
_MAX_HOPS: Final = 32
_MAX_NAMES: Final = 8
#: Hands on one of two inputs, and runs only what stands behind that one.
_SWITCH: Final = "ComfySwitchNode"
#: Gives what a formula makes of its inputs, which it calls `values.` and a letter.
_FORMULA: Final = "ComfyMathExpression"


class Link(msgspec.Struct, frozen=True):
    """An output of another node."""

    node: str
    slot: int


class GraphNode(msgspec.Struct, frozen=True, kw_only=True):
    """A node. `values` are what its inputs are set to; in a saved workflow some have no name but `#` and their place."""

    class_type: str
    values: Mapping[str, Any] = {}
    links: Mapping[str, Link] = {}
    #: Types of its outputs, as a saved workflow writes them; the API format does not.
    output_types: tuple[str, ...] = ()


class ComfyGraph(msgspec.Struct, frozen=True, kw_only=True):
    """All nodes that a server would be sent, by id, and what could not be read."""

    nodes: Mapping[str, GraphNode] = {}
    unread: tuple[str, ...] = ()
    #: Nodes that may tell before they run what they give.
    tellers: frozenset[str] = frozenset()
    #: What formulas and switches give, by their node: each is looked at once, however many ask.
    _found: dict[str, Any] = {}

    def value(self, node: GraphNode, name: str) -> Any:
        """What an input is set to, also through nodes that only hold a value or work one out; None if the graph does not tell."""
        link = node.links.get(name)
        if link is None:
            return node.values.get(name)
        return self._value(node, name, hops=_MAX_HOPS) if link.node in self.tellers else None

    def number(self, node: GraphNode, name: str) -> float | None:
        """What an input is set to, if that is a number that can be reckoned with, from 0 up."""
        if name not in node.links and name not in node.values:
            return None
        value = self.value(node, name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= MAX_NUMBER:
            return None
        return value

    def count(self, node: GraphNode, name: str) -> int | None:
        """The same without what comes after the point: editors write whole numbers with one at times."""
        number = self.number(node, name)
        return None if number is None else int(number)

    def sources(self, node: GraphNode) -> Collection[Link]:
        """Outputs that must be there before a node can run."""
        chosen = self._chosen(node) if node.class_type == _SWITCH else ""
        if not chosen:
            return node.links.values()
        return [node.links[chosen]] if chosen in node.links else []

    def running(self) -> tuple[str, ...]:
        """Ids of the nodes that run: those that leave something, and all that they need, the needed before the needing."""
        order: list[str] = []
        seen: set[str] = set()
        stack = [(identity, False) for identity in self._ends()]
        while stack:
            identity, is_ready = stack.pop()
            if is_ready:
                order.append(identity)
            elif identity not in seen and identity in self.nodes:
                seen.add(identity)
                stack.append((identity, True))
                stack += [(link.node, False) for link in self.sources(self.nodes[identity])]
        return tuple(order)

    def _value(self, node: GraphNode, name: str, *, hops: int) -> Any:
        for left in range(hops, 0, -1):
            if name not in node.links:
                return node.values.get(name)
            identity = node.links[name].node
            source = self.nodes.get(identity)
            if source is None:
                return None
            if source.class_type == _FORMULA:
                return self._once(identity, self._worked_out, hops=left // 2)
            if source.class_type == _SWITCH:
                name = self._once(identity, self._chosen, hops=left // 2)
            elif "value" in source.values or "value" in source.links:
                name = "value"
            else:
                return None
            node = source
        return None

    def _once(self, identity: str, find: Callable[[GraphNode, int], _T], *, hops: int) -> _T:
        if identity not in self._found:
            self._found[identity] = ""  # what it is to itself, should it lead back there
            self._found[identity] = find(self.nodes[identity], hops)
        found: _T = self._found[identity]
        return found

    def _worked_out(self, node: GraphNode, hops: int) -> float | None:
        formula = node.values.get("expression")
        if not isinstance(formula, str):
            return None
        names: dict[str, float] = {}
        for key in (*node.values, *node.links)[:_MAX_NAMES]:
            value = self._value(node, key, hops=hops)
            if key.startswith("values.") and isinstance(value, int | float):
                names[key.removeprefix("values.")] = value
        return worked_out(formula, names)

    def unused(self) -> frozenset[str]:
        """Ids of the nodes that no other node takes anything from."""
        return frozenset(self.nodes).difference(
            link.node for node in self.nodes.values() for link in node.links.values()
        )

    def _ends(self) -> list[str]:
        unused = self.unused()
        ends = [
            identity
            for identity, node in self.nodes.items()
            if (traits := traits_of(node.class_type)).leaves or (not traits.is_inner and identity in unused)
        ]
        return ends or list(self.nodes)

    def _chosen(self, switch: GraphNode, hops: int = _MAX_HOPS) -> str:
        """The input that a switch hands on; empty if the graph does not tell."""
        flag = self._value(switch, "switch", hops=hops)
        return ("on_true" if flag else "on_false") if isinstance(flag, bool) else ""


def api_graph(prompt: Mapping[str, Any]) -> ComfyGraph:
    """Read a graph in the API format, `{id: {class_type, inputs}}`; what is no node is told and passed over."""
    nodes: dict[str, GraphNode] = {}
    odd: list[str] = []
    for identity, described in prompt.items():
        if len(nodes) == MAX_NODES:
            odd.append(f"the graph has more than {MAX_NODES} nodes; the rest was not read")
            break
        node = _api_node(described, prompt) if isinstance(described, dict) else None
        if node is not None:
            nodes[identity] = node
        else:
            odd.append(f"node {identity[:40]!r} has no usable `class_type` and `inputs`")
    return graph_of(nodes, odd)


def graph_of(nodes: Mapping[str, GraphNode], unread: Sequence[str]) -> ComfyGraph:
    """A graph of these nodes."""
    tellers = frozenset(
        identity
        for identity, node in nodes.items()
        if "value" in node.values or "value" in node.links or node.class_type in {_SWITCH, _FORMULA}
    )
    return ComfyGraph(nodes=nodes, unread=tuple(unread[:MAX_UNREAD]), tellers=tellers)


def _api_node(described: Mapping[str, Any], prompt: Mapping[str, Any]) -> GraphNode | None:
    class_type, inputs = described.get("class_type"), described.get("inputs")
    if not isinstance(class_type, str) or not 0 < len(class_type) <= MAX_CLASS_NAME or not isinstance(inputs, dict):
        return None
    values: dict[str, Any] = {}
    links: dict[str, Link] = {}
    for name, value in inputs.items():
        if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and value[0] in prompt:
            links[name] = Link(value[0], value[1] if isinstance(value[1], int) else 0)
        else:
            values[name] = value
    return GraphNode(class_type=class_type, values=values, links=links)
