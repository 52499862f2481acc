"""How every librdkafka client of ours is set up, and what it says when the log cannot be reached."""

from typing import Any

from confluent_kafka import KafkaError

from schemas.broker import Broker

PARTITIONS_SECONDS = 30.0
"""How long a client may take to find out that a topic has more partitions than before."""


def librdkafka(broker: Broker) -> dict[str, Any]:
    """The settings that every client has: how to connect, quickly again after a loss, and nothing on stderr."""
    optional = {
        "sasl.mechanism": broker.mechanism,
        "sasl.username": broker.username,
        "sasl.password": broker.password.get_secret_value(),
        "ssl.ca.location": broker.ca and str(broker.ca),
        "ssl.certificate.location": broker.certificate and str(broker.certificate),
        "ssl.key.location": broker.key and str(broker.key),
    }
    return {
        "bootstrap.servers": broker.bootstrap,
        "security.protocol": broker.protocol,
        "reconnect.backoff.max.ms": 1000,
        "log_level": 0,
        **{name: value for name, value in optional.items() if value},
    }


class Complaint:
    """The last that a client said of its connections: a request only times out, whatever the reason.

    Give `hear` to the client as its `error_cb`, and let the client poll before asking for `reason`.
    """

    def __init__(self) -> None:
        self._last: KafkaError | None = None

    def hear(self, error: KafkaError) -> None:
        """Keep it, unless it only sums up the one before."""
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            self._last = error

    @property
    def refused(self) -> bool:
        """Whether a person must mend it: login or TLS, which no waiting helps."""
        return self._last is not None and (self._last.code() == KafkaError._AUTHENTICATION or _by_tls(self._last))

    @property
    def reason(self) -> str:
        """A sentence for an operator, naming hosts and the library's reason, nothing secret."""
        if self._last is None:
            return "Kafka does not answer; check HEADRACE_KAFKA and HEADRACE_KAFKA_PROTOCOL"
        if self._last.code() == KafkaError._AUTHENTICATION:
            hint = "check HEADRACE_KAFKA_USERNAME, HEADRACE_KAFKA_PASSWORD and HEADRACE_KAFKA_MECHANISM"
            return f"Kafka refuses the login ({self._last.str()}); {hint}"
        if _by_tls(self._last):
            hint = "check HEADRACE_KAFKA_CA, HEADRACE_KAFKA_CERTIFICATE and the host name"
            return f"no TLS with Kafka ({self._last.str()}); {hint}"
        return f"Kafka does not answer ({self._last.str()})"


def _by_tls(error: KafkaError) -> bool:
    return error.code() == KafkaError._SSL or "SSL routines" in error.str()  # the same failure comes under two codes
