"""Who may join: what an invite grants, and what follows for the machine that joined by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from northstar.domain.errors import InvalidRequest, Refused
from northstar.domain.machines import MachineProfile
from northstar.domain.requirements import Pool, Word

#: `waiting`: an operator must approve it before its first job.
TokenStatus = Literal["waiting", "approved", "revoked"]


class NotGranted(Refused):
    """A machine says more of itself than its token allows."""

    code: ClassVar[str] = "NS_NOT_GRANTED"

    def __init__(self, machine: str, *, what: str, granted: str) -> None:
        super().__init__(
            f"machine {machine} announces {what}, and its token grants {granted}; change its settings, or invite it anew"
        )
        self.machine = machine
        self.what = what
        self.granted = granted


class Announcement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a machine's settings will have it say of itself. What is unset follows from the grant."""

    pools: Annotated[tuple[Pool, ...], msgspec.Meta(max_length=16)] = ()
    tags: Annotated[tuple[Word, ...], msgspec.Meta(max_length=64)] = ()
    dedicated_to: Word | msgspec.UnsetType | None = msgspec.UNSET
    region: Annotated[str, msgspec.Meta(max_length=64)] | msgspec.UnsetType = msgspec.UNSET


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine may say of itself. What its engines can do is found out by trying; what work may reach it is granted."""

    pools: Annotated[tuple[Pool, ...], msgspec.Meta(min_length=1, max_length=16)]
    #: Where it stands; empty leaves it open.
    region: Annotated[str, msgspec.Meta(max_length=64, pattern=r"^([a-z0-9][a-z0-9._-]*)?$")] = ""
    tags: Annotated[tuple[Word, ...], msgspec.Meta(max_length=64)] = ()
    #: Set: it runs only jobs that ask for this isolation, and must say so.
    dedicated_to: Word | None = None

    def check(self, machine: str, profile: MachineProfile, *, region: str) -> None:
        """Compare what the machine announces. It may leave pools and tags out, but not the isolation.

        Raises:
            NotGranted: it announces more; the first such thing is named.
        """
        self.check_announced(
            machine,
            Announcement(pools=profile.pools, tags=profile.tags, dedicated_to=profile.dedicated_to, region=region),
        )
        # What routing reads; a profile without a region is in none, which harms nobody.
        if profile.region:
            self.check_announced(machine, Announcement(region=profile.region))

    def check_announced(self, machine: str, said: Announcement) -> None:
        """Compare what the machine will announce, as far as it has said so. Raises NotGranted."""
        _within(machine, "pool", said.pools, self.pools)
        _within(machine, "tag", said.tags, self.tags)
        if said.dedicated_to is not msgspec.UNSET and said.dedicated_to != self.dedicated_to:
            raise NotGranted(machine, what=_dedication(said.dedicated_to), granted=_dedication(self.dedicated_to))
        if self.region and said.region is not msgspec.UNSET and said.region != self.region:
            raise NotGranted(machine, what=f"region {said.region or '(none)'}", granted=f"region {self.region}")


class InviteTerms(Grant, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an invite grants, to how many machines and for how long."""

    uses: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1
    #: Bounded by the cell's own `max_invite_ms`.
    ttl_ms: Annotated[int, msgspec.Meta(ge=1, le=366 * 86_400_000)] = 900_000
    #: Each machine waits for an operator before its first job.
    approval: bool = False


class InviteInvalid(InvalidRequest):
    """The terms of an invite are malformed or absurd."""

    code: ClassVar[str] = "NS_INVITE_INVALID"

    def __init__(self, detail: str) -> None:
        super().__init__(f"no invite can be made of this: {detail}")
        self.detail = detail


def read_terms(values: Mapping[str, Any]) -> InviteTerms:
    """Terms by the names of the fields. Raises InviteInvalid."""
    try:
        return msgspec.convert(values, InviteTerms)
    except msgspec.ValidationError as exc:
        raise InviteInvalid(str(exc)) from exc


class Admitted(msgspec.Struct, frozen=True, kw_only=True):
    """A machine whose token counts: who it is and what it may say of itself."""

    token_id: str
    machine: str
    status: TokenStatus
    grant: Grant
    #: The secret was replaced and counts only a little longer.
    former: bool = False

    @property
    def may_work(self) -> bool:
        """Whether it may register and take jobs now."""
        return self.status == "approved"


def _within(machine: str, noun: str, announced: tuple[str, ...], granted: tuple[str, ...]) -> None:
    for word in announced:
        if word not in granted:
            raise NotGranted(machine, what=f"{noun} {word}", granted=f"{noun}s {' '.join(granted) or '(none)'}")


def _dedication(name: str | None) -> str:
    return "work for everybody" if name is None else f"work for {name} only"
