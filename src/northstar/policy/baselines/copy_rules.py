"""ModelMesh's rules for copies: when a model that is loaded once is loaded a second time or oftener, and when a copy goes again.

From kserve/modelmesh at ea13cdc (Apache-2.0), `src/main/java/com/ibm/watson/modelmesh/ModelMesh.java`: `rateTrackingTask` (every 10 s) and
`removeModelCopies` (every 6 min). Where the comments of the source and its code differ, the code is followed, since it is what runs:

* more than two copies at once are capped at a third of the instances, which is less than two in a cluster of three to five;
* a third copy goes only 5 h after heavy use, because what should scale with the age of the cache (10 min to 5 h) takes a moment since 1970
  for an age, and so always ends at its upper limit.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

#: Before any look.
_NEVER: Final = -(2**31)


class CopyRule(msgspec.Struct, frozen=True, kw_only=True):
    """Constants of the source."""

    #: How often uses are looked at.
    check_every_ms: int = 10_000
    #: A use so long ago and one now are regular use: a second copy is worth it.
    regular_from_ms: int = 420_000
    regular_until_ms: int = 2_400_000
    #: Requests a minute that one copy stands for, where the time of a request is not known.
    requests_per_min: int = 2_000
    #: The part of a copy's bandwidth that may be used, where it is.
    bandwidth_share: float = 0.9
    #: A second copy goes when it has not been used for so long, at the latest.
    second_goes_ms: int = 36_000_000
    #: A third or later one stays for so long after the last heavy use, and after any copy was loaded, and after any went.
    heavy_stays_ms: int = 18_000_000
    loaded_stays_ms: int = 1_800_000
    #: A load counts as done after so long (`loadTimeoutMs` / 3, the default).
    loads_within_ms: int = 60_000


class UseWatch(NamedTuple):
    """When a model that is loaded once was used, in numbers of looks: the last time, and one before."""

    earlier: int = _NEVER
    last: int = _NEVER


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """All instances together. `free_bytes` counts only those that are not full; `oldest_ms`: when the model was used that was not used longest."""

    capacity_bytes: int
    free_bytes: int
    oldest_ms: int
    instances: int


def watched_use(watch: UseWatch, look: int, rule: CopyRule) -> tuple[UseWatch, bool]:
    """A use that look number `look` found of a model with one copy: what to remember, and whether it is regular use."""
    lower = look - rule.regular_until_ms // rule.check_every_ms
    upper = look - rule.regular_from_ms // rule.check_every_ms
    earlier_counts = last_counts = False
    if watch.last >= lower and watch.earlier <= upper:
        earlier_counts, last_counts = watch.earlier >= lower, watch.last <= upper
    kept = watch.last if last_counts or not earlier_counts else watch.earlier
    return UseWatch(kept, look), earlier_counts or last_counts


def why_no_second(cluster: Cluster, *, now_ms: int, rule: CopyRule) -> str:
    """Why regular use gets no second copy; empty where it does: a tenth is free, or what would be pushed out is older than 20 h.

    That is thirty times the longest interval of regular use, so that the tenth of it after which second copies go is three times that.
    """
    settled_ms = max(30 * rule.regular_until_ms, 6 * 3_600_000)
    if cluster.instances < 2:
        return "there is no other instance"
    if 10 * cluster.free_bytes >= cluster.capacity_bytes or now_ms - cluster.oldest_ms > settled_ms:
        return ""
    return "the cluster is full of models that were used lately"


def requests_per_min_of(rule: CopyRule, *, mean_run_s: float | None, side_by_side: int = 1) -> int:
    """Requests a minute that one copy stands for: by the time that one takes (`getRpmScaleThreshold`), else the constant.

    >>> requests_per_min_of(CopyRule(), mean_run_s=20.0), requests_per_min_of(CopyRule(), mean_run_s=None)
    (2, 2000)
    """
    if mean_run_s is None or mean_run_s <= 0:
        return rule.requests_per_min
    return max(1, int(side_by_side * 60 * rule.bandwidth_share / mean_run_s))


def copies_to_add(
    requests_per_min: int, *, copies: int, cluster: Cluster, threshold: int, busy: int = 0, failed: int = 0
) -> int:
    """Copies to load now because this one is asked so often; at most a third of the instances where it is more than two.

    Args:
        requests_per_min: what this copy was asked since the last look.
        copies: how many there are.
        cluster: of `instances` that may have the model.
        threshold: what one copy stands for (`requests_per_min_of`).
        busy: other instances that are too busy themselves; the source takes them off twice, here and where it counts those without a copy.
        failed: instances that failed to load it.
    """
    room = cluster.instances - copies - failed
    if cluster.instances < 2 or room <= 0 or requests_per_min < threshold:
        return 0
    room -= 2 * busy
    if room <= 0:
        return 0
    wanted = min(requests_per_min // threshold, room)
    return min(wanted, cluster.instances // 3) if wanted > 2 else wanted


class Copy(msgspec.Struct, frozen=True, kw_only=True):
    """One copy of a model, when its instance looks whether it should go. Times in ms; 0: never."""

    copies: int
    last_used_ms: int
    #: When it was asked more than three quarters of what a copy stands for.
    last_heavy_ms: int = 0
    #: When any copy was loaded last, and when any went.
    last_load_ms: int = 0
    last_unload_ms: int = 0
    requests_per_min: int = 0
    queued: int = 0
    #: Its instance is the one of those that hold the model where a new model would be put last.
    is_last_choice: bool = True


def why_stays(copy: Copy, cluster: Cluster, *, now_ms: int, threshold: int, rule: CopyRule) -> str:
    """Why this copy stays; empty where it goes. It goes only where the cluster is all but full, and never the last one."""
    if copy.copies < 2:
        return "it is the only copy"
    if not cluster.capacity_bytes or 100 * cluster.free_bytes // cluster.capacity_bytes > 5:
        return "there is room"
    if copy.copies == 2:
        return _why_second_stays(copy, cluster, now_ms, rule)
    return _why_third_stays(copy, now_ms, threshold, rule)


def _why_second_stays(copy: Copy, cluster: Cluster, now_ms: int, rule: CopyRule) -> str:
    age_ms = now_ms - cluster.oldest_ms
    limit_ms = age_ms / 10
    if not copy.last_heavy_ms or now_ms - copy.last_heavy_ms < age_ms / 5:
        limit_ms = min(rule.second_goes_ms, limit_ms)
    if now_ms - copy.last_used_ms <= limit_ms:
        return "it was used lately"
    return "" if copy.is_last_choice else "the other copy stands where room is wanted more"


def _why_third_stays(copy: Copy, now_ms: int, threshold: int, rule: CopyRule) -> str:
    if copy.last_unload_ms and now_ms - copy.last_unload_ms < 8 * rule.check_every_ms:
        return "another copy went just now"
    if copy.last_load_ms > now_ms - rule.loaded_stays_ms:
        return "a copy was loaded lately"
    if now_ms - copy.last_heavy_ms < rule.heavy_stays_ms:
        return "it was used heavily lately"
    if copy.requests_per_min > threshold * 2 // 3:
        return "it is used"
    return "requests wait for it" if copy.queued > 1 else ""
