"""What a profiling instrument says where it cannot be used."""


class Unavailable(RuntimeError):  # noqa: N818
    """An instrument gave nothing; the message says in a line what is missing."""
