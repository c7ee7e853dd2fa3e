"""Learning runs made up: how many answers each training got right."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.learn.variants import VARIANTS

HELD_OUT = 1000
Plant = Callable[..., Path]


def lines(right: Mapping[str, Sequence[int]]) -> list[dict[str, Any]]:
    """A row for each variant and seed, from how many of 1000 answers are right."""
    rows = []
    for name, counts in right.items():
        variant = VARIANTS[name]
        options = {key: getattr(variant, key) for key in ("kind", "kernel_size", "composability", "prior", "m")}
        rows += [
            {
                **{key: "" if value is None else value for key, value in options.items()},
                "variant": name,
                "seed": seed,
                "implementation": "unfold",
                "status": "ok",
                "reason": "",
                "correct": correct,
                "held_out": HELD_OUT,
                "accuracy": correct / HELD_OUT,
                "loss": 0.25,
                "train_accuracy": 0.999,
                "parameters": 1234,
                "seconds": 2.0,
            }
            for seed, correct in enumerate(counts)
        ]
    return rows
