"""The warps of one scheduler in turn: when each instruction is issued, and what it waited for. Free of kernels.

Each cycle one instruction is issued, of the warp that was issued last if it is ready, else of the youngest that is
(Huerta et al., arXiv 2503.20481). A warp is ready when the stall of its last instruction is over, the scoreboards that
the next one waits for are clear, and its pipe takes it. A scoreboard is clear when the last that set it is done.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from ..control import SCOREBOARDS
from ..sass import Instruction
from .rates import MEMORIES, QUEUES, READ_CYCLES, Capability, Demand, Memory, demand_of


@dataclass(frozen=True)
class Walk:
    """A warp's way through a kernel.

    Args:
        missing: For each iteration of the loop, the share of its loads that find nothing in the L1.
        beyond: The share of those that find nothing in the L2 either.
    """

    missing: tuple[float, ...]
    beyond: float = 0.0


@dataclass(frozen=True)
class Listing:
    """A kernel's instructions: before its loop, the loop (empty where there is none), after it."""

    before: tuple[Instruction, ...]
    loop: tuple[Instruction, ...]
    after: tuple[Instruction, ...]


@dataclass
class Waited:
    """Cycles that warps lost before an instruction of the loop, in all, and how often it was issued.

    To the stall of the instruction before it, to scoreboards, and to a full pipe or other warps' turns.
    """

    stall: int = 0
    scoreboard: int = 0
    turn: int = 0
    issued: int = 0

    @property
    def cycles(self) -> int:
        """All that was lost."""
        return self.stall + self.scoreboard + self.turn


@dataclass(frozen=True)
class Simulated:
    """The cycle in which each warp has issued its last instruction, in order, and what each place of the loop lost."""

    finished: tuple[int, ...]
    waited: tuple[Waited, ...]


class _Pipes:
    """When each pipe takes an instruction: once the last has left it, or there is room in its queue."""

    def __init__(self) -> None:
        self._free: dict[str | None, int] = {}
        self._starts = {pipe: deque([0] * size, maxlen=size) for pipe, size in QUEUES.items()}

    def opens(self, pipe: str | None) -> int:
        """The first cycle in which an instruction for the pipe may be issued."""
        queue = self._starts.get(pipe) if pipe else None
        return self._free.get(pipe, 0) if queue is None else queue[0]

    def take(self, demand: Demand, now: int) -> int:
        """Issue an instruction; the cycle in which it begins."""
        if demand.pipe is None:
            return now
        start = max(now, self._free.get(demand.pipe, 0))
        self._free[demand.pipe] = start + demand.cycles
        if demand.pipe in self._starts:
            self._starts[demand.pipe].append(start)
        return start


class _Warp:
    """A warp on its way: its next instruction, and when that could be issued but for its pipe."""

    def __init__(self, walk: Walk, now: int) -> None:
        self.walk = walk
        self.place = self.iteration = 0
        self.issued = now - 1
        self.stalled = self.ready = now
        self.scoreboards = [0] * SCOREBOARDS
        self.misses = self.beyond = 0.0


def simulate(listing: Listing, walks: Sequence[Walk], slots: int, capability: Capability) -> Simulated:
    """Let warps go their ways, at most `slots` of them at once; a new one starts when one has ended.

    Raises:
        UnknownInstructionError: There is no rate for an instruction.
    """
    return _Scheduler(listing, capability).run(walks, slots)


class _Scheduler:
    """One scheduler and its pipes."""

    def __init__(self, listing: Listing, capability: Capability) -> None:
        self._code = (*listing.before, *listing.loop, *listing.after)
        self._demands = [demand_of(one, capability) for one in self._code]
        self._head = len(listing.before)
        self._tail = self._head + len(listing.loop)
        self._memory: Memory = MEMORIES[capability]
        self._pipes = _Pipes()
        self._waited = [Waited() for _ in listing.loop]

    def run(self, walks: Sequence[Walk], slots: int) -> Simulated:
        """Issue all instructions of all warps."""
        waiting, finished, now = deque(walks), [], 0
        running: list[_Warp] = []  # the youngest last
        favourite: _Warp | None = None
        while running or waiting:
            while waiting and len(running) < slots:
                running.append(self._started(waiting.popleft(), now))
            times = [max(warp.ready, self._pipes.opens(self._demands[warp.place].pipe)) for warp in running]
            now = max(now, min(times))
            able = [warp for warp, time in zip(running, times, strict=True) if time <= now]
            chosen = favourite if favourite in able else able[-1]
            favourite = chosen if self._code[chosen.place].control.stays else None
            self._issue(chosen, now)
            if chosen.place == len(self._code):
                running.remove(chosen)
                finished.append(now)
            now += 1
        return Simulated(tuple(finished), tuple(self._waited))

    def _started(self, walk: Walk, now: int) -> _Warp:
        warp = _Warp(walk, now)
        self._skip_loop(warp)
        return warp

    def _issue(self, warp: _Warp, now: int) -> None:
        """Issue the warp's next instruction and find out when the one behind it is ready."""
        place, demand, control = warp.place, self._demands[warp.place], self._code[warp.place].control
        if self._head <= place < self._tail:
            waited = self._waited[place - self._head]
            waited.issued += 1
            waited.stall += warp.stalled - warp.issued - 1
            waited.scoreboard += warp.ready - warp.stalled
            waited.turn += now - warp.ready
        start = self._pipes.take(demand, now)
        for number, cycles in ((control.write, self._latency(warp, demand)), (control.read, READ_CYCLES)):
            if number is not None:
                warp.scoreboards[number] = max(warp.scoreboards[number], start + cycles)
        warp.place += 1
        if warp.place == self._tail and self._tail > self._head:
            warp.iteration += 1
            if warp.iteration < len(warp.walk.missing):
                warp.place = self._head
        self._skip_loop(warp)
        warp.issued, warp.stalled = now, now + max(1, control.stall)
        if warp.place < len(self._code):
            waits = self._code[warp.place].control.waits
            warp.ready = max([warp.stalled, *(warp.scoreboards[number] for number in waits)])

    def _skip_loop(self, warp: _Warp) -> None:
        if warp.place == self._head and not warp.walk.missing:
            warp.place = self._tail

    def _latency(self, warp: _Warp, demand: Demand) -> int:
        """Cycles to a result. Of a warp's loads that find nothing in a cache one follows another at even distances."""
        if not demand.loads:
            return demand.latency
        inside = self._head <= warp.place < self._tail
        warp.misses += warp.walk.missing[warp.iteration] if inside else 1.0
        if warp.misses < 1:
            return self._memory.l1
        warp.misses -= 1
        warp.beyond += warp.walk.beyond
        if warp.beyond < 1:
            return self._memory.l2
        warp.beyond -= 1
        return self._memory.dram
