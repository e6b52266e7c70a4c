"""Protobuf classes from compact tables, so that no generated code has to match the installed protobuf runtime.

A table has one definition per line:

    enum Name: VALUE=0 OTHER=1
    message Name: field=1 uint32; many=2 repeated string; pairs=3 map; choice=4 Other @oneof_name

`Outer.Inner` is a nested type; `map` is a map from string to string. Every field is optional (proto2), so
`HasField` tells what a user has set.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.internal import enum_type_wrapper

_PACKAGE = "livekit.proto"
_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    name: getattr(_Field, f"TYPE_{name.upper()}")
    for name in ("double", "float", "int32", "int64", "uint32", "uint64", "bool", "string", "bytes")
}


def build(namespace: dict[str, Any], file_name: str, table: str, *, imports: tuple[Any, ...] = ()) -> None:
    """Define the table's types in `namespace` (a module's globals), as generated `_pb2` modules do."""
    file = descriptor_pb2.FileDescriptorProto(name=f"greenroom/rtc/{file_name}.proto", package=_PACKAGE, syntax="proto2")
    enums = {n for m in imports for n in m.DESCRIPTOR.enum_types_by_name}
    for module in imports:
        file.dependency.append(module.DESCRIPTOR.name)
    lines = [line.split(":", 1) for line in table.strip().splitlines() if line.strip()]
    definitions = [(*head.split(), body.strip()) for head, body in lines]
    messages: dict[str, Any] = {}
    for kind, name, _ in definitions:
        if kind == "enum":
            enums.add(name)
        else:
            messages[name] = _container(file, messages, name, "message_type", "nested_type")
    for kind, name, body in definitions:
        if kind == "enum":
            _fill_enum(_container(file, messages, name, "enum_type", "enum_type"), body)
        else:
            _fill_message(messages[name], name, body, enums)
    namespace["DESCRIPTOR"] = descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
    _export(namespace)


def _container(file: Any, messages: dict[str, Any], name: str, top: str, nested: str) -> Any:
    outer, _, inner = name.rpartition(".")
    added = getattr(messages[outer], nested).add() if outer else getattr(file, top).add()
    added.name = inner
    return added


def _fill_enum(enum: Any, body: str) -> None:
    for item in body.split():
        label, number = item.split("=")
        enum.value.add(name=label, number=int(number))


def _fill_message(message: Any, name: str, body: str, enums: set[str]) -> None:
    oneofs: dict[str, int] = {}
    for item in filter(None, (part.strip() for part in body.split(";"))):
        head, *words = item.split()
        label, number = head.split("=")
        field = message.field.add(name=label, number=int(number), label=_Field.LABEL_OPTIONAL)
        if words[0] == "repeated":
            field.label = _Field.LABEL_REPEATED
            words = words[1:]
        if words[0] == "map":
            _fill_map(message, field, name)
        elif words[0] in _SCALARS:
            field.type = _SCALARS[words[0]]
        else:
            field.type = _Field.TYPE_ENUM if words[0] in enums else _Field.TYPE_MESSAGE
            field.type_name = f".{_PACKAGE}.{words[0]}"
        if len(words) > 1:
            oneof = words[1].removeprefix("@")
            if oneof not in oneofs:
                oneofs[oneof] = len(oneofs)
                message.oneof_decl.add(name=oneof)
            field.oneof_index = oneofs[oneof]


def _fill_map(message: Any, field: Any, name: str) -> None:
    entry_name = "".join(word.capitalize() for word in field.name.split("_")) + "Entry"
    entry = message.nested_type.add(name=entry_name)
    entry.options.map_entry = True
    for number, label in ((1, "key"), (2, "value")):
        entry.field.add(name=label, number=number, label=_Field.LABEL_OPTIONAL, type=_Field.TYPE_STRING)
    field.label = _Field.LABEL_REPEATED
    field.type = _Field.TYPE_MESSAGE
    field.type_name = f".{_PACKAGE}.{name}.{entry_name}"


def _export(namespace: dict[str, Any]) -> None:
    descriptor = namespace["DESCRIPTOR"]
    for name, enum in descriptor.enum_types_by_name.items():
        namespace[name] = enum_type_wrapper.EnumTypeWrapper(enum)
        namespace.update({value.name: value.number for value in enum.values})
    for name, message in descriptor.message_types_by_name.items():
        namespace[name] = message_factory.GetMessageClass(message)
        namespace[name].__module__ = namespace["__name__"]
