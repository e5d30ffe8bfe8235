"""Assets in a bucket, or in whatever else fsspec reaches; and which kind of place an address means."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

import fsspec

from northstar.store.asset_errors import AssetDamaged, AssetNameRefused, AssetStoreExtraMissing
from northstar.store.asset_folder import LocalFolder
from northstar.store.asset_places import MAX_LISTED, Place, StoredFile, check_written

_EXTRAS: Final = {"s3": "s3", "s3a": "s3"}
#: What an upload holds in memory. S3 takes 10,000 parts of an object.
_PART_BYTES: Final = 16 * 1024 * 1024
#: Objects of one call that removes; as S3 bounds it.
_PER_CALL: Final = 1_000
#: What file systems call the time at which a file was written.
_TIMES: Final = ("LastModified", "last_modified", "updated", "mtime", "created")


class RemoteFolder:
    """A folder of a bucket, or of whatever else fsspec reaches; such stores show an object only once it is whole."""

    def __init__(self, files: Any, *, root: str, url: str) -> None:
        self._files = files
        self._root = root.rstrip("/")
        self.url = url.rstrip("/")

    def write(self, key: str, chunks: Iterator[bytes], *, sha256: str) -> None:
        """Write, then read back; remove what is damaged.

        Whatever else goes wrong, what is under this key stays: a call before or beside this one may have kept the same bytes there,
        and a result may name them.
        """
        place = self._at(key)
        self._files.makedirs(place.rpartition("/")[0], exist_ok=True)
        self._write(place, chunks)
        try:
            check_written(self._files.open(place, "rb"), url=f"{self.url}/{key}", sha256=sha256)
        except AssetDamaged:
            with contextlib.suppress(Exception):  # the first error is the one to tell
                self._files.rm_file(place)
            raise

    def _write(self, place: str, chunks: Iterator[bytes]) -> None:
        file = self._files.open(place, "wb", block_size=_PART_BYTES)
        try:
            for chunk in chunks:
                file.write(chunk)
        except BaseException:
            # Closing would end the upload, and show a part of the object as if it were the whole.
            with contextlib.suppress(Exception):
                file.discard()
            with contextlib.suppress(AttributeError):
                file.closed = True
            raise
        file.close()

    def open(self, key: str) -> IO[bytes]:
        """Open the object."""
        stream: IO[bytes] = self._files.open(self._at(key), "rb")
        return stream

    def remove(self, key: str) -> None:
        """Remove the object."""
        self._files.rm_file(self._at(key))

    def remove_all(self, keys: Sequence[str]) -> None:
        """A thousand a call, where the store can."""
        for first in range(0, len(keys), _PER_CALL):
            some = [self._at(key) for key in keys[first : first + _PER_CALL]]
            try:
                self._files.rm(some)
            except FileNotFoundError:  # one was gone already, and the others may be there still
                for place in some:
                    with contextlib.suppress(FileNotFoundError):
                        self._files.rm_file(place)

    def local_path(self, key: str) -> None:
        """There is none."""
        del key

    def folders(self, key: str) -> list[str]:
        """What lies before the next `/`."""
        try:
            found = self._files.ls(self._at(key), detail=True)
        except FileNotFoundError:
            return []
        return [one["name"].rstrip("/").rpartition("/")[2] for one in found if one["type"] == "directory"]

    def files(self, key: str) -> list[StoredFile]:
        """All objects below, in the order of their names."""
        try:
            found: Mapping[str, Mapping[str, Any]] = self._files.find(self._at(key), detail=True)
        except FileNotFoundError:
            return []
        base = len(self._root) + 1
        rows = itertools.islice(found.items(), MAX_LISTED)
        return [StoredFile(name[base:], int(one["size"] or 0), _written_ms(one)) for name, one in rows]

    def drop_drafts(self, key: str, *, before_ms: int) -> int:
        """S3 keeps, and bills, the parts of an upload that was never ended."""
        if not hasattr(self._files, "abort_mpu"):
            return 0
        bucket, prefix, _ = self._files.split_path(self._at(key))
        found = self._files.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=f"{prefix}/")
        old = [one for one in found.get("Uploads", ()) if _ms(one["Initiated"]) < before_ms]
        for one in old:
            with contextlib.suppress(FileNotFoundError):
                self._files.abort_mpu(bucket, one["Key"], one["UploadId"])
        return len(old)

    def free_bytes(self) -> None:
        """Nobody can tell."""

    def _at(self, key: str) -> str:
        return f"{self._root}/{key}"


def place_at(url: str | Path) -> Place:
    """The place that an address means: a path, `file://…`, or a scheme that fsspec knows.

    Raises:
        AssetStoreExtraMissing: the package for that scheme is not installed.
        AssetNameRefused: no such scheme, or a relative `file:` address.
    """
    text = str(url)
    scheme, separator, rest = text.partition("://")
    if not separator:
        return LocalFolder(Path(text))
    if scheme in {"file", "local"}:
        if not rest.startswith("/"):
            raise AssetNameRefused(what="the address", name=text)
        return LocalFolder(Path(rest))
    try:
        # Others write and remove there too: what a listing said a moment ago is no longer true.
        files, root = fsspec.core.url_to_fs(text, use_listings_cache=False, skip_instance_cache=True)
    except ImportError as error:
        raise AssetStoreExtraMissing(scheme=scheme, extra=_EXTRAS.get(scheme)) from error
    except ValueError as error:
        raise AssetNameRefused(what="the address", name=f"{scheme}://") from error
    return RemoteFolder(files, root=root, url=text)


def _written_ms(facts: Mapping[str, Any]) -> int:
    return _ms(next((facts[name] for name in _TIMES if facts.get(name)), 0))


def _ms(moment: Any) -> int:
    """A time as file systems give it: a datetime, or seconds."""
    if isinstance(moment, dt.datetime):
        aware = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
        return int(aware.timestamp() * 1000)
    return int(moment * 1000) if isinstance(moment, int | float) else 0
