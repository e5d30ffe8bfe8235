"""What is said no to about machines: their registration, their lanes, and the models that they fetch."""

from __future__ import annotations

from northstar.domain.errors import InvalidRequest, Refused
from northstar.domain.refusals.root import QueueRefusal


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
        "the cell has {limit:machine profile}, as many as it may; profiles should not contain names or serial numbers"
    )


class DescriptionTooLarge(QueueRefusal, InvalidRequest):
    """A machine says too much of itself."""

    code = "NS_DESCRIPTION_TOO_LARGE"
    sentence = (
        "the description of the machine is larger than {limit:bytes}; let it declare fewer tags, node packs or engines"
    )


class TooManyCandidates(QueueRefusal, InvalidRequest):
    """A machine's list of lanes is bounded."""

    code = "NS_TOO_MANY_CANDIDATES"
    sentence = "machine {machine} may have at most {limit:candidate lane}"


class LaneDoesNotFit(QueueRefusal, Refused):
    """Policy named a lane that the machine's profile cannot serve."""

    code = "NS_LANE_DOES_NOT_FIT"
    sentence = "machine {machine} cannot serve lane {lane}; plan again on a fresh snapshot"


class TooMuchNews(QueueRefusal, Refused):
    """A machine has brought more words and profiles that nobody knew than one machine may."""

    code = "NS_TOO_MUCH_NEWS"
    sentence = (
        "machine {machine} has brought more than {words:word}, {profiles:profile} or {node_sets} lists of node classes "
        "that the cell did not know; "
        "if that is right, invite it anew, else revoke it"
    )


class NodeSetNotNamed(QueueRefusal, Refused):
    """A machine tells a list of node classes that its profile does not name."""

    code = "NS_NODE_SET_NOT_NAMED"
    sentence = "machine {machine} has told the node classes {node_set}, which its profile does not name; register first"


class TooManyNodeSets(QueueRefusal, Refused):
    """The cell keeps only so many lists of node classes."""

    code = "NS_TOO_MANY_NODE_SETS"
    sentence = (
        "the cell keeps {limit} different lists of node classes, as many as it may; machines of one image should have "
        "the same node packs, and a list goes a week after its last machine"
    )


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


class TooManyOrders(QueueRefusal, Refused):
    """A machine has only so many open orders about models."""

    code = "NS_TOO_MANY_ORDERS"
    retryable = True
    sentence = "machine {machine} has {limit:open order} already; let some of them end first"


class NoSuchOrder(QueueRefusal, Refused):
    """There is no such open order; it was answered already, perhaps."""

    code = "NS_NO_SUCH_ORDER"
    sentence = "machine {machine} has no open order {order}"


class NotFetching(QueueRefusal, Refused):
    """There is no such fetch to end."""

    code = "NS_NOT_FETCHING"
    sentence = "machine {machine} does not fetch {model}"
