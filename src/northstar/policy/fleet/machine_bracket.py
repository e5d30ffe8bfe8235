"""The smallest number of machines that is enough: between one that is known to be too small and one that is known to do."""

from __future__ import annotations


class MachineBracket:
    """Asks for numbers, one after the other, in steps that double until both ends are known, and then the middle.

    Enough is taken to stay enough with more machines; numbers that contradict what is known are never asked for.
    """

    def __init__(self, *, least: int, most: int, first: int, step: int) -> None:
        """`first` is asked for first, as far as it lies between `least` and `most`; `step` is how far from it the next one lies."""
        self._short = least - 1
        self._most = most
        self._first: int | None = first
        self._step = step
        self._was_short = False
        #: The smallest number that was enough; None: none was.
        self.met: int | None = None

    def next(self) -> int | None:
        """The number to try; None: nothing is open any more."""
        if self._short >= self._most or (self.met is not None and self.met - self._short <= 1):
            return None
        if self._first is not None:
            low, high = self._short + 1, self._most if self.met is None else self.met - 1
            return min(max(self._first, low), high)
        if self.met is None:
            return min(self._most, self._short + self._step)
        if not self._was_short:
            return max(self._short + 1, self.met - self._step)
        return (self.met + self._short) // 2

    def learn(self, count: int, *, met: bool) -> None:
        """Whether a number is enough."""
        if self._first is not None:
            if count != self.next():  # told from elsewhere: the first one is still to come
                self._note(count, met=met)
                return
            self._first = None
        else:
            self._step *= 2
        self._note(count, met=met)

    def _note(self, count: int, *, met: bool) -> None:
        if met:
            self.met = count if self.met is None else min(self.met, count)
        else:
            self._was_short = True
            self._short = max(self._short, count)
