"""Where this Python finds the authorities that it trusts: the image's own where it has any, else those that came along.

OpenSSL looks only where the distribution that it was built for keeps them, and an engine's image may be another.
"""

from __future__ import annotations

import os
from pathlib import Path

#: Debian and Ubuntu, Fedora and its like, openSUSE, Alpine and BSD.
_USUAL = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_OWN = "/opt/northstar/ca-certificates.crt"

if not os.environ.get("SSL_CERT_FILE"):
    os.environ["SSL_CERT_FILE"] = next((usual for usual in _USUAL if Path(usual).is_file()), _OWN)
