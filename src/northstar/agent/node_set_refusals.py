"""A broker that does not take a machine's list of node classes: said once, and no reason not to work."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from northstar.domain.errors import NorthstarError, Unavailable
from northstar.domain.refusals import MachineReplaced, NoSuchMachine
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logger(__name__)


@contextlib.contextmanager
def refused_node_set(machine: str) -> Iterator[None]:
    """The list stays untold, so the machine gets no jobs that ask for node classes, and all others.

    Raises what the whole registration would: the broker does not answer, or the machine is not there any more.
    """
    try:
        yield
    except (Unavailable, NoSuchMachine, MachineReplaced):
        raise
    except NorthstarError as exc:
        log.warning("node_classes_not_told", machine=machine, code=exc.code, error=str(exc))
