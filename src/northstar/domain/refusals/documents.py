"""What is said no to about documents: what operators declare for all processes of a cell."""

from __future__ import annotations

from northstar.domain.errors import InvalidRequest, Refused
from northstar.domain.refusals.root import QueueRefusal


class DocumentChanged(QueueRefusal, Refused):
    """Somebody else has changed it since the caller read it."""

    code = "NS_DOCUMENT_CHANGED"
    sentence = (
        "{kind} {name} has changed since it was read: it was version {expected} and is {version} now (0 is none), by {by}; "
        "read it again and repeat what you did"
    )


class DocumentTooLarge(QueueRefusal, InvalidRequest):
    """One document is bounded."""

    code = "NS_DOCUMENT_TOO_LARGE"
    sentence = (
        "{kind} {name} takes {bytes:bytes}, more than the {limit:bytes} that one may; nothing was kept: say less of it"
    )


class TooManyDocuments(QueueRefusal, Refused):
    """Documents are bounded."""

    code = "NS_TOO_MANY_DOCUMENTS"
    sentence = (
        "the cell would have more than {limit:document} (models of the catalogue among them), as many as it may; "
        "nothing was kept: remove some or raise max_documents"
    )


class DocumentsTooLarge(QueueRefusal, Refused):
    """All documents together are bounded, because every process that routes reads all of them."""

    code = "NS_DOCUMENTS_TOO_LARGE"
    sentence = (
        "the cell's documents would take more than {limit:bytes} in all, as many as they may; nothing was kept: remove some "
        "or raise max_documents_bytes"
    )
