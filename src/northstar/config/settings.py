"""The settings as types. Their values come from `defaults.toml` and whatever is laid over it; see `sources`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from northstar.config.health import HealthSettings
from northstar.config.models import ModelSettings
from northstar.config.services import Seconds, Service
from northstar.domain.budgets import Usd
from northstar.domain.jobs import Tenant
from northstar.domain.limits import CellLimits
from northstar.domain.machines import MachineId, MachineProfile
from northstar.domain.requirements import Pack, Pool, Word
from northstar.domain.tenancy import TenantTerms


class LogSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is written to the standard error, and kept beside it in files."""

    level: Literal["debug", "info", "warning", "error"]
    json: bool
    folder: str
    max_mib: Annotated[float, msgspec.Meta(ge=0.01, le=10_000)]
    keep: Annotated[int, msgspec.Meta(ge=0, le=100)]
    job_lines_per_s: Annotated[int, msgspec.Meta(ge=0, le=100_000)]


class ValkeySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The server that holds the hot state. The repr hides the address, which may hold a password."""

    url: str
    listen: Literal["unix", "tcp"]
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)]
    fsync: Literal["always", "everysec", "no"]
    max_memory_mib: Annotated[int, msgspec.Meta(ge=0, le=16 * 1_048_576)]

    def __repr__(self) -> str:
        return f"ValkeySettings(url={'***' if self.url else ''!r}, listen={self.listen!r}, port={self.port})"


class DispatchSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the dispatcher looks around."""

    plan_every_s: Seconds
    tick_every_s: Seconds


class RoutingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How jobs find their pool."""

    pools_file: str
    reroute_every_s: Seconds
    learn_from_runs: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


class AgentSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a machine behaves."""

    renew_every_s: Seconds
    reclaim_every_s: Seconds
    ping_every_s: Seconds
    drain_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)]
    ready_within_s: Seconds
    ask_engines_every_s: Seconds
    broker: str
    token_file: str
    ca_file: str


class ServeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where machines and clients reach the broker, and how it watches its machines."""

    host: str
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)]
    tls_certificate: str
    tls_key: str
    tls_ca: str
    ping_every_s: Seconds
    ping_timeout_s: Seconds
    grace_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)]
    silence_s: Annotated[float, msgspec.Meta(ge=5, le=86_400)]
    max_machines: Annotated[int, msgspec.Meta(ge=1, le=100_000)]
    max_clients: Annotated[int, msgspec.Meta(ge=1, le=100_000)]
    head_within_s: Annotated[float, msgspec.Meta(ge=0.05, le=3_600)]
    body_within_s: Annotated[float, msgspec.Meta(ge=0.05, le=3_600)]
    trusted_proxies: Annotated[
        tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=64)], ...], msgspec.Meta(max_length=64)
    ]
    wrong_tokens: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
    wrong_token_every_s: Seconds


class JoinSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How machines elsewhere reach this North Star."""

    url: str


class AssetSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the files of finished jobs go, and how long they stay."""

    url: str
    max_asset_mib: Annotated[int, msgspec.Meta(ge=1, le=16 * 1_048_576)]
    max_job_gib: Annotated[float, msgspec.Meta(gt=0, le=1_000_000)]
    keep_days: Annotated[float, msgspec.Meta(gt=0, le=36_500)]
    limit_gib: Annotated[float, msgspec.Meta(ge=0, le=1_000_000_000)]
    at_least_s: Annotated[float, msgspec.Meta(ge=0, le=31_536_000)]
    keep_free_gib: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]
    sweep_every_s: Seconds


class HistorySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where what happened is kept. The repr hides the address, which may hold a password."""

    url: str
    keep_days: Annotated[int, msgspec.Meta(ge=1, le=36_500)]

    def __repr__(self) -> str:
        return f"HistorySettings(url={'***' if self.url else ''!r}, keep_days={self.keep_days})"


class BudgetSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the machines of the whole cell may cost, and when somebody is told that it is nearly spent. Tenants' budgets are among their terms."""

    usd_per_day: Usd
    usd_per_month: Usd
    warn_at: Annotated[float, msgspec.Meta(gt=0, le=1)]
    look_every_s: Seconds


class WebhookSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How receivers outside are told of events."""

    key_file: str
    allow_private: Annotated[
        tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=64)], ...], msgspec.Meta(max_length=64)
    ]
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=30)]
    at_once: Annotated[int, msgspec.Meta(ge=1, le=1_000)]
    per_receiver: Annotated[int, msgspec.Meta(ge=1, le=100)]
    off_after_days: Annotated[float, msgspec.Meta(gt=0, le=365)]
    keep_days: Annotated[float, msgspec.Meta(gt=0, le=3_650)]
    keep_deliveries: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


class MachineSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A machine: a host, or a part of one, that takes work."""

    #: Its name in the cell.
    name: MachineId
    #: Names of the services that it offers; each has a table `[services.NAME]`.
    services: Annotated[tuple[Word, ...], msgspec.Meta(min_length=1, max_length=64)]
    #: The pools that it serves.
    pools: Annotated[tuple[Pool, ...], msgspec.Meta(min_length=1, max_length=16)] = ("standard",)
    #: Jobs that it runs side by side; empty: `slots_per_gpu` for each of its GPUs, and as many without one.
    slots: Annotated[int, msgspec.Meta(ge=1, le=500)] | None = None
    #: Jobs that one GPU runs side by side; counts where `slots` is empty.
    slots_per_gpu: Annotated[int, msgspec.Meta(ge=1, le=500)] = 1
    #: How many GPUs it has; empty: those that `nvidia-smi` finds, as far as `CUDA_VISIBLE_DEVICES` leaves them; 0: none.
    gpus: Annotated[int, msgspec.Meta(ge=0, le=64)] | None = None
    #: Memory of one GPU that jobs may use, in MB; 0: that of the smallest GPU found.
    vram_mb: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] = 0
    #: Tags that jobs may ask for.
    tags: Annotated[tuple[Word, ...], msgspec.Meta(max_length=64)] = ()
    #: ComfyUI node packs that are installed, beside those that its engines tell of; `pack@1.2` says which version.
    node_packs: Annotated[tuple[Pack, ...], msgspec.Meta(max_length=500)] = ()
    #: Set: it runs only jobs that ask for this isolation.
    dedicated_to: Word | None = None
    #: Name of its GPU, for people; empty: that of the one found.
    gpu: Annotated[str, msgspec.Meta(max_length=64)] = ""
    #: Where it stands; an invite may ask for it.
    region: Annotated[str, msgspec.Meta(max_length=128)] = ""
    #: What an hour of the machine costs, in US dollars; 0: nothing, or not known.
    price_usd_per_hour: Annotated[float, msgspec.Meta(ge=0, le=100_000)] = 0.0

    def profile(self) -> MachineProfile:
        """What it can serve, as far as it is declared."""
        return MachineProfile(
            pools=self.pools,
            services=self.services,
            vram_mb=self.vram_mb,
            node_packs=self.node_packs,
            tags=self.tags,
            dedicated_to=self.dedicated_to,
        )


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set."""

    data_dir: str
    cell: Annotated[str, msgspec.Meta(pattern=r"^([a-z0-9][a-z0-9._-]{0,62})?$")]
    log: LogSettings
    valkey: ValkeySettings
    limits: CellLimits
    dispatch: DispatchSettings
    routing: RoutingSettings
    agent: AgentSettings
    health: HealthSettings
    serve: ServeSettings
    join: JoinSettings
    assets: AssetSettings
    models: ModelSettings
    history: HistorySettings
    webhooks: WebhookSettings
    budget: BudgetSettings
    machines: Annotated[tuple[MachineSettings, ...], msgspec.Meta(max_length=64)]
    services: dict[Word, Service]
    #: The first terms of a cell that has never had any; what holds is what the cell says.
    tenants: dict[Tenant, TenantTerms] = {}

    @property
    def data_path(self) -> Path:
        """The data directory; `sources.load` never leaves it empty."""
        return Path(self.data_dir)

    @property
    def cell_name(self) -> str:
        """The cell that `up` and `worker` serve."""
        return self.cell or "default"

    @property
    def history_url(self) -> str:
        """Where the history is kept."""
        return self.history.url or f"sqlite:///{self.data_path.absolute() / 'history.db'}"

    @property
    def assets_url(self) -> str | Path:
        """Where assets are kept."""
        return self.assets.url or self.data_path / "assets"

    def machine(self, name: str) -> MachineSettings | None:
        """The machine of that name."""
        return next((machine for machine in self.machines if machine.name == name), None)
