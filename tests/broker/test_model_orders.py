"""An order that no machine could carry out is refused when it is given, not an hour later on the machine."""

from __future__ import annotations

from typing import Any

import pytest

from northstar.broker.model_orders import ModelOrderInvalid, read_order
from northstar.broker.secret_addresses import SecretInAddress


def wanted(**changes: Any) -> dict[str, Any]:
    return {"name": "a.safetensors", "sources": ["https://h/a"], "sha256": "unknown"} | changes


def test_an_order_by_the_rules_is_read() -> None:
    assert read_order(wanted(name="styles/ink.safetensors")).name == "styles/ink.safetensors"


@pytest.mark.parametrize("name", ["../x.safetensors", "/etc/x.safetensors", "a/../x.safetensors", "a.exe", "C:\\x.pt"])
def test_a_name_that_could_leave_its_folder_is_refused(name: str) -> None:
    with pytest.raises(ModelOrderInvalid, match="a file may not be called"):
        read_order(wanted(name=name))


@pytest.mark.parametrize("source", ["gopher://h/a", "h/a", "hf://only-one", "s3://b", "file:relative"])
def test_an_address_that_nothing_can_fetch_from_is_refused(source: str) -> None:
    with pytest.raises(ModelOrderInvalid):
        read_order(wanted(sources=["https://h/a", source]))


@pytest.mark.parametrize(
    "source",
    [
        "https://me:S3CR3T@h/a",
        "https://civitai.com/api/download/models/1?type=Model&token=S3CR3T",
        "https://bucket.example/a?X-Amz-Signature=S3CR3T",
        "s3://key:S3CR3T@bucket/a",
        "https://h/a#token=S3CR3T",
    ],
)
def test_an_address_with_a_secret_is_refused_and_says_where_secrets_belong(source: str) -> None:
    with pytest.raises(SecretInAddress, match=r"in the settings of the machines \(models.tokens") as refused:
        read_order(wanted(sources=["https://h/a", source]))
    assert "S3CR3T" not in str(refused.value)
