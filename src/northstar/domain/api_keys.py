"""Keys of the HTTP interface: what one lets its owner do, for which tenant, and how a cell remembers it without knowing it."""

from __future__ import annotations

import enum
from typing import Annotated, ClassVar, Final

import msgspec

from northstar.domain.errors import InvalidRequest, Refused
from northstar.domain.jobs import Tenant

#: Secrets of one key that count at the same time: the present one, and former ones whose time of grace is not over.
MOST_SECRETS: Final = 4


class Scope(enum.StrEnum):
    """What a key is good for. `admin` includes the others."""

    ADMIN = "admin"  # everything, of all tenants: keys, pools, models, machines
    SUBMIT = "submit"  # submit jobs; cancel, retry and reprioritise those of its tenant
    READ = "read"  # look at jobs, results and events of its tenant, and at what everybody may know of the fleet
    MACHINE = (
        "machine"  # invite machines, drain, remove and approve them, tell them which models to have; of all tenants
    )


class KeyInvalid(InvalidRequest):
    """A key cannot be made as it is wanted."""

    code: ClassVar[str] = "NS_KEY_INVALID"

    def __init__(self, reason: str) -> None:
        super().__init__(f"such a key cannot be: {reason}")
        self.reason = reason


class KeyMissing(Refused):
    """Somebody asked without saying who they are."""

    code: ClassVar[str] = "NS_KEY_MISSING"

    def __init__(self) -> None:
        super().__init__("a key is wanted, as `Authorization: Bearer nsk_…`; an operator makes one: northstar keys add")


class KeyUnknown(Refused):
    """No key of this cell has the secret, or not any more."""

    code: ClassVar[str] = "NS_KEY_UNKNOWN"

    def __init__(self) -> None:
        super().__init__(
            "this key does not count here: it was revoked or replaced, or never was one; ask an operator for another"
        )


class KeyUnreadable(Refused):
    """What was shown as a key is none of this cell: mistyped, cut off, or of another cell."""

    code: ClassVar[str] = "NS_KEY_UNREADABLE"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class KeyExpired(Refused):
    """The key was good until a time that is over."""

    code: ClassVar[str] = "NS_KEY_EXPIRED"

    def __init__(self, key_id: str) -> None:
        super().__init__(f"the time of key {key_id} is over; ask an operator for another")
        self.key_id = key_id


class ScopeMissing(Refused):
    """The key is good, but not for this."""

    code: ClassVar[str] = "NS_SCOPE_MISSING"

    def __init__(self, key_id: str, *, wanted: Scope) -> None:
        super().__init__(f"key {key_id} does not have the scope {wanted.value!r} that this takes")
        self.key_id = key_id
        self.wanted = wanted


class TenantForeign(Refused):
    """The key is of one tenant, and the request names another."""

    code: ClassVar[str] = "NS_TENANT_FOREIGN"

    def __init__(self, key_id: str, *, tenant: str, asked: str) -> None:
        super().__init__(f"key {key_id} is of tenant {tenant!r}, and the request names {asked!r}; leave the tenant out")
        self.key_id = key_id
        self.tenant = tenant
        self.asked = asked


class KeyOfOneTenant(Refused):
    """What is asked for tells of all tenants, and the key is of one."""

    code: ClassVar[str] = "NS_KEY_OF_ONE_TENANT"

    def __init__(self, key_id: str, *, tenant: str) -> None:
        super().__init__(
            f"this tells of all tenants, and key {key_id} is of tenant {tenant!r}; use a key of all tenants"
        )
        self.key_id = key_id
        self.tenant = tenant


class KeyTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody wants a key to be."""

    #: What people call it: who has it, or for what.
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]
    scopes: Annotated[tuple[Scope, ...], msgspec.Meta(min_length=1, max_length=4)]
    #: The only tenant whose jobs it reaches; None: all of them.
    tenant: Tenant | None = None
    #: Seconds from now for which it is good; None: until it is revoked.
    expires_in_s: Annotated[float, msgspec.Meta(gt=0, le=10 * 365 * 86_400)] | None = None

    def check(self) -> None:
        """Raises KeyInvalid: its parts contradict each other."""
        for scope in (Scope.ADMIN, Scope.MACHINE):
            if scope in self.scopes and self.tenant is not None:
                raise KeyInvalid(f"{scope.value!r} reaches all tenants; leave the tenant out, or take other scopes")
        if len(set(self.scopes)) != len(self.scopes):
            raise KeyInvalid("a scope is named twice")


class Secret(msgspec.Struct, frozen=True, kw_only=True):
    """What a cell keeps of a key's text: its SHA-256 in hex, and until when it counts (0: as long as the key)."""

    digest: str
    until_ms: int = 0


class StoredKey(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A key as a cell remembers it. Times are ms since the epoch."""

    name: str
    scopes: tuple[Scope, ...]
    secrets: tuple[Secret, ...]
    created_ms: int
    tenant: str | None = None
    expires_ms: int = 0

    def counts(self, digest: str, *, now_ms: int) -> bool:
        """Whether a text with this digest is one of its secrets now. Digests of 160 random bits may be compared plainly."""
        return any(one.digest == digest and (not one.until_ms or now_ms < one.until_ms) for one in self.secrets)

    def is_over(self, *, now_ms: int) -> bool:
        """Whether its time is over."""
        return 0 < self.expires_ms <= now_ms


class KeyView(msgspec.Struct, frozen=True, kw_only=True):
    """A key as operators see it; nothing in it lets anybody in."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    tenant: str | None
    created_ms: int
    #: 0: until it is revoked.
    expires_ms: int
    #: Former secrets that still count.
    former: int
    #: Who changed it last, and when.
    by: str
    changed_ms: int


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks: a key that was let in."""

    key_id: str
    name: str
    scopes: frozenset[Scope]
    #: None: it reaches all tenants.
    tenant: str | None

    @property
    def by(self) -> str:
        """What the record says of who did something."""
        return f"key {self.key_id}"

    def may(self, scope: Scope) -> bool:
        """Whether it has the scope."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def expect(self, scope: Scope) -> None:
        """Raises ScopeMissing."""
        if not self.may(scope):
            raise ScopeMissing(self.key_id, wanted=scope)

    def expect_all_tenants(self) -> None:
        """Raises KeyOfOneTenant."""
        if self.tenant is not None:
            raise KeyOfOneTenant(self.key_id, tenant=self.tenant)

    def reaches(self, tenant: str) -> bool:
        """Whether jobs of the tenant are its business."""
        return self.tenant in {None, tenant}

    def tenant_for(self, asked: str | None) -> str | None:
        """The tenant meant by a request that names this one, or none; None: all. Raises TenantForeign."""
        if self.tenant is None:
            return asked
        if asked not in {None, self.tenant}:
            raise TenantForeign(self.key_id, tenant=self.tenant, asked=str(asked))
        return self.tenant
