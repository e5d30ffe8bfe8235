"""A client's way to a cell by which jobs are routed: what `northstar submit` and `northstar dead replay` use."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from northstar.assembly.durations import learned_durations
from northstar.assembly.missing import missing_machines
from northstar.assembly.routing import declare_places, routing_parts
from northstar.assembly.session import Session, new_id, session
from northstar.assembly.tenancy import check_terms
from northstar.broker.dead_letters import DeadLetters
from northstar.broker.submission import Submitter
from northstar.config import Settings


class SubmittingSession(Session, frozen=True, kw_only=True):
    """A session that also submits."""

    submitter: Submitter


@asynccontextmanager
async def routing_session(settings: Settings) -> AsyncIterator[SubmittingSession]:
    """A session whose submitter decides for each job where it waits, and stores why.

    Raises:
        NotRunning: there is no server. UrlInvalid: its address cannot be understood. InvalidPools: the file of pools cannot be used.
        TermsNotApplied: the settings name terms of tenants, and the cell has never had any.
    """
    async with session(settings) as plain, learned_durations(plain) as estimates:
        await check_terms(plain.cell, settings)
        parts = await routing_parts(settings, plain.cell, estimates=estimates)
        await declare_places(plain.cell, parts, by="submit")
        missing = missing_machines(plain)
        submitter = Submitter(
            plain.cell,
            new_id=new_id,
            monotonic=time.monotonic,
            catalogue=parts.catalogue,
            router=parts.router(of_this_host=missing.of_this_host),
            missing=missing,
        )
        yield SubmittingSession(cell=plain.cell, settings=plain.settings, submitter=submitter)


@asynccontextmanager
async def replaying(settings: Settings) -> AsyncIterator[DeadLetters]:
    """The cell's dead letters, which go back to work within today's terms, to machines that are ranked as for a job that is submitted.

    Raises:
        NotRunning: there is no server. UrlInvalid: its address cannot be understood. InvalidPools: the file of pools cannot be used.
    """
    async with session(settings) as plain, learned_durations(plain) as estimates:
        parts = await routing_parts(settings, plain.cell, estimates=estimates)
        await declare_places(plain.cell, parts, by="replay")
        yield DeadLetters(plain.cell, new_nonce=new_id, router=parts.router())
