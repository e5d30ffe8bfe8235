"""Parameters that many routes take, and a header that some answers bear."""

from __future__ import annotations

from typing import Annotated, Final

from litestar.params import QueryParameter

from northstar.broker.job_lists import MAX_PAGE

#: How many things a page may have.
Limit = Annotated[int, QueryParameter(ge=1, le=MAX_PAGE)]
#: Where a page begins, as the page before it said.
Cursor = Annotated[str, QueryParameter(max_length=2_048)]
#: A name, or a word.
Text = Annotated[str | None, QueryParameter(max_length=256)]
#: A moment, ms since the epoch.
Moment = Annotated[int | None, QueryParameter(ge=0, le=10**15)]
#: A flag, such as `dry_run=true`.
Flag = Annotated[bool, QueryParameter()]

#: Of answers that hold a secret.
NO_STORE: Final = {"Cache-Control": "no-store"}
