"""What this host says of itself. Everything here blocks, for moments."""

from __future__ import annotations

import os
import resource
import shutil
import ssl
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from northstar.assembly.backups.mark import read_mark
from northstar.assembly.listening import AddressUnavailable, listening_on
from northstar.assembly.open_files import files_of
from northstar.config import ServeSettings, Settings
from northstar.policy.health_checks.certificate import CertificateFacts
from northstar.policy.health_checks.host import AddressFacts, FileLimitFacts, FolderFacts

_LOCAL: Final = ("127.", "localhost", "::1")
#: X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which the standard library has no name for.
_NO_CHECK_TIME: Final = ssl.VerifyFlags(0x200000)
#: Turns of a handshake between two ends in one process; it needs four.
_TURNS: Final = 10


def folder_facts(path: Path) -> FolderFacts:
    """The folder, or the nearest one above it, in which it would be made."""
    path = path.absolute()
    there = next(place for place in (path, *path.parents) if place.exists())
    usage, status = shutil.disk_usage(there), there.stat()
    return FolderFacts(
        path=str(path),
        exists=there == path,
        is_folder=there.is_dir(),
        refusal=_refusal(there),
        owner=status.st_uid,
        user=os.geteuid(),
        free_bytes=usage.free,
        total_bytes=usage.total,
    )


def address_facts(wanted: ServeSettings) -> AddressFacts:
    """Whether a broker could listen where it should; who has the address, if somebody has, is asked elsewhere."""
    try:
        # The certificate is another check's.
        with listening_on(msgspec.structs.replace(wanted, tls_certificate="", tls_key="")):
            return AddressFacts(host=wanted.host, port=wanted.port)
    except AddressUnavailable as exc:
        in_use = "in use" in str(exc)
        reason = str(exc).partition("(")[2].partition(")")[0]
        return AddressFacts(host=wanted.host, port=wanted.port, reason=reason, held_by="others" if in_use else "")


def certificate_facts(wanted: ServeSettings) -> CertificateFacts:
    """What is known of the certificate without dialling anybody."""
    is_public = not wanted.host.startswith(_LOCAL)
    if not wanted.tls_certificate:
        return CertificateFacts(is_public=is_public)
    certificate, key = wanted.tls_certificate, wanted.tls_key
    try:
        begins_s, ends_s = _validity(certificate, key)
    except OSError as exc:  # an ssl.SSLError is one
        reason = exc.strerror or str(exc)
        named = f"{exc.filename}: {reason}" if exc.filename else reason
        return CertificateFacts(certificate=certificate, key=key, reason=named, is_public=is_public)
    return CertificateFacts(
        certificate=certificate,
        key=key,
        begins_s=begins_s,
        ends_s=ends_s,
        key_is_open=bool(Path(key or certificate).stat().st_mode & 0o077),
        is_public=is_public,
    )


def file_limit_facts(settings: Settings) -> FileLimitFacts:
    """How many files a process that starts now may open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    serve = settings.serve
    return FileLimitFacts(
        soft=soft, hard=hard, needed=files_of(serve), max_machines=serve.max_machines, max_clients=serve.max_clients
    )


def interrupted_restore(settings: Settings) -> str:
    """The archive of a restore that has not ended well; empty where there is none."""
    mark = read_mark(settings.data_path)
    return "" if mark is None else mark.file


def _refusal(folder: Path) -> str:
    """Why nothing can be written there: found out by writing, since rights alone do not tell (a disk may be read-only)."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".northstar-doctor-") as file:
            file.write(b"x")
            file.flush()
    except OSError as exc:
        return exc.strerror or str(exc)
    return ""


def _validity(certificate: str, key: str) -> tuple[int, int]:
    """When the certificate begins and ceases to count, as the other end of a handshake reads it; seconds since epoch. Raises OSError."""
    for name in filter(None, (certificate, key)):
        with Path(name).open("rb") as file:
            file.read(1)
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(certificate, key or None)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    theirs.check_hostname = False
    # The certificate vouches for itself here: only what is written in it is of interest, whoever signed it and whenever.
    theirs.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
    theirs.load_verify_locations(certificate)
    to_us, to_them = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = ours.wrap_bio(to_us, to_them, server_side=True)
    client = theirs.wrap_bio(to_them, to_us)
    for _ in range(_TURNS):
        for end in (client, server):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
        said = client.getpeercert() if client.version() and _is_done(client) else None
        if said:
            return _moment(str(said["notBefore"])), _moment(str(said["notAfter"]))
    raise OSError(f"{certificate} could not be read by the other end of a connection")


def _is_done(end: ssl.SSLObject) -> bool:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def _moment(text: str) -> int:
    """A date of a certificate, such as `Jan  5 09:34:43 2027 GMT`, in seconds since epoch."""
    return int(ssl.cert_time_to_seconds(text))
