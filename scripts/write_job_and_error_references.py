"""Write docs/reference/jobs.md and errors.md from the code: `python scripts/write_job_and_error_references.py`.

Fields, types, defaults and bounds come from `northstar.domain.jobs.JobRequest`, meanings from the comments beside the fields;
errors from the tree below `NorthstarError`. A test fails when a page is not what this writes.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

import northstar
from northstar.domain.errors import InvalidRequest, NorthstarError, Refused, Unavailable
from northstar.domain.jobs import JobRequest, RetryRule
from northstar.domain.models import ModelNeed
from northstar.domain.refusals import QueueRefusal
from northstar.domain.requirements import Requirements

_PAGES: Final = Path(__file__).resolve().parents[1] / "docs" / "reference"
_FIELD: Final = re.compile(r"^    (\w+): (?!ClassVar)")
#: The exit code of a command that ends with an error of this class.
_EXIT_CODES: Final = ((InvalidRequest, "2"), (Refused, "3"), (Unavailable, "4"))
#: What the names of fields do not say themselves.
_MEANINGS: Final = {
    "service": "What does the work; a machine must offer it.",
    "payload": "What the service gets, as it is.",
    "id": "The job's name in its cell. Empty: a new one.",
    "pool": "Only machines of this pool may run it.",
    "requires": "What the machine must have; see below.",
    "tenant": "Whose job it is; tenants share the machines fairly.",
    "retry": "How often it may fail; see below.",
    "finish_within_s": "Give up unless it has finished so many seconds after submit.",
    "models": "Models that the job cannot run without; see below.",
    "max_attempts": "How often the work may be tried until it counts as failed for good.",
    "backoff_cap_s": "The longest pause between two attempts.",
    "name": "The model's name.",
    "kind": "What kind of model it is.",
    "size_bytes": "Its size; 0 if it is not known.",
    "start_within_s": "Give up unless it has started so many seconds after submit.",
}


def jobs_page() -> str:
    """The page of the job document."""
    lines = [
        "# The job document",
        "",
        "This page is written by `scripts/write_job_and_error_references.py` from the code; change it there.",
        "",
        "A job is a JSON object, a batch an array of 1 to 500 of them, accepted whole or not at all. A field that does not exist is",
        "an error (`NS_INVALID_JOB`). A name that ends in `_s` is in seconds, `_mb` in millions of bytes, `_bytes` in bytes.",
    ]
    for title, kind in (
        ("A job", JobRequest),
        ("`retry`", RetryRule),
        ("`requires`", Requirements),
        ("An element of `requires.models`", ModelNeed),
    ):
        lines += ["", f"## {title}", "", inspect.cleandoc(kind.__doc__ or ""), ""]
        lines += ["| field | type | default | meaning |", "| --- | --- | --- | --- |", *_fields(kind)]
    return "\n".join(lines) + "\n"


def _fields(kind: type[msgspec.Struct]) -> Iterator[str]:
    comments = dict(_comments(kind))
    for field in msgspec.structs.fields(kind):
        words = _words(msgspec.inspect.type_info(field.type)).replace("|", "\\|")
        meaning = _MEANINGS.get(field.name) or comments.get(field.name)
        if not meaning:
            raise LookupError(f"{kind.__name__}.{field.name} has no comment that says what it means")
        yield f"| `{field.name}` | {words} | {_default(field)} | {meaning} |"


def _comments(kind: type[msgspec.Struct]) -> Iterator[tuple[str, str]]:
    comment = ""
    for line in inspect.getsource(kind).splitlines():
        if line.strip().startswith("#:"):
            comment = f"{comment} {line.strip()[2:].strip()}".strip()
        elif found := _FIELD.match(line):
            yield found[1], comment
            comment = ""


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    value = field.default
    if isinstance(value, msgspec.Struct):
        return "as below"
    if value is msgspec.NODEFAULT or value is None or value == ():
        return "empty"
    return f"`{msgspec.json.encode(value).decode()}`"


def _words(info: Any) -> str:
    """A type in a few words, with its bounds."""
    kinds = msgspec.inspect
    match info:
        case kinds.IntType() | kinds.FloatType():
            word = "whole number" if isinstance(info, kinds.IntType) else "number"
            bounds = (("from", info.ge), ("above", info.gt), ("up to", info.le), ("below", info.lt))
            return " ".join([word, *(f"{name} {bound:,}" for name, bound in bounds if bound is not None)])
        case kinds.StrType():
            length = f" of {info.min_length or 0} to {info.max_length} characters" if info.max_length else ""
            return f"text{length}" + (f" matching `{info.pattern}`" if info.pattern else "")
        case kinds.LiteralType():
            return " or ".join(f'`"{value}"`' for value in info.values)
        case kinds.VarTupleType():
            most = f" of up to {info.max_length}" if info.max_length else ""
            return f"list{most}: {_words(info.item_type)}"
        case kinds.UnionType():
            return " or ".join(_words(one) for one in info.types if not isinstance(one, kinds.NoneType))
        case kinds.StructType():
            return "object"
        case kinds.DictType():
            return "object, any content"
        case _:
            raise LookupError(f"no words for {info}")


def errors_page() -> str:
    """The page of all errors."""
    lines = [
        "# Errors",
        "",
        "This page is written by `scripts/write_job_and_error_references.py` from the code; change it there.",
        "",
        "An error is written as `NS_CODE: sentence`. Programs compare the code; the sentence may change. *Retryable*: the same call may",
        "succeed later without being changed. The exit code is that of a command that ends with the error. In a sentence, `{…}` stands",
        "for what the error names.",
        "",
        "| code | sentence | retryable | exit code | means |",
        "| --- | --- | --- | --- | --- |",
    ]
    return "\n".join([*lines, *sorted(_rows())]) + "\n"


def _rows() -> Iterator[str]:
    for module in pkgutil.walk_packages(northstar.__path__, "northstar."):
        if "__main__" not in module.name and "command_launcher" not in module.name:
            importlib.import_module(module.name)
    for kind in _below(NorthstarError):
        if "code" not in vars(kind) or (kind.__subclasses__() and kind in {QueueRefusal, InvalidRequest, Refused}):
            continue
        exit_code = next((number for group, number in _EXIT_CODES if issubclass(kind, group)), "1")
        meaning = inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0].replace("\n", " ")
        cells = (f"`{kind.code}`", _sentence(kind), "yes" if kind.retryable else "no", exit_code, meaning)
        yield "| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells) + " |"


def _below(kind: type[NorthstarError]) -> list[type[NorthstarError]]:
    found = {leaf: None for child in kind.__subclasses__() for leaf in (child, *_below(child))}
    return [leaf for leaf in found if leaf.__module__.startswith("northstar.")]


def _sentence(kind: type[NorthstarError]) -> str:
    """A refusal's own sentence, or the text that the class hands to its base."""
    if issubclass(kind, QueueRefusal):
        return re.sub(r"\{(\w+):(\w+)\}", r"{\1} \2s", kind.sentence)
    if "__init__" not in vars(kind):
        return "(as the case is)"
    tree = ast.parse(textwrap.dedent(inspect.getsource(vars(kind)["__init__"])))
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or not call.args:
            continue
        if isinstance(call.func, ast.Attribute) and call.func.attr == "__init__":
            return _text(call.args[0]) or "(as the case is)"
    return "(as the case is)"


def _text(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_text(part) for part in parts)
        case ast.FormattedValue(value=ast.Name(id=name)) | ast.FormattedValue(value=ast.Attribute(attr=name)):
            return f"{{{name}}}"
        case ast.FormattedValue():
            return "{…}"
        case ast.BinOp(left=left, right=right):
            return _text(left) + _text(right)
        case _:
            return ""


PAGES: Final = {_PAGES / "jobs.md": jobs_page, _PAGES / "errors.md": errors_page}


if __name__ == "__main__":
    for path, page in PAGES.items():
        path.write_text(page(), encoding="utf-8")
        sys.stdout.write(f"{path} written\n")
