"""Whether anything is lost when machines keep dying: `python -m benchmarks soak`.

One `serve`, a Valkey of its own with an append-only file (`everysec`), and 50 machines that dial over loopback: 10 processes of
five machines each, so that a `kill -9` takes five at once, as a host with five GPUs would. Each machine is the agent as it is
shipped, with a simulated engine: its jobs take no processor, only time, and one in twenty leaves a file that goes
through the broker. Processes are killed at random moments all the time, without a word, and followed by others of new names.

Every job must be done, once, and no attempt charged. Measured: jobs a second; from a kill until a job that ran there starts elsewhere,
p50 and p99 (goal: at most 10 s, at the settings as they are shipped); processor and memory of `serve`, at its start and its
end. `--jobs` and `--over-s` choose how many jobs and in how many seconds they come in; `--hour` is 10,000 in one hour.
"""

from benchmarks.soak.suite import run

__all__ = ["run"]
