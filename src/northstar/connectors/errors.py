"""What can go wrong between a machine and its engine. Whether to try again is a matter of the class, never of the text.

What a failure says about the engine (`fault`, see `northstar.domain.engines`) is a matter of the class too.

EngineError                                                                             fault
├── EngineGone               no connection, or it broke while the engine worked          fatal    retry
├── EngineMisconfigured      the engine answers, but not to us: wrong key or path        fatal    retry
│   └── ModelMissing         it has not got the model that the machine promises          fatal    retry
├── EngineBusy               the engine is full, or still loading                        none     retry
├── EngineTimeout            the engine stayed silent, or worked for too long            engine   retry
│   └── DeadlinePassed       the job's own deadline was shorter than the work            none     retry
├── EngineFailed             the engine reports a fault of its own                       engine   retry
├── MalformedAnswer          the engine's answer breaks its protocol                     engine   retry
├── EmptyOutput              a run that ended well left nothing                          doubt    retry
│   └── CutShort             nothing, because the request allowed no more                none     retry
├── InputUnavailable         a file that the job brings cannot be fetched at present      none     retry
├── RunInterrupted           somebody else stopped the run in the engine                  none     retry
├── NodeFailed               a node of a graph raised an error                            doubt
│   ├── NodeFailedForNow     … of a kind that comes from the machine                      engine   retry
│   └── EngineOutOfMemory    … for want of memory; a larger machine may have it           doubt    retry
├── EngineRejected           the engine, or the connector, says that the request is bad  none
│   ├── ContextExceeded      the request has more tokens than the model can take         none
│   └── ModelUnknown         the request names a model that the engine has not got       none
├── OutputMissing            the run ended well without the output that was promised     doubt
├── OutputTooLarge           the result is larger than allowed                           doubt
├── ProgramFailed            a program ended with a bad exit code                        doubt
│   └── ProgramFailedForNow  with one that is worth another try                          engine   retry
└── LimitExceeded            a program used more than allowed                            doubt
"""

from __future__ import annotations

from typing import ClassVar, Literal

from northstar.domain.amounts import exactly
from northstar.domain.engines import Fault
from northstar.domain.errors import NorthstarError

Limit = Literal["wall time", "CPU time", "memory", "processes", "output", "files"]


class EngineError(NorthstarError):
    """A job failed at its engine."""

    code: ClassVar[str] = "NS_ENGINE_ERROR"
    #: What the failure says about the engine.
    fault: ClassVar[Fault] = "none"

    def __init__(self, message: str, *, service: str) -> None:
        super().__init__(f"{service}: {message}")
        self.service = service


class EngineGone(EngineError):
    """The engine cannot be reached, or went away in the middle of the work."""

    code = "NS_ENGINE_GONE"
    retryable = True
    fault: ClassVar[Fault] = "fatal"

    def __init__(self, reason: str, *, service: str) -> None:
        super().__init__(f"the engine is gone ({reason}); check that its process runs and listens", service=service)
        self.reason = reason


class EngineMisconfigured(EngineError):
    """The engine answers, but refuses this machine whatever is asked: wrong key, wrong address, wrong kind of engine."""

    code = "NS_ENGINE_MISCONFIGURED"
    retryable = True
    fault: ClassVar[Fault] = "fatal"

    def __init__(self, reason: str, *, service: str) -> None:
        super().__init__(
            f"the engine cannot be used as it is set ({reason}); check the address, key and model in the service's settings",
            service=service,
        )
        self.reason = reason


class ModelMissing(EngineMisconfigured):
    """The engine has not got the model that the machine's settings promise."""

    code = "NS_ENGINE_MODEL_MISSING"

    def __init__(self, model: str, *, service: str, found: tuple[str, ...] = ()) -> None:
        listed = f", only {', '.join(found[:10])}" if found else ""
        super().__init__(f"it has no model {model!r}{listed}; nothing is pulled by itself", service=service)
        self.model = model


class EngineBusy(EngineError):
    """The engine takes no more work at present. `retry_after_s` is its own wish, where it has one."""

    code = "NS_ENGINE_BUSY"
    retryable = True

    def __init__(self, reason: str, *, service: str, retry_after_s: float | None = None) -> None:
        wish = "try again later" if retry_after_s is None else f"try again in {retry_after_s:g} s"
        super().__init__(f"the engine takes no work now ({reason}); {wish}", service=service)
        self.reason = reason
        self.retry_after_s = retry_after_s


class EngineTimeout(EngineError):
    """The engine did not give `awaited` within `limit_s` seconds; None where the limit is the engine's own."""

    code = "NS_ENGINE_TIMEOUT"
    retryable = True
    fault: ClassVar[Fault] = "engine"

    def __init__(self, awaited: str, *, service: str, limit_s: float | None) -> None:
        limit = "the engine's own limit" if limit_s is None else f"{limit_s:g} s"
        super().__init__(
            f"no {awaited} within {limit}; raise that limit if the engine is only slow, else restart the engine",
            service=service,
        )
        self.awaited = awaited
        self.limit_s = limit_s


class DeadlinePassed(EngineTimeout):
    """The job's own deadline passed while the engine worked; another engine would hardly have been faster."""

    fault: ClassVar[Fault] = "none"


class EngineFailed(EngineError):
    """The engine says that it failed, through no fault of the request."""

    code = "NS_ENGINE_FAILED"
    retryable = True
    fault: ClassVar[Fault] = "engine"

    def __init__(self, reason: str, *, service: str) -> None:
        super().__init__(f"the engine failed ({reason}); its own log says more", service=service)
        self.reason = reason


class MalformedAnswer(EngineError):
    """The engine's answer is not what its protocol promises."""

    code = "NS_ENGINE_MALFORMED_ANSWER"
    retryable = True
    fault: ClassVar[Fault] = "engine"

    def __init__(self, reason: str, *, service: str) -> None:
        super().__init__(
            f"the answer breaks the protocol ({reason}); check what listens at that address", service=service
        )
        self.reason = reason


class EmptyOutput(EngineError):
    """The run ended without an error, but there is nothing in its result."""

    code = "NS_ENGINE_EMPTY_OUTPUT"
    retryable = True
    fault: ClassVar[Fault] = "doubt"

    def __init__(self, what: str, *, service: str) -> None:
        super().__init__(f"{what} is empty; look at the request's limits (such as max_tokens) first", service=service)
        self.what = what


class CutShort(EmptyOutput):
    """Nothing came out because the request allowed no more; the engine did as it was told."""

    fault: ClassVar[Fault] = "none"


class EngineRejected(EngineError):
    """The request can never work at this engine; sending it again unchanged will not help."""

    code = "NS_ENGINE_REJECTED"

    def __init__(self, reason: str, *, service: str) -> None:
        super().__init__(f"the request was rejected ({reason}); change the request", service=service)
        self.reason = reason


class ContextExceeded(EngineRejected):
    """The request has more tokens than the model can take; `needed` and `available` where the engine says them."""

    code = "NS_ENGINE_CONTEXT_EXCEEDED"

    def __init__(self, reason: str, *, service: str, needed: int | None = None, available: int | None = None) -> None:
        counts = f"{needed} tokens, {available} fit: " if needed and available else ""
        super().__init__(f"more tokens than the model can take: {counts}{reason}", service=service)
        self.needed = needed
        self.available = available


class ModelUnknown(EngineRejected):
    """The request names a model that this engine does not offer."""

    code = "NS_ENGINE_MODEL_UNKNOWN"

    def __init__(self, model: str, *, service: str, reason: str = "") -> None:
        super().__init__(f"no model {model!r} is offered here{f': {reason}' if reason else ''}", service=service)
        self.model = model


class OutputMissing(EngineError):
    """The run ended without an error, but what was promised is not among its outputs."""

    code = "NS_ENGINE_OUTPUT_MISSING"
    fault: ClassVar[Fault] = "doubt"

    def __init__(self, expected: str, *, found: str, service: str) -> None:
        super().__init__(
            f"expected {expected} but found {found or 'nothing'}; check what the program writes", service=service
        )
        self.expected = expected
        self.found = found


class OutputTooLarge(EngineError):
    """The result is larger than the connector may take; nothing of it was kept."""

    code = "NS_ENGINE_OUTPUT_TOO_LARGE"
    fault: ClassVar[Fault] = "doubt"

    def __init__(self, what: str, *, service: str, limit_bytes: int) -> None:
        super().__init__(
            f"{what} is larger than {exactly(limit_bytes)}; ask for less or raise the limit", service=service
        )
        self.what = what
        self.limit_bytes = limit_bytes


class ProgramFailed(EngineError):
    """The program ended with `exit_code` (negative: ended by that signal)."""

    code = "NS_ENGINE_PROGRAM_FAILED"
    fault: ClassVar[Fault] = "doubt"

    def __init__(self, exit_code: int, *, service: str, log_tail: str) -> None:
        ended = f"exit code {exit_code}" if exit_code >= 0 else f"signal {-exit_code}"
        super().__init__(
            f"the program ended with {ended}; its last words were: {log_tail or '(none)'}", service=service
        )
        self.exit_code = exit_code
        self.log_tail = log_tail


class ProgramFailedForNow(ProgramFailed):
    """The program ended with an exit code that its operator declared worth another try."""

    code = "NS_ENGINE_PROGRAM_FAILED_FOR_NOW"
    retryable = True
    fault: ClassVar[Fault] = "engine"


class LimitExceeded(EngineError):
    """The program was ended because it used more than allowed of `limit`."""

    code = "NS_ENGINE_LIMIT_EXCEEDED"
    fault: ClassVar[Fault] = "doubt"

    def __init__(self, limit: Limit, *, allowed: str, service: str) -> None:
        super().__init__(
            f"the program used more {limit} than the {allowed} allowed and was ended; ask for less or raise the limit",
            service=service,
        )
        self.limit = limit
        self.allowed = allowed


class InputUnavailable(EngineError):
    """A file that the job brings cannot be fetched at present; its address may answer later."""

    code = "NS_ENGINE_INPUT_UNAVAILABLE"
    retryable = True

    def __init__(self, name: str, *, reason: str, service: str) -> None:
        super().__init__(f"input {name!r} cannot be fetched ({reason}); check its address", service=service)
        self.name = name
        self.reason = reason


class RunInterrupted(EngineError):
    """Somebody else stopped the run in the engine; the job itself was not cancelled."""

    code = "NS_ENGINE_RUN_INTERRUPTED"
    retryable = True

    def __init__(self, where: str, *, service: str) -> None:
        super().__init__(
            f"the run was interrupted at {where}, not by its owner; see who else uses this engine", service=service
        )
        self.where = where


class NodeFailed(EngineError):
    """A node of a graph raised `exception_type`, through a fault of the graph or of the node's code."""

    code = "NS_ENGINE_NODE_FAILED"
    fault: ClassVar[Fault] = "doubt"
    advice: ClassVar[str] = "change the graph or repair the node"

    def __init__(self, reason: str, *, node: str, node_class: str, exception_type: str, service: str) -> None:
        super().__init__(
            f"node {node} ({node_class}) failed ({exception_type}: {reason}); {self.advice}", service=service
        )
        self.node = node
        self.node_class = node_class
        self.exception_type = exception_type
        self.reason = reason


class NodeFailedForNow(NodeFailed):
    """A node of a graph raised an error that comes from the machine, its disk or its files, not from the graph."""

    code = "NS_ENGINE_NODE_FAILED_FOR_NOW"
    retryable = True
    fault: ClassVar[Fault] = "engine"
    advice = "look at the machine if it repeats"


class EngineOutOfMemory(NodeFailed):
    """A node of a graph needed more memory than the machine had; a larger or emptier machine may have it."""

    code = "NS_ENGINE_OUT_OF_MEMORY"
    retryable = True
    fault: ClassVar[Fault] = "doubt"
    advice = "ask for a machine with more memory, or for less at a time"
