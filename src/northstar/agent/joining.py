"""Joining a broker's cell once, by an invite: the machine makes its own token, keeps it, and only then asks."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar, Final

import aiohttp
import msgspec

from northstar.agent.dialing import trouble
from northstar.connectors.secret import Secret
from northstar.domain.errors import InvalidRequest, Refused, Unavailable
from northstar.domain.tokens import ID_BYTES, SECRET_BYTES, Token, TokenKind, machine_token
from northstar.store.wire import Joined, JoinRequest

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

_ANSWER_WITHIN_S: Final = 30.0
_MAX_BYTES: Final = 65_536
_MAX_TOKEN_BYTES: Final = 1_024
_NO_SUCH_PATH: Final = (b'"NS_NO_SUCH_PATH"', b'"NS_METHOD_NOT_ALLOWED"')


class JoinRefused(Refused):
    """The broker does not let the machine in."""

    code: ClassVar[str] = "NS_JOIN_REFUSED"

    def __init__(self, machine: str, *, detail: str) -> None:
        super().__init__(f"machine {machine} may not join: {detail}")


class JoinUnanswered(Unavailable):
    """The broker could not be reached, or gave no answer that can be read."""

    code: ClassVar[str] = "NS_JOIN_UNANSWERED"

    def __init__(self, url: str, *, detail: str) -> None:
        super().__init__(
            f"{url} did not answer ({detail}); run the same command again, the invite is not used up by it"
        )


class JoinPutOff(Unavailable):
    """The broker answered that the machine shall ask again later."""

    code: ClassVar[str] = "NS_JOIN_PUT_OFF"

    def __init__(self, url: str, *, detail: str) -> None:
        super().__init__(f"{url} takes no more machines right now ({detail}); run the same command again in a while")


class JoinPathWrong(InvalidRequest):
    """Something answers at the address, and it is not a broker."""

    code: ClassVar[str] = "NS_JOIN_PATH_WRONG"

    def __init__(self, url: str, *, status: int) -> None:
        super().__init__(
            f"there is no North Star at {url} (status {status}); copy the address after --join from `northstar machines invite`"
        )


class JoinFolderUnusable(InvalidRequest):
    """The machine's token cannot be kept."""

    code: ClassVar[str] = "NS_JOIN_FOLDER_UNUSABLE"

    def __init__(self, folder: Path, *, reason: str) -> None:
        super().__init__(f"{folder} cannot keep the machine's token ({reason}); set --data-dir to a folder of its own")


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine that has joined keeps beside its token."""

    broker: str
    joined: Joined
    #: The id of the invite by which it joined; empty where an older version kept none.
    invite: str = ""


class JoinFolder:
    """The machine's folder: its token, and what it joined. Only its owner may read them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.token_path = folder / "token"
        self._pending = folder / "token.joining"
        self._membership = folder / "joined.json"

    def membership(self) -> Membership | None:
        """What was joined before, if anything was."""
        try:
            with self._membership.open("rb") as file:
                return msgspec.json.decode(file.read(_MAX_BYTES), type=Membership)
        except (OSError, msgspec.MsgspecError):
            return None

    def token(self) -> Secret | None:
        """The token by which it joined; None if there is none."""
        try:
            with self.token_path.open("rb") as file:
                return Secret(file.read(_MAX_TOKEN_BYTES).decode("ascii").strip())
        except (OSError, ValueError):
            return None

    def moved(self, membership: Membership) -> None:
        """The same cell is reached elsewhere. Raises JoinFolderUnusable."""
        self._write(self._membership, msgspec.json.encode(membership))

    def pending_token(self, invite: Token, *, random_bytes: Callable[[int], bytes]) -> Token:
        """The token to ask with: the one of an earlier try by the same invite, else a new one; kept before it is given.

        Raises:
            JoinFolderUnusable.
        """
        try:
            known = self._pending.read_text().split()
        except OSError:
            known = []
        if len(known) == 2 and known[0] == invite.id:
            return Token.parse(known[1], TokenKind.MACHINE)
        token = machine_token(invite, id_bytes=random_bytes(ID_BYTES), secret_bytes=random_bytes(SECRET_BYTES))
        self._write(self._pending, f"{invite.id} {token.reveal()}\n".encode())
        return token

    def keep(self, token: Token, membership: Membership) -> None:
        """It has joined. Raises JoinFolderUnusable."""
        self._write(self._membership, msgspec.json.encode(membership))
        self._write(self.token_path, token.reveal().encode() + b"\n")
        self._pending.unlink(missing_ok=True)

    def _write(self, path: Path, content: bytes) -> None:
        draft = path.with_name(path.name + ".new")
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            draft.unlink(missing_ok=True)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError as exc:
            raise JoinFolderUnusable(self._folder, reason=exc.strerror or str(exc)) from exc


async def ask_to_join(url: str, request: JoinRequest, *, agent: str, tls: ssl.SSLContext | bool) -> Joined:
    """Ask the broker at `url`. Raises JoinRefused, JoinPutOff, JoinPathWrong, JoinUnanswered."""
    timeout = aiohttp.ClientTimeout(total=_ANSWER_WITHIN_S)
    headers = {"User-Agent": agent, "Content-Type": "application/json"}
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as http,
            http.post(
                f"{url}/agent/v1/join",
                data=msgspec.json.encode(request),
                headers=headers,
                ssl=tls,
                allow_redirects=False,
            ) as response,
        ):
            status, answer = response.status, await response.content.read(_MAX_BYTES)
    except (aiohttp.ClientError, OSError, TimeoutError) as exc:
        raise JoinUnanswered(url, detail=trouble(exc)) from exc
    # A North Star, whose refusals have other codes, says so of a path below its own; another server in its own words.
    if status in {404, 405} and (b'"NS_' not in answer or any(code in answer for code in _NO_SUCH_PATH)):
        raise JoinPathWrong(url, status=status)
    try:
        if status == 201:
            return msgspec.json.decode(answer, type=Joined)
        problem = msgspec.json.decode(answer, type=_Problem)
    except msgspec.MsgspecError as exc:
        raise JoinUnanswered(url, detail=f"status {status}, and not in the broker's words") from exc
    if status == 429:
        raise JoinPutOff(url, detail=problem.detail)
    if status >= 500:
        raise JoinUnanswered(url, detail=problem.detail)
    raise JoinRefused(request.machine, detail=f"{problem.detail} ({problem.title})")


class _Problem(msgspec.Struct):
    title: str = ""
    detail: str = ""
