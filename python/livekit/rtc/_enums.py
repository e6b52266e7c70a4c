"""Enums of Python that also have the helpers which protobuf's have: user code calls both kinds alike."""

from __future__ import annotations

import enum


class HelpfulEnum(enum.IntEnum):
    """`Name`, `Value`, `keys`, `values` and `items`, as protobuf spells them."""

    @classmethod
    def Name(cls, number: int) -> str:
        return cls(number).name

    @classmethod
    def Value(cls, name: str) -> int:
        """ValueError for a name that is none."""
        if name not in cls.__members__:
            raise ValueError(f"{cls.__name__} has no value {name!r}; there are {', '.join(cls.keys())}")
        return int(cls[name])

    @classmethod
    def keys(cls) -> list[str]:
        return list(cls.__members__)

    @classmethod
    def values(cls) -> list[int]:
        return [int(member) for member in cls]

    @classmethod
    def items(cls) -> list[tuple[str, int]]:
        return list(zip(cls.keys(), cls.values(), strict=True))
