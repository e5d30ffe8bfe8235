"""What the failure of a job says about the engine that worked on it."""

from __future__ import annotations

from typing import Literal, TypeAlias

#: Whose fault a failure is, as far as the engine's readiness goes:
#:
#: - `none`: not the engine's. The request was bad, the user's deadline passed, or the engine is only full.
#: - `doubt`: the request's or the engine's, nobody can tell from one job. Several in a row ask for a warm-up job.
#: - `engine`: the engine's. Several in a row, or too many of the latest, take it out of work.
#: - `fatal`: the engine is gone, or can do no job at all. One is enough.
Fault: TypeAlias = Literal["none", "doubt", "engine", "fatal"]
