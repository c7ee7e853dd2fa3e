"""The JSON Schemas of a row and of a line of samples, out of the table of columns."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..columns import ASKED, PARAMETERS, SCHEMA_VERSION, TABLE, Column

SCHEMAS = Path(__file__).parent
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]

# A case has these if it is ok, and only then those.
_OK: Mapping[str, Schema] = {
    "reason": {"type": "null"},
    **{
        name: {"type": "number"}
        for name in ("latency_ms", "latency_p20_ms", "latency_p80_ms", "samples", "images_per_s")
    },
    "timer": {"type": "string"},
    "tainted": {"type": "boolean"},
}
_OK_ALONE = (
    *("latency_ms", "latency_p20_ms", "latency_p80_ms", "samples", "images_per_s", "latency_low_ms", "latency_high_ms"),
    *("outliers", "stop", "timer", "host_ms", "warmup_s", "tainted"),
)
_POSITIVE: Schema = {"type": "array", "items": {"type": "number", "exclusiveMinimum": 0}}
_READING: Schema = {
    **{name: {"type": ["integer", "null"]} for name in ("sm_mhz", "memory_mhz", "temperature_c")},
    "power_w": {"type": ["number", "null"]},
    "throttle": {"type": ["array", "null"], "items": {"type": "string"}},
}


def column_schema(column: Column) -> Schema:
    """What a column's value has to be."""
    kind = column.type
    empty = [None] if kind.optional else []
    if kind.choices:
        return {"enum": [*kind.choices, *empty]}
    found: Schema = {"type": [kind.json, "null"] if kind.optional else kind.json}
    if kind.least is not None:
        found["minimum"] = kind.least
    if kind.pattern is not None:
        found["pattern"] = kind.pattern
    elif kind.json == "string":
        found["minLength"] = 1
    return found


def row_schema() -> Schema:
    """What a line of results.jsonl has to be."""
    network = {
        "if": {"properties": {"scope": {"const": "network"}}},
        "then": {"properties": {"depth": {"type": "integer"}}},
    }
    elsewhere = {"else": {"properties": {"depth": {"const": ""}, "torch_compile": {"const": False}}}}
    failed = {"reason": {"type": "string", "minLength": 1}, **{name: {"type": "null"} for name in _OK_ALONE}}
    return {
        "$schema": _DIALECT,
        "title": f"A row of results.jsonl, version {SCHEMA_VERSION}",
        "type": "object",
        "properties": {name: column_schema(column) for name, column in TABLE.items()},
        "required": list(TABLE),
        "additionalProperties": False,
        "allOf": [{**network, **elsewhere}],
        "if": {"properties": {"status": {"const": "ok"}}},
        "then": {"properties": dict(_OK)},
        "else": {"properties": failed},
    }


def samples_schema() -> Schema:
    """What a line of samples.jsonl has to be."""
    reading = {"type": "object", "properties": _READING, "additionalProperties": False, "required": list(_READING)}
    pair = {"type": "array", "items": {"$ref": "#/$defs/reading"}, "minItems": 2, "maxItems": 2}
    return {
        "$schema": _DIALECT,
        "title": f"A line of samples.jsonl, version {SCHEMA_VERSION}",
        "type": "object",
        "properties": {
            **{column.name: column_schema(column) for column in ASKED},
            "samples_ms": _POSITIVE,
            "rounds": {"type": "array", "items": {"type": "integer", "minimum": 1}},
            "outliers": {"type": "array", "items": {"type": "integer", "minimum": 0}},
            "telemetry": {"type": "array", "items": pair},
            "set_aside_ms": {"type": "array", "items": _POSITIVE},
            "host_ms": {"type": "array", "items": {"type": "number", "minimum": 0}},
            "turn": {"type": "integer", "minimum": 1},
        },
        "required": [*PARAMETERS, "samples_ms"],
        "additionalProperties": False,
        "$defs": {"reading": reading},
    }


def generated() -> dict[Path, str]:
    """The files that follow from the table, and their texts."""
    schemas = {"row": row_schema(), "samples": samples_schema()}
    return {
        SCHEMAS / f"{name}-{SCHEMA_VERSION}.json": json.dumps(schema, indent=1) + "\n"
        for name, schema in schemas.items()
    }
