"""Ask the `northstar serve` of this container whether it lives: exit code 0 if so, else 1 and a sentence.

The port and TLS are those of the container's environment; the file of settings is not read, so set NORTHSTAR_SERVE_PORT.
"""

from __future__ import annotations

import http.client
import os
import ssl
import sys
from typing import Final

_WITHIN_S: Final = 3.0


def main(path: str = "/health/live") -> int:
    """Ask `path` on loopback."""
    port = int(os.environ.get("NORTHSTAR_SERVE_PORT", "8443"))
    if os.environ.get("NORTHSTAR_SERVE_TLS_CERTIFICATE"):
        # The certificate names the broker and not 127.0.0.1, and nothing secret is said.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=_WITHIN_S, context=context
        )
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_WITHIN_S)
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as exc:
        sys.stderr.write(f"port {port} does not answer: {exc or type(exc).__name__}\n")
        return 1
    finally:
        connection.close()
    if status != http.HTTPStatus.OK:
        sys.stderr.write(f"{path} on port {port} answers with status {status}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
