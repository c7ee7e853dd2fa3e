"""Where cases are to be measured, in the words of the command."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Where cases are to be measured, in the command's own words.

    Args:
        device: One device: auto, cpu, cuda or cuda:N.
        executor: "local" or "ray".
        devices: Several of this machine: all, or numbers as 0,2; or cpu.
        address: Ray's cluster: auto, HOST:PORT or local.
    """

    device: str = "auto"
    executor: str = "local"
    devices: str | None = None
    address: str | None = None
