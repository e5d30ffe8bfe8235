"""Words that machines bring, before the cell learns them: how many are new, and whether this machine may bring so many."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, ClassVar, Final

from northstar.domain.errors import Refused
from northstar.policy.admission.news import Budget, NewsRule, after, wait_s
from northstar.store.valkey import FAULTS, translate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from northstar.store.cell import Cell

#: Machines remembered that have brought something new; the one that did so longest ago is forgotten first.
_MOST_MACHINES: Final = 10_000


class TooManyNewWords(Refused):
    """The machine brings ever more names that nobody used before."""

    code: ClassVar[str] = "NS_TOO_MANY_NEW_WORDS"
    retryable = True

    def __init__(self, machine: str, *, words: int, after_s: float) -> None:
        super().__init__(
            f"machine {machine} announces {words} names of models, packs or tags that nobody used before, and has brought too "
            f"many already; it may again in {after_s:.0f} s"
        )
        self.retry_after_s = after_s


class Vocabulary:
    """The words of one cell's machines, as one process sees them come. `monotonic` counts seconds."""

    def __init__(self, cell: Cell, *, monotonic: Callable[[], float], rule: NewsRule | None = None) -> None:
        self._cell = cell
        self._monotonic = monotonic
        self._rule = rule or NewsRule()
        self._budgets: OrderedDict[str, Budget] = OrderedDict()

    async def admit(self, machine: str, words: Sequence[str]) -> None:
        """Let the machine bring these words.

        Raises:
            TooManyNewWords: so many of them are new, and it has brought so many before, that it must wait.
            Unavailable: the server does not answer.
        """
        new = await self._new(words)
        if not new:
            return
        now_s, budget = self._monotonic(), self._budgets.get(machine)
        if (after_s := wait_s(new, budget, now_s, self._rule)) > 0:
            raise TooManyNewWords(machine, words=new, after_s=after_s)
        self._budgets[machine] = after(new, budget, now_s, self._rule)
        self._budgets.move_to_end(machine)
        while len(self._budgets) > _MOST_MACHINES:
            self._budgets.popitem(last=False)

    async def _new(self, words: Sequence[str]) -> int:
        if not words:
            return 0
        try:
            known = await self._cell.client.execute_command("HMGET", self._cell.keys["vocabulary"], *words)
        except FAULTS as exc:
            raise translate(exc) from exc
        return sum(one is None for one in known)
