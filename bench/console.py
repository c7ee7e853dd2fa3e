"""The command `local-relation-bench` of a wheel, which may have been installed without what the suite needs."""

import sys

from .errors import Exit


def main() -> None:
    """Run a command, or say what is not installed."""
    try:
        from .__main__ import main as run  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] == __name__.partition(".")[0]:  # ours, and so a fault of ours
            raise
        sys.stderr.write(f'error: the suite needs {error.name}: pip install "local-relation[bench]"\n')
        sys.exit(Exit.USAGE)
    run()
