"""Which files of tests come first."""

# What takes longest by processor time, longest first: begun first, so that processes side by side end together.
SLOWEST = (
    "tests/kernels/test_against_oracle.py",
    "tests/kernels/implementations/test_compiled.py",
    "tests/kernels/test_driven.py",
    "tests/kernels/implementations/test_flex.py",
    "tests/kernels/test_settings.py",
    "tests/reports/test_robust.py",
    "tests/bench/run/test_faults.py",
    "tests/wheel/test_wheel.py",
    "tests/bench/results/test_merge.py",
    "tests/kernels/test_in_graphs.py",
    "tests/bench/measure/test_prepared_network.py",
    "tests/kernels/test_open_sizes.py",
    "tests/bench/run/test_resume.py",
    "tests/bench/commands/test_gpu.py",
    "tests/kernels/implementations/test_native.py",
    "tests/bench/run/test_devices_of_a_run.py",
    "tests/kernels/test_head_room.py",
    "tests/kernels/test_any_options.py",
    "tests/bench/commands/test_run.py",
)


def by_cost(test: str) -> int:
    """A test's place among the others, by its file; what is not named comes last, in whatever order it is in."""
    file = test.partition("::")[0]
    return SLOWEST.index(file) if file in SLOWEST else len(SLOWEST)
