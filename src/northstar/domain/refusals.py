"""What the queue says no to, by name. The name is the same word that the function library answers with."""

from __future__ import annotations

from typing import ClassVar

from northstar.domain.errors import InvalidRequest, NorthstarError, Refused, Unavailable


class QueueRefusal(NorthstarError):
    """A "no" of the queue: `facts` are what it depended on, as text. Nothing was changed.

    Subclasses give the sentence; `{name}` in it stands for a fact.
    """

    code = "NS_REFUSED"
    sentence: ClassVar[str] = "the queue refused the call"

    def __init__(self, facts: dict[str, str] | None = None) -> None:
        self.facts = facts or {}
        super().__init__(self.sentence.format_map(_Known({name: _Fact(fact) for name, fact in self.facts.items()})))

    @property
    def retry_after_s(self) -> float | None:
        """When to come back, in seconds, if the queue could tell."""
        wait_ms = self.facts.get("retry_after_ms")
        return float(wait_ms) / 1000 if wait_ms else None


class _Fact(str):
    """A fact; in a sentence `{limit:job}` is "1 job" or "5 jobs"."""

    __slots__ = ()

    def __format__(self, thing: str) -> str:
        return str(self) if not thing else f"{self} {thing}" if self == "1" else f"{self} {thing}s"


class _Known(dict[str, str]):
    """Facts for a sentence; one that is missing is shown as unknown rather than failing the report."""

    def __missing__(self, key: str) -> str:
        return f"(unknown {key})"


class JobExists(QueueRefusal, Refused):
    """Another job has this id."""

    code = "NS_JOB_EXISTS"
    sentence = "job {job} exists already with another body; leave the id out to get a new one"


class IdempotencyKeyReused(QueueRefusal, Refused):
    """The key was used for another body."""

    code = "NS_IDEMPOTENCY_REUSED"
    sentence = (
        "idempotency key {key} belongs to job {job}, which was submitted with another body; use a new key for new work"
    )


class BodyTooLarge(QueueRefusal, InvalidRequest):
    """A job's body does not fit in the queue."""

    code = "NS_BODY_TOO_LARGE"
    sentence = "the body of job {job} has {bytes} bytes, more than the {limit} allowed; store media elsewhere and send a reference"


class ResultTooLarge(QueueRefusal, InvalidRequest):
    """A result does not fit in the queue."""

    code = "NS_RESULT_TOO_LARGE"
    sentence = "the result is larger than a cell allows; store outputs as assets and send references"


class UnknownWord(QueueRefusal, InvalidRequest):
    """The job asks for a tag, model or service that nobody declared."""

    code = "NS_UNKNOWN_WORD"
    sentence = "no machine here has offered {word} yet{known}; start the machine that offers it, or check the spelling"

    def __init__(self, facts: dict[str, str] | None = None) -> None:
        super().__init__({"known": ""} | (facts or {}))


class TenantFull(QueueRefusal, Refused):
    """The tenant has as many unfinished jobs as it may."""

    code = "NS_TENANT_FULL"
    retryable = True
    sentence = "tenant {tenant} has {limit} unfinished jobs, as many as it may; come back in {retry_after_ms} ms"


class CellFull(QueueRefusal, Unavailable):
    """The cell has as many unfinished jobs as it may."""

    code = "NS_CELL_FULL"
    sentence = "the cell has {limit} unfinished jobs, as many as it may; come back in {retry_after_ms} ms"


class EventsBacklog(QueueRefusal, Unavailable):
    """The history writer is too far behind; nothing is dropped, so nothing more is accepted."""

    code = "NS_EVENTS_BACKLOG"
    sentence = "{limit} events wait for the history writer; check that it runs; come back in {retry_after_ms} ms"


class TooManyLanes(QueueRefusal, Refused):
    """Too many different combinations of needs."""

    code = "NS_TOO_MANY_LANES"
    sentence = "the cell has {limit:lane}, as many as it may; jobs should share models and tags"


class TooManyClasses(QueueRefusal, Refused):
    """Too many different requirement classes."""

    code = "NS_TOO_MANY_CLASSES"
    sentence = (
        "the cell has {limit} requirement classes, as many as it may; jobs should share tags, packs and VRAM classes"
    )


class NoSuchJob(QueueRefusal, Refused):
    """The job is unknown here: never submitted, purged after its retention, or moved away."""

    code = "NS_NO_SUCH_JOB"
    sentence = "no such job in this cell: it was never submitted, its retention is over, or it moved to another cell"

    def __init__(self, facts: dict[str, str] | None = None) -> None:
        if facts and "job" in facts:
            self.sentence = type(self).sentence.replace("no such job", "no job {job}", 1)  # type: ignore[misc]
        super().__init__(facts)


class LeaseLost(QueueRefusal, Refused):
    """The job went on without this holder; its result is dropped."""

    code = "NS_LEASE_LOST"
    sentence = "the lease on this job is over; somebody else holds it or will; drop the result"


class JobCanceled(QueueRefusal, Refused):
    """The job was cancelled; nothing revives it."""

    code = "NS_JOB_CANCELED"
    sentence = "the job was canceled; drop the result"


class JobFinished(QueueRefusal, Refused):
    """The job has its last state already."""

    code = "NS_JOB_FINISHED"
    sentence = "the job is finished already and cannot be changed"


class JobStarted(QueueRefusal, Refused):
    """Only waiting jobs can be changed so."""

    code = "NS_JOB_STARTED"
    sentence = "the job has started; only waiting jobs can be reprioritised or moved"


class NotDead(QueueRefusal, Refused):
    """Only dead letters are replayed."""

    code = "NS_NOT_DEAD"
    sentence = "the job did not fail for good, so there is nothing to replay"


class TransferRefused(QueueRefusal, Refused):
    """The other cell has refused this transfer before; it can only be tried again as a new one."""

    code = "NS_TRANSFER_REFUSED"
    sentence = "the other cell has refused this transfer before; move the job again to try anew"


class JobInTransfer(QueueRefusal, Refused):
    """The job is on its way to another cell."""

    code = "NS_JOB_IN_TRANSFER"
    retryable = True
    sentence = "the job is on its way to another cell; ask again when it has arrived"


class NotInTransfer(QueueRefusal, Refused):
    """No such transfer is open."""

    code = "NS_NOT_IN_TRANSFER"
    sentence = "the job is not on its way under this transfer id"


class NoSuchMachine(QueueRefusal, Refused):
    """The machine is not registered, or was lost and forgotten."""

    code = "NS_NO_SUCH_MACHINE"
    sentence = "machine {machine} is not registered in this cell, or was silent too long; register it again"


class MachineReplaced(QueueRefusal, Refused):
    """A newer agent runs under this machine's name."""

    code = "NS_MACHINE_REPLACED"
    sentence = "a newer agent has registered as {machine}; this one must stop or use another name"


class TooManyMachines(QueueRefusal, Refused):
    """The cell has as many machines as it may."""

    code = "NS_TOO_MANY_MACHINES"
    sentence = "the cell has {limit:machine}, as many as it may; use another cell or raise max_machines"


class TooManyProfiles(QueueRefusal, Refused):
    """Too many different kinds of machine."""

    code = "NS_TOO_MANY_PROFILES"
    sentence = (
        "the cell has {limit} machine profiles, as many as it may; profiles should not contain names or serial numbers"
    )


class DescriptionTooLarge(QueueRefusal, InvalidRequest):
    """A machine says too much of itself."""

    code = "NS_DESCRIPTION_TOO_LARGE"
    sentence = "the description of the machine is larger than {limit} bytes"


class TooManyCandidates(QueueRefusal, InvalidRequest):
    """A machine's list of lanes is bounded."""

    code = "NS_TOO_MANY_CANDIDATES"
    sentence = "machine {machine} may have at most {limit} candidate lanes"


class LaneDoesNotFit(QueueRefusal, Refused):
    """Policy named a lane that the machine's profile cannot serve."""

    code = "NS_LANE_DOES_NOT_FIT"
    sentence = "machine {machine} cannot serve lane {lane}; plan again on a fresh snapshot"


class TooManyWords(QueueRefusal, Refused):
    """The vocabulary is bounded."""

    code = "NS_TOO_MANY_WORDS"
    sentence = "the cell knows {limit} words, as many as it may; withdraw some or raise max_words"


class TooManyPauses(QueueRefusal, Refused):
    """Pauses are bounded."""

    code = "NS_TOO_MANY_PAUSES"
    sentence = "{limit} scopes are paused, as many as may be; resume some"


class AlreadyFetching(QueueRefusal, Refused):
    """The machine fetches this model already."""

    code = "NS_ALREADY_FETCHING"
    sentence = "machine {machine} fetches {model} already"


class FetchInFlight(QueueRefusal, Refused):
    """Enough machines fetch this model; the same need is not fetched twice."""

    code = "NS_FETCH_IN_FLIGHT"
    sentence = "{model} is being fetched by {machine} already; wait for it"


class TooManyFetches(QueueRefusal, Refused):
    """A machine fetches only so many models at once."""

    code = "NS_TOO_MANY_FETCHES"
    retryable = True
    sentence = "machine {machine} fetches {limit:model} already; let one of them end first"


class NotFetching(QueueRefusal, Refused):
    """There is no such fetch to end."""

    code = "NS_NOT_FETCHING"
    sentence = "machine {machine} does not fetch {model}"


class InviteUnknown(QueueRefusal, Refused):
    """The cell has no such invite: it was never made here, or ended more than a week ago."""

    code = "NS_INVITE_UNKNOWN"
    sentence = "this cell knows no such invite: it was made elsewhere, or ended long ago; ask for a new one"


class InviteExpired(QueueRefusal, Refused):
    """The invite's time is over."""

    code = "NS_INVITE_EXPIRED"
    sentence = "invite {invite} has expired; ask for a new one"


class InviteUsedUp(QueueRefusal, Refused):
    """As many machines have joined by the invite as may."""

    code = "NS_INVITE_USED_UP"
    sentence = "invite {invite} was for {uses:join}, all of them used; ask for a new one"


class InviteRevoked(QueueRefusal, Refused):
    """An operator has taken the invite back."""

    code = "NS_INVITE_REVOKED"
    sentence = "invite {invite} was revoked; ask its maker"


class InviteExists(QueueRefusal, Refused):
    """Another invite has this id."""

    code = "NS_INVITE_EXISTS"
    sentence = "another invite has the id {invite}; make one with a new id"


class InviteTooLong(QueueRefusal, InvalidRequest):
    """The invite would be open for longer than the cell allows."""

    code = "NS_INVITE_TOO_LONG"
    sentence = "an invite may be open for at most {limit_ms} ms here; ask for less or raise max_invite_ms"


class NoSuchInvite(QueueRefusal, Refused):
    """No invite has this id."""

    code = "NS_NO_SUCH_INVITE"
    sentence = "no invite has the id {invite}: northstar machines invites"


class TooManyInvites(QueueRefusal, Refused):
    """Invites are bounded."""

    code = "NS_TOO_MANY_INVITES"
    sentence = (
        "the cell has {limit:invite}, as many as it may; those that ended are forgotten after a week: make fewer with more "
        "uses, or raise max_invites"
    )


class MachineNameTaken(QueueRefusal, Refused):
    """Another machine has this name."""

    code = "NS_MACHINE_NAME_TAKEN"
    sentence = (
        "another machine has the name {machine}; choose another one, or revoke the token of the machine that is gone"
    )


class TooManyTokens(QueueRefusal, Refused):
    """Tokens of machines are bounded."""

    code = "NS_TOO_MANY_TOKENS"
    sentence = (
        "the cell has {limit} tokens of machines, as many as it may; raise max_tokens (those of machines that stay away are "
        "forgotten a week after token_ttl_ms)"
    )


class TokenUnknown(QueueRefusal, Refused):
    """The cell has no such token, or the secret is not the token's."""

    code = "NS_TOKEN_UNKNOWN"
    sentence = "this cell knows no such token: it was made elsewhere, has a newer secret, or was forgotten; join again by a new invite"


class TokenRevoked(QueueRefusal, Refused):
    """An operator has revoked the machine's token."""

    code = "NS_TOKEN_REVOKED"
    sentence = "the token of machine {machine} was revoked; stop, or join again by a new invite"


class TokenReplaced(QueueRefusal, Refused):
    """The token has a newer secret."""

    code = "NS_TOKEN_REPLACED"
    sentence = "this secret of machine {machine} was replaced by a newer one; use that, or revoke the machine and invite it anew"


class TokenExpired(QueueRefusal, Refused):
    """The machine was away for too long, or another one has its name by now."""

    code = "NS_TOKEN_EXPIRED"
    sentence = "the token of machine {machine} has expired, because it was away too long; join again by a new invite"


class TokenWaiting(QueueRefusal, Refused):
    """An operator has not approved the machine yet."""

    code = "NS_TOKEN_WAITING"
    retryable = True
    sentence = "machine {machine} waits for approval: northstar machines approve {machine}"


class TokenOfAnotherMachine(QueueRefusal, Refused):
    """The token is another machine's."""

    code = "NS_TOKEN_OF_ANOTHER_MACHINE"
    sentence = "the token is that of machine {machine} and lets nobody speak for {asked}"


class NoSuchToken(QueueRefusal, Refused):
    """No machine of this name has joined by an invite, and no token has this id."""

    code = "NS_NO_SUCH_TOKEN"
    sentence = "no machine {name} has joined by an invite, and no token has that id: northstar machines tokens"


class CellMissing(QueueRefusal, Unavailable):
    """The cell was never opened, or its data is gone."""

    code = "NS_CELL_MISSING"
    sentence = (
        "the cell does not exist ({key} is empty): open it, and if it existed before, find out where its data went"
    )


class CellNotOpen(QueueRefusal, Unavailable):
    """The server has started, or has become the primary, since the cell was opened; it is opened again by itself."""

    code = "NS_CELL_NOT_OPEN"
    sentence = "the cell ({key}) has not been opened since its server started; open it and repeat the call"


class CellDamaged(QueueRefusal, Unavailable):
    """Part of a cell is there without the rest."""

    code = "NS_CELL_DAMAGED"
    sentence = (
        "the cell is damaged ({key}): some keys exist without the others; restore a backup or remove what is left"
    )
    retryable = False


class ClockMismatch(QueueRefusal, Refused):
    """A cell runs on one clock for ever."""

    code = "NS_CLOCK_MISMATCH"
    sentence = "the cell runs on the {cell} clock, not on the {asked} one; use another cell name"


class ClockArgument(QueueRefusal, InvalidRequest):
    """Time is the server's on a live cell, the caller's on a virtual one."""

    code = "NS_CLOCK_ARGUMENT"
    sentence = (
        "the cell runs on the {clock} clock: a live cell takes no time from callers, a virtual one needs ms since 1970"
    )


class SchemaUnsupported(QueueRefusal, Unavailable):
    """The cell's data has another layout."""

    code = "NS_SCHEMA_UNSUPPORTED"
    sentence = (
        "the cell has schema {cell}, this North Star reads schema {library}; run a version that reads both to migrate"
    )
    retryable = False


class LibraryChanged(QueueRefusal, Unavailable):
    """Another library is loaded under our name."""

    code = "NS_LIBRARY_CHANGED"
    sentence = (
        "the server runs another build of the function library ({loaded}, this process has {caller}); "
        "restart from the same build everywhere, or raise the newer build's library version"
    )
    retryable = False


class HistoryElsewhere(QueueRefusal, Refused):
    """The cell has another history; a second one would make the cell forget what the first has not read."""

    code = "NS_HISTORY_ELSEWHERE"
    sentence = (
        "the events of this cell go to another history, {place} (said {host}); set history.url to that one, or, to go on "
        "here instead, stop all brokers of the cell and start one with --take-history"
    )


class RightsMissing(QueueRefusal, Unavailable):
    """The server's access list forbids the user a command that the library needs; found when the cell is opened."""

    code = "NS_RIGHTS_MISSING"
    sentence = (
        "the user of this connection may not run {command} on this cell; give it all commands on the keys and the channels "
        "of North Star: ACL SETUSER <name> ~ns:* &ns:* +@all"
    )
    retryable = False


class BadArgument(QueueRefusal, InvalidRequest):
    """A field of a call has the wrong type or size."""

    code = "NS_BAD_ARGUMENT"
    sentence = "field {field} of the call is not what the function takes"


class KeysMismatch(QueueRefusal, InvalidRequest):
    """Caller and library disagree about a function's keys."""

    code = "NS_KEYS_MISMATCH"
    sentence = "the function takes {want} keys and got {got}; caller and library are of different builds"


class LibraryFault(QueueRefusal, NorthstarError):
    """A fault in the function library itself. Nothing was written."""

    code = "NS_LIBRARY_FAULT"
    sentence = "the function library failed in {function}; nothing was changed; please report it with the server's log"


def _leaves(kind: type[QueueRefusal]) -> list[type[QueueRefusal]]:
    return [leaf for child in kind.__subclasses__() for leaf in (child, *_leaves(child))]


REFUSALS: dict[str, type[QueueRefusal]] = {kind.code: kind for kind in _leaves(QueueRefusal)}


def refusal(code: str, facts: dict[str, str] | None = None) -> QueueRefusal:
    """The typed error for a refusal's name; an unknown name keeps its code in the facts."""
    kind = REFUSALS.get(code)
    return kind(facts) if kind else QueueRefusal({"code": code, **(facts or {})})
