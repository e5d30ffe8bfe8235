"""What can go wrong between a machine and the source of a model.

FetchFailed
├── SourceGone          no connection, or the source failed (5xx)        retry
├── SourceBusy          429 or 503, perhaps with a time to come back      retry
├── FetchStalled        no byte for too long                              retry
├── FetchTooSlow        it would miss its deadline                        retry
├── FetchTruncated      the body ended early                              retry
├── SourceMissing       404 or 410
├── SourceDenied        401 or 403
├── SourceRejected      any other refusal, or a redirect not followed
├── ModelSizeWrong      the source has a file of another size
├── ModelDamaged        the bytes have another hash
├── ModelMalformed      the bytes are not what the file's ending says
└── SourceExtraMissing  a package is missing for this kind of source
"""

from __future__ import annotations

from typing import ClassVar

from northstar.domain.amounts import exactly
from northstar.domain.errors import Unavailable


class FetchFailed(Unavailable):
    """A model could not be fetched. `source` is the address without anything secret."""

    code: ClassVar[str] = "NS_MODEL_FETCH_FAILED"
    retryable = False

    def __init__(self, message: str, *, model: str, source: str) -> None:
        super().__init__(f"model {model!r} from {source}: {message}")
        self.model = model
        self.source = source


class SourceGone(FetchFailed):
    """The source cannot be reached, broke the connection, or says that it failed."""

    code = "NS_MODEL_SOURCE_GONE"
    retryable = True

    def __init__(self, reason: str, *, model: str, source: str) -> None:
        super().__init__(f"the source failed ({reason}); check the address and the network", model=model, source=source)
        self.reason = reason


class SourceBusy(FetchFailed):
    """The source takes no more requests at present. `retry_after_s` is its own wish, where it has one."""

    code = "NS_MODEL_SOURCE_BUSY"
    retryable = True

    def __init__(self, *, model: str, source: str, retry_after_s: float | None) -> None:
        super().__init__(
            "the source takes no more requests now; try later, or add a token or a mirror", model=model, source=source
        )
        self.retry_after_s = retry_after_s


class FetchStalled(FetchFailed):
    """Nothing came for so long that the connection counts as dead."""

    code = "NS_MODEL_FETCH_STALLED"
    retryable = True

    def __init__(self, *, model: str, source: str, stall_s: float) -> None:
        super().__init__(
            f"no byte came for {stall_s:g} s; what is there is kept for the next try", model=model, source=source
        )
        self.stall_s = stall_s


class FetchTooSlow(FetchFailed):
    """The fetch would miss the deadline that follows from its size."""

    code = "NS_MODEL_FETCH_TOO_SLOW"
    retryable = True

    def __init__(self, *, model: str, source: str, least_bytes_per_s: float) -> None:
        super().__init__(
            f"it comes at less than {least_bytes_per_s:g} bytes a second; use another source, or lower "
            "models.least_kib_per_s",
            model=model,
            source=source,
        )
        self.least_bytes_per_s = least_bytes_per_s


class FetchTruncated(FetchFailed):
    """The body ended before it was whole."""

    code = "NS_MODEL_FETCH_TRUNCATED"
    retryable = True

    def __init__(self, *, model: str, source: str, received_bytes: int, expected_bytes: int | None) -> None:
        of = "" if expected_bytes is None else f" of {exactly(expected_bytes)}"
        super().__init__(
            f"the body ended after {exactly(received_bytes)}{of}; what is there is kept for the next try",
            model=model,
            source=source,
        )
        self.received_bytes = received_bytes
        self.expected_bytes = expected_bytes


class SourceMissing(FetchFailed):
    """There is no such file at the source."""

    code = "NS_MODEL_SOURCE_MISSING"

    def __init__(self, *, model: str, source: str) -> None:
        super().__init__("there is no such file; correct the order's source", model=model, source=source)


class SourceDenied(FetchFailed):
    """The source wants a token, or other rights than those of the token in use."""

    code = "NS_MODEL_SOURCE_DENIED"

    def __init__(self, *, model: str, source: str, status: int) -> None:
        super().__init__(
            f"the source denies access ({status}); set the environment variable with its token (see [models] in the "
            "configuration), or accept the model's licence there",
            model=model,
            source=source,
        )
        self.status = status


class SourceRejected(FetchFailed):
    """The source refuses, or redirects to where nobody follows."""

    code = "NS_MODEL_SOURCE_REJECTED"

    def __init__(self, reason: str, *, model: str, source: str) -> None:
        super().__init__(f"the fetch cannot work ({reason}); correct the order's source", model=model, source=source)
        self.reason = reason


class ModelSizeWrong(FetchFailed):
    """The order and the source do not agree on the file's size."""

    code = "NS_MODEL_SIZE_WRONG"

    def __init__(self, *, model: str, source: str, expected_bytes: int, found_bytes: int) -> None:
        super().__init__(
            f"the source has {exactly(found_bytes)} where the order says {exactly(expected_bytes)}; correct one of them",
            model=model,
            source=source,
        )
        self.expected_bytes = expected_bytes
        self.found_bytes = found_bytes


class ModelDamaged(FetchFailed):
    """The whole file came, and its hash is another one; nothing of it was kept."""

    code = "NS_MODEL_DAMAGED"

    def __init__(self, *, model: str, source: str, expected_sha256: str, found_sha256: str) -> None:
        super().__init__(
            f"its SHA-256 is {found_sha256} instead of {expected_sha256}; correct the order's hash or its source",
            model=model,
            source=source,
        )
        self.expected_sha256 = expected_sha256
        self.found_sha256 = found_sha256


class ModelMalformed(FetchFailed):
    """The whole file came, and it is not of the format that its ending names; nothing of it was kept."""

    code = "NS_MODEL_MALFORMED"

    def __init__(self, reason: str, *, model: str, source: str) -> None:
        super().__init__(f"{reason}; look at what the source gives", model=model, source=source)
        self.reason = reason


class SourceExtraMissing(FetchFailed):
    """The source is of a kind that needs a package which is not installed."""

    code = "NS_MODEL_SOURCE_EXTRA_MISSING"

    def __init__(self, *, model: str, source: str) -> None:
        super().__init__(
            "a package is missing; install it with: pip install 'northstar-broker[s3]'", model=model, source=source
        )
