"""What a caller does: submit, and wait for the end."""

from typing import Any

import httpx2

from tests.support import until


def submit(client: httpx2.Client, content: bytes, **fields: str) -> httpx2.Response:
    return client.post("/v1/jobs", files={"file": ("page.png", content)}, data=fields)


def ended(client: httpx2.Client, job: str, seconds: float = 40) -> dict[str, Any]:
    """The job's view once it has ended."""
    view: dict[str, Any] = {}

    def over() -> bool:
        view.update(client.get(f"/v1/jobs/{job}").json())
        return view["state"] not in ("queued", "running")

    until(over, seconds, f"{job} to end")
    return view
