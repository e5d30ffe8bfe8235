"""From the settings of `[models]` and the environment to the options of a store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from northstar.agent.models.options import ModelStoreOptions
from northstar.agent.models.sources.choice import SourceRules
from northstar.agent.models.sources.streams import BucketOptions
from northstar.agent.models.space import SpaceRule
from northstar.config import InvalidSettings, ModelSettings
from northstar.connectors.secret import Secret
from northstar.policy.models.addresses import Origin, origin_of
from northstar.policy.models.pace import Patience
from northstar.policy.models.sources import Endpoints

_KIB: Final = 1024
_MIB: Final = 1024**2
_GIB: Final = 1024**3


def options_of(settings: ModelSettings, *, environment: Mapping[str, str]) -> ModelStoreOptions:
    """The options of the machine's store; secrets are read from `environment` here and nowhere else.

    Raises:
        InvalidSettings: there is no root, or a variable that holds a secret is named and empty or unusable.
    """
    if not settings.root:
        raise InvalidSettings("models.root is empty; name the models folder of this machine", source="[models]")
    return ModelStoreOptions(
        root=_path(settings.root),
        extra_roots=tuple(_path(one) for one in settings.extra_roots),
        space=SpaceRule(limit_bytes=int(settings.limit_gib * _GIB), keep_free_bytes=int(settings.keep_free_gib * _GIB)),
        patience=patience_of(settings),
        sources=source_rules(settings, environment),
        largest_bytes=int(settings.largest_gib * _GIB),
        allow_pickle=settings.allow_pickle,
        evict_found=settings.evict_found,
        parallel=settings.parallel,
        idle_bytes_per_s=settings.max_mib_per_s * _MIB,
        busy_bytes_per_s=settings.busy_mib_per_s * _MIB,
        hash_bytes_per_s=settings.hash_mib_per_s * _MIB,
        survey_every_s=settings.survey_every_s,
    )


def patience_of(settings: ModelSettings) -> Patience:
    """What is borne from a source."""
    return Patience(
        connect_s=settings.connect_s,
        stall_s=settings.stall_s,
        least_bytes_per_s=settings.least_kib_per_s * _KIB,
        attempts=settings.attempts,
    )


def source_rules(settings: ModelSettings, environment: Mapping[str, str]) -> SourceRules:
    """From where this machine may fetch, and with which tokens. Raises InvalidSettings as `options_of`."""
    key = _secret(settings.s3_key_variable, environment)
    secret = _secret(settings.s3_secret_variable, environment)
    if (key is None) != (secret is None):
        named = f"{settings.s3_key_variable} and {settings.s3_secret_variable}"
        raise InvalidSettings(f"of {named} only one is set; set both or neither", source="environment")
    return SourceRules(
        endpoints=Endpoints(huggingface=settings.huggingface_url, civitai=settings.civitai_url),
        huggingface_token=_secret(settings.huggingface_token_variable, environment),
        civitai_token=_secret(settings.civitai_token_variable, environment),
        tokens=tuple(_token(one, environment) for one in settings.tokens),
        private_hosts=frozenset(host.lower() for host in settings.private_hosts),
        source_folders=tuple(_path(one) for one in settings.source_folders),
        jobs_may_fetch=settings.jobs_may_fetch,
        bucket=BucketOptions(endpoint=settings.s3_url, key=key, secret=secret),
    )


def _token(text: str, environment: Mapping[str, str]) -> tuple[Origin, Secret]:
    """A host's token, which was asked for by name: if it is not there, that is a mistake."""
    url, _, variable = text.rpartition("=")
    secret = _secret(variable, environment)
    if secret is None:
        raise InvalidSettings(f"it is not set, but models.tokens names it for {url}", source=f"variable {variable}")
    try:
        return origin_of(url), secret
    except ValueError as error:
        raise InvalidSettings(f"models.tokens: {url}: {error}", source="[models]") from None


def _secret(variable: str, environment: Mapping[str, str]) -> Secret | None:
    value = environment.get(variable, "") if variable else ""
    if not value:
        return None
    try:
        return Secret(value)
    except ValueError as error:
        raise InvalidSettings(str(error), source=f"environment variable {variable}") from None


def _path(text: str) -> Path:
    return Path(text).expanduser()
