"""The wheel: kernels, bench and reports of the checkout as local_relation, local_relation.bench and .reports.

Here they import each other by the names of their folders, of which `kernels` is another project's on PyPI; while they
are copied into the wheel, these imports get the names that they have there. All else is in pyproject.toml.
"""

import ast
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.errors import SetupError

NAMES = {"kernels": "local_relation", "bench": "local_relation.bench", "reports": "local_relation.reports"}


def renamed(source: str, path: str) -> str:
    """A module's source as the wheel has it: `from bench.x import y` as `from local_relation.bench.x import y`.

    Raises:
        SetupError: An import has another form, which would bind another name if it was renamed.
    """
    lines = source.splitlines(keepends=True)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import) and any(alias.name.partition(".")[0] in NAMES for alias in node.names):
            raise SetupError(f"{path}:{node.lineno}: expected `from PACKAGE import NAME`, got `{ast.unparse(node)}`")
        if not isinstance(node, ast.ImportFrom) or node.level or node.module is None:
            continue
        top, dot, rest = node.module.partition(".")
        if top in NAMES:
            old, new = f"from {node.module} import ", f"from {NAMES[top]}{dot}{rest} import "
            line = lines[node.lineno - 1]
            if not line.lstrip().startswith(old):
                raise SetupError(f"{path}:{node.lineno}: expected a line that begins with `{old}`, got {line!r}")
            lines[node.lineno - 1] = line.replace(old, new, 1)
    return "".join(lines)


class BuildRenamed(build_py):
    """Copies modules into the wheel with their imports renamed."""

    def run(self) -> None:
        """Build everything, unless it should be a link to this folder, whose imports have the names here."""
        if self.editable_mode:
            raise SetupError(
                "an editable install is not possible, as the packages have other names in a wheel: "
                "work in the checkout (python -m bench, pytest), or install it without --editable"
            )
        super().run()

    def build_module(self, module: str, module_file: str, package: str | tuple[str, ...]) -> tuple[str, bool]:
        """Copy a module and rename its imports."""
        copy, is_new = super().build_module(module, module_file, package)
        if is_new:
            path = Path(copy)
            path.write_text(renamed(path.read_text(encoding="utf-8"), module_file), encoding="utf-8")
        return copy, is_new


if __name__ == "__main__":
    setup(
        packages=[*NAMES.values(), *(f"{NAMES[top]}.{name}" for top in NAMES for name in find_packages(top))],
        package_dir={name: top for top, name in NAMES.items()},
        cmdclass={"build_py": BuildRenamed},
    )
