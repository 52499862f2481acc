"""The demonstration as on a laptop, with every URL given: secured servers of others, and Weaviate answering."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.servers import PLATFORM, Cluster, Database
from tests.support import environment

pytestmark = [pytest.mark.stack, pytest.mark.long, pytest.mark.needs("pg0"), pytest.mark.needs("weaviate")]


def test_the_same_demonstration_runs_with_every_url_given(
    cluster: Cluster, database: Database, weaviate: dict[str, str], tmp_path: Path
) -> None:
    given = environment(cluster.login(PLATFORM)) | {
        "HEADRACE_POSTGRES_ADMIN": database.by("verify-full", database.ca),
        "HEADRACE_BLOBS": (tmp_path / "blobs").as_uri(),
        "HEADRACE_WEAVIATE": weaviate["weaviate"],
        "HEADRACE_WEAVIATE_GRPC": weaviate["weaviate_grpc"],
        "HEADRACE_INDEXES": "weaviate,pgvector",
    }
    command = [sys.executable, "-m", "cli.main", "demo", "--data-dir", str(tmp_path / "stack")]
    shown = subprocess.run(command, env=os.environ | given, capture_output=True, text=True, check=False, timeout=240)
    assert shown.returncode == 0, shown.stderr
    assert "-- search: total amount due" in shown.stdout
    assert "score" in shown.stdout
    assert not [name for name in ("kafka", "postgres", "blobs") if (tmp_path / "stack" / name).exists()]
