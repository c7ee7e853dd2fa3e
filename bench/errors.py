"""What goes wrong and is no bug: each kind names the exit code that a command ends with."""

from enum import IntEnum
from typing import ClassVar


class Exit(IntEnum):
    """The exit codes of every command; 70 is EX_SOFTWARE, as Python's own 1 would be read as a verdict."""

    OK = 0
    FAILED = 1
    USAGE = 2
    INCORRECT = 3
    NO_EVIDENCE = 4
    CRASHED = 70
    INTERRUPTED = 130


class SuiteError(Exception):
    """A command ends with this message in a line, and with this code."""

    code: ClassVar[Exit] = Exit.USAGE
    kind: ClassVar[str] = "error"


class UsageError(SuiteError, ValueError):
    """What was asked for does not exist or makes no sense; the message says what was expected."""


class DeviceInUse(UsageError):  # noqa: N818
    """A GPU belongs to another benchmark."""


class ShardError(UsageError):
    """There is no such shard; the message says what was expected."""


class RunFolderError(SuiteError, ValueError):
    """A folder cannot be written as a new run, or read as one."""


class WorkerError(SuiteError, RuntimeError):
    """A worker cannot be started, or cannot do what is no case's own matter: there is no use in going on."""

    code = Exit.FAILED


class RunError(SuiteError, RuntimeError):
    """A run ended early; what it had measured is kept."""

    code = Exit.FAILED


class Interrupted(SuiteError):  # noqa: N818
    """Somebody pressed Ctrl-C; the message says what is done already."""

    code = Exit.INTERRUPTED
    kind = "interrupted"


class Unavailable(RuntimeError):  # noqa: N818
    """An instrument gave nothing; the message says in a line what is missing."""


def in_a_line(error: BaseException) -> str:
    """An exception's kind and the first line of its message."""
    return f"{type(error).__name__}: {(str(error).strip() or repr(error)).splitlines()[0]}"
