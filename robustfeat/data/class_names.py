"""This module gives classes the same numbers in several tables, each of which may number the same names in another order."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from robustfeat.data.table import class_columns

Names = dict[str, list[str]]  # of the classes, by the name of their column


def common_names(schemas: Iterable[pa.Schema]) -> Names:
    """Return the common list of class names of every column whose names differ between tables.

    Args:
        schemas: the schemas of the tables; names of the first table come first.

    Returns:
        The names by column; empty if all tables agree.
    """
    found: dict[str, list[list[str]]] = {}
    for schema in schemas:
        for column, names in class_columns(schema).items():
            found.setdefault(column, []).append(names)
    differ = {column: lists for column, lists in found.items() if any(names != lists[0] for names in lists)}
    return {column: list(dict.fromkeys(name for names in lists for name in names)) for column, lists in differ.items()}


def renumbered(rows: pa.Table, common: Names) -> pa.Table:
    """Return the same rows, with classes numbered by the position of their names in `common`."""
    described = json.loads((rows.schema.metadata or {}).get(b"huggingface", b"{}"))
    for column, own in class_columns(rows.schema).items():
        if column not in common:
            continue
        names, values = common[column], rows.column(column)
        numbers = pa.array([names.index(name) for name in own], values.type)
        known = pc.if_else(pc.greater_equal(values, 0), values, None)  # -1 is no class, and stays
        place = rows.column_names.index(column)
        rows = rows.set_column(place, rows.schema.field(column), pc.coalesce(pc.take(numbers, known), values))
        described["info"]["features"][column]["names"] = names
    return rows.replace_schema_metadata({**(rows.schema.metadata or {}), b"huggingface": json.dumps(described)})
