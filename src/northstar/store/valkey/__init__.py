"""Reaching a Valkey or Redis server of any shape by one URL, and judging whether it will do."""

from northstar.store.valkey.client import ClientOptions, ValkeyClient, connect
from northstar.store.valkey.facts import PrimaryFacts, ServerFacts, check_server
from northstar.store.valkey.faults import FAULTS, translate
from northstar.store.valkey.url import ServerUrl, parse_url, redact

__all__ = [
    "FAULTS",
    "ClientOptions",
    "PrimaryFacts",
    "ServerFacts",
    "ServerUrl",
    "ValkeyClient",
    "check_server",
    "connect",
    "parse_url",
    "redact",
    "translate",
]
