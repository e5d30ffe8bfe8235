#!/usr/bin/env python3
"""Write the jobs of the gate's scenario `cold-and-behind`: pictures by many models, of which a few are asked for often.

    python scripts/write_gate_workload.py > src/northstar/evaluation/gate/scenarios/cold-and-behind.csv

The k-th of 60 models is asked for as often as 1/k of the first; runs take 20 to 30 s. New jobs are another scenario: its limits have to be
measured again (`northstar gate --measure`).
"""

from __future__ import annotations

import csv
import json
import random
import sys

SEED = 7
JOBS = 75
MODELS = 60
APART_S = 281
BEGINS_S = 1_733_054_400
SIZES = (2_100_000_000, 4_100_000_000, 6_700_000_000)
COLUMNS = ("submitted_s", "service", "user", "modality", "steps", "pixels", "images", "models", "gpu_class", "ran_s")


def main() -> None:
    """Write them to the standard output."""
    chance = random.Random(SEED)
    popularity = [1 / rank for rank in range(1, MODELS + 1)]
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(COLUMNS)
    for number in range(JOBS):
        model = chance.choices(range(MODELS), popularity)[0]
        file = {
            "name": f"base-{model + 1:02}.safetensors",
            "kind": "checkpoint",
            "size_bytes": SIZES[model % len(SIZES)],
        }
        models = json.dumps([file], separators=(",", ":"))
        ran_s = round(chance.uniform(20, 30), 1)
        user = f"user-{number + 1:03}"
        rows.writerow(
            (BEGINS_S + APART_S * number, "pictures", user, "image", 30, 1_048_576, 1, models, "rtx-4090", ran_s)
        )


if __name__ == "__main__":
    main()
