"""SALAD's published week: how long nodes of consumers' computers stay, and how long they take to come.

The only public measurement of such a fleet: 100 instances over 7 days with an image of 5.53 GB (SaladCloud documentation, "Service
Performance", explanation/core-concepts/service-performance, 2024). Of these figures everything here is made:

* 182 reallocations in 168 h: one loss for each machine in 92 h, and none of them told beforehand
* runs that ended so lasted 35 h on average, all runs 60 h; 25 of 100 instances were never interrupted
* online: the first after 3 min, 50 % after 10, 80 % after 20, 90 % after 40, all after about 80

Losses are not memoryless: young nodes go more often than old ones, so two exponential laws are mixed. Their three numbers are fitted
to the losses of the week (182), the share that was never interrupted, the mean of interrupted runs and the "more than 45" losses of the first day; they give
185, 25.5 %, 35.2 h and 49. The last day has 19 losses here, where the page says "less than 15".
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Final

_HOUR_MS: Final = 3_600_000
_MINUTE_MS: Final = 60_000

#: Share of the nodes that are the short-lived kind, and the mean life of both kinds, hours.
SHORT_LIVED_SHARE: Final = 0.40
SHORT_MEAN_H: Final = 17.0
LONG_MEAN_H: Final = 196.0

#: Share of nodes that are online after so many minutes.
ONLINE_AFTER_MIN: Final = ((0.0, 3.0), (0.5, 10.0), (0.8, 20.0), (0.9, 40.0), (1.0, 80.0))


def lifetime_ms(which: float, chance: float) -> int:
    """How long a node stays once it is online; both arguments are numbers drawn from 0 to below 1."""
    mean_h = SHORT_MEAN_H if which < SHORT_LIVED_SHARE else LONG_MEAN_H
    return round(-math.log1p(-chance) * mean_h * _HOUR_MS)


def boot_ms(chance: float) -> int:
    """How long until a node is online, straight between the figures.

    >>> boot_ms(0.5), boot_ms(0.85)
    (600000, 1800000)
    """
    for (low, from_min), (high, to_min) in pairwise(ONLINE_AFTER_MIN):
        if chance < high:
            return round((from_min + (to_min - from_min) * (chance - low) / (high - low)) * _MINUTE_MS)
    return round(ONLINE_AFTER_MIN[-1][1] * _MINUTE_MS)
