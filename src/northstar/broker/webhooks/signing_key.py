"""The installation's key for webhooks: from the environment, or from a file that `up` makes where there is none."""

from __future__ import annotations

import base64
import binascii
import os
from typing import TYPE_CHECKING, Final

from northstar.domain.webhooks import WebhookKeyMissing
from northstar.policy.webhooks.signing import SigningKey

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: The variable that holds the key itself, as text.
VARIABLE: Final = "NORTHSTAR_WEBHOOK_KEY"
_MAX_BYTES: Final = 4_096
_NEW_BYTES: Final = 32


class KeyHolder:
    """Where the key is. It is read when it is first needed, so that who has no webhooks needs none."""

    def __init__(self, *, text: str, file: Path) -> None:
        """`text` is that of the environment; where it is empty, the file counts."""
        self._text = text
        self._file = file
        self._key: SigningKey | None = None

    @property
    def place(self) -> str:
        """Where this process has its key from."""
        return VARIABLE if self._text else str(self._file)

    def key(self) -> SigningKey:
        """The key. Raises WebhookKeyMissing: there is none, or what is there is none."""
        if self._key is None:
            self._key = _read(self._text or self._of_file(), place=self.place)
        return self._key

    def make_file(self, *, random_bytes: Callable[[int], bytes]) -> None:
        """Make the file with a new key, for its owner alone, unless there is one or the environment has the key.

        Raises:
            WebhookKeyMissing: it cannot be written.
        """
        if self._text or self._file.exists():
            return
        text = base64.b64encode(random_bytes(_NEW_BYTES)) + b"\n"
        draft = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        try:
            descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            try:
                os.write(descriptor, text)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            try:
                os.link(draft, self._file)  # whole or not at all, and never over one that is there
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        except OSError as exc:
            raise WebhookKeyMissing(f"the key file {self._file} cannot be written ({exc.strerror})") from exc

    def _of_file(self) -> str:
        try:
            with self._file.open("rb") as stream:
                return stream.read(_MAX_BYTES).decode()
        except FileNotFoundError as exc:
            raise WebhookKeyMissing(f"{VARIABLE} is not set, and there is no file {self._file}") from exc
        except (OSError, UnicodeDecodeError) as exc:
            raise WebhookKeyMissing(f"the key file {self._file} cannot be read ({exc})") from exc


def _read(text: str, *, place: str) -> SigningKey:
    try:
        return SigningKey(base64.b64decode(text.strip(), validate=True))
    except (ValueError, binascii.Error) as exc:
        raise WebhookKeyMissing(f"what {place} holds is not base64 of at least 24 bytes") from exc
