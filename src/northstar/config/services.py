"""What machines can offer: services, and how each is done. Every number carries its unit in its name."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

Seconds = Annotated[float, msgspec.Meta(gt=0, le=7 * 86_400)]
_Mib = Annotated[int, msgspec.Meta(ge=1, le=16 * 1_048_576)]
_Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
_Time = Annotated[float, msgspec.Meta(ge=0, le=7 * 86_400)]
_Chance = Annotated[float, msgspec.Meta(ge=0, le=1)]
#: How a simulated job may fail.
FailureWord = Literal["busy", "empty", "failed", "gone", "malformed", "missing", "rejected", "silent", "too_large"]


class PatienceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long a text engine may take."""

    #: Seconds until the connection stands.
    connect_s: Seconds = 5.0
    #: Seconds until the first token.
    first_token_s: Seconds = 120.0
    #: Seconds between two tokens.
    between_tokens_s: Seconds = 30.0
    #: Seconds for the whole answer.
    total_s: Seconds = 3_600.0


class OpenAIService(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="connector", tag="openai"
):
    """Text, embeddings or pictures from an engine that speaks OpenAI's API: vLLM, TensorRT-LLM, llama.cpp and their like."""

    #: Address of an engine that runs already, such as `http://127.0.0.1:8000`.
    base_url: str = ""
    #: Instead of an address: an engine that the machine starts and stops itself. `storyteller` is llama.cpp with a tiny model.
    engine: Literal["", "storyteller"] = ""
    #: What the engine is asked for: chats and completions, vectors of texts, or pictures.
    task: Literal["text", "embeddings", "images"] = "text"
    #: Name of the model to ask for; empty leaves it to the engine.
    model: str = ""
    #: Payload of the warm-up job; empty: one token, one short text to embed, or one picture of the engine's own size.
    warm_up: dict[str, Any] = {}
    #: Environment variable that holds the engine's key, so that the key stands in no file.
    api_key_variable: str = ""
    #: How long the engine may take.
    patience: PatienceSettings = PatienceSettings()
    #: Longest answer, in KiB.
    max_output_kib: _Count = 4_096
    #: Further options that jobs may pass on to the engine.
    extra_options: tuple[str, ...] = ()
    #: Hosts, besides the engine's own, from which pictures may be fetched that the engine gives by address.
    picture_hosts: tuple[str, ...] = ()
    #: Offer the service only where this Python package is installed.
    when_installed: str = ""


class CommandLimitSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one run of a program may use; it is ended when it takes more."""

    #: Seconds by the clock.
    wall_s: Seconds = 3_600.0
    #: Seconds of processor time for each process; 0 is no limit.
    cpu_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    #: Memory of the program and all it starts together, in MiB; 0 is no limit.
    memory_mib: Annotated[int, msgspec.Meta(ge=0)] = 0
    #: Everything in its folder together, in MiB.
    output_mib: _Mib = 1_024
    #: Files in its folder.
    files: _Count = 1_000
    #: Processes at a time.
    processes: _Count = 256


class CommandService(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="connector", tag="command"
):
    """Work done by a program that reads the payload as JSON and leaves files in `out/`."""

    #: The program and its arguments. `@python` is the interpreter that runs North Star; `{name}` stands for a value of the payload.
    arguments: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=100)]
    #: Payload of a small job that proves, before the machine takes work, that the program works.
    warm_up: dict[str, Any]
    #: Media types, with wildcards, of the files that it leaves, such as `image/*`.
    expects: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    #: How the program gets the payload: on its standard input, or as the file `job.json`.
    payload_by: Literal["stdin", "file"] = "stdin"
    #: Variables that the program finds beside PATH, HOME, TMPDIR and LANG; nothing else is set.
    environment: dict[str, str] = {}
    #: What one run may use.
    limits: CommandLimitSettings = CommandLimitSettings()
    #: Files that one job may leave.
    max_outputs: _Count = 100
    #: Exit codes after which the job is tried again; negative ones are signals.
    retryable_exit_codes: frozenset[int] = frozenset()
    #: Seconds between the order to stop and the end by force.
    grace_s: Seconds = 3.0
    #: Seconds that the warm-up may take.
    warm_up_s: Seconds = 60.0
    #: Offer the service only where this Python package is installed.
    when_installed: str = ""


class OllamaPatienceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long Ollama may take."""

    #: Seconds until the connection stands.
    connect_s: Seconds = 5.0
    #: Seconds until a model is in memory.
    load_s: Seconds = 600.0
    #: Seconds until the first token, once the model is in memory.
    first_token_s: Seconds = 120.0
    #: Seconds between two tokens.
    between_tokens_s: Seconds = 30.0
    #: Seconds for the whole job.
    total_s: Seconds = 3_600.0


class OllamaService(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="connector", tag="ollama"
):
    """Text or embeddings from Ollama. Models are never pulled by themselves."""

    #: Name of the model, as `ollama list` shows it.
    model: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    #: Address of Ollama.
    base_url: str = "http://127.0.0.1:11434"
    #: Further models that jobs may ask for; each must have been pulled.
    other_models: Annotated[tuple[str, ...], msgspec.Meta(max_length=100)] = ()
    #: How long a model stays in memory after a job: seconds, a time such as `30m`, or -1 for always.
    keep_alive: str | int = "5m"
    #: Environment variable that holds a key, for an Ollama behind a proxy that asks for one.
    api_key_variable: str = ""
    #: How long Ollama may take.
    patience: OllamaPatienceSettings = OllamaPatienceSettings()
    #: Longest answer, in KiB.
    max_output_kib: _Count = 4_096
    #: Further keys of Ollama's `options` that jobs may set, such as `num_ctx`.
    extra_options: tuple[str, ...] = ()
    #: Offer the service only where this Python package is installed.
    when_installed: str = ""


class ComfyUIPatienceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long a ComfyUI server may take."""

    #: Seconds until a connection stands.
    connect_s: Seconds = 5.0
    #: Seconds for the answer to one call, and for each piece of a file.
    answer_s: Seconds = 30.0
    #: Seconds without a frame after which the server is asked where the run is.
    poll_s: Seconds = 5.0
    #: Seconds that a running run may show no sign of life; waiting in the server's queue does not count.
    silence_s: Seconds = 600.0
    #: Seconds that a server which went away in the middle of a run may stay away.
    reconnect_s: Seconds = 3.0
    #: Seconds that a cancelled run may go on until the next node or step, where ComfyUI stops.
    stop_s: Seconds = 30.0
    #: Seconds for a whole run, its wait in the server's queue included.
    total_s: Seconds = 3_600.0
    #: Seconds for the warm-up.
    warm_up_s: Seconds = 600.0


class ComfyUIService(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="connector", tag="comfyui"
):
    """Graphs in the API format, run on a ComfyUI server."""

    #: Address of a server that runs already, such as `http://127.0.0.1:8188`.
    base_url: Annotated[str, msgspec.Meta(min_length=1)]
    #: Payload of a small job that proves, before the machine takes work, that the server works; empty for a picture of one colour.
    warm_up: dict[str, Any] = {}
    #: Media types, with wildcards, of outputs; one of another type fails its job.
    expects: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = (
        "image/*",
        "video/*",
        "audio/*",
        "model/*",
        "text/*",
        "application/json",
    )
    #: Hosts, as `host` or `host:port`, that inputs may be fetched from although their addresses are not public.
    input_hosts: frozenset[str] = frozenset()
    #: Environment variable that holds a key for a gateway before the server, sent as a bearer token.
    api_key_variable: str = ""
    #: How long the server may take.
    patience: ComfyUIPatienceSettings = ComfyUIPatienceSettings()
    #: All outputs of one job together, in MiB.
    max_output_mib: _Mib = 1_024
    #: Outputs that one job may leave.
    max_outputs: _Count = 100
    #: One input, in MiB.
    max_input_mib: _Mib = 100
    #: Inputs that one job may bring.
    max_inputs: _Count = 32
    #: Offer the service only where this Python package is installed.
    when_installed: str = ""


class FixedTimeSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="fixed"
):
    """The same time for every job: `kind = "fixed"`."""

    #: Seconds.
    seconds: _Time


class LognormalTimeSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="lognormal"
):
    """Mostly near the median, sometimes much longer: `kind = "lognormal"`."""

    #: Seconds that half of the jobs stay below.
    median_s: Seconds
    #: Standard deviation of the logarithm; with 0.5 one job in forty takes more than 2.7 times the median.
    sigma: Annotated[float, msgspec.Meta(ge=0, le=5)] = 0.5
    #: No job takes longer than so many seconds.
    longest_s: Seconds = 3_600.0


class StepTimeSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="steps"
):
    """A part for every step, and a part for the rest: `kind = "steps"`."""

    #: Seconds for one step.
    step_s: Annotated[float, msgspec.Meta(ge=0, le=3_600)]
    #: Seconds for everything before the first step and after the last.
    base_s: _Time = 0.0
    #: Every job is faster or slower by up to this part of its time.
    spread: _Chance = 0.0


TimeSettings = FixedTimeSettings | LognormalTimeSettings | StepTimeSettings


class SimulatedService(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="connector", tag="simulated"
):
    """Work that only takes time: for fleets without GPUs, and for trying out settings."""

    #: Everything that looks like chance comes from it.
    seed: int = 0
    #: How long a job runs.
    run: TimeSettings = StepTimeSettings(step_s=0.1)
    #: How long a model loads.
    load: TimeSettings = FixedTimeSettings(seconds=0.0)
    #: Model of the jobs that name none; empty: these need none.
    model: str = ""
    #: Steps of the jobs that name none.
    steps: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 10
    #: Models that fit into memory; the one used longest ago is pushed out.
    models_in_memory: _Count = 1
    #: Jobs that the engine runs at a time; others wait inside it.
    side_by_side: _Count = 64
    #: Probability of each kind of failure: busy, empty, failed, gone, malformed, missing, rejected, silent, too_large.
    failures: dict[FailureWord, _Chance] = {}
    #: Seconds after which an engine that died (`gone`) is back.
    restart_s: _Time = 5.0
    #: Give a word of text with every step.
    streams: bool = False
    #: Largest output that a job may order, in KiB.
    max_output_kib: _Count = 1_024
    #: Offer the service only where this Python package is installed.
    when_installed: str = ""


Service = OpenAIService | CommandService | OllamaService | ComfyUIService | SimulatedService
