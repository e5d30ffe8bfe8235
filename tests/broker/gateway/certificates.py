"""Certificates of an authority of our own, by `openssl`."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificate:
    certificate: Path
    key: Path


class Authority:
    """Signs certificates for brokers. Every file lies in `folder`."""

    def __init__(self, folder: Path, name: str = "ours") -> None:
        self._folder = folder
        self._name = name
        key, self.file = folder / f"{name}.key", folder / f"{name}.crt"
        self._own = Certificate(self.file, key)
        _openssl("req", "-x509", *_new_key(key), "-subj", f"/CN={name}", "-days", "2", "-out", str(self.file))

    def certificate(self, name: str, *, host: str, days: int = 2) -> Certificate:
        """A certificate for a host; with negative `days` it has ended already."""
        made = Certificate(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        request, names = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        names.write_text(f"subjectAltName={host}\n")
        _openssl("req", *_new_key(made.key), "-subj", f"/CN={name}", "-out", str(request))
        authority = ["-CA", str(self._own.certificate), "-CAkey", str(self._own.key), "-CAcreateserial"]
        files = ["-in", str(request), "-extfile", str(names), "-out", str(made.certificate)]
        _openssl("x509", "-req", "-days", str(days), *authority, *files)
        return made


def _new_key(path: Path) -> list[str]:
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(path)]


def _openssl(*arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
