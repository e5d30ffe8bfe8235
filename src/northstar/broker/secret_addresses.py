"""No secret in an address enters the cell: what a request or an order says stands there for everybody who may read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from northstar.domain.errors import InvalidRequest
from northstar.policy.models.addresses import secret_in, shown

if TYPE_CHECKING:
    from collections.abc import Iterable


class SecretInAddress(InvalidRequest):
    """An address from which a model shall be fetched holds a login, a token, a key or a signature. Nothing was kept of it."""

    code: ClassVar[str] = "NS_SECRET_IN_ADDRESS"

    def __init__(self, *, whose: str, address: str, secret: str) -> None:
        super().__init__(
            f"{address}, a source of {whose}, holds {secret}, and requests and orders keep no secrets: leave it out, and name the variable "
            "with it in the settings of the machines (models.tokens, models.huggingface_token_variable, models.civitai_token_variable)"
        )


def expect_no_secret(sources: Iterable[str], *, whose: str) -> None:
    """Look at the addresses of one model; `whose` is what the error calls it. Raises SecretInAddress, which tells no secret."""
    for source in sources:
        if secret := secret_in(source):
            raise SecretInAddress(whose=whose, address=shown(source), secret=secret)
