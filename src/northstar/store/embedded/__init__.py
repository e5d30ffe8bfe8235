"""A Valkey server of our own: started, watched, kept to itself and stopped by this process.

async with EmbeddedValkey(data_dir) as server:
    client = connect(server.url)
"""

from northstar.store.embedded.health import ServerHealth
from northstar.store.embedded.options import RestartPolicy, ServerOptions
from northstar.store.embedded.process import ServerDeath
from northstar.store.embedded.server import EmbeddedValkey

__all__ = ["EmbeddedValkey", "RestartPolicy", "ServerDeath", "ServerHealth", "ServerOptions"]
