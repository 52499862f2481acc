"""Bytes that come in pieces, looked at before they go on."""

from collections.abc import AsyncIterator


async def beginning(stream: AsyncIterator[bytes], size: int) -> bytes:
    """So many bytes of a stream or some more; fewer only where that is all of it."""
    begun = bytearray()
    async for chunk in stream:
        begun += chunk
        if len(begun) >= size:
            break
    return bytes(begun)


async def rejoined(begun: bytes, stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The whole stream again, of which `begun` was taken."""
    yield begun
    async for chunk in stream:
        yield chunk
