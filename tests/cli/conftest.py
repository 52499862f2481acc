"""The API over fakes, on a real port."""

from collections.abc import Iterator

import pytest

from tests.fakes import World
from tests.served import served


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def url(world: World) -> Iterator[str]:
    with served(world) as url:
        yield url
