"""Frames as fields of pydantic models: kept as they are in Python, an object with base64 data in JSON.

pydantic is no dependency: this is only called by it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

_F = TypeVar("_F")


def frame_schema(
    kind: type[_F],
    fields: Mapping[str, type],
    write: Callable[[_F], dict[str, Any]],
    read: Callable[[Mapping[str, Any]], _F],
) -> Any:
    """The core schema of a frame class. `fields`: name and type (int or str) of each JSON field."""
    from pydantic_core import core_schema

    def validate(value: Any) -> _F:
        if isinstance(value, kind):
            return value
        if not isinstance(value, Mapping):
            raise ValueError(
                f"{type(value).__name__} is no {kind.__name__}, nor an object that describes one"
            )
        missing = [name for name in fields if name not in value]
        if missing:
            raise ValueError(f"{kind.__name__} lacks {', '.join(missing)}")
        return read(value)

    schemas: dict[type, Any] = {int: core_schema.int_schema(), str: core_schema.str_schema()}
    described = core_schema.typed_dict_schema(
        {name: core_schema.typed_dict_field(schemas[type_]) for name, type_ in fields.items()}
    )
    checked = core_schema.no_info_plain_validator_function(validate)
    return core_schema.json_or_python_schema(
        json_schema=core_schema.chain_schema([described, checked]),
        python_schema=checked,
        serialization=core_schema.plain_serializer_function_ser_schema(write),
    )


def to_base64(data: memoryview) -> str:
    return base64.b64encode(data.cast("B")).decode()


def from_base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
