"""Sets of machines as whole numbers, one bit for each: a few words of AND say what a loop over thousands would."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: A set of machines, by their numbers in some order.
Bits: TypeAlias = int


def bits_of(places: Sequence[int]) -> Bits:
    """The set of these numbers, which grow. Setting bits one after the other would copy the whole word for each.

    >>> bits_of([0, 3])
    9
    """
    octets = bytearray(places[-1] // 8 + 1 if places else 0)
    for place in places:
        octets[place >> 3] |= 1 << (place & 7)
    return int.from_bytes(octets, "little")


def bits_by_name(places: Mapping[str, Sequence[int]]) -> dict[str, Bits]:
    """The same for several sets."""
    return {name: bits_of(found) for name, found in places.items()}


def lowest(bits: Bits, count: int) -> Iterator[int]:
    """The first numbers of a set, at most so many."""
    for _ in range(count):
        if not bits:
            return
        first = bits & -bits
        yield first.bit_length() - 1
        bits ^= first


def around(bits: Bits, count: int, *, share: float) -> Iterator[int]:
    """At most so many numbers of a set: from this share of its length on, and then from its beginning.

    >>> list(around(0b11011, 3, share=0.5)), list(around(0b11011, 9, share=0.5))
    ([3, 4, 0], [3, 4, 0, 1])
    """
    start = int(share * bits.bit_length())
    later = bits >> start << start
    yield from lowest(later, count)
    yield from lowest(bits ^ later, count - later.bit_count())


class Amounts(msgspec.Struct, frozen=True):
    """A whole number for each machine, by binary digits: the sum over a set is a count of bits for each digit."""

    digits: tuple[Bits, ...]

    def over(self, bits: Bits) -> int:
        """The sum over a set.

        >>> amounts([3, 1, 4]).over(0b101)
        7
        """
        return sum((bits & digit).bit_count() << place for place, digit in enumerate(self.digits))


def amounts(values: Sequence[int]) -> Amounts:
    """The numbers of machines in their order."""
    digits: list[list[int]] = [[] for _ in range(max(values, default=0).bit_length())]
    for place, value in enumerate(values):
        for digit, places in enumerate(digits):
            if value >> digit & 1:
                places.append(place)
    return Amounts(tuple(map(bits_of, digits)))
