"""What a stack keeps in its directory: ports, secrets, the lock; and jars in the cache."""

import hashlib
import json
import os
import socket
import stat
import subprocess
import sys
from functools import partial
from pathlib import Path
from subprocess import PIPE

import jgo.maven
import pytest

from deploy.local import jars, ports, secret_store
from deploy.local.jars import Jar, JarRefused
from deploy.local.layout import AlreadyUp, Layout


def test_ports_are_kept_over_restarts(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    first = ports.keep(path, ("api", "kafka"), {})
    assert len(set(first.values())) == 2
    assert ports.keep(path, ("api", "kafka"), {}) == first


def test_a_port_that_was_taken_meanwhile_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    first = ports.keep(path, ("api", "kafka"), {})
    with socket.create_server(("127.0.0.1", first["api"])):
        second = ports.keep(path, ("api", "kafka"), {})
    assert second["api"] != first["api"]
    assert second["kafka"] == first["kafka"]


def test_ports_are_none_that_outgoing_connections_take(tmp_path: Path) -> None:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(50)]  # the system chooses as for a connection
    theirs = {server.getsockname()[1] for server in held}
    for server in held:
        server.close()
    ours = ports.keep(tmp_path / "ports.json", [f"slot-{n}" for n in range(50)], {}).values()
    assert len(set(ours)) == 50
    assert max(ours) < min(theirs)


def test_ports_that_another_process_chose_are_its_own_until_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ports.json"
    monkeypatch.setattr(ports, "OURS", ports.OURS[-60:])
    choose = (
        "from deploy.local import ports; ports.OURS = ports.OURS[-60:]; print(*ports.free(20), flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", choose], text=True, stdin=PIPE, stdout=PIPE) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        theirs = {int(port) for port in other.stdout.readline().split()}
        assert theirs.isdisjoint(ports.free(20))
        wanted = theirs.pop()
        path.write_text(json.dumps({"api": wanted}))
        assert ports.keep(path, ("api",), {})["api"] not in {wanted, *theirs}
        other.stdin.close()
    path.write_text(json.dumps({"api": wanted}))
    assert ports.keep(path, ("api",), {})["api"] == wanted


def test_a_given_port_wins_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    ports.keep(path, ("api",), {})
    (wanted,) = ports.free()
    assert ports.keep(path, ("api",), {"api": wanted}) == {"api": wanted}
    assert ports.keep(path, ("api",), {}) == {"api": wanted}


def test_secrets_are_made_once_and_only_the_owner_reads_them(tmp_path: Path) -> None:
    place = Layout(tmp_path / "data")
    place.make()
    made = secret_store.load(place)
    assert secret_store.load(place) == made
    assert stat.S_IMODE(place.secrets.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.data.stat().st_mode) == 0o700
    key = made.api_keys["other"]
    assert made.hashed_api_keys()[hashlib.sha256(key.encode()).hexdigest()] == "other"
    assert key not in json.dumps(made.hashed_api_keys())


def test_one_supervisor_at_a_time_and_the_lock_ends_with_it(tmp_path: Path) -> None:
    place = Layout(tmp_path)
    assert place.holder() is None
    with place.held():
        assert place.holder() == os.getpid()
        with pytest.raises(AlreadyUp, match=f"pid {os.getpid()}"), place.held():
            pass
    assert place.holder() is None
    with place.held():
        pass


def test_the_list_names_every_jar_once_with_its_sum() -> None:
    listed = jars.listed()
    assert len({jar.name for jar in listed}) == len(listed) == 46
    assert all(len(jar.sha256) == 64 for jar in listed)
    assert Jar("org.apache.kafka", "kafka_2.13", jars.VERSION, listed[32].sha256) in listed


def test_a_changed_jar_in_the_cache_is_refused_by_name(tmp_path: Path) -> None:
    jar = Jar("org.example", "thing", "1.0", hashlib.sha256(b"good").hexdigest())
    (tmp_path / jar.name).write_bytes(b"good")
    assert jars.ensure(tmp_path, [jar]) == [tmp_path / "thing-1.0.jar"]
    (tmp_path / jar.name).write_bytes(b"evil")
    with pytest.raises(JarRefused, match=r"org\.example:thing:1\.0 has sha256"):
        jars.ensure(tmp_path, [jar])


def test_a_fetched_jar_of_another_sum_never_reaches_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "repository" / "org" / "example" / "thing" / "1.0"
    folder.mkdir(parents=True)
    (folder / "thing-1.0.jar").write_bytes(b"evil")
    from_disk = partial(jgo.maven.MavenContext, local_repos=[tmp_path / "repository"], offline=True)
    monkeypatch.setattr(jgo.maven, "MavenContext", from_disk)
    cache = tmp_path / "cache"
    jar = Jar("org.example", "thing", "1.0", hashlib.sha256(b"good").hexdigest())
    with pytest.raises(JarRefused, match=r"org\.example:thing:1\.0"):
        jars.ensure(cache, [jar])
    assert not list(cache.glob("*.jar"))
    fetched = jars.ensure(cache, [jar._replace(sha256=hashlib.sha256(b"evil").hexdigest())])
    assert fetched[0].read_bytes() == b"evil"
