"""Graphs that can be submitted by name: the folder of workflows that a pool brings, beside the file of pools."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from northstar.config.pool_errors import InvalidPools
from northstar.domain.amounts import exactly
from northstar.domain.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from northstar.domain.pools import Pools

#: Graphs of one pool, and bytes of one graph.
MAX_TEMPLATES: Final = 500
MAX_TEMPLATE_BYTES: Final = 4_000_000
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class NoSuchWorkflow(InvalidRequest):
    """No pool has a workflow of this name."""

    code = "NS_NO_SUCH_WORKFLOW"

    def __init__(self, name: str, *, known: tuple[str, ...]) -> None:
        super().__init__(
            f"there is no workflow {name!r} (known: {', '.join(known) or 'none'}): northstar pools workflows"
        )
        self.name = name
        self.known = known


class WorkflowUnusable(InvalidRequest):
    """The file of a workflow is no graph, or lacks what is to be set in it."""

    code = "NS_WORKFLOW_UNUSABLE"

    def __init__(self, name: str, *, problem: str) -> None:
        super().__init__(f"workflow {name} {problem}")
        self.name = name
        self.problem = problem


def templates(pools: Pools, *, beside: Path | None = None) -> dict[str, Path]:
    """The graphs of all pools by `POOL/NAME`, sorted.

    A folder is looked for beside the file of pools, in the folder `beside`, and then among those that come with North Star.

    Raises:
        InvalidPools: a pool names a folder that is in neither place, or that holds too many graphs.
    """
    packaged = Path(str(resources.files("northstar")))
    places = [packaged] if beside is None else [beside, packaged]
    found: dict[str, Path] = {}
    for pool, spec in pools.pools.items():
        if spec.workflows:
            found |= {f"{pool}/{file.stem}": file for file in _graphs(pool, spec.workflows, places)}
    return dict(sorted(found.items()))


def _graphs(pool: str, workflows: str, places: Sequence[Path]) -> list[Path]:
    folder = next((place / workflows for place in places if (place / workflows).is_dir()), None)
    source = str(places[0])
    if folder is None:
        problem = f"names {places[0] / workflows}, which is no folder; make it, or take the key out"
        raise InvalidPools(problem, source=source, table=f"pools.{pool}", key="workflows")
    files = sorted(file for file in folder.glob("*.json") if _NAME.fullmatch(file.stem))
    if len(files) > MAX_TEMPLATES:
        problem = f"names {folder}, which holds {len(files)} graphs; at most {MAX_TEMPLATES} may be there"
        raise InvalidPools(problem, source=source, table=f"pools.{pool}", key="workflows")
    return files


def read_template(known: Mapping[str, Path], name: str) -> dict[str, Any]:
    """The graph of that name, in ComfyUI's API format.

    Raises:
        NoSuchWorkflow: there is none. WorkflowUnusable: its file is no such graph.
    """
    if name not in known:
        raise NoSuchWorkflow(name, known=tuple(known))
    try:
        with known[name].open("rb") as stream:
            raw = stream.read(MAX_TEMPLATE_BYTES + 1)
    except OSError as exc:
        raise WorkflowUnusable(name, problem=f"cannot be read: {exc.strerror}") from exc
    if len(raw) > MAX_TEMPLATE_BYTES:
        raise WorkflowUnusable(name, problem=f"has more than {exactly(MAX_TEMPLATE_BYTES)}")
    try:
        graph = msgspec.json.decode(raw, type=dict[str, dict[str, Any]])
    except msgspec.MsgspecError as exc:
        raise WorkflowUnusable(name, problem=f"is no graph in ComfyUI's API format: {exc}") from exc
    if strange := [
        node for node, one in graph.items() if not ("class_type" in one and isinstance(one.get("inputs"), dict))
    ]:
        raise WorkflowUnusable(
            name,
            problem=f"is no graph in ComfyUI's API format: node {strange[0]} has no class_type or no inputs; export it for the API",
        )
    return graph


def with_values(name: str, graph: dict[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """The graph with inputs of its nodes set, by `NODE.INPUT`; a value that is JSON is taken as such, any other as text.

    Raises:
        WorkflowUnusable: it has no such node, or the node no such input.
    """
    changed = {node: {**one, "inputs": dict(one["inputs"])} for node, one in graph.items()}
    for place, text in values.items():
        node, _, key = place.partition(".")
        if key not in changed.get(node, {}).get("inputs", {}):
            shown = ", ".join(
                f"{one}.{each}"
                for one in graph
                for each, value in graph[one]["inputs"].items()
                if not isinstance(value, list)
            )
            raise WorkflowUnusable(name, problem=f"has no input {place}; it has {shown}"[:2_000])
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        changed[node]["inputs"][key] = value
    return changed
