"""What a client needs to reach the log: addresses, encryption, login."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import SecretStr

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


@dataclass(frozen=True, slots=True)
class Broker:
    """A Kafka cluster and how to speak to it; `bootstrap` is `host:port[,host:port…]`.

    `ca` is a PEM file of the authorities to trust (None: the system's), `certificate` and `key` are PEM files of the
    client's own, for mutual TLS. Raises `ValueError` for parts that contradict each other, naming their variables.
    """

    bootstrap: str
    protocol: Protocol = "PLAINTEXT"
    mechanism: Mechanism | None = None
    username: str = ""
    password: SecretStr = field(default_factory=lambda: SecretStr(""))
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        login = {
            "HEADRACE_KAFKA_MECHANISM": self.mechanism,
            "HEADRACE_KAFKA_USERNAME": self.username,
            "HEADRACE_KAFKA_PASSWORD": self.password.get_secret_value(),
        }
        files = {
            "HEADRACE_KAFKA_CA": self.ca,
            "HEADRACE_KAFKA_CERTIFICATE": self.certificate,
            "HEADRACE_KAFKA_KEY": self.key,
        }
        missing = [name for name, value in login.items() if not value]
        if self.logs_in and missing:
            raise ValueError(f"HEADRACE_KAFKA_PROTOCOL={self.protocol} needs {' and '.join(missing)}")
        if not self.logs_in and len(missing) < len(login):
            given = next(name for name in login if name not in missing)
            raise ValueError(f"{given} is set, but HEADRACE_KAFKA_PROTOCOL={self.protocol} has no login")
        for name, path in files.items():
            if path and not self.encrypts:
                raise ValueError(f"{name} is set, but HEADRACE_KAFKA_PROTOCOL={self.protocol} has no TLS")
            if path and not path.is_file():
                raise ValueError(f"{name}: there is no file {path}")
        if bool(self.certificate) != bool(self.key):
            raise ValueError("HEADRACE_KAFKA_CERTIFICATE and HEADRACE_KAFKA_KEY go together: one of them is not set")

    @property
    def encrypts(self) -> bool:
        """Whether connections are by TLS."""
        return self.protocol in ("SSL", "SASL_SSL")

    @property
    def logs_in(self) -> bool:
        """Whether connections begin with a login."""
        return self.protocol.startswith("SASL_")
