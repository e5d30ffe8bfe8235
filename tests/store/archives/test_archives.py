"""An archive is there whole or not at all, and whatever is wrong with one is found before anything is done by it."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from northstar.domain.archives import FORMAT, ArchivedCell, ArchivedHistory, ArchivedOutputs, Manifest
from northstar.store.archives.errors import (
    ArchiveDamaged,
    ArchiveExists,
    ArchiveUnreadable,
    ArchiveUnsupported,
    ArchiveUnwritable,
)
from northstar.store.archives.reader import CELL, CONFIGURATION, HISTORY, OUTPUTS, opened_archive
from northstar.store.archives.writer import ArchiveWriter, new_archive
from northstar.store.copies.frames import Frame, encoded

CELL_FACTS = ArchivedCell(
    name="cell",
    id="an-id",
    schema=1,
    clock="live",
    epoch=3,
    event="3-17",
    at_ms=1,
    server="valkey 9",
    entries={"jobs": 2},
    waiting=0,
    running=0,
)
FRAMES = encoded(Frame("jobs", [b"a", b"1" * 900, b"b", b"2" * 900]))


def manifest(archive: ArchiveWriter, **changes: Any) -> Manifest:
    plain = Manifest(
        format=FORMAT,
        id="0" * 16,
        northstar="1",
        cell=CELL_FACTS,
        history=ArchivedHistory(kind="file", place="here", revision="0004"),
        outputs=ArchivedOutputs(place="there"),
        parts=tuple(archive.parts),
    )
    return msgspec.structs.replace(plain, **changes)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A good archive."""
    file = tmp_path / "backup.zip"
    with new_archive(file) as archive:
        with archive.part(CELL) as part:
            part.write(FRAMES)
        with archive.part(HISTORY) as part:
            part.write(b"rows " * 1_000)
        with archive.part(f"{OUTPUTS}cell/20260101-00/job/0123456789abcdef/a picture.png", packed=False) as part:
            part.write(bytes(range(256)) * 4)
        with archive.part(f"{CONFIGURATION}1-northstar.toml") as part:
            part.write(b"[log]\n")
        archive.end(manifest(archive))
    return file


def contents(path: Path) -> dict[str, bytes]:
    """Everything in an archive that was found to be whole."""
    with opened_archive(path) as archive:
        archive.verify()
        return {name: b"".join(archive.chunks(name)) for name in archive.names}


def test_what_was_written_is_read(path: Path) -> None:
    found = contents(path)
    assert found[CELL] == FRAMES
    assert found[HISTORY] == b"rows " * 1_000
    with opened_archive(path) as archive:
        assert [frame.part for frame in archive.frames()] == ["jobs"]
        assert archive.manifest.cell == CELL_FACTS
    assert [file.name for file in path.parent.iterdir()] == ["backup.zip"]


def test_only_its_owner_may_read_it_and_unzip_can(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with zipfile.ZipFile(path) as plain:
        assert plain.testzip() is None
        assert json.loads(plain.read("manifest.json"))["northstar"] == "1"


def test_an_archive_that_ends_too_early_is_damaged_wherever_it_ends(path: Path) -> None:
    whole = path.read_bytes()
    for length in [*range(0, len(whole), max(1, len(whole) // 40)), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(ArchiveDamaged, match="nothing was changed"):
            contents(path)


def test_a_byte_that_was_changed_is_found_or_changes_nothing(path: Path) -> None:
    whole, before = path.read_bytes(), contents(path)
    found = 0
    for at in range(0, len(whole), 3):
        path.write_bytes(whole[:at] + bytes((whole[at] ^ 0x41,)) + whole[at + 1 :])
        try:
            assert contents(path) == before, at
        except (ArchiveDamaged, ArchiveUnsupported):
            found += 1
    assert found > len(whole) // 3 * 0.5


def test_what_is_no_archive_at_all_is_damaged(tmp_path: Path) -> None:
    for text in (b"", b"PK", b"no zip at all" * 1_000):
        (tmp_path / "x").write_bytes(text)
        with pytest.raises(ArchiveDamaged):
            contents(tmp_path / "x")
    with pytest.raises(ArchiveUnreadable, match="No such file"):
        contents(tmp_path / "absent")
    with pytest.raises(ArchiveUnreadable, match="directory"):
        contents(tmp_path)


def rewritten(path: Path, change: Callable[[dict[str, Any]], None], *, more: dict[str, bytes] | None = None) -> None:
    """The same archive with another manifest, by somebody who knows how it is made."""
    with zipfile.ZipFile(path) as old:
        parts = {info.filename: old.read(info) for info in old.infolist()}
    told = json.loads(parts["manifest.json"])
    change(told)
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w") as new:
        for name, content in ({**parts, "manifest.json": json.dumps(told).encode()} | (more or {})).items():
            new.writestr(name, content)
    path.write_bytes(into.getvalue())


def test_an_archive_of_another_form_is_refused_by_its_number(path: Path) -> None:
    rewritten(path, lambda told: told.update(format=2, unknown="to us"))
    with pytest.raises(ArchiveUnsupported, match="form 2, and this version of North Star reads 1"):
        contents(path)


@pytest.mark.parametrize(
    "name", ["../outside", "/etc/passwd", "outputs/../../x", "outputs/.hidden", "cell", "outputs/a\\b", "outputs//a"]
)
def test_names_that_lead_out_of_the_archive_are_refused(path: Path, name: str) -> None:
    def add(told: dict[str, Any]) -> None:
        told["parts"].append({"name": name, "size_bytes": 1, "sha256": "0" * 64})

    rewritten(path, add, more={name: b"x"})
    with pytest.raises(ArchiveDamaged):
        contents(path)


def test_parts_that_the_manifest_does_not_name_are_refused(path: Path) -> None:
    rewritten(path, lambda _told: None, more={"outputs/extra": b"x"})
    with pytest.raises(ArchiveDamaged, match="not what its manifest says"):
        contents(path)


def test_a_part_that_was_replaced_is_found_by_its_hash(path: Path) -> None:
    rewritten(path, lambda _told: None, more={HISTORY: b"cows " * 1_000})
    with pytest.raises(ArchiveDamaged, match=r"history\.db is not what was written"):
        contents(path)


def test_a_cell_with_fewer_entries_than_it_had_is_not_whole(path: Path) -> None:
    rewritten(path, lambda told: told["cell"]["entries"].update(jobs=3))
    with pytest.raises(ArchiveDamaged, match="the cell in it is not whole"):
        contents(path)


def test_nothing_is_overwritten(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(ArchiveExists), new_archive(path):
        pass
    assert path.read_bytes() == before


def test_a_name_that_somebody_took_meanwhile_stays_theirs(tmp_path: Path) -> None:
    with pytest.raises(ArchiveExists), new_archive(tmp_path / "backup.zip") as archive:  # noqa: PT012
        (tmp_path / "backup.zip").write_text("theirs")
        archive.end(manifest(archive))
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("backup.zip", "theirs")]


def test_what_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    def broken_off() -> None:
        with new_archive(tmp_path / "backup.zip") as archive, archive.part(CELL) as part:
            part.write(b"half of it")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ArchiveUnwritable, match="No such file"), new_archive(tmp_path / "no" / "backup.zip"):
        pass


def test_manifests_of_nonsense_are_damaged(path: Path) -> None:
    for change in ({"cell": 1}, {"parts": [{"name": "cell.frames"}]}, {"id": "not hex"}, {"format": "one"}):
        whole = path.read_bytes()
        rewritten(path, lambda told, change=change: told.update(change))  # type: ignore[misc]
        with pytest.raises(ArchiveDamaged, match="manifest cannot be read"):
            contents(path)
        path.write_bytes(whole)
    assert msgspec.json.encode(CELL_FACTS)
