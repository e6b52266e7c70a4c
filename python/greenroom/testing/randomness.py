"""Names and numbers that are random in earnest come from the seed while a simulation runs."""

from __future__ import annotations

import contextlib
import random
import secrets
import uuid
from collections.abc import Iterator
from typing import Any
from unittest import mock


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """`random`, `secrets` and `uuid.uuid4` give the same for the same seed. Keys of connections stay random."""
    source = random.Random(f"greenroom {seed}")
    state = random.getstate()
    random.seed(source.getrandbits(64))
    replaced: dict[str, Any] = {
        "choice": source.choice,
        "randbelow": source.randrange,
        "randbits": source.getrandbits,
        "token_bytes": lambda count=32: source.randbytes(count),
        "token_hex": lambda count=32: source.randbytes(count).hex(),
    }
    with contextlib.ExitStack() as stack:
        for name, function in replaced.items():
            stack.enter_context(mock.patch.object(secrets, name, function))
        made = lambda: uuid.UUID(int=source.getrandbits(128), version=4)  # noqa: E731
        stack.enter_context(mock.patch.object(uuid, "uuid4", made))
        try:
            yield
        finally:
            random.setstate(state)
