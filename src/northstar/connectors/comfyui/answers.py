"""What a ComfyUI server's answers mean: where a run is, how it ended, why a graph was refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from northstar.connectors.contract import Json
from northstar.connectors.errors import (
    EngineBusy,
    EngineError,
    EngineFailed,
    EngineOutOfMemory,
    EngineRejected,
    EngineTimeout,
    MalformedAnswer,
    NodeFailed,
    NodeFailedForNow,
    RunInterrupted,
)

_BUSY: Final = frozenset({429, 503})
_SLOW: Final = frozenset({408, 504})
_REASON_CHARS: Final = 400
_FAULTS_SHOWN: Final = 5
#: Last parts of the names of exceptions that mean want of memory, in torch's several versions.
_OUT_OF_MEMORY: Final = frozenset({"OutOfMemoryError", "MemoryError"})
#: Exceptions of torch that may mean it too, and how their words then begin: on GPUs, on Apple's, on the processor.
_ANY_FAULT: Final = frozenset({"RuntimeError", "AcceleratorError"})
_FOR_WANT_OF_MEMORY: Final = re.compile(
    r"(CUDA|HIP|cuDNN|CUBLAS|MPS) .{0,80}out of memory|\[enforce fail at \S{0,80}\] .{0,40}DefaultCPUAllocator: "
)
#: Exceptions that a graph cannot cause: the GPU, the disk, the network, or a damaged model file of this machine.
_OF_THE_MACHINE: Final = frozenset(
    {
        "AcceleratorError",
        "BrokenPipeError",
        "ConnectionError",
        "ConnectionRefusedError",
        "ConnectionResetError",
        "OSError",
        "SafetensorError",
        "TimeoutError",
    }
)


class RunStatus(msgspec.Struct, frozen=True):
    """How the history says that a run ended; `messages` are kinds of event with their data, in order."""

    status_str: str = ""
    completed: bool = False
    messages: list[tuple[str, dict[str, Any]]] = []


class HistoryEntry(msgspec.Struct, frozen=True):
    """A run in the history; `outputs` are by node."""

    outputs: dict[str, dict[str, Any]] = {}
    status: RunStatus | None = None


class QueueAnswer(msgspec.Struct, frozen=True):
    """Runs as lists whose second member is the run's id."""

    queue_running: list[list[Any]]
    queue_pending: list[list[Any]]


class Submitted(msgspec.Struct, frozen=True):
    """The answer to a graph that was accepted; `node_errors` are of outputs that are left out."""

    prompt_id: str
    node_errors: dict[str, Any] | list[Any] = {}


class Uploaded(msgspec.Struct, frozen=True):
    """Where an input lies now."""

    name: str
    subfolder: str = ""


class Waiting(msgspec.Struct, frozen=True):
    """The run waits in the engine's queue behind `ahead` others."""

    ahead: int


class Running(msgspec.Struct, frozen=True):
    """The engine works on the run."""


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """The run is over. `data` is what the last event said; `outputs` are by node."""

    how: Literal["success", "error", "interrupted"]
    data: Mapping[str, Any] = {}
    outputs: Mapping[str, Mapping[str, Any]] = {}


def place_in_queue(answer: QueueAnswer, run_id: str) -> Waiting | Running | None:
    """Where the queue has the run; None if it does not."""
    if any(_is(item, run_id) for item in answer.queue_running):
        return Running()
    mine = next((item for item in answer.queue_pending if _is(item, run_id)), None)
    if mine is None:
        return None
    ahead = sum(_number(item) < _number(mine) for item in answer.queue_pending)
    return Waiting(ahead + len(answer.queue_running))


def ending_of(entry: HistoryEntry) -> Ended:
    """How a run in the history ended. An interrupted one has the status of a failed one; only its messages tell."""
    status = entry.status
    if status is None or status.status_str == "success":
        return Ended(how="success", outputs=entry.outputs)
    for kind, data in reversed(status.messages):
        if kind == "execution_interrupted":
            return Ended(how="interrupted", data=data)
        if kind == "execution_error":
            return Ended(how="error", data=data)
    return Ended(how="error")


def failure_of(ending: Ended, *, service: str) -> EngineError:
    """The error of a run that ended badly; whether it is worth another try hangs on the exception's type."""
    data = ending.data
    node, node_class = str(data.get("node_id", "?")), str(data.get("node_type", "?"))
    if ending.how == "interrupted":
        return RunInterrupted(f"node {node} ({node_class})", service=service)
    exception_type = str(data.get("exception_type", ""))
    if not exception_type:
        return EngineFailed("the run failed and does not say why", service=service)
    reason = " ".join(str(data.get("exception_message", "")).split())[:_REASON_CHARS]
    return _class_of(exception_type, reason)(
        reason, node=node, node_class=node_class, exception_type=exception_type[:100], service=service
    )


def refusal(status: int, body: bytes, *, what: str, service: str) -> EngineError:
    """The error of an answer that is not 200, by its number. The words are only quoted."""
    reason = f"{status} to {what}: {_sentence(body)}"
    if status in _BUSY:
        return EngineBusy(reason, service=service)
    if status in _SLOW:
        return EngineTimeout(f"answer ({reason})", service=service, limit_s=None)
    if 300 <= status < 400:
        return MalformedAnswer(f"a redirect, {reason}", service=service)
    if 400 <= status < 500:
        return EngineRejected(reason, service=service)
    return EngineFailed(reason, service=service)


def node_faults(faults: Json) -> list[str]:
    """What is wrong with which node, as short sentences; the first few of them."""
    entries = list(faults.items())[:_FAULTS_SHOWN] if isinstance(faults, dict) else []
    return [sentence[:_REASON_CHARS] for node, fault in entries for sentence in _node_faults(node, fault)]


def _class_of(exception_type: str, reason: str) -> type[NodeFailed]:
    name = exception_type.rpartition(".")[2]
    # Before torch gave these faults a class of their own they were RuntimeErrors, and only their first words tell.
    old_style = name == "RuntimeError" and reason.startswith(("CUDA ", "HIP ", "cuDNN ", "CUBLAS "))
    if name in _OUT_OF_MEMORY or (name in _ANY_FAULT and _FOR_WANT_OF_MEMORY.match(reason)):
        return EngineOutOfMemory
    return NodeFailedForNow if name in _OF_THE_MACHINE or old_style else NodeFailed


def _sentence(body: bytes) -> str:
    """What a body says is wrong, node by node where it does."""
    try:
        parsed: Json = msgspec.json.decode(body)
    except msgspec.MsgspecError:
        return " ".join(body.decode(errors="replace").split())[:_REASON_CHARS] or "no reason given"
    error = parsed.get("error") if isinstance(parsed, dict) else None
    if not isinstance(error, dict):
        return str(error or parsed)[:_REASON_CHARS]
    said = [f"{error.get('type')}: {error.get('message')} {error.get('details') or ''}".strip()]
    said += node_faults(parsed.get("node_errors"))
    return "; ".join(part[:_REASON_CHARS] for part in said)


def _node_faults(node: str, fault: Json) -> list[str]:
    if not isinstance(fault, dict) or not isinstance(fault.get("errors"), list):
        return []
    return [
        f"node {node} ({fault.get('class_type')}): {error.get('type')}: {error.get('details') or error.get('message')}"
        for error in fault["errors"][:_FAULTS_SHOWN]
        if isinstance(error, dict)
    ]


def _is(item: list[Any], run_id: str) -> bool:
    return len(item) > 1 and item[1] == run_id


def _number(item: list[Any]) -> float:
    return float(item[0]) if item and isinstance(item[0], int | float) else 0.0
