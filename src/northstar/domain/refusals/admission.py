"""What is said no to at the door: invites, and the tokens that machines join with."""

from __future__ import annotations

from northstar.domain.errors import InvalidRequest, Refused
from northstar.domain.refusals.root import QueueRefusal


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
    sentence = "an invite may be open for at most {limit_ms:ms} here; ask for less or raise max_invite_ms"


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
        "the cell has {limit:token} of machines, as many as it may; raise max_tokens (those of machines that stay away are "
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
