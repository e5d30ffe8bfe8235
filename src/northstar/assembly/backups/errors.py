"""Why an installation cannot be backed up or restored."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from northstar.domain.amounts import size
from northstar.domain.errors import InvalidRequest, Refused, Unavailable


class OutputsNotInAFolder(InvalidRequest):
    """Files of finished jobs are in a bucket, which has ways of its own to be kept safe."""

    code = "NS_OUTPUTS_NOT_IN_A_FOLDER"

    def __init__(self, place: str) -> None:
        super().__init__(
            f"outputs are kept at {place}, which is no folder of this host: leave --outputs out, and copy or version the bucket by its "
            "own means"
        )
        self.place = place


class PlaceNotEmpty(Refused):
    """Something is where the archive would be restored to, and nobody said that it may go."""

    code = "NS_PLACE_NOT_EMPTY"

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is there already; restore into an empty data directory, or add --yes-replace-everything, after which nothing of it is "
            "left"
        )
        self.path = path


class BrokersRun(Refused):
    """Brokers of the cell run, and would go on with what they know of it."""

    code = "NS_BROKERS_RUN"

    def __init__(self, brokers: Sequence[str]) -> None:
        super().__init__(
            f"brokers of this cell run ({', '.join(brokers)}): stop them all, then run the same command again; one that was killed is "
            "forgotten after 3 minutes"
        )


class NoRoomToRestore(Unavailable):
    """The disk has not the room for what is in the archive."""

    code = "NS_NO_ROOM_TO_RESTORE"

    def __init__(self, folder: Path, *, needed_bytes: int, free_bytes: int) -> None:
        super().__init__(
            f"{folder} has {size(free_bytes)} free, and the backup needs {size(needed_bytes)} there; nothing was changed: make room, or set "
            "another data_dir or assets.url"
        )


class PlaceUnwritable(Unavailable):
    """A file of the archive cannot be written to where it belongs."""

    code = "NS_PLACE_UNWRITABLE"

    def __init__(self, path: Path, *, reason: str) -> None:
        super().__init__(f"{path} cannot be written ({reason}): mend that, and run the same command again")
        self.path = path


class RestoreUnfinished(Unavailable):
    """A restore broke off while it put things into their places, so what is there is not whole."""

    code = "NS_RESTORE_UNFINISHED"
    retryable = False

    def __init__(self, data_dir: Path, file: str) -> None:
        super().__init__(
            f"a restore into data directory {data_dir} was interrupted, and what is there is not whole; run it again: "
            f"northstar restore {shlex.quote(file)}"
        )
        self.file = file


class HistoryElsewhereThan(InvalidRequest):
    """The archive has a history in a file, and the settings want it in a database server."""

    code = "NS_HISTORY_OF_ANOTHER_KIND"

    def __init__(self, place: str) -> None:
        super().__init__(
            f"the backup has the history as a file, and history.url is {place}: restore with the settings of then, or leave the history "
            "of the backup out with --without-history"
        )
        self.place = place


class CellOfAnotherName(InvalidRequest):
    """The archive is of another cell than the settings mean; a cell's name is in its history and in the addresses of its outputs."""

    code = "NS_CELL_OF_ANOTHER_NAME"

    def __init__(self, *, found: str, wanted: str) -> None:
        super().__init__(
            f"the backup is of cell {found}, and here cell {wanted} is meant: add --cell {found}, and let `up` or `serve` have it in its "
            "settings too"
        )
        self.found = found
