"""What a validation refuses, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from northstar.domain.errors import InvalidRequest, Unavailable

if TYPE_CHECKING:
    from pathlib import Path


class ValidationHistoryUnreadable(InvalidRequest):
    """A history of validations cannot be read, or a line of it is none of this version's."""

    code: ClassVar[str] = "NS_VALIDATION_HISTORY_UNREADABLE"

    def __init__(self, path: Path, why: str, *, line: int | None = None) -> None:
        super().__init__(f"{path}{'' if line is None else f':{line}'}: {why}")
        self.path = path
        self.line = line


class ValidationHistoryUnwritable(Unavailable):
    """A history of validations cannot be written; what it had is still there."""

    code: ClassVar[str] = "NS_VALIDATION_HISTORY_UNWRITABLE"

    def __init__(self, path: Path, exc: OSError) -> None:
        super().__init__(
            f"{path} cannot be written ({exc.strerror or exc}); what was in it still is: mend that and validate again"
        )
        self.path = path


class ValidationImpossible(InvalidRequest):
    """What is to be validated cannot be measured as it was asked for."""

    code: ClassVar[str] = "NS_VALIDATION_IMPOSSIBLE"

    def __init__(self, why: str) -> None:
        super().__init__(why)
