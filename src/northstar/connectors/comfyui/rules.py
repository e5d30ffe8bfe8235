"""How long to wait for a ComfyUI server, and how much to take from it."""

from __future__ import annotations

import msgspec

_MIB = 1024 * 1024


class ComfyPatience(msgspec.Struct, frozen=True, kw_only=True):
    """How long to wait for what, in seconds.

    `answer_s` is for one call, and for each piece of a file. `poll_s` is how long the socket may be quiet before the
    server is asked where the run is. `silence_s` is how long a run that the server calls running may show no sign of
    life; waiting in its queue does not count. `reconnect_s` is how long a server that went away in the middle of a run may
    stay away. `stop_s` is how long a cancelled run may go on, for ComfyUI stops between two nodes or two steps.
    """

    connect_s: float = 5.0
    answer_s: float = 30.0
    poll_s: float = 5.0
    silence_s: float = 600.0
    reconnect_s: float = 3.0
    stop_s: float = 30.0
    total_s: float = 3_600.0
    warm_up_s: float = 600.0


class ComfyBounds(msgspec.Struct, frozen=True, kw_only=True):
    """How much to take, in bytes and files. A larger preview is left out; a larger frame costs the socket, not the run."""

    frame_bytes: int = 16 * _MIB
    preview_bytes: int = 512 * 1024
    answer_bytes: int = 64 * _MIB
    graph_bytes: int = 4 * _MIB
    input_bytes: int = 100 * _MIB
    inputs: int = 32
    output_bytes: int = 1024 * _MIB
    outputs: int = 100
