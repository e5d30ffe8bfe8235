"""What can go wrong with models on a machine. Whether to try again is a matter of the class, never of the text.

InvalidRequest
├── ModelNameRefused          the name could leave the folder
└── ModelSourceRefused        the address is of no known form, or not allowed
Refused
├── ModelFormatRefused        a format that can run code
├── ModelAddressPrivate       the address lies in a private network
├── ModelNameTaken            another file has this name
├── ModelInUse, ModelMissing
└── ModelTooLarge             larger than declared, or than allowed
Unavailable
├── ModelStoreUnavailable, ModelStoreFull
└── FetchFailed               the source, or what came from it; see `fetch_errors`

No sentence holds a secret: addresses lose login, query and fragment before they come here.
"""

from __future__ import annotations

from northstar.domain.amounts import exactly
from northstar.domain.errors import InvalidRequest, Refused, Unavailable


class ModelNameRefused(InvalidRequest):
    """A model's name that could leave the folder, or become another file elsewhere."""

    code = "NS_MODEL_NAME_REFUSED"

    def __init__(self, name: str, *, reason: str) -> None:
        super().__init__(f"the model name {name[:120]!r} cannot be used: {reason}. Rename the file in the order")
        self.name = name
        self.reason = reason


class ModelSourceRefused(InvalidRequest):
    """A source that no machine of this configuration will fetch from."""

    code = "NS_MODEL_SOURCE_REFUSED"

    def __init__(self, model: str, *, source: str, reason: str) -> None:
        super().__init__(f"model {model!r} cannot be fetched from {source}: {reason}. Correct the order's source")
        self.model = model
        self.source = source
        self.reason = reason


class ModelFormatRefused(Refused):
    """The file is a pickle, or could be one: loading it may run whatever code it holds."""

    code = "NS_MODEL_FORMAT_REFUSED"

    def __init__(self, model: str) -> None:
        super().__init__(
            f"model {model!r} is a pickle and may run code when it is loaded; use a safetensors file, or set "
            "models.allow_pickle = true if you trust its source"
        )
        self.model = model


class ModelAddressPrivate(Refused):
    """A source, or where it redirects to, lies in a private network."""

    code = "NS_MODEL_ADDRESS_PRIVATE"

    def __init__(self, model: str, *, host: str) -> None:
        super().__init__(
            f"model {model!r} would be fetched from {host}, which lies in a private network; add the host to "
            "models.private_hosts if that is meant"
        )
        self.model = model
        self.host = host


class ModelNameTaken(Refused):
    """A file of this name is here, and it is not the one that was ordered. Nothing was overwritten."""

    code = "NS_MODEL_NAME_TAKEN"

    def __init__(self, model: str, *, found: str) -> None:
        super().__init__(
            f"model {model!r} was not fetched: {found} has this name and other content; evict or rename it first"
        )
        self.model = model
        self.found = found


class ModelInUse(Refused):
    """The model is in use by a job, reserved for one, for an order or by the machine's pools, or being fetched."""

    code = "NS_MODEL_IN_USE"
    retryable = True

    def __init__(self, model: str) -> None:
        super().__init__(
            f"model {model!r} is in use, reserved or being fetched; evict it when its jobs and orders have ended and no pool keeps it (models.keep)"
        )
        self.model = model


class ModelMissing(Refused):
    """The machine has no such model."""

    code = "NS_MODEL_MISSING"

    def __init__(self, model: str) -> None:
        super().__init__(f"there is no model {model!r} on this machine; fetch it first")
        self.model = model


class ModelNotOurs(Refused):
    """The file was found in the folder, not fetched, and nobody knows where to get it again."""

    code = "NS_MODEL_NOT_OURS"

    def __init__(self, model: str) -> None:
        super().__init__(
            f"model {model!r} was not fetched by North Star and is not removed; set models.evict_found = true to allow it"
        )
        self.model = model


class ModelTooLarge(Refused):
    """More bytes came, or were announced, than the order or the settings allow; the fetch was cut."""

    code = "NS_MODEL_TOO_LARGE"

    def __init__(self, model: str, *, limit_bytes: int) -> None:
        super().__init__(
            f"model {model!r} has more than {exactly(limit_bytes)} and was cut off; correct the order's size, or raise "
            "models.largest_gib"
        )
        self.model = model
        self.limit_bytes = limit_bytes


class ModelStoreUnavailable(Unavailable):
    """The models folder, or its journal, cannot be read or written."""

    code = "NS_MODEL_STORE_UNAVAILABLE"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the models folder failed: {reason}. Check models.root, its rights and its disk")
        self.reason = reason


class ModelStoreFull(Unavailable):
    """There is no room, and what may be dropped would not make enough."""

    code = "NS_MODEL_STORE_FULL"

    def __init__(self, model: str, *, lacking_bytes: int, reason: str) -> None:
        super().__init__(
            f"model {model!r} needs {exactly(lacking_bytes)} more than the models folder has ({reason}); make room, or "
            "raise models.limit_gib"
        )
        self.model = model
        self.lacking_bytes = lacking_bytes
        self.reason = reason
