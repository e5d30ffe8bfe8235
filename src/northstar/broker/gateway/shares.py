"""How much one job may send: a machine that holds a single job must not be able to fill the store of all."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, Final

from northstar.domain.amounts import exactly
from northstar.domain.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Leases that are remembered; the longest unused go.
MAX_LEASES: Final = 10_000


class OutputsTooLarge(InvalidRequest):
    """The files of one job are larger together than the broker takes."""

    code: ClassVar[str] = "NS_OUTPUTS_TOO_LARGE"

    def __init__(self, job: str, *, limit_bytes: int) -> None:
        super().__init__(
            f"job {job} leaves more than {exactly(limit_bytes)} of files; let it leave less, or raise assets.max_job_gib"
        )
        self.job = job


class Shares:
    """Bytes that came under each lease to this process; what was not kept does not count."""

    def __init__(self, *, most_bytes: int) -> None:
        """`most_bytes` of all files of one lease together."""
        self._most_bytes = most_bytes
        self._taken: OrderedDict[tuple[str, str], int] = OrderedDict()

    @contextmanager
    def sending(self, *, job: str, lease: str) -> Iterator[Callable[[int], None]]:
        """One file on its way: call what this gives with the bytes of each piece. A block that fails gives its bytes back.

        Raises:
            OutputsTooLarge: from that call.
        """
        key, own_bytes = (job, lease), 0

        def came(size_bytes: int) -> None:
            nonlocal own_bytes
            own_bytes += size_bytes
            if self._add(key, size_bytes) > self._most_bytes:
                raise OutputsTooLarge(job, limit_bytes=self._most_bytes)

        try:
            yield came
        except BaseException:
            self._add(key, -own_bytes)
            raise

    def _add(self, key: tuple[str, str], size_bytes: int) -> int:
        taken = self._taken[key] = max(0, self._taken.get(key, 0) + size_bytes)
        self._taken.move_to_end(key)
        while len(self._taken) > MAX_LEASES:
            self._taken.popitem(last=False)
        return taken
