"""Write docs/reference/jobs.md, demo-services.md and errors.md from the code: `python scripts/write_job_and_error_references.py`.

Fields, types, defaults and bounds come from `northstar.domain.jobs.JobRequest` and what the services of the demonstration read, meanings
from the comments beside the fields;
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
from northstar.connectors.openai_request import ALLOWED_OPTIONS
from northstar.connectors.simulated_request import Instruction, SimulatedRequest
from northstar.demo.painter import PaintingRequest
from northstar.domain.errors import InvalidRequest, NorthstarError, Refused, Unavailable
from northstar.domain.jobs import JobRequest, RetryRule
from northstar.domain.models import ModelNeed
from northstar.domain.refusals import QueueRefusal
from northstar.domain.requirements import Requirements
from northstar.surfaces.http.description.field_comments import field_comments

_PAGES: Final = Path(__file__).resolve().parents[1] / "docs" / "reference"
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

#: Types whose comments say of every field what it means.
_SAY_ALL: Final = (PaintingRequest, SimulatedRequest, Instruction)


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


#: What the options of the text service mean, those first that everybody wants. llama.cpp's server judges their values.
_TEXT_OPTIONS: Final = {
    "max_tokens": (
        "whole number",
        "The most tokens that are written; without it, until the story ends or the context is full.",
    ),
    "max_completion_tokens": ("whole number", "The same, by its other name."),
    "temperature": ("number, 0 or more", "0: always the likeliest word; about 1: as the model would have it."),
    "seed": ("whole number", "The same request with the same seed gives the same text."),
    "stop": ("text, or list of texts", "Ends before the first of these."),
    "top_p": ("number from 0 to 1", "Only the likeliest words that make up this share are drawn."),
    "top_k": ("whole number", "Only so many of the likeliest words are drawn."),
    "min_p": ("number from 0 to 1", "Only words that are at least this likely beside the likeliest."),
    "min_tokens": ("whole number", "Read by some engines of this kind, not by this one."),
    "ignore_eos": ("true or false", "Goes on after the end of the story, up to `max_tokens`."),
    "frequency_penalty": ("number from -2 to 2", "Against words that came often."),
    "presence_penalty": ("number from -2 to 2", "Against words that came at all."),
    "repeat_penalty": ("number above 0", "llama.cpp's own; 1: none."),
    "repetition_penalty": ("number above 0", "vLLM's name of it; not read by this engine."),
    "logit_bias": ("object", "Tokens by number, and what is added to their weight."),
    "response_format": ("object", 'Such as `{"type": "json_object"}`. A tiny model follows it word by word.'),
    "reasoning_effort": ("text", "For models that reason; this one does not."),
    "user": ("text", "Passed on, and not read."),
}


def services_page() -> str:
    """The page of what the services of `up` and the demonstration take."""
    lines = [
        "# What the services of `up` and `demo` take",
        "",
        "This page is written by `scripts/write_job_and_error_references.py` from the code; change it there.",
        "",
        "`northstar up` offers `picture` and `text` without a GPU, and so does a machine without settings of its own; `make demo` adds",
        "`fresco` and `simulated`. This is what stands in the `payload` of [a job](jobs.md) for them. A job with all that belongs to it",
        "has at most 64 KiB. Engines of your own take what [their page](../how-to/connect-an-engine.md) says.",
        "",
        "## `picture`, `fresco`",
        "",
        "A program that paints a landscape under the north star; `fresco` is the same painter, who fails the first time he is asked for a",
        "prompt (exit code 75, tried again). A field that does not exist, or a value out of its bounds, ends the job with",
        "`NS_ENGINE_PROGRAM_FAILED` and a sentence that names it.",
        "",
        _EXAMPLES["picture"],
        "",
        "| field | type | default | meaning |",
        "| --- | --- | --- | --- |",
        *_fields(PaintingRequest),
        "",
        "It leaves `picture.png` (RGB, 8 bits), whose description has prompt and seed, and reports each step. 120 s, 1 GiB of memory and",
        "64 MiB of output are its limits as shipped.",
        "",
        "## `text`",
        "",
        "llama.cpp's server with a model of a third of a megabyte, which tells stories under the stars (only where the extra `demo` is",
        "installed). Exactly one of `messages` and `prompt` must be there.",
        "",
        _EXAMPLES["text"],
        "",
        "| field | type | default | meaning |",
        "| --- | --- | --- | --- |",
        "| `messages` | list of objects with `role` and `content`, not empty | one of both is required | A chat. |",
        "| `prompt` | text, not empty | one of both is required | A text to be gone on with. |",
        "| `model` | text, not empty | the engine's own | Any name is right: llama.cpp serves one model under all of them. |",
        "| `n` | `1` | `1` | One job is one answer. |",
        "| `stream`, `stream_options` | anything | | Not looked at: the engine streams in any case, and `jobs watch` shows it. |",
    ]
    for name, (kind, meaning) in _TEXT_OPTIONS.items():
        if name not in ALLOWED_OPTIONS:
            raise LookupError(f"the option {name} is not allowed any more")
        lines.append(f"| `{name}` | {kind} | the engine's own | {meaning} |")
    if missing := ALLOWED_OPTIONS - set(_TEXT_OPTIONS):
        raise LookupError(f"the page does not say what these options mean: {sorted(missing)}")
    return "\n".join(
        [
            *lines,
            "",
            "Any other option is refused (`NS_ENGINE_REJECTED`), unless `extra_options` of the service allows it. The context holds 8,192",
            "tokens of each job, what was asked included (`NS_ENGINE_CONTEXT_EXCEEDED`). The result is the text, with the counts of tokens",
            "in its summary.",
            "",
            "## `simulated`",
            "",
            "Work that takes time and makes nothing, for fleets without GPUs. It takes the payload of any other engine, and looks only at",
            "these fields; any other may be there.",
            "",
            _EXAMPLES["simulated"],
            "",
            "| field | type | default | meaning |",
            "| --- | --- | --- | --- |",
            *_fields(SimulatedRequest),
            "",
            "Of `simulate`, where a field that does not exist is refused (`NS_ENGINE_REJECTED`):",
            "",
            "| field | type | default | meaning |",
            "| --- | --- | --- | --- |",
            *_fields(Instruction),
            "",
            "## `northstar`",
            "",
            "A payload for a program or a simulated engine may say under `northstar` what no field tells: `modalities`, `speciality`, `training`,",
            "`experimental` ([what is read of a payload](../explanation/payloads.md#hints)).",
            "",
        ]
    )


_EXAMPLES: Final = {
    "picture": """```json
{"service": "picture", "payload": {"prompt": "aurora over the sea", "seed": 3, "width": 640, "height": 400, "steps": 20}}
```""",
    "text": """```json
[{"service": "text", "payload": {"prompt": "Tell me of a whale.", "max_tokens": 60, "seed": 4}},
 {"service": "text", "payload": {"messages": [{"role": "user", "content": "A story of the sky."}], "temperature": 0.8, "stop": ["."]}}]
```""",
    "simulated": """```json
[{"service": "simulated", "payload": {"model": "sdxl", "steps": 20, "simulate": {"run_s": 1.5, "output_bytes": 5000}}},
 {"service": "simulated", "payload": {"simulate": {"fail": "busy", "fail_at": 0.25}}}]
```""",
}


def _fields(kind: type[msgspec.Struct]) -> Iterator[str]:
    comments = field_comments(kind)
    for field in msgspec.structs.fields(kind):
        words = _words(msgspec.inspect.type_info(field.type)).replace("|", "\\|")
        meaning = (
            (comments.get(field.name) if kind in _SAY_ALL else None)
            or _MEANINGS.get(field.name)
            or comments.get(field.name)
        )
        if not meaning:
            raise LookupError(f"{kind.__name__}.{field.name} has no comment that says what it means")
        yield f"| `{field.name}` | {words} | {_default(field)} | {meaning} |"


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


PAGES: Final = {
    _PAGES / "jobs.md": jobs_page,
    _PAGES / "demo-services.md": services_page,
    _PAGES / "errors.md": errors_page,
}


if __name__ == "__main__":
    for path, page in PAGES.items():
        path.write_text(page(), encoding="utf-8")
        sys.stdout.write(f"{path} written\n")
