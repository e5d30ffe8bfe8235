"""Asking a broker whether it knows this machine's token, before anything else is said to it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

import aiohttp
import msgspec

from northstar.agent.dialing import trouble
from northstar.agent.joining import JoinUnanswered
from northstar.agent.link_errors import BrokerRefused
from northstar.agent.websocket_connection import BrokerConnection
from northstar.domain.errors import Refused, Unavailable
from northstar.domain.refusals import TokenExpired, TokenUnknown

if TYPE_CHECKING:
    from northstar.agent.dialing import Dialling

#: What a broker says to a token of another cell: it is no queue's refusal, so it comes as a code.
_FOREIGN: Final = "NS_TOKEN_FOREIGN"


async def is_known_there(dialling: Dialling, *, machine: str, session: str, version: str) -> bool:
    """Whether the broker's cell knows the machine by this token; False if it is another cell, or has forgotten it.

    Nothing is registered, so an agent that works under the name is not disturbed.

    Raises:
        JoinUnanswered: it could not be asked. Refused: it knows the token, and does not let the machine in.
    """
    try:
        async with aiohttp.ClientSession() as http:
            connection = BrokerConnection(
                http, dialling, machine=machine, session=session, version=version, jitter=random.random
            )
            await connection.greeted_once()
    except (TokenUnknown, TokenExpired):
        return False
    except BrokerRefused as exc:
        if exc.said == _FOREIGN:
            return False
        raise
    except Refused:
        raise
    except (aiohttp.ClientError, OSError, TimeoutError, msgspec.MsgspecError, Unavailable) as exc:
        raise JoinUnanswered(dialling.http_url, detail=trouble(exc)) from exc
    return True
