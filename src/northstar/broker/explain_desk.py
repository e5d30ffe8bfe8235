"""What clients ask why of by HTTP.

A job's explanation is told to whoever reaches the job. That of a machine or a model counts the waiting jobs of all tenants and names the
models that they ask for, so it is for keys of all tenants: a part of it would be wrong, and the whole of it is none of one tenant's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.broker.explaining import NothingKnown
from northstar.domain.action_calls import with_calls
from northstar.domain.explained import ExplainedJob, ExplainedMachine, ExplainedModel, explained

if TYPE_CHECKING:
    from collections.abc import Callable

    from northstar.broker.explaining import Explainer
    from northstar.domain.api_keys import Caller


class ExplainDesk:
    """Explains what is in one cell, by the pools that hold when it is asked."""

    def __init__(self, explainer: Callable[[], Explainer]) -> None:
        self._explainer = explainer

    async def job(self, caller: Caller, job_id: str) -> ExplainedJob:
        """Why a job is where it is; also one that only the history knows. Raises NoSuchJob: it is none, or none of this key's business; Unavailable."""
        told = await self._explainer().job_for(caller, job_id)
        return explained(msgspec.structs.replace(told, actions=with_calls(told.actions)))

    async def machine(self, caller: Caller, name: str) -> ExplainedMachine:
        """What a machine does, or why it does nothing or is not here. Raises KeyOfOneTenant, NoSuchMachine, Unavailable."""
        caller.expect_all_tenants()
        told = await self._explainer().machine(name)
        return explained(msgspec.structs.replace(told, actions=with_calls(told.actions)))

    async def model(self, caller: Caller, name: str) -> ExplainedModel:
        """Where a model is, and why not elsewhere. Raises KeyOfOneTenant, NothingKnown, Unavailable."""
        caller.expect_all_tenants()
        explainer = self._explainer()
        if not await explainer.is_model(name):
            raise NothingKnown(name)
        told = await explainer.model(name)
        return explained(msgspec.structs.replace(told, actions=with_calls(told.actions)))
