"""Where the nodes of a saved ComfyUI workflow lie: the workflow itself, and each use of a subgraph in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from northstar.policy.models.comfyui_graph import MAX_CLASS_NAME, MAX_NUMBER
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
    #: By the name of a `SetNode`, the link that leads into it.
    named: Mapping[str, Any] = {}
    _passing: dict[str, Passing] = {}

    def given(self, node: Mapping[str, Any]) -> Any:
        """The link whose value a `GetNode` takes, by the name that it shares with a `SetNode`."""
        return self.named.get(_first_value(node))

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
    listed = list_of(written, "nodes")
    nodes = {text_of(node["id"]): node for node in listed if _is_node(node)}
    links: dict[str, tuple[str, int]] = {}
    exits: dict[int, str] = {}
    entry, leave = _end(written, "inputNode", _ENTRY), _end(written, "outputNode", _EXIT)
    for identity, origin, slot, target, target_slot in filter(None, map(_link, list_of(written, "links"))):
        links[identity] = (origin, slot)
        if target == leave and isinstance(target_slot, int):
            exits[target_slot] = identity
    return Definition(
        nodes=nodes,
        links=links,
        exits=exits,
        inputs=tuple(text_of(_get(entry, "name")) for entry in list_of(written, "inputs")),
        entry=entry,
        odd=sum(not _is_node(node) for node in listed),
        named={_first_value(node): _passing_of(node).at(0) for node in nodes.values() if node["type"] == "SetNode"},
    )


def _is_node(node: Any) -> bool:
    class_type, identity = _get(node, "type"), _get(node, "id")
    return isinstance(class_type, str) and 0 < len(class_type) <= MAX_CLASS_NAME and text_of(identity) != ""


def _link(link: Any) -> tuple[str, str, int, str, Any] | None:
    """Id, beginning and end of a link, in either of the two forms that editors write; None if it is none."""
    match link:
        case [identity, origin, int(slot), target, target_slot, *_]:
            return text_of(identity), text_of(origin), slot, text_of(target), target_slot
        case {"id": identity, "origin_id": origin, "origin_slot": int(slot), "target_id": target, "target_slot": end}:
            return text_of(identity), text_of(origin), slot, text_of(target), end
        case _:
            return None


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
                    yield text_of(found.get("id")), found
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
    places = tuple((text_of(_get(entry, "type")), _get(entry, "link")) for entry in list_of(node, "inputs"))
    first: dict[str, tuple[int, Any]] = {}
    for at, (kind, link) in enumerate(places):
        if link is not None:
            first.setdefault(kind, (at, link))
    out = tuple(text_of(_get(entry, "type")) for entry in list_of(node, "outputs"))
    return Passing(places, first, out)


def _first_value(node: Mapping[str, Any]) -> str:
    values = list_of(node, "widgets_values")
    return text_of(values[0]) if values else ""


def _proxies(user: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Inner node and input for each value that a use of a subgraph shows."""
    properties = user.get("properties")
    found = list_of(properties, "proxyWidgets") if isinstance(properties, dict) else []
    return [(text_of(pair[0]), text_of(pair[1])) for pair in found if isinstance(pair, list) and len(pair) >= 2]


def text_of(value: Any) -> str:
    """An id as a text; empty for what cannot be one."""
    if isinstance(value, int):
        return str(value) if abs(value) <= MAX_NUMBER else ""
    return value if isinstance(value, str) else ""


def _get(holder: Any, key: str) -> Any:
    return holder.get(key) if isinstance(holder, dict) else None


def _end(written: Mapping[str, Any], key: str, usual: str) -> str:
    end = written.get(key)
    return str(end["id"]) if isinstance(end, dict) and isinstance(end.get("id"), int | str) else usual
