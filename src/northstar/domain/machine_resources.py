"""What may be asked of machines by HTTP, and what is answered."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from northstar.domain.admission import InviteTerms
from northstar.domain.models import ModelFolder, ModelKind, ModelName, ModelSource
from northstar.domain.requirements import Pool

_Because = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class WantedDrain(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether the machine shall get no new work."""

    draining: bool


class MachineDraining(msgspec.Struct, frozen=True, kw_only=True):
    """A machine as it stands after that; what it runs goes on."""

    machine: str
    status: Literal["active", "draining"]


class MachineRemoval(msgspec.Struct, frozen=True, kw_only=True):
    """A machine that was removed, or with `dry_run` would be. One that still runs comes back by itself."""

    machine: str
    removed: bool
    #: Jobs that went, or would go, back to the front of their lanes, no attempt charged.
    returned: int
    #: The same in words.
    what: str


class WantedFetch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model to fetch: one of the catalogue by its name, or a file with `sources` and `sha256` ("unknown" on purpose)."""

    model: ModelName
    sources: Annotated[tuple[ModelSource, ...], msgspec.Meta(max_length=8)] = ()
    sha256: Annotated[str, msgspec.Meta(max_length=64)] = ""
    kind: ModelKind = "checkpoint"
    #: Below the models folder; empty: the usual one of its kind.
    folder: ModelFolder = ""
    #: 0: not known.
    size_bytes: Annotated[int, msgspec.Meta(ge=0, le=10_000_000_000_000)] = 0


class WantedEviction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model file to remove. One that is in use stays, and so does a file that was only found there."""

    model: ModelName


class OpenOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order that its machine has not answered yet."""

    order: str
    what: Literal["fetch", "evict"]
    model: str
    given_ms: int


class RevokeBecause(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a machine's token is taken away, for whoever wonders."""

    because: _Because = "revoked by an operator"


class MachineApproved(msgspec.Struct, frozen=True, kw_only=True):
    """A machine that may work; not `changed` if it might already."""

    machine: str
    changed: bool


class MachineRevoked(msgspec.Struct, frozen=True, kw_only=True):
    """A machine that may not come any more; not `changed` if it might not already."""

    machine: str
    changed: bool
    #: Jobs that went back to the front of their lanes, no attempt charged.
    returned: int
    #: The invite by which it joined, if it or others could still join by it: close that too.
    open_invite: str | None


class WantedInvite(InviteTerms, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an invite shall grant, to how many machines and for how long."""

    pools: Annotated[tuple[Pool, ...], msgspec.Meta(min_length=1, max_length=16)] = ("standard",)
    #: The address that machines dial; empty: `join.url` of the broker that is asked.
    url: Annotated[str, msgspec.Meta(max_length=2_048)] = ""

    def terms(self) -> InviteTerms:
        """What is granted."""
        return InviteTerms(**{name: getattr(self, name) for name in InviteTerms.__struct_fields__})


class NewInvite(msgspec.Struct, frozen=True, kw_only=True):
    """An invite that was made. Its text is told here and never again; whoever has it can join."""

    invite: str
    token: str
    #: What to run on a machine so that it joins.
    command: str
    ends_ms: int


class InviteRow(msgspec.Struct, frozen=True, kw_only=True):
    """An invite as it is listed, without its secret. `state` is `open`, or the code of the refusal that its next user gets."""

    id: str
    state: str
    pools: tuple[str, ...]
    region: str
    tags: tuple[str, ...]
    dedicated_to: str
    approval: bool
    uses: int
    used: int
    made_ms: int
    ends_ms: int
    by: str


class InvitePage(msgspec.Struct, frozen=True, kw_only=True):
    """Invites of the last days, those that end first at the top."""

    invites: tuple[InviteRow, ...]
    #: Where the next page begins; empty: this is the last.
    cursor: str


class InviteClosed(msgspec.Struct, frozen=True, kw_only=True):
    """An invite by which nobody joins any more; not `changed` if it was closed before. Machines that joined by it stay."""

    invite: str
    changed: bool
