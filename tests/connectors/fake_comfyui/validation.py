"""Why a graph is refused, in the words of the real server."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from tests.connectors.fake_comfyui.node_classes import NodeClass

Graph = Mapping[str, Any]


class Refused(Exception):
    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__(body["error"]["type"])
        self.body = body


def is_link(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2


def check_run_id(run_id: Any) -> None:
    """Newer servers take no name but a UUID in its usual form.

    Raises:
        Refused: it is something else.
    """
    if run_id is not None and not _is_uuid(run_id):
        details = (
            "prompt_id must be a UUID string in canonical lowercase hyphenated form; "
            "omit it to let the server generate one"
        )
        raise _refused("invalid_prompt_id", "prompt_id must be a valid UUID", details)


def outputs_to_run(
    graph: Graph, classes: Mapping[str, NodeClass], *, is_newer: bool = False
) -> tuple[list[str], dict[str, Any]]:
    """The output nodes that can be run, and what is wrong with the others.

    Raises:
        Refused: none can be.
    """
    for node, description in graph.items():
        if description.get("class_type") not in classes:
            raise _unknown_class(node, description.get("class_type"), is_newer=is_newer)
    leaves = [node for node, description in graph.items() if classes[description["class_type"]].is_output]
    if not leaves:
        raise _refused("prompt_no_outputs", "Prompt has no outputs")
    faults: dict[str, Any] = {}
    good: list[str] = []
    for leaf in leaves:
        found: dict[str, list[dict[str, Any]]] = {}
        _examine(leaf, graph, classes, found, set())
        for node, errors in found.items():
            entry = {"errors": errors, "dependent_outputs": [], "class_type": graph[node]["class_type"]}
            faults.setdefault(node, entry)["dependent_outputs"].append(leaf)
        if not found:
            good.append(leaf)
    if not good:
        raise _refused("prompt_outputs_failed_validation", "Prompt outputs failed validation", faults=faults)
    return good, faults


def _is_uuid(run_id: Any) -> bool:
    try:
        return isinstance(run_id, str) and str(uuid.UUID(run_id)) == run_id
    except ValueError:
        return False


def _unknown_class(node: str, name: Any, *, is_newer: bool) -> Refused:
    where = f"Node ID '#{node}'"
    if not is_newer:
        return _refused("invalid_prompt", f"Cannot execute because node {name} does not exist.", where)
    refused = _refused("missing_node_type", f"Node '{name}' not found. The custom node may not be installed.", where)
    refused.body["error"]["extra_info"] = {"node_id": node, "class_type": name, "node_title": name}
    return refused


def _refused(kind: str, message: str, details: str = "", faults: dict[str, Any] | None = None) -> Refused:
    error = {"type": kind, "message": message, "details": details, "extra_info": {}}
    return Refused({"error": error, "node_errors": faults or {}})


def _examine(
    node: str,
    graph: Graph,
    classes: Mapping[str, NodeClass],
    found: dict[str, list[dict[str, Any]]],
    seen: set[str],
) -> None:
    if node in seen:
        return
    seen.add(node)
    given = graph[node]["inputs"]
    errors: list[dict[str, Any]] = []
    for name, (kind, bounds) in classes[graph[node]["class_type"]].inputs.items():
        config = [kind, bounds]
        if name not in given:
            errors.append(_error("required_input_missing", "Required input is missing", name, name, config))
            continue
        value = given[name]
        if is_link(value):
            source = classes[graph[value[0]]["class_type"]].outputs[value[1]]
            if source != kind:
                details = f"{name}, received_type({source}) mismatch input_type({kind})"
                extra = {"received_type": source, "linked_node": value}
                message = "Return type mismatch between linked nodes"
                errors.append(_error("return_type_mismatch", message, details, name, config, **extra))
            else:
                _examine(value[0], graph, classes, found, seen)
        else:
            errors += _value_errors(name, value, kind, bounds)
    if errors:
        found[node] = errors


def _value_errors(name: str, value: Any, kind: Any, bounds: dict[str, Any]) -> list[dict[str, Any]]:
    config = [kind, bounds]
    if isinstance(kind, list) and value not in kind and not bounds.get("image_upload"):
        details = f"{name}: {value!r} not in {kind!r}"
        return [_error("value_not_in_list", "Value not in list", details, name, config, received_value=value)]
    if kind in ("INT", "FLOAT") and value > bounds["max"]:
        message = f"Value {value} bigger than max of {bounds['max']}"
        return [_error("value_bigger_than_max", message, name, name, config, received_value=value)]
    if isinstance(kind, list) and bounds.get("image_upload") and value not in kind:
        message = "Custom validation failed for node"
        details = f"{name} - Invalid image file: {value}"
        return [_error("custom_validation_failed", message, details, name, config, received_value=value)]
    return []


def _error(kind: str, message: str, details: str, name: str, config: list[Any], **extra: Any) -> dict[str, Any]:
    info = {"input_name": name, "input_config": config} | extra
    return {"type": kind, "message": message, "details": details, "extra_info": info}
