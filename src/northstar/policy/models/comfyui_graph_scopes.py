"""Where the nodes of a saved ComfyUI workflow lie: the workflow itself, and each use of a subgraph in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from northstar.policy.models.comfyui_graph import MAX_CLASS_NAME
from northstar.policy.models.comfyui_graph_widgets import named_values, widget_inputs

#: Most subgraphs of a workflow that are looked at, and how deep they may be defined in each other.
_MAX_SUBGRAPHS: Final = 1_000
_MAX_DEFINED: Final = 16
#: What the editor calls the inside of a subgraph's inputs and outputs.
_ENTRY: Final = "-10"
_EXIT: Final = "-20"
#: Modes of a node: it does not run, or what goes in comes out.
_ANY: Final = "*"
_MUTED: Final = 2
_BYPASSED: Final = 4


class Passing(msgspec.Struct, frozen=True):
    """The links that lead into a node, by place and by type, and the types that come out of it."""

    places: tuple[tuple[str, Any], ...]
    first: Mapping[str, tuple[int, Any]]
    out: tuple[str, ...]

    def at(self, slot: int) -> Any:
        """The link that an output hands on if the node is bypassed: that of its input of the same place, or the first of its type."""
        kind = self.out[slot] if 0 <= slot < len(self.out) else _ANY
        if 0 <= slot < len(self.places):
            same, link = self.places[slot]
            if link is not None and (same == _ANY or kind in {_ANY, same}):
                return link
        firsts = (
            self.first.values() if kind == _ANY else [self.first[name] for name in (kind, _ANY) if name in self.first]
        )
        return min(firsts, key=lambda found: found[0], default=(0, None))[1]


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow or a subgraph, as it is written. Ids are texts: editors write numbers and texts for the same node."""

    nodes: Mapping[str, Mapping[str, Any]]
    #: By id, the node and the output that a link begins at.
    links: Mapping[str, tuple[str, int]]
    #: By output of the subgraph, the link that ends there.
    exits: Mapping[int, str]
    inputs: tuple[str, ...]
    entry: str = _ENTRY
    #: Nodes that cannot be read.
    odd: int = 0
    _passing: dict[str, Passing] = {}

    def passing(self, identity: str) -> Passing:
        """What a bypassed node hands on; looked at once for each node, since many links may lead through it."""
        if identity not in self._passing:
            self._passing[identity] = _passing_of(self.nodes[identity])
        return self._passing[identity]


class Scope(msgspec.Struct, kw_only=True):
    """A definition where it is used. The path goes before the ids of its nodes, as in the graphs that the editor sends."""

    definition: Definition
    parent: Scope | None = None
    #: The node of the parent that uses it.
    at: str = ""
    path: str = ""
    depth: int = 0
    inner: dict[str, Scope] = {}
    _own: dict[str, Any] | None = None
    _over: dict[str, dict[str, Any]] | None = None
    _links: dict[str, Any] | None = None

    def own_links(self) -> dict[str, Any]:
        """The links that feed the subgraph's inputs, in the parent."""
        if self._links is None:
            self._read_user()
        return self._links or {}

    def own_values(self) -> dict[str, Any]:
        """What the using node sets the subgraph's inputs to."""
        if self._own is None:
            self._read_user()
        return self._own or {}

    def overrides(self) -> dict[str, dict[str, Any]]:
        """What the using node sets inputs of inner nodes to, by the inner node."""
        if self._over is None:
            self._read_user()
        return self._over or {}

    def _read_user(self) -> None:
        self._own, self._over, self._links = {}, {}, {}
        if self.parent is None:
            return
        user = self.parent.definition.nodes[self.at]
        self._links = {
            entry["name"]: entry["link"]
            for entry in list_of(user, "inputs")
            if isinstance(entry, dict) and isinstance(entry.get("name"), str) and entry.get("link") is not None
        }
        proxies = _proxies(user)
        values, shown = list_of(user, "widgets_values"), set(widget_inputs(user))
        named = named_values(user)
        self._own = {name: named[name] for name in self.definition.inputs if name in named}
        if not proxies or len(proxies) != len(values):
            return
        for (identity, name), value in zip(proxies, values, strict=True):
            if identity == "-1":
                self._own.setdefault(name, value)
            elif value is not None and name not in shown:
                self._over.setdefault(identity, {})[name] = value


def definition_of(written: Mapping[str, Any]) -> Definition:
    """Read a workflow or a subgraph; what cannot be read is counted."""
    nodes: dict[str, Mapping[str, Any]] = {}
    odd = 0
    for node in list_of(written, "nodes"):
        match node:
            case {"type": str(class_type), "id": int() | str() as identity} if 0 < len(class_type) <= MAX_CLASS_NAME:
                nodes[str(identity)] = node
            case _:
                odd += 1
    links: dict[str, tuple[str, int]] = {}
    exits: dict[int, str] = {}
    entry, leave = _end(written, "inputNode", _ENTRY), _end(written, "outputNode", _EXIT)
    for link in list_of(written, "links"):
        match link:
            case [identity, origin, int(slot), target, target_slot, *_]:
                pass
            case {
                "id": identity,
                "origin_id": origin,
                "origin_slot": int(slot),
                "target_id": target,
                "target_slot": target_slot,
            }:
                pass
            case _:
                continue
        links[_id(identity)] = (_id(origin), slot)
        if _id(target) == leave and isinstance(target_slot, int):
            exits[target_slot] = _id(identity)
    inputs = tuple(_id(entry.get("name")) if isinstance(entry, dict) else "" for entry in list_of(written, "inputs"))
    return Definition(nodes=nodes, links=links, exits=exits, inputs=inputs, entry=entry, odd=odd)


def subgraphs_of(workflow: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every subgraph that a workflow defines, by id, also those defined inside of others."""
    level = [workflow]
    count = 0
    for _ in range(_MAX_DEFINED):
        inner: list[Mapping[str, Any]] = []
        for holder in level:
            definitions = holder.get("definitions")
            for found in list_of(definitions, "subgraphs") if isinstance(definitions, dict) else ():
                count += 1
                if count > _MAX_SUBGRAPHS:
                    return
                if isinstance(found, dict):
                    inner.append(found)
                    yield _id(found.get("id")), found
        level = inner


def list_of(holder: Mapping[str, Any], key: str) -> list[Any]:
    """A list of that name; empty if there is none."""
    found = holder.get(key)
    return found if isinstance(found, list) else []


def is_off(node: Mapping[str, Any]) -> bool:
    """Whether a node does not run."""
    return is_bypassed(node) or bool(node.get("mode") == _MUTED)


def is_bypassed(node: Mapping[str, Any]) -> bool:
    """Whether what goes into a node comes out of it unchanged."""
    return bool(node.get("mode") == _BYPASSED)


def _passing_of(node: Mapping[str, Any]) -> Passing:
    places = tuple(
        (_id(entry.get("type")), entry.get("link")) if isinstance(entry, dict) else ("", None)
        for entry in list_of(node, "inputs")
    )
    first: dict[str, tuple[int, Any]] = {}
    for at, (kind, link) in enumerate(places):
        if link is not None:
            first.setdefault(kind, (at, link))
    out = tuple(_id(entry.get("type")) if isinstance(entry, dict) else "" for entry in list_of(node, "outputs"))
    return Passing(places, first, out)


def _proxies(user: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Inner node and input for each value that a use of a subgraph shows."""
    properties = user.get("properties")
    found = list_of(properties, "proxyWidgets") if isinstance(properties, dict) else []
    return [(_id(pair[0]), _id(pair[1])) for pair in found if isinstance(pair, list) and len(pair) >= 2]


def _id(value: Any) -> str:
    """An id as a text; empty for what cannot be one."""
    return str(value) if isinstance(value, int | str) else ""


def _end(written: Mapping[str, Any], key: str, usual: str) -> str:
    end = written.get(key)
    return str(end["id"]) if isinstance(end, dict) and isinstance(end.get("id"), int | str) else usual
