"""From what the client library raises to errors that say what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from valkey.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    ClusterError,
    MaxConnectionsError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
    ValkeyClusterException,
    ValkeyError,
)
from valkey.exceptions import ConnectionError as ValkeyConnectionError
from valkey.exceptions import TimeoutError as ValkeyTimeoutError

from northstar.domain.errors import NorthstarError, Unavailable
from northstar.store import errors

#: Everything a command may raise on account of the server or the way to it.
FAULTS: Final = (ValkeyError, ValkeyClusterException, OSError, TimeoutError)

Making = Callable[[str], Unavailable]

#: Most special first: the first class that fits decides.
_BY_CLASS: Final[tuple[tuple[tuple[type[BaseException], ...], Making], ...]] = (
    ((BusyLoadingError,), errors.ValkeyLoading),
    ((AuthenticationError, AuthorizationError, NoPermissionError), errors.ValkeyAuthFailed),
    ((MaxConnectionsError,), errors.ConnectionsExhausted),
    ((ReadOnlyError,), errors.ValkeyReadOnly),
    ((OutOfMemoryError,), errors.OutOfMemory),
    ((ClusterDownError, ClusterError, ValkeyClusterException, TryAgainError), errors.ClusterDown),
    ((ValkeyTimeoutError, TimeoutError), errors.ValkeyTimeout),
)

#: First words of answers for which the client library has no class, or which functions pass on.
_BY_WORD: Final[dict[str, Making]] = {
    "BUSY": errors.ValkeyBusy,
    "CLUSTERDOWN": errors.ClusterDown,
    "LOADING": errors.ValkeyLoading,
    "MASTERDOWN": errors.ValkeyReadOnly,
    "MISCONF": errors.DiskFull,
    "NOAUTH": errors.ValkeyAuthFailed,
    "NOPERM": errors.ValkeyAuthFailed,
    "NOREPLICAS": errors.TooFewReplicas,
    "OOM": errors.OutOfMemory,
    "READONLY": errors.ValkeyReadOnly,
    "WRONGPASS": errors.ValkeyAuthFailed,
}

_EXHAUSTED: Final = ("Too many connections", "No connection available", "max number of clients reached")


def translate(exc: BaseException) -> NorthstarError:
    """Give the typed error for anything in `FAULTS`; to be used as `raise … from exc`.

    A refusal by our own functions (`NS_…`) is not known here and comes back as `ValkeyRefused`: whoever calls a
    function reads its refusals first. An error that is ours already is returned as it is.
    """
    if isinstance(exc, NorthstarError):
        return exc
    if type(exc) is ValkeyConnectionError and isinstance(exc.__cause__, ValkeyError):
        # On a unix socket the library wraps what the greeting met: a wrong password, a time-out, loading.
        return translate(exc.__cause__)
    sentence = " ".join(str(exc).split()).rstrip(".") or type(exc).__name__
    for classes, making in _BY_CLASS:
        if isinstance(exc, classes):
            return making(sentence)
    if isinstance(exc, ResponseError):
        word, _, rest = sentence.partition(" ")
        making = _BY_WORD.get(word, errors.ValkeyRefused)
        return making(rest if word in _BY_WORD else sentence)
    if any(words in sentence for words in _EXHAUSTED):
        return errors.ConnectionsExhausted(sentence)
    if isinstance(exc, (ValkeyConnectionError, OSError)):
        return errors.ValkeyGone(sentence)
    return errors.ValkeyRefused(sentence)
