"""Kafka and PostgreSQL as a careful operator sets them up: TLS only, logins, and nobody may what was not allowed."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import trustme
from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from pydantic import SecretStr

from deploy.local import children, ports
from deploy.local.kafka import Kafka
from deploy.local.postgres import Postgres, other_user
from producers.clients import librdkafka
from schemas.broker import Broker, Mechanism
from tests.tools import PG0

ADMIN, PLATFORM, TENANTS = "admin", "headrace", ("acme", "beta", "demo")
_SCRAM = (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A broker, its authority, and a stranger's; `admin` logs in by PLAIN and may everything."""

    admin: Broker
    mutual: Broker
    stranger: Path

    def login(self, user: str, mechanism: Mechanism = "SCRAM-SHA-512") -> Broker:
        """As a user that was made at the start; a user's password is its name backwards."""
        return replace(self.admin, username=user, password=_password(user), mechanism=mechanism)


def _password(user: str) -> SecretStr:
    return SecretStr(user[::-1])


def issue(authority: trustme.CA, folder: Path, *names: str, common_name: str | None = None) -> tuple[Path, Path]:
    """A certificate chain and its key as PEM files; the key in PKCS #8, which Java wants."""
    issued = authority.issue_cert(*names, common_name=common_name)
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    folder.mkdir(parents=True, exist_ok=True)
    chain, private = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
    private.touch(mode=0o600)
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return chain, private


def authority(path: Path) -> trustme.CA:
    """A new authority, its certificate written to `path`."""
    made = trustme.CA()
    made.cert_pem.write_to_path(str(path))
    return made


@contextmanager
def kafka(folder: Path) -> Iterator[Cluster]:
    """A broker with a SASL_SSL listener and one for mutual TLS, whose authorizer allows only the superusers."""
    folder.mkdir(exist_ok=True)
    trusted = authority(folder / "ca.pem")
    authority(folder / "stranger.pem")
    chain, key = issue(trusted, folder / "server", "127.0.0.1")
    keystore = folder / "server" / "keystore.pem"
    keystore.touch(mode=0o600)
    keystore.write_bytes(key.read_bytes() + chain.read_bytes())
    port, mutual_port, controller_port = ports.free(3)
    admin = Broker(f"127.0.0.1:{port}", "SASL_SSL", "PLAIN", ADMIN, _password(ADMIN), folder / "ca.pem")
    own, own_key = issue(trusted, folder / "client", f"{PLATFORM}.test", common_name=PLATFORM)
    mutual = Broker(f"127.0.0.1:{mutual_port}", "SSL", ca=folder / "ca.pem", certificate=own, key=own_key)
    properties = _properties(port, mutual_port, controller_port, folder / "ca.pem", keystore)
    server = Kafka(folder / "kafka", port, controller_port, properties=properties, broker=admin)
    with children.running(server):
        _add_users(admin)
        yield Cluster(admin, mutual, folder / "stranger.pem")


def _properties(port: int, mutual: int, controller: int, ca: Path, keystore: Path) -> dict[str, str]:
    password = _password(ADMIN).get_secret_value()
    listeners = f"SASL_SSL://127.0.0.1:{port},SSL://127.0.0.1:{mutual}"
    plain = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    return {
        "listeners": f"{listeners},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": listeners,
        "listener.security.protocol.map": "SASL_SSL:SASL_SSL,SSL:SSL,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "SASL_SSL",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
        "listener.name.sasl_ssl.plain.sasl.jaas.config":
            f'{plain} username="{ADMIN}" password="{password}" user_{ADMIN}="{password}";',
        "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config":
            "org.apache.kafka.common.security.scram.ScramLoginModule required;",
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config":
            "org.apache.kafka.common.security.scram.ScramLoginModule required;",
        "ssl.keystore.type": "PEM", "ssl.keystore.location": str(keystore),
        "ssl.truststore.type": "PEM", "ssl.truststore.location": str(ca),
        "listener.name.ssl.ssl.client.auth": "required",
        "ssl.principal.mapping.rules": "RULE:^.*CN=([a-z]+).*$/$1/,DEFAULT",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:{ADMIN};User:{PLATFORM};User:ANONYMOUS",  # anonymous is the controller's listener alone
    }  # fmt: skip


def _add_users(admin: Broker) -> None:
    client = AdminClient(librdkafka(admin))
    for mechanism in _SCRAM:  # a request may name a user once
        wanted: list[UserScramCredentialAlteration] = [
            UserScramCredentialUpsertion(
                user, ScramCredentialInfo(mechanism, 4096), _password(user).get_secret_value().encode()
            )
            for user in (PLATFORM, *TENANTS)
        ]
        for future in client.alter_user_scram_credentials(wanted).values():
            future.result(10)


@dataclass(frozen=True, slots=True)
class Database:
    """The superuser's URL without a word about TLS, and the files of two authorities."""

    url: str
    ca: Path
    stranger: Path

    def by(self, mode: str, ca: Path | None = None) -> str:
        """The URL with this `sslmode`."""
        return f"{self.url}?sslmode={mode}" + (f"&sslrootcert={ca}" if ca else "")


@contextmanager
def postgres(folder: Path) -> Iterator[Database]:
    """A server that lets nobody in without TLS; its certificate is for 127.0.0.1 alone."""
    folder.mkdir(exist_ok=True)
    trusted = authority(folder / "ca.pem")
    authority(folder / "stranger.pem")
    chain, key = issue(trusted, folder / "server", "127.0.0.1")
    rules = folder / "pg_hba.conf"
    rules.write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
    (port,) = ports.free()
    files = {"ssl_cert_file": str(chain), "ssl_key_file": str(key), "hba_file": str(rules)}
    settings = {"ssl": "on", "fsync": "off", **files}
    programs = _programs(folder / "programs")
    prefix = (*other_user(), "env", f"LD_LIBRARY_PATH={programs.parent / 'lib'}")
    server = Postgres(folder / "postgres", port, settings=settings, drop_root=prefix, binaries=programs)
    with children.running(server):
        yield Database(server.url, folder / "ca.pem", folder / "stranger.pem")


def _programs(folder: Path) -> Path:
    """PostgreSQL with TLS and pgvector, which its program unpacks at the first start."""
    folder.mkdir()
    (port,) = ports.free()
    program = [*other_user(), str(PG0)]
    told = os.environ | {"HOME": str(folder)}
    for command in (["start", f"--port={port}"], ["stop"]):
        subprocess.run([*program, *command], env=told, stdout=subprocess.DEVNULL, check=True, timeout=120)
    (found,) = folder.glob(".pg0/installation/*/bin")
    return found
