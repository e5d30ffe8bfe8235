"""A language model of a third of a megabyte whose weights are written by hand instead of trained.

It is a complete Llama in GGUF (one block, real attention, real norms), so every engine that reads GGUF runs it like any
other model. The embedding of a phrase says what may follow it; attention looks back for words that set the scene;
the output matrix turns both into likely next phrases. Its text is a short story in plain English.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from northstar.demo.parts import require
from northstar.demo.storybook import GRAMMAR, KEYWORDS, Setting, Slot

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]

#: Tokens that the model may hold in its context; long, so that a cancelled run has work left to stop.
CONTEXT_TOKENS: Final = 32_768

_WIDTH: Final = 64
_FEED_FORWARD: Final = 32
_SETTINGS_AT: Final = len(Slot)  # where a phrase's own setting stands in its embedding
_SCENE_AT: Final = _SETTINGS_AT + len(Setting)  # where attention writes the setting of the story
_LOOK_AT: Final = _WIDTH - 2  # the pair of dimensions that the rotary embedding turns least
_ROPE_BASE: Final = 1e8

# The strengths below are set by reading stories: the grammar must never break, the scene only leans.
_KEYWORD_WEIGHT: Final = 1.5
_LOOK_PULL: Final = 7.0
_SCENE_GAIN: Final = 0.1
_GRAMMAR_PULL: Final = 6.0
_SCENE_PULL: Final = 0.9
_LIKING: Final = 0.06

_NORMAL: Final = 1
_CONTROL: Final = 3
_CHAT_TEMPLATE: Final = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}"


class Phrase(msgspec.Struct, frozen=True, kw_only=True):
    """One token: its text, the slot that it fills, the slot that follows and the setting that it belongs to."""

    text: str
    fills: Slot = Slot.NOTHING
    then: Slot = Slot.OPENING
    setting: Setting | None = None
    keyword: bool = False
    control: bool = False


def vocabulary() -> tuple[Phrase, ...]:
    """Every token in the order of its number: the end, the grammar, the keywords, then single bytes."""
    worded = (Phrase(text="<end>", fills=Slot.TURN, control=True), *_grammar(), *_keywords())
    taken = {phrase.text for phrase in worded}
    letters = (_escaped(byte) for byte in range(1, 256))
    return (*worded, *(Phrase(text=letter) for letter in letters if letter not in taken))


def write_tiny_model(path: Path, *, seed: int = 7) -> Path:
    """Write the model to `path` (GGUF, about 0.3 MB) and return `path`; equal seeds give equal bytes.

    The seed decides which phrases the model likes a little better than their neighbours.

    Raises:
        DemoPartMissing: the `gguf` package is not installed.
    """
    gguf = require("gguf")
    writer = gguf.GGUFWriter(path, "llama")
    phrases = vocabulary()
    _write_shape(writer)
    _write_tokens(writer, phrases)
    for name, tensor in _tensors(phrases, seed=seed):
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _escaped(byte: int) -> str:
    r"""The name of a single byte in the vocabulary: itself where it can be printed, else `\xNN`."""
    return chr(byte) if 32 <= byte < 127 and byte != 92 else f"\\x{byte:02x}"


def _grammar() -> Iterator[Phrase]:
    for slot, (then, plain, by_setting) in GRAMMAR.items():
        for text in plain:
            yield Phrase(text=text.replace("\n", "\\n"), fills=slot, then=then)
        for setting, texts in zip(Setting, by_setting, strict=False):
            for text in texts:
                yield Phrase(text=text, fills=slot, then=then, setting=setting)


def _keywords() -> Iterator[Phrase]:
    for setting, words in KEYWORDS.items():
        for word in words:
            yield Phrase(text=word, setting=setting, keyword=True)
            yield Phrase(text=word.capitalize(), setting=setting, keyword=True)


def _write_shape(writer: Any) -> None:
    writer.add_name("north-star-storyteller")
    writer.add_context_length(CONTEXT_TOKENS)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(_FEED_FORWARD)
    writer.add_head_count(1)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(_WIDTH)
    writer.add_rope_freq_base(_ROPE_BASE)
    writer.add_file_type(0)


def _write_tokens(writer: Any, phrases: tuple[Phrase, ...]) -> None:
    # "rwkv" names the one tokenizer that simply takes the longest known text, which is what whole phrases need.
    writer.add_tokenizer_model("rwkv")
    writer.add_token_list([phrase.text for phrase in phrases])
    writer.add_token_types([_CONTROL if phrase.control else _NORMAL for phrase in phrases])
    writer.add_vocab_size(len(phrases))
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_add_bos_token(value=False)
    writer.add_chat_template(_CHAT_TEMPLATE)


def _tensors(phrases: tuple[Phrase, ...], *, seed: int) -> Iterator[tuple[str, Matrix]]:
    np = require("numpy")

    def zeros(*shape: int) -> Matrix:
        matrix: Matrix = np.zeros(shape, dtype=np.float32)
        return matrix

    ones = np.ones(_WIDTH, dtype=np.float32)
    look, listen, read, write = (zeros(_WIDTH, _WIDTH) for _ in range(4))
    look[_LOOK_AT, : len(Slot)] = _LOOK_PULL  # every phrase asks the same question ...
    for setting in Setting:
        listen[_LOOK_AT, _SETTINGS_AT + setting] = 1.0  # ... and phrases with a setting answer it
        read[setting, _SETTINGS_AT + setting] = 1.0
        write[_SCENE_AT + setting, setting] = _SCENE_GAIN
    yield "token_embd.weight", _embeddings(phrases)
    yield "blk.0.attn_norm.weight", ones
    yield "blk.0.attn_q.weight", look
    yield "blk.0.attn_k.weight", listen
    yield "blk.0.attn_v.weight", read
    yield "blk.0.attn_output.weight", write
    yield "blk.0.ffn_norm.weight", ones
    yield "blk.0.ffn_gate.weight", zeros(_FEED_FORWARD, _WIDTH)
    yield "blk.0.ffn_up.weight", zeros(_FEED_FORWARD, _WIDTH)
    yield "blk.0.ffn_down.weight", zeros(_WIDTH, _FEED_FORWARD)
    yield "output_norm.weight", ones
    yield "output.weight", _output(phrases, seed=seed)


def _embeddings(phrases: tuple[Phrase, ...]) -> Matrix:
    np = require("numpy")
    table: Matrix = np.zeros((len(phrases), _WIDTH), dtype=np.float32)
    for number, phrase in enumerate(phrases):
        table[number, phrase.then] = 1.0
        if phrase.setting is not None:
            table[number, _SETTINGS_AT + phrase.setting] = _KEYWORD_WEIGHT if phrase.keyword else 1.0
    return table


def _output(phrases: tuple[Phrase, ...], *, seed: int) -> Matrix:
    np = require("numpy")
    table: Matrix = np.zeros((len(phrases), _WIDTH), dtype=np.float32)
    liking = np.random.default_rng(seed).normal(scale=_LIKING, size=len(phrases))
    for number, phrase in enumerate(phrases):
        if phrase.fills is Slot.NOTHING:
            continue
        table[number, phrase.fills] = _GRAMMAR_PULL + liking[number]
        if phrase.setting is not None:
            table[number, _SCENE_AT + phrase.setting] = _SCENE_PULL
    return table
