"""Long tables and CSV in little space, deflated, for the page's script to unpack."""

import base64
import json
import zlib
from typing import Any

import numpy as np
import pandas as pd

from ..report import Table
from ..style import show


def packed(text: str) -> str:
    """The text deflated, in base64."""
    return base64.b64encode(zlib.compress(text.encode())).decode()


def packed_table(table: Table) -> str:
    """A table packed as JSON: of each column the values as people see them, in ascending order, and each row's place.

    A place of -1 is a value that is missing. The names and values of the table's constants come along.
    """
    columns = [
        {"name": str(name), "numeric": numeric, **_column(table.frame.iloc[:, index])}
        for index, (name, numeric) in enumerate(zip(table.frame.columns, table.numeric, strict=True))
    ]
    constants = {name: show(value) for name, value in table.constants.items()}
    content = {"rows": len(table.frame), "columns": columns, "constants": constants}
    return packed(json.dumps(content, ensure_ascii=False, separators=(",", ":")))


def _column(values: pd.Series) -> dict[str, Any]:
    """What is shown, each once and in the values' order, numbers before text; and of each row which of them."""
    codes, found = pd.factorize(values, sort=True)
    places: dict[str, int] = {}
    place = np.array([*(places.setdefault(show(value), len(places)) for value in found.tolist()), -1])
    return {"words": list(places), "codes": place[codes].tolist()}
