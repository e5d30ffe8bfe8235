"""Lists of models that others' files carry: ComfyUI graphs as they are saved, and the manifests of comfyui-api."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

import msgspec

from northstar.domain.catalogue import CatalogueFile, CatalogueModel, CatalogueVersion
from northstar.domain.models import UNKNOWN_HASH
from northstar.policy.models.catalogue_rules import name_of, problem_of
from northstar.policy.models.folders import folder_for, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Graphs inside of graphs that are looked through; whoever nests deeper wrote no graph.
_DEEPEST: Final = 16
#: What a version is called where a list knows none.
FIRST_VERSION: Final = "1"
_HUB: Final = "https://huggingface.co/"


class ListedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model as a list names it: where it lies below the models folder, and where it can be had."""

    #: Folders and name, with `/` between them.
    path: str
    url: str
    sha256: str = UNKNOWN_HASH


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that became no model of the catalogue, and why."""

    name: str
    reason: str


class ReadList(msgspec.Struct, frozen=True, kw_only=True):
    """The models of a list, each once, and what is not among them."""

    models: tuple[CatalogueModel, ...]
    left_out: tuple[LeftOut, ...] = ()


def is_saved_graph(document: Any) -> bool:
    """Whether this is a graph as ComfyUI saves it (UI format), which carries a list of its models."""
    return isinstance(document, dict) and isinstance(document.get("nodes"), list)


def is_executed_graph(document: Any) -> bool:
    """Whether this is a graph as ComfyUI executes it (API format), which names models and no addresses."""
    nodes = list(document.values()) if isinstance(document, dict) else []
    return bool(nodes) and all(isinstance(node, dict) and "class_type" in node for node in nodes)


def is_comfyui_api_manifest(document: Any) -> bool:
    """Whether this is a manifest of comfyui-api: models to load before and after the start."""
    models = document.get("models") if isinstance(document, dict) else None
    return isinstance(models, dict) and bool(models.keys() & {"before_start", "after_start"})


def models_of_graph(document: Mapping[str, Any]) -> ReadList:
    """The models that the nodes of a saved graph, and of its subgraphs, say they need."""
    return _read(itertools.chain(_of_list(document.get("models")), _of_nodes(document, 0)))


def models_of_comfyui_api(document: Mapping[str, Any]) -> ReadList:
    """The models of a comfyui-api manifest: `url`, and `local_path` below the folder of ComfyUI or of its models."""
    models = document["models"]
    entries = [*_dicts(models.get("before_start")), *_dicts(models.get("after_start"))]
    return _read(
        ListedModel(
            path=_text(one, "local_path").removeprefix("models/") or name_of(_text(one, "url")), url=_text(one, "url")
        )
        for one in entries
    )


def _of_nodes(graph: Mapping[str, Any], depth: int) -> Iterator[ListedModel]:
    for node in _dicts(graph.get("nodes")):
        properties = node.get("properties")
        if isinstance(properties, dict):
            yield from _of_list(properties.get("models"))
    definitions = graph.get("definitions")
    if isinstance(definitions, dict) and depth < _DEEPEST:
        for subgraph in _dicts(definitions.get("subgraphs")):
            yield from _of_nodes(subgraph, depth + 1)


def _of_list(models: Any) -> Iterator[ListedModel]:
    for entry in _dicts(models):
        is_known = _text(entry, "hash_type").upper() in {"", "SHA256"}
        hash_ = _text(entry, "hash").lower() if is_known else ""
        path = f"{_text(entry, 'directory')}/{_text(entry, 'name')}"
        yield ListedModel(path=path, url=_text(entry, "url"), sha256=hash_ or UNKNOWN_HASH)


def _read(listed: Iterator[ListedModel]) -> ReadList:
    models: dict[str, CatalogueModel] = {}
    left_out: dict[LeftOut, None] = {}
    for one in listed:
        made = _model(one)
        if isinstance(made, LeftOut):
            left_out[made] = None
        elif models.setdefault(made.name, made) != made:
            left_out[LeftOut(name=made.name, reason="it is named twice, with different words; the first counts")] = None
    return ReadList(models=tuple(models.values()), left_out=tuple(left_out))


def _model(listed: ListedModel) -> CatalogueModel | LeftOut:
    folder, _, name = listed.path.strip("/").partition("/")
    if not name:
        return LeftOut(name=listed.path or listed.url[:80], reason="it does not say in which folder it lies")
    kind = kind_of(folder)
    usual = folder == folder_for(kind)
    try:
        file = msgspec.convert(
            {
                "name": name,
                "kind": kind,
                "folder": "" if usual else folder,
                "sources": [_file_address(listed.url)] if listed.url else [],
                "sha256": listed.sha256,
            },
            CatalogueFile,
        )
    except msgspec.ValidationError as exc:
        return LeftOut(name=name[:80], reason=str(exc))
    version = CatalogueVersion(version=FIRST_VERSION, files=(file,))
    model = CatalogueModel(name=name, versions=(version,), current=FIRST_VERSION)
    problem = problem_of(model) if file.sources else "it has no address"
    return model if problem is None else LeftOut(name=name, reason=problem)


def _file_address(url: str) -> str:
    """Graphs often carry the address of the page about a file on Hugging Face; the file itself is one word away."""
    if not url.startswith(_HUB):
        return url
    parts = url.removeprefix(_HUB).split("/", 3)
    return _HUB + "/".join((*parts[:2], "resolve", parts[3])) if len(parts) == 4 and parts[2] == "blob" else url


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name)
    return value.strip() if isinstance(value, str) else ""
