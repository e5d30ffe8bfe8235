"""Saved ComfyUI workflows: unfold subgraphs and follow links through what only the editor knows, as it does before it sends a graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from northstar.policy.models.comfyui_graph import MAX_NODES, ComfyGraph, GraphNode, Link, graph_of
from northstar.policy.models.comfyui_graph_scopes import (
    Definition,
    Scope,
    definition_of,
    is_bypassed,
    is_off,
    list_of,
    subgraphs_of,
    text_of,
)
from northstar.policy.models.comfyui_graph_widgets import named_values

#: Subgraphs in subgraphs.
_MAX_DEPTH: Final = 16
#: Links that are followed from one input to the node that feeds it.
_MAX_HOPS: Final = 64
_REROUTES: Final = frozenset({"Reroute", "Reroute (rgthree)"})
#: Takes what the node `SetNode` of the same name was given, without a link between them.
_GETS: Final = "GetNode"
#: Nodes that the editor keeps to itself: its own, and those of packs that live in the editor alone.
_EDITOR_ONLY: Final = _REROUTES | {
    "Bookmark (rgthree)",
    "Fast Bypasser (rgthree)",
    "Fast Groups Bypasser (rgthree)",
    "Fast Groups Muter (rgthree)",
    "Fast Muter (rgthree)",
    _GETS,
    "Label (rgthree)",
    "MarkdownNote",
    "Note",
    "PrimitiveNode",
    "SetNode",
}


class _Fixed(msgspec.Struct, frozen=True):
    """An input that is set by something outside of its node."""

    value: Any


def saved_graph(workflow: Mapping[str, Any]) -> ComfyGraph:
    """Read a workflow as the editor saves it: `nodes`, `links`, `definitions.subgraphs`."""
    definitions = {identity: definition_of(found) for identity, found in subgraphs_of(workflow)}
    root = Scope(definition=definition_of(workflow))
    unread: list[str] = []
    scopes = _unfolded(root, definitions, unread)
    nodes: dict[str, GraphNode] = {}
    for scope in scopes:
        for identity, node in scope.definition.nodes.items():
            if is_off(node) or node["type"] in definitions or node["type"] in _EDITOR_ONLY:
                continue
            if len(nodes) == MAX_NODES:
                unread.append(f"the workflow has more than {MAX_NODES} nodes; the rest was not read")
                return graph_of(nodes, unread)
            nodes[scope.path + identity] = _read(scope, identity, node)
    odd = sum(definition.odd for definition in (root.definition, *definitions.values()))
    if odd:
        unread.append(f"{odd} nodes of the workflow have no type or no id")
    return graph_of(nodes, unread)


def _unfolded(root: Scope, definitions: Mapping[str, Definition], unread: list[str]) -> list[Scope]:
    """The workflow and every use of a subgraph in it, the outer before the inner."""
    scopes = [root]
    total = len(root.definition.nodes)
    for scope in scopes:
        for identity, node in scope.definition.nodes.items():
            definition = definitions.get(node["type"])
            if definition is None or is_off(node):
                continue
            total += len(definition.nodes) + 1
            if scope.depth == _MAX_DEPTH or total > 2 * MAX_NODES:
                unread.append(f"the subgraph at node {(scope.path + identity)[:60]!r} lies too deep or is too large")
                continue
            inner = Scope(
                definition=definition, parent=scope, at=identity, path=f"{scope.path}{identity}:", depth=scope.depth + 1
            )
            scope.inner[identity] = inner
            scopes.append(inner)
    return scopes


def _read(scope: Scope, identity: str, node: Mapping[str, Any]) -> GraphNode:
    values = named_values(node) | scope.overrides().get(identity, {})
    links: dict[str, Link] = {}
    for entry in list_of(node, "inputs"):
        if not isinstance(entry, dict) or not isinstance(name := entry.get("name"), str) or entry.get("link") is None:
            continue
        match _source(scope, entry["link"]):
            case Link() as link:
                links[name] = link
                values.pop(name, None)
            case _Fixed(value):
                values[name] = value
    types = tuple(
        entry["type"]
        for entry in list_of(node, "outputs")
        if isinstance(entry, dict) and isinstance(entry.get("type"), str)
    )
    return GraphNode(class_type=node["type"], values=values, links=links, output_types=types)


def _source(scope: Scope, link: Any) -> Link | _Fixed | None:
    """What feeds an input in the end; None if nothing does, so that the input's own value counts."""
    for _ in range(_MAX_HOPS):
        end = scope.definition.links.get(text_of(link))
        if end is None:
            return None
        found = _beyond(scope, *end)
        if not isinstance(found, tuple):
            return found
        scope, link = found
    return None


def _beyond(scope: Scope, origin: str, slot: int) -> tuple[Scope, Any] | Link | _Fixed | None:
    """The end of a link, or another link that leads there, with the scope that it lies in."""
    if origin == scope.definition.entry:
        return _outside(scope, slot)
    node = scope.definition.nodes.get(origin)
    if node is None or (is_off(node) and not is_bypassed(node)):
        return None
    if is_bypassed(node):
        return scope, scope.definition.passing(origin).at(slot)
    if node["type"] in _REROUTES:
        return scope, scope.definition.passing(origin).at(0)
    if node["type"] == _GETS:
        return scope, scope.definition.given(node)
    if node["type"] == "PrimitiveNode":
        values = list_of(node, "widgets_values")
        return _Fixed(values[0]) if values else None
    if (inner := scope.inner.get(origin)) is not None:
        return inner, inner.definition.exits.get(slot)
    return Link(scope.path + origin, slot)


def _outside(scope: Scope, slot: int) -> tuple[Scope, Any] | _Fixed | None:
    """What an input of a subgraph is fed by where the subgraph is used."""
    if scope.parent is None or not 0 <= slot < len(scope.definition.inputs):
        return None
    name = scope.definition.inputs[slot]
    if (link := scope.own_links().get(name)) is not None:
        return scope.parent, link
    own = scope.own_values()
    return _Fixed(own[name]) if name in own else None


def all_nodes(workflow: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every node that a workflow has or defines, whether it runs or not."""
    for _, found in (("", workflow), *subgraphs_of(workflow)):
        for node in list_of(found, "nodes"):
            if isinstance(node, dict):
                yield node
