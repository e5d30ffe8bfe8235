"""What an agent and a broker say to each other: frames over one WebSocket, each a msgpack array that begins with its kind.

The agent begins with `Hello` and gets `Welcome`, or `Goodbye` with the reason. From then on it asks by `Call` and gets an `Answer`
or a `No` of the same number; progress needs no answer. The broker says by `Rung` what happens to the machine. The bodies of calls
are msgpack maps, so that either side may send fields that the other does not know.
"""

from __future__ import annotations

from typing import Any

import msgspec

from northstar.domain.admission import Announcement, Grant
from northstar.domain.machines import MachineDescription, MachineProfile
from northstar.domain.models import ModelHeld
from northstar.domain.node_sets import NodeSet
from northstar.domain.pool_terms import NO_POOL_TERMS, PoolTerms
from northstar.store.messages import Done, Failure, Held, Outcome, StoredOrder

#: Versions of these frames that this build speaks, oldest and newest.
OLDEST_PROTOCOL, NEWEST_PROTOCOL = 1, 1
#: Bytes of one frame: 32 results of 64 KiB and what surrounds them.
MAX_FRAME_BYTES = 4 * 1024 * 1024
#: Results, claims or leases in one call, so that a frame always suffices.
MAX_BATCH = 32


#: The word of a ring that brings a machine new `PoolTerms`.
TERMS = "terms"


class Hello(msgspec.Struct, frozen=True, array_like=True, tag="hello"):
    """The first frame of an agent. `session` is new for every start of the agent, and the same when it dials again."""

    oldest: int
    newest: int
    machine: str
    session: str
    version: str = ""


class Welcome(msgspec.Struct, frozen=True, array_like=True, tag="welcome"):
    """The broker's answer: the protocol that both will speak, and who speaks."""

    protocol: int
    serve: str
    cell: str


class Goodbye(msgspec.Struct, frozen=True, array_like=True, tag="goodbye"):
    """The connection ends, and why; `retryable`: dialling again may help."""

    code: str
    sentence: str
    retryable: bool
    facts: dict[str, str] = {}


class Call(msgspec.Struct, frozen=True, array_like=True, tag="call"):
    """A question of the agent. `number` is its own, and the answer carries it."""

    number: int
    name: str
    body: msgspec.Raw


class Answer(msgspec.Struct, frozen=True, array_like=True, tag="answer"):
    """The answer to a call."""

    number: int
    body: msgspec.Raw


class No(msgspec.Struct, frozen=True, array_like=True, tag="no"):
    """A call was refused, or could not be answered: the error's code, its sentence, and the facts that it names."""

    number: int
    code: str
    sentence: str
    retryable: bool
    facts: dict[str, str] = {}


class Progressed(msgspec.Struct, frozen=True, array_like=True, tag="progress"):
    """Progress of a job under this lease; may be lost."""

    job: str
    token: str
    text: bytes


class Rung(msgspec.Struct, frozen=True, array_like=True, tag="ring"):
    """Something happened to the machine; the word is that of the cell's bell (`store.bells`), or `TERMS` with the new ones."""

    word: Any


FromAgent = Hello | Call | Progressed
FromBroker = Welcome | Goodbye | Answer | No | Rung


# Bodies of calls ------------------------------------------------------------------------------------------------------


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """`register`: what the machine is and holds."""

    profile: MachineProfile
    description: MachineDescription
    slots: int
    models: tuple[ModelHeld, ...] = ()
    #: The connection is new, the agent is not: refused when another agent has taken the name, or the machine was given up.
    again: bool = False


class Registered(msgspec.Struct, frozen=True):
    """Jobs that this session still holds, and whether the node classes that its profile names are wanted: `tell_node_set`."""

    held: tuple[Held, ...]
    node_set_wanted: bool = False
    #: What follows from the pools that the machine serves.
    terms: PoolTerms = NO_POOL_TERMS


class Claim(msgspec.Struct, frozen=True):
    """`claim`: work for so many free slots. A repeated nonce gives the same jobs again."""

    credits: int
    nonce: str


class CompleteAndClaim(msgspec.Struct, frozen=True):
    """`complete_and_claim`: results, and work for free slots."""

    done: tuple[Done, ...]
    credits: int
    nonce: str


class Complete(msgspec.Struct, frozen=True):
    """`complete`: results only."""

    done: tuple[Done, ...]


class Fail(msgspec.Struct, frozen=True):
    """`fail`: the work failed."""

    failures: tuple[Failure, ...]


class Release(msgspec.Struct, frozen=True):
    """`release`: jobs handed back unfinished."""

    held: tuple[Held, ...]
    because: str


class Renew(msgspec.Struct, frozen=True):
    """`renew`: the machine lives and works on these."""

    held: tuple[Held, ...]


class Drain(msgspec.Struct, frozen=True):
    """`drain`: no new work, please."""


class Leave(msgspec.Struct, frozen=True):
    """`leave`: the machine goes, in order."""

    because: str


class Describe(msgspec.Struct, frozen=True):
    """`describe`: what the machine says of itself has changed."""

    description: MachineDescription


class TellNodeSet(msgspec.Struct, frozen=True):
    """`tell_node_set`: the node classes that the profile names by their digest."""

    node_set: NodeSet


class ModelsPresent(msgspec.Struct, frozen=True):
    """`models_present`: everything that the machine holds now."""

    models: tuple[ModelHeld, ...]


class FetchStarted(msgspec.Struct, frozen=True):
    """`fetch_started`: a model is being fetched."""

    model: str
    size_bytes: int
    expected_ms: int


class FetchEnded(msgspec.Struct, frozen=True):
    """`fetch_ended`: it is not being fetched any more; `fetched`, `failed` or `canceled`."""

    model: str
    outcome: str


class PendingOrders(msgspec.Struct, frozen=True):
    """`pending_orders`: what is to be fetched or evicted?"""


class Orders(msgspec.Struct, frozen=True):
    """Open orders, oldest first."""

    orders: tuple[StoredOrder, ...]


class OrderEnded(msgspec.Struct, frozen=True):
    """`order_ended`: an order was carried out (`done`), or could not be (`failed`)."""

    order: str
    outcome: str
    code: str = ""
    message: str = ""


class Outcomes(msgspec.Struct, frozen=True):
    """What became of each result, failure or job handed back."""

    outcomes: tuple[Outcome, ...]


class Nothing(msgspec.Struct, frozen=True):
    """It was done."""


# Joining, by HTTP -----------------------------------------------------------------------------------------------------


class JoinRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A machine asks to join by an invite, with a token that it made itself and keeps already. The repr hides both."""

    invite: str
    token: str
    machine: str
    #: What its settings say, so that a refusal comes before the invite is used.
    announces: Announcement = Announcement()

    def __repr__(self) -> str:
        return f"JoinRequest(machine={self.machine!r})"


class Joined(msgspec.Struct, frozen=True, kw_only=True):
    """It has joined: to which cell, and what it may say of itself. `status` is `waiting` until an operator approves it."""

    machine: str
    cell: str
    status: str
    grant: Grant
