"""How long a GPU is waited for whose clock does not come up, or whose throttling does not end."""

from dataclasses import dataclass

# After so many times in a row in vain, it is waited for no more: its clock is set, or its power always capped.
_TRIES = 3


@dataclass
class Patience:
    """How often in a row waiting for a GPU was in vain."""

    clock: int = 0
    throttling: int = 0

    def with_clock(self) -> bool:
        """Whether a warm-up still waits for the clock."""
        return self.clock < _TRIES

    def with_throttling(self) -> bool:
        """Whether a throttled block is still measured once more."""
        return self.throttling < _TRIES

    def saw(self, *, clock_up: bool | None = None, throttled: bool | None = None) -> None:
        """Learn how a wait ended."""
        if clock_up is not None:
            self.clock = 0 if clock_up else self.clock + 1
        if throttled is not None:
            self.throttling = self.throttling + 1 if throttled else 0
