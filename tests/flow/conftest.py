"""One running stack for all tests here that do with it."""

from collections.abc import Iterator

import httpx2
import pytest

from deploy.local.session import Session


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    settings = {"HEADRACE_ENGINES": "fake", "HEADRACE_UPLOAD_LIMIT": "3000000", "HEADRACE_PUBLISH_SECONDS": "3"}
    with Session(tmp_path_factory.mktemp("flow"), settings) as running:
        yield running


@pytest.fixture(scope="module")
def client(stack: Session) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=stack.url, headers=stack.headers(), timeout=30) as made:
        yield made
