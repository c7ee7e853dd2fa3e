"""Options of the commands, as types: what they take and what --help says of them."""

from pathlib import Path
from typing import Annotated

import typer

Sweep = Annotated[str | None, typer.Argument(help="a named sweep; quick on a CPU, axes on a GPU if left out")]
Implementations = Annotated[list[str] | None, typer.Option(help="implementations, comma-separated or repeated")]
Modes = Annotated[str | None, typer.Option(help="forward,backward,forward_backward; of a network forward,training")]
Devices = Annotated[str | None, typer.Option(help="several of this machine's GPUs: all, or numbers as 0,2; or cpu")]
Executor = Annotated[str, typer.Option(help="local, or ray for the devices of a Ray cluster")]
Address = Annotated[str | None, typer.Option(help="with --executor ray: auto, HOST:PORT or local")]
Shard = Annotated[
    str | None, typer.Option(help="a part of the sweep, I/N; auto or auto/N for the task of a scheduler's array")
]
Yardsticks = Annotated[
    bool | None, typer.Option(help="also time other functions, as convolutions; the sweep's own choice if left out")
]
Retry = Annotated[list[str] | None, typer.Option(help="with --resume: statuses to measure again, comma-separated")]
TryAll = Annotated[bool, typer.Option("--try-all", help="also try what is larger than a case that ran out of memory")]
LargestBatch = Annotated[
    bool, typer.Option("--largest-batch", help="also find the largest batch that fits, up to 4096 images")
]
MemoryLimit = Annotated[
    float | None, typer.Option(min=1.0, help="MiB that a worker may take; on a CPU 90 % of what is free if left out")
]
ProfiledCase = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="CASE",
        help="RUN:LINE, a line of a run's results.jsonl from 1; or words of a case's label, as: unfold forward k5",
    ),
]
ProfileFolder = Annotated[
    Path | None, typer.Option(help="a folder; RUN/profiles/LINE or a new one under reports/runs if left out")
]
