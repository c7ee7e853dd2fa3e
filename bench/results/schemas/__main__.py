"""`python -m bench.results.schemas`: writes the generated schemas."""

from . import generated

for path, text in generated().items():
    path.write_text(text, encoding="utf-8")
