"""Reading a file of pools: TOML to checked `Pools`; whatever is wrong is told with file, table and key."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, Final

import msgspec

from northstar.config.pool_errors import InvalidPools, told
from northstar.domain.amounts import exactly
from northstar.domain.pool_problems import pool_problems
from northstar.domain.pools import Pools, PoolSpec
from northstar.domain.requirements import Pool

__all__ = ["InvalidPools", "load_pools", "packaged_pools", "packaged_text", "read_pools_text"]

#: What `source` says of the pools that come with North Star.
PACKAGED: Final = "pools.toml of North Star"
#: As large as a file of pools may be, bytes.
MAX_POOLS_BYTES: Final = 1_000_000


def packaged_text() -> str:
    """The file that comes with North Star, comments included."""
    return resources.files("northstar").joinpath("pools.toml").read_text(encoding="utf-8")


def packaged_pools() -> Pools:
    """The six pools as they come with North Star."""
    return read_pools_text(packaged_text(), source=PACKAGED)


def load_pools(file: Path) -> Pools:
    """The pools of an operator's file.

    Raises:
        InvalidPools: it cannot be read, or something in it is wrong.
    """
    try:
        with file.open("rb") as stream:
            raw = stream.read(MAX_POOLS_BYTES + 1)
        if len(raw) > MAX_POOLS_BYTES:
            raise InvalidPools(f"has more than {exactly(MAX_POOLS_BYTES)}; pools need a few thousand", source=str(file))
        return read_pools_text(raw.decode(), source=str(file))
    except OSError as exc:
        raise InvalidPools(f"cannot be read: {exc.strerror}", source=str(file)) from exc
    except UnicodeDecodeError as exc:
        raise InvalidPools(f"is not valid TOML: {exc}", source=str(file)) from exc


def read_pools_text(text: str, *, source: str) -> Pools:
    """The pools of a text; `source` says in errors where it comes from.

    Raises:
        InvalidPools: with the first problem, its table and its key.
    """
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise InvalidPools(f"is not valid TOML: {exc}", source=source) from exc
    document = _with_parents(given)
    _check_each(document.get("pools"), source=source)
    try:
        pools = msgspec.convert(document, Pools)
    except msgspec.ValidationError as exc:
        raise told(exc, table="", kind=Pools, source=source) from exc
    for problem in pool_problems(pools):
        raise InvalidPools(problem.sentence, source=source, table=problem.table, key=problem.key)
    return pools


def _with_parents(document: dict[str, Any]) -> dict[str, Any]:
    """Each sub-pool with what it leaves unsaid, which is its parent's; examples are everybody's own."""
    tables = document.get("pools")
    if not isinstance(tables, dict):
        return document
    whole = {}
    for name, table in tables.items():
        parent = tables.get(str(table.get("parent"))) if isinstance(table, dict) else None
        if isinstance(parent, dict) and "parent" not in parent:
            inherited = {key: value for key, value in parent.items() if key != "examples"}
            whole[name] = _laid_over(inherited, table)
        else:
            whole[name] = table
    return {**document, "pools": whole}


def _laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        beneath = merged.get(key)
        if isinstance(value, dict) and isinstance(beneath, dict):
            merged[key] = _laid_over(beneath, value)
        else:
            merged[key] = value
    return merged


def _check_each(tables: Any, *, source: str) -> None:
    """Pools one by one, since whoever converts them all at once cannot say which one is wrong."""
    for name, table in tables.items() if isinstance(tables, dict) else ():
        try:
            msgspec.convert(name, Pool)
        except msgspec.ValidationError:
            problem = "is no name for a pool; use small letters, digits and dashes, at most 32 of them"
            raise InvalidPools(problem, source=source, table=f"pools.{name}") from None
        try:
            msgspec.convert(table, PoolSpec)
        except msgspec.ValidationError as exc:
            raise told(exc, table=f"pools.{name}", kind=PoolSpec, source=source) from exc
