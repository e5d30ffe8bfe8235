"""Bodies as somebody would send them, by their type; a test reads each as what it is an example of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from northstar.domain.api_keys import KeyTerms
from northstar.domain.job_resources import BulkChange, CancelBecause, JobChange
from northstar.domain.jobs import JobRequest

_PICTURE: Final = {"service": "picture", "payload": {"prompt": "aurora over the sea", "seed": 3}, "priority": 80}

EXAMPLES: Final[Mapping[Any, Mapping[str, Any]]] = {
    JobRequest: {"a picture": _PICTURE},
    list[JobRequest]: {"two jobs": [_PICTURE, {"service": "text", "payload": {"prompt": "Tell me of a whale."}}]},
    CancelBecause: {"with a reason": {"because": "no longer needed"}},
    JobChange: {"sooner": {"priority": 90}},
    BulkChange: {
        "cancel what waits for a service": {"action": "cancel", "filter": {"service": "picture"}, "dry_run": True},
        "try three again": {"action": "retry", "ids": ["a-1", "a-2", "a-3"]},
    },
    KeyTerms: {"for a shop": {"name": "the shop", "scopes": ["submit", "read"], "tenant": "acme"}},
}
