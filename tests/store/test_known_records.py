"""Texts that were read are remembered for as long as somebody says them, and no longer."""

from __future__ import annotations

from northstar.store.known_records import KnownRecords, KnownTexts
from northstar.store.stored_records import StoredRecords


def test_a_text_that_many_say_is_read_once() -> None:
    read: list[bytes] = []
    texts = KnownTexts(lambda _, text: read.append(text))
    records = KnownRecords(b"key", texts.read, StoredRecords())
    assert records.see({b"a": b"1", b"b": b"1"}) == {"a", "b"}
    assert records.see({b"a": b"1", b"b": b"1", b"c": b"1"}) == {"c"}
    assert read == [b"1"]


def test_texts_that_nobody_says_any_more_are_forgotten() -> None:
    texts = KnownTexts(lambda _, text: text)
    records = KnownRecords(b"key", texts.read, StoredRecords())
    for number in range(1_000):
        raw = {b"a": b"%d" % number}
        records.see(raw)
        texts.keep(raw)
    assert len(texts._known) < 100
    assert records.values == {"a": b"999"}


def test_values_that_somebody_has_stay_as_they_were() -> None:
    records = KnownRecords(b"key", lambda _, text: text, StoredRecords())
    records.see({b"a": b"1"})
    before = records.values
    records.see({})
    assert (before, records.values) == ({"a": b"1"}, {})
