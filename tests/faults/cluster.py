"""Three brokers with three replicas of everything, two of which must have a record before it counts."""

import base64
import subprocess
import uuid
from pathlib import Path
from types import TracebackType

from confluent_kafka.admin import AdminClient

from deploy.local import children, ports
from deploy.local.kafka import Kafka
from producers.clients import librdkafka
from schemas.broker import Broker
from tests.support import until

_REPLICATED = {
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "min.insync.replicas": "2",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
}


class _Node(Kafka):
    """One of several brokers, whose storage bears the cluster's own id."""

    def __init__(self, folder: Path, number: int, places: list[tuple[int, int]], cluster: str) -> None:
        voters = ",".join(f"{one}@127.0.0.1:{controller}" for one, (_, controller) in enumerate(places, 1))
        properties = {**_REPLICATED, "node.id": str(number), "controller.quorum.voters": voters}
        super().__init__(folder, *places[number - 1], properties=properties)
        self._cluster = cluster

    def prepare(self) -> None:
        fresh = not self._formatted.exists()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._formatted.write_text(self._cluster)
        super().prepare()
        if fresh:
            format_storage = ["kafka.tools.StorageTool", "format", "-t", self._cluster, "-c", str(self._config)]
            with self.log.open("ab") as output:
                subprocess.run([*self._java, *format_storage], stdout=output, stderr=subprocess.STDOUT, check=True)


class Cluster:
    """Runs until the `with` block ends."""

    def __init__(self, folder: Path) -> None:
        numbers = ports.free(6)
        places = list(zip(numbers[:3], numbers[3:], strict=True))
        name = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode().replace("-", "A")
        self._nodes = {number: _Node(folder / f"kafka-{number}", number, places, name) for number in (1, 2, 3)}
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self.broker = Broker(",".join(f"127.0.0.1:{port}" for port in numbers[:3]))

    def __enter__(self) -> "Cluster":
        for number, node in self._nodes.items():
            node.prepare()
            self._spawn(number)
        self.until_whole()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        children.end(self._running.values())

    def leader(self, topic: str, partition: int) -> int:
        """The number of the broker that leads a partition; -1 while none does."""
        found = AdminClient(librdkafka(self.broker)).list_topics(topic, timeout=10)
        return int(found.topics[topic].partitions[partition].leader)

    def kill(self, number: int) -> None:
        """kill -9 one broker."""
        self._running[number].kill()
        self._running[number].wait()

    def start(self, number: int) -> None:
        """Start it on the same files; returns at once."""
        self._spawn(number)

    def until_whole(self) -> None:
        """Wait until every broker is there."""
        until(lambda: all(node.answers() for node in self._nodes.values()), 90, "three brokers")

    def _spawn(self, number: int) -> None:
        node = self._nodes[number]
        self._running[number] = children.spawn(node.command(), log=node.log)
