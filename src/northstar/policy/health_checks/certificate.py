"""The broker's certificate: readable, with the key that belongs to it, and good for some time."""

from __future__ import annotations

import shlex
from typing import Final

import msgspec

from northstar.policy.health_checks.finding import Finding, faulty, fine, skipped, warned

_DAY_S: Final = 86_400
#: Who renews by hand wants to know this early; who renews by a program has done so by then.
SOON_DAYS: Final = 21


class CertificateFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of `serve.tls_certificate` and its key. Empty paths: a broker speaks no TLS."""

    certificate: str = ""
    key: str = ""
    #: Why they cannot be used; empty when they can.
    reason: str = ""
    #: When it begins and ceases to count, seconds since epoch.
    begins_s: int = 0
    ends_s: int = 0
    #: Others than its owner may read the key.
    key_is_open: bool = False
    #: Others than this host can reach the broker.
    is_public: bool = False


def judge_certificate(facts: CertificateFacts, *, now_s: int) -> Finding:
    """Check `tls`."""
    check = "tls"
    if not facts.certificate:
        if facts.is_public:
            return warned(
                check,
                "a broker of these settings speaks no TLS and can be reached from elsewhere; right only behind a proxy that speaks it: else "
                "set serve.tls_certificate and serve.tls_key",
                cure="openssl req -x509 -newkey rsa:3072 -nodes -days 365 -subj /CN=$(hostname -f) -addext subjectAltName=DNS:$(hostname -f) "
                "-keyout northstar.key -out northstar.crt",
            )
        return skipped(check, "no certificate is set, and only this host reaches the broker")
    names = {"certificate": facts.certificate, "key": facts.key}
    if facts.reason:
        files = " ".join(shlex.quote(name) for name in (facts.certificate, facts.key) if name)
        return faulty(check, f"the certificate cannot be used: {facts.reason}", cure=f"ls -l {files}", **names)
    days = (facts.ends_s - now_s) // _DAY_S
    shown = f"openssl x509 -noout -subject -dates -in {shlex.quote(facts.certificate)}"
    if facts.begins_s > now_s:
        return faulty(check, "the certificate is not valid yet; is the clock of this host right?", cure=shown, **names)
    if facts.ends_s <= now_s:
        return faulty(
            check, "the certificate has expired, and no machine can dial", cure=shown, days_left=days, **names
        )
    if days < SOON_DAYS:
        return warned(
            check,
            f"the certificate expires in {days} days: renew it, then restart",
            cure=shown,
            days_left=days,
            **names,
        )
    if facts.key_is_open:
        key = shlex.quote(facts.key)
        return warned(check, "others on this host can read the key", cure=f"chmod 600 {key}", days_left=days, **names)
    return fine(check, f"the certificate is good for {days} more days", days_left=days, **names)
