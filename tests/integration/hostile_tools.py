"""Messages of any type with random contents."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

_M = TypeVar("_M", bound=Message)

_TEXTS = ("", "x", "TR_none", "PA_none", "v=0\r\n", "\x00", "{}", "\N{GRINNING FACE}" * 20, "9" * 400)
_NUMBERS = (0, 1, 2, 7, 255, 65_536, 2**31 - 1)

_SCALARS: dict[int, Callable[[random.Random], Any]] = {
    FieldDescriptor.CPPTYPE_STRING: lambda generator: generator.choice(_TEXTS),
    FieldDescriptor.CPPTYPE_BOOL: lambda generator: generator.random() < 0.5,
    FieldDescriptor.CPPTYPE_INT32: lambda generator: generator.choice((*_NUMBERS, -1, -(2**31))),
    FieldDescriptor.CPPTYPE_INT64: lambda generator: generator.choice((*_NUMBERS, -1, 2**63 - 1)),
    FieldDescriptor.CPPTYPE_UINT32: lambda generator: generator.choice((*_NUMBERS, 2**32 - 1)),
    FieldDescriptor.CPPTYPE_UINT64: lambda generator: generator.choice((*_NUMBERS, 2**64 - 1)),
    FieldDescriptor.CPPTYPE_ENUM: lambda generator: generator.choice((0, 1, 2, 3, 5, 99)),
    FieldDescriptor.CPPTYPE_FLOAT: lambda generator: generator.choice(
        (0.0, -1.0, 1e30, float("nan"), float("inf"))
    ),
    FieldDescriptor.CPPTYPE_DOUBLE: lambda generator: generator.choice((0.0, -1.0, 1e300, float("nan"))),
}


def random_message(kind: type[_M], generator: random.Random, depth: int = 0) -> _M:
    """A message with some of its fields set to unusual values."""
    message = kind()
    one_of_many = depth == 0 and len(message.DESCRIPTOR.oneofs) == 1
    fields = list(message.DESCRIPTOR.fields)
    for field in [generator.choice(fields)] if one_of_many and fields else fields:
        if depth > 0 and generator.random() < 0.4:
            continue
        _set(message, field, generator, depth)
    return message


def _set(message: Message, field: FieldDescriptor, generator: random.Random, depth: int) -> None:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return
    count = generator.randrange(3) if field.is_repeated else 1
    if field.message_type is not None:
        for _ in range(count if depth < 4 else 0):
            inner = getattr(message, field.name)
            target = inner.add() if field.is_repeated else inner
            target.SetInParent()
            target.CopyFrom(random_message(type(target), generator, depth + 1))
        return
    make = _scalar(field)
    if field.is_repeated:
        getattr(message, field.name).extend(make(generator) for _ in range(count))
    else:
        setattr(message, field.name, make(generator))


def _scalar(field: FieldDescriptor) -> Callable[[random.Random], Any]:
    if field.type == FieldDescriptor.TYPE_BYTES:
        return lambda generator: generator.randbytes(generator.randrange(40))
    return _SCALARS[field.cpp_type]
