"""Write docs/reference/scenario.md from the code: `python scripts/write_scenario_reference.py`.

Keys, types, defaults and bounds come from the types that read a scenario, meanings from the comments beside their fields. A test fails when the page
is not what this writes, and when a key has no meaning.
"""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from northstar.simulation.fleet import faults, laws
from northstar.simulation.fleet.lengths import Length
from northstar.simulation.fleet.plan import BakedFile, FleetPlan, MachineGroup, MachineKind, PriceOf, ScalingPlan
from northstar.simulation.scenario import workload_plan
from northstar.simulation.scenario.plan import PatiencePlan, Scenario, SettingsPlan, WindowPlan
from northstar.simulation.scenario.policies import POLICIES
from northstar.simulation.scenario.workload_plan import TenantPart, WorkloadPlan
from northstar.simulation.workload.regions import RegionClock
from northstar.surfaces.http.description.field_comments import field_comments

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "reference" / "scenario.md"

_HEAD: Final = """# The scenario file

This page is written by `scripts/write_scenario_reference.py` from the code; change it there. How to use one is told in
[Simulate a fleet](../how-to/simulate.md).

A scenario is a YAML file. A key that does not exist is an error that names its line, as are a key that stands twice, anchors and tags. `no`, `on` and
the like are words. Lengths of time are a whole number and a unit: `90s`, `15m`, `12h`, `30d`. Files are named from the folder of the scenario.
A name that ends in `_gb` is in decimal GB, `_mb` in millions of bytes, `_s` in seconds.
"""


class Section(NamedTuple):
    """Objects of one kind, or of several that are told apart by the same key."""

    title: str
    kinds: tuple[type[msgspec.Struct], ...]
    says: str = ""


def _tagged(union: Any) -> tuple[type[msgspec.Struct], ...]:
    return typing.get_args(union)


SECTIONS: Final = (
    Section("The scenario", (Scenario,)),
    Section("`workload`", (WorkloadPlan,)),
    Section("An element of `workload.sources`", _tagged(workload_plan.SourcePlan)),
    Section("An element of `workload.tenants`", (TenantPart,)),
    Section("An element of `workload.regions`", (RegionClock,)),
    Section("`fleet`", (FleetPlan,)),
    Section("A kind of machine in `fleet.kinds`", (MachineKind,)),
    Section("`price_usd_per_hour` by name", (PriceOf,)),
    Section("An element of `image`", (BakedFile,)),
    Section("An element of `fleet.groups`", (MachineGroup,)),
    Section("`scaling`", (ScalingPlan,)),
    Section("`boot`", _tagged(laws.BootLaw)),
    Section("`lifetime`", _tagged(laws.LifetimeLaw)),
    Section("An element of `points`", (laws.Quantile,)),
    Section("An element of `faults`", _tagged(faults.FaultPlan)),
    Section("`window`", (WindowPlan,)),
    Section("`settings`", (SettingsPlan,)),
    Section("`settings.patience`", (PatiencePlan,)),
)
#: What a name says to whoever does not read the code.
_MEANINGS: Final[Mapping[str, str]] = {
    "RegionClock.region": "The region.",
    "RegionClock.hours_later": "Its day is so much later than the workload's own.",
    "RegionClock.stays": "Its jobs may run only there; else they only come from there.",
}


def page() -> str:
    """The page as it must be."""
    lines = [_HEAD]
    for section in SECTIONS:
        lines += [f"## {section.title}", ""]
        lines += [section.says, ""] if section.says else []
        for kind in section.kinds:
            lines += _kind(kind, is_one_of_several=len(section.kinds) > 1)
    lines += [
        "## Policies",
        "",
        "Of " + ", ".join(f"`{name}`" for name in POLICIES) + ". What the others are is told in",
    ]
    lines += ["[With whom North Star is compared](../explanation/baselines.md).", ""]
    return "\n".join(lines).rstrip() + "\n"


def _kind(kind: type[msgspec.Struct], *, is_one_of_several: bool) -> Iterator[str]:
    config = kind.__struct_config__
    if is_one_of_several:
        yield from (f"### `{config.tag_field}: {config.tag}`", "")
    yield from (inspect.cleandoc(kind.__doc__ or ""), "")
    rows = list(_rows(kind))
    if rows:
        yield from ("| key | type | default | meaning |", "| --- | --- | --- | --- |", *rows, "")


def _rows(kind: type[msgspec.Struct]) -> Iterator[str]:
    comments: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        if one.__module__.startswith("northstar."):
            comments |= field_comments(one)
    for field in msgspec.structs.fields(kind):
        meaning = _MEANINGS.get(f"{kind.__name__}.{field.name}") or comments.get(field.name)
        if not meaning:
            raise LookupError(f"{kind.__name__}.{field.name} has no comment that says what it means")
        words = words_of(msgspec.inspect.type_info(field.type)).replace("|", "\\|")
        yield f"| `{field.encode_name}` | {words} | {_default(field)} | {meaning} |"


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    value = field.default
    if isinstance(value, Length):
        return f"`{value.ms // 1_000}s`"
    if value is msgspec.NODEFAULT or value is None or value in {(), ""} or isinstance(value, msgspec.Struct):
        return "-"
    return f"`{msgspec.json.encode(value).decode()}`"


def words_of(info: Any) -> str:
    """A type in a few words, with its bounds."""
    kinds = msgspec.inspect
    match info:
        case kinds.LiteralType():
            return " or ".join(f"`{value}`" for value in info.values)
        case kinds.VarTupleType():
            return f"list of {words_of(info.item_type)}"
        case kinds.UnionType():
            some = (words_of(one) for one in info.types if not isinstance(one, kinds.NoneType))
            return " or ".join(dict.fromkeys(some))
        case kinds.StructType():
            return f"object by `{info.tag_field}`" if info.tag_field else "object"
        case kinds.DictType():
            return f"{words_of(info.value_type)}s by name"
        case _:
            return _plain_words(info)


def _plain_words(info: Any) -> str:
    kinds = msgspec.inspect
    match info:
        case kinds.IntType() | kinds.FloatType():
            word = "whole number" if isinstance(info, kinds.IntType) else "number"
            bounds = (("from", info.ge), ("above", info.gt), ("up to", info.le), ("below", info.lt))
            return " ".join([word, *(f"{name} {bound:,}" for name, bound in bounds if bound is not None)])
        case kinds.StrType():
            return "text" + (f" matching `{info.pattern}`" if info.pattern else "")
        case kinds.BoolType():
            return "`true` or `false`"
        case kinds.CustomType(cls=cls) if cls is Length:
            return "length of time"
        case _:
            raise LookupError(f"no words for {info}")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE} written\n")
