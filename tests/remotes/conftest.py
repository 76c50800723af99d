"""A server of each kind, for one test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.remotes.servers import KINDS, S3_KEYS, Server, serving


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """An S3, an SSH and an HTTP server on this machine, in turn."""
    for name, value in S3_KEYS.items():
        monkeypatch.setenv(name, value)
    with serving(request.param, tmp_path / "server") as own:
        yield own
