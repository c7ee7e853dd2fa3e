"""The JSON Schemas of what runs leave on disk."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bench.results.columns import SCHEMA_VERSION
from tests import ROOT

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

# A GPU's machine may lack it; what imports this module is then skipped too.
jsonschema = pytest.importorskip("jsonschema")
SCHEMAS = ROOT / "bench" / "results" / "schemas"


def schema(name: str) -> dict[str, Any]:
    """The schema of the files of this version."""
    return dict(json.loads((SCHEMAS / f"{name}-{SCHEMA_VERSION}.json").read_text(encoding="utf-8")))


def validator(name: str) -> "Draft202012Validator":
    """What validates them."""
    jsonschema.Draft202012Validator.check_schema(schema(name))
    made: Draft202012Validator = jsonschema.Draft202012Validator(schema(name))
    return made


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def require_valid(path: Path) -> None:
    """Every file of a run is valid."""
    validator("environment").validate(json.loads((path / "environment.json").read_text(encoding="utf-8")))
    for name, file in (("row", "results.jsonl"), ("samples", "samples.jsonl")):
        checked = validator(name)
        for line in lines_of(path / file):
            checked.validate(line)
