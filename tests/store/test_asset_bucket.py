"""A bucket that others write to at the same time."""

from __future__ import annotations

import hashlib
from typing import Any

import fsspec
import pytest

from northstar.store.asset_bucket import RemoteFolder

DATA = b"the same picture"
KEY = "c/20260101-00/job/0123456789abcdef/picture.png"


def hashed(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Files:
    """A store in memory, behind a line that breaks after the object is whole there: another call has put it."""

    def __init__(self, inner: Any, *, breaks_at: str) -> None:
        self._inner = inner
        self._breaks_at = breaks_at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def open(self, place: str, mode: str, **options: Any) -> Any:
        if mode == self._breaks_at:
            self._inner.pipe_file(place, DATA)
            raise ConnectionResetError
        return self._inner.open(place, mode, **options)


@pytest.mark.parametrize("breaks_at", ["wb", "rb"])
def test_a_call_that_fails_leaves_alone_what_another_call_has_kept(breaks_at: str) -> None:
    memory = fsspec.filesystem("memory", skip_instance_cache=True)
    folder = RemoteFolder(Files(memory, breaks_at=breaks_at), root=f"/beside-{breaks_at}", url="memory://beside")
    with pytest.raises(ConnectionResetError):
        folder.write(KEY, iter((DATA,)), sha256=hashed(DATA))
    assert memory.cat_file(f"/beside-{breaks_at}/{KEY}") == DATA
