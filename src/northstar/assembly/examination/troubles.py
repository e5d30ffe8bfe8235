"""Errors as findings tell them."""

from __future__ import annotations

from northstar.domain.errors import NorthstarError
from northstar.policy.health_checks.finding import Trouble


def trouble_of(error: NorthstarError) -> Trouble:
    """Its code and its sentence."""
    return Trouble(error.code, str(error))
