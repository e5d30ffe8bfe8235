"""What can be wrong with the place where outputs are kept.

AssetStoreUnavailable            the store does not answer, or refuses
├── AssetStoreFull               no room left
├── AssetStoreExtraMissing       the package for this kind of address is not installed
└── AssetDamaged                 what was read back is not what was written
AssetRefused                     the name, size or address can never work
├── AssetTooLarge
├── AssetNameRefused
├── AssetMisnamed                a result says something else of the file than what was received
└── AssetElsewhere               the file lies in another store
OutputsElsewhere                 other brokers of the cell use another store
AssetMissing                     there is no such asset
└── AssetRetired                 there was, and it went because its time was over
"""

from __future__ import annotations

from northstar.domain.amounts import exactly
from northstar.domain.errors import InvalidRequest, NorthstarError, Refused, Unavailable


class AssetStoreUnavailable(Unavailable):
    """The store does not answer, or refuses for a reason of its own."""

    code = "NS_ASSET_STORE_UNAVAILABLE"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the asset store failed: {reason}. Check its address, its rights and the network")
        self.reason = reason


class AssetStoreFull(Unavailable):
    """No room is left, or a quota is used up. Nothing of the asset was kept."""

    code = "NS_ASSET_STORE_FULL"

    def __init__(self, *, place: str) -> None:
        super().__init__(
            f"the asset store at {place} is full; make room there, or raise assets.limit_gib; the job can be tried again"
        )
        self.place = place


class AssetStoreExtraMissing(Unavailable):
    """The address is of a kind that needs a package which is not installed."""

    code = "NS_ASSET_STORE_EXTRA_MISSING"
    retryable = False

    def __init__(self, *, scheme: str, extra: str | None) -> None:
        advice = f"install it with: pip install 'northstar-broker[{extra}]'" if extra else "install its fsspec package"
        super().__init__(f"asset stores of kind {scheme}:// need a package that is not installed; {advice}")
        self.scheme = scheme
        self.extra = extra


class AssetDamaged(Unavailable):
    """What the store gives back is not what was written; the bytes must not be used."""

    code = "NS_ASSET_DAMAGED"

    def __init__(self, *, url: str, expected_sha256: str, found_sha256: str) -> None:
        super().__init__(
            f"the asset {url} is damaged: its SHA-256 is {found_sha256} instead of {expected_sha256}; check the disk"
        )
        self.url = url
        self.expected_sha256 = expected_sha256
        self.found_sha256 = found_sha256


class AssetNameRefused(InvalidRequest):
    """A name or an address that does not stay inside the store."""

    code = "NS_ASSET_NAME_REFUSED"

    def __init__(self, *, what: str, name: str) -> None:
        super().__init__(f"{what} {name[:120]!r} cannot be used in the asset store; use letters, digits, `.`, `-`, `_`")
        self.what = what
        self.name = name


class AssetMisnamed(InvalidRequest):
    """A result names a file with a hash, type or size that is not its own; who fetched it by these would get nothing."""

    code = "NS_ASSET_MISNAMED"
    retryable = True

    def __init__(self, *, url: str, what: str) -> None:
        super().__init__(
            f"the result names {url[:300]} with another {what} than was received; look at the machine that made it, and at the store's disk"
        )
        self.url = url


class AssetElsewhere(InvalidRequest):
    """A file that is not in the store that these settings name: most often the brokers have another one."""

    code = "NS_ASSET_ELSEWHERE"

    def __init__(self, *, url: str, store: str) -> None:
        super().__init__(
            f"{url[:300]} lies outside the asset store of these settings, {store}; set assets.url as the brokers have it"
        )
        self.url = url


class OutputsElsewhere(Refused):
    """Another broker of the cell keeps outputs in another place; a second place would split the cell's results."""

    code = "NS_OUTPUTS_ELSEWHERE"

    def __init__(self, *, wanted: str, place: str, broker: str) -> None:
        super().__init__(
            f"outputs of this cell go to {place} (said {broker}), and here they would go to {wanted}, so results would lie in two "
            "places: set assets.url to the first, or, to go on with the other one, stop all brokers of the cell before this one "
            "starts (one that was killed counts for three minutes)"
        )
        self.wanted = wanted
        self.place = place


class AssetTooLarge(InvalidRequest):
    """More bytes than an asset, or one read, may have."""

    code = "NS_ASSET_TOO_LARGE"

    def __init__(self, *, name: str, limit_bytes: int) -> None:
        super().__init__(
            f"{name!r} is larger than {exactly(limit_bytes)}; nothing of it was kept: make it smaller, or raise assets.max_asset_mib"
        )
        self.name = name
        self.limit_bytes = limit_bytes


class AssetMissing(Refused):
    """There is no such asset: it was removed, or never written."""

    code = "NS_ASSET_MISSING"

    def __init__(self, *, url: str) -> None:
        super().__init__(f"there is no asset {url}; it was removed, or the store was replaced")
        self.url = url


class AssetRetired(AssetMissing):
    """It was kept as long as outputs are kept here, or went for younger ones; it will not come back."""

    code = "NS_ASSET_RETIRED"

    def __init__(self, *, url: str) -> None:
        NorthstarError.__init__(
            self,
            f"the asset {url} is no longer kept: its time was over, or younger ones needed its room; submit the job again, "
            "and fetch results sooner or raise assets.keep_days and assets.limit_gib",
        )
        self.url = url
