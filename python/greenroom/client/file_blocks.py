"""A file in blocks, read beside the event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator

_BLOCK_BYTES = 240_000


async def file_size(path: str) -> int:
    """OSError when there is no such file; IsADirectoryError for a directory."""
    if await asyncio.to_thread(os.path.isdir, path):
        raise IsADirectoryError(f"{path!r} is a directory; name a file")
    return (await asyncio.to_thread(os.stat, path)).st_size


async def file_blocks(path: str, size: int) -> AsyncGenerator[bytes, None]:
    """Exactly `size` bytes of the file. OSError when it has become shorter."""
    file = await asyncio.to_thread(open, path, "rb")
    try:
        left = size
        while left:
            block = await asyncio.to_thread(file.read, min(left, _BLOCK_BYTES))
            if not block:
                raise OSError(
                    f"{path!r} became shorter while it was sent: {left} of {size} bytes are missing"
                )
            left -= len(block)
            yield block
    finally:
        await asyncio.to_thread(file.close)
