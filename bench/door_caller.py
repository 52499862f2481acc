"""Callers of a door: as many connections, each asking again as soon as it was answered. Prints one line of JSON."""

import argparse
import asyncio
import json
import time
import uuid

_FORM = (
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n'
    b"Content-Type: application/pdf\r\n\r\n%s\r\n--x--\r\n"
)
_CONTENT = b"%PDF-1.7\n" + b"0123456789abcdef" * 63  # a kibibyte
_END = b"\r\n\r\n"


async def ask(port: int, key: str, until: float, *, keyed: bool) -> list[float]:
    """Seconds of each answer; raises where one is no 202."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    form = _FORM % _CONTENT
    head = (
        f"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {len(form)}\r\n"
    )
    found = []
    while (began := time.perf_counter()) < until:
        named = f"Idempotency-Key: {uuid.uuid4()}\r\n" if keyed else ""
        writer.write(f"{head}{named}\r\n".encode() + form)
        answer = await reader.readuntil(_END)
        if not answer.startswith(b"HTTP/1.1 202"):
            raise RuntimeError(answer.decode())
        length = next(int(line[15:]) for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(length)
        found.append(time.perf_counter() - began)
    writer.close()
    return found


async def main() -> None:
    """Ask, and tell."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--keyed", action="store_true")
    asked = parser.parse_args()
    began = time.perf_counter()
    until = began + asked.seconds
    each = await asyncio.gather(
        *(ask(asked.port, asked.key, until, keyed=asked.keyed) for _ in range(asked.connections))
    )
    took, seconds = sorted(one for many in each for one in many), time.perf_counter() - began
    print(json.dumps({"requests": len(took), "seconds": seconds, "p99": took[int(0.99 * len(took))]}))


if __name__ == "__main__":
    asyncio.run(main())
