"""Settings: one frozen tree, read from `HEADRACE_*` variables."""

import json
import re
import socket
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from schemas.broker import Broker, Mechanism, Protocol
from schemas.issuers import Issuer
from schemas.limits import NewLimits
from schemas.plans import INDEXES

WEBHOOK_SCHEDULE = (0.0, 5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
"""The example of Standard Webhooks 1.0.0: three days and four hours in all."""


class Settings(BaseSettings):
    """Everything a process may be told. A sentence under each field says what it is for."""

    model_config = SettingsConfigDict(env_prefix="HEADRACE_", frozen=True, extra="ignore", hide_input_in_errors=True)

    kafka: str = "127.0.0.1:9092"
    """Bootstrap servers of the log, `host:port[,host:port…]`."""
    kafka_protocol: Protocol = "PLAINTEXT"
    """How to speak to the log: `SASL_SSL` encrypts and logs in."""
    kafka_mechanism: Mechanism | None = None
    """How to log in, for the SASL protocols."""
    kafka_username: str = ""
    """Who logs in."""
    kafka_password: SecretStr = SecretStr("")
    """The password of `kafka_username`."""
    kafka_ca: Path | None = None
    """PEM file of the authorities that the brokers' certificates are checked against; the system's without it."""
    kafka_certificate: Path | None = None
    """PEM file of the client's own certificate, for mutual TLS."""
    kafka_key: Path | None = None
    """PEM file of the key of `kafka_certificate`, without a password."""
    postgres: SecretStr = SecretStr("postgresql://headrace_api@127.0.0.1:5432/headrace")
    """PostgreSQL URL of this process's role."""
    blobs: str = "file:///tmp/headrace/blobs"
    """Where bytes lie: `file:///folder`."""
    weaviate: str = ""
    """Weaviate's address, `http://host:port` or `https://host:port`; empty where there is none."""
    weaviate_grpc: str = ""
    """Weaviate's gRPC address `host:port`, TLS where `weaviate` is https; empty: port 50051 of the same host."""
    weaviate_key: SecretStr = SecretStr("")
    """Weaviate's API key; empty for anonymous access."""
    indexes: Annotated[tuple[str, ...], NoDecode] = ("pgvector",)
    """Indexes that a job needs before it has succeeded, by commas; the first of them answers searches."""
    tenant_topics: Annotated[dict[str, str], NoDecode] = Field(default_factory=dict)
    """JSON object of tenant to Kafka principal (`User:name`): who gets a results topic of its own."""
    outbox_days: float = Field(default=7, gt=0)
    """How long the outbox keeps rows that were relayed."""
    weights: Annotated[dict[str, float], NoDecode] = Field(default_factory=dict)
    """JSON object of tenant to its share of the machines where several wait; 1 for all others."""
    interactive_allowance: int = Field(default=64, ge=1)
    """Pages of a tenant's interactive work that go before all bulk; what is beyond has its turns with the rest."""
    max_waiting_pages: int = Field(default=1_000_000, ge=1)
    """Pages waiting in all, beyond which submissions are refused with 503."""
    max_waiting_pages_of_tenant: int = Field(default=200_000, ge=1)
    """Pages of one tenant waiting, beyond which its submissions are refused with 429."""
    deadline_hours: float = Field(default=24 * 7, gt=0)
    """How long a job may take where its caller named no deadline; then it is expired."""
    overdue_seconds: float = Field(default=15, gt=0)
    """How often the reconciler looks for jobs past their deadline."""
    reconcile_seconds: float = Field(default=900, gt=0)
    """How often the reconciler compares what was read, PostgreSQL's passages and Weaviate's."""
    sweep_seconds: float = Field(default=3600, gt=0)
    """How often the reconciler sweeps what nothing can name any more."""
    dead_letter_days: float = Field(default=90, gt=0)
    """How long dead letters are kept as rows."""
    models: Path = Path("~/.cache/headrace/models").expanduser()
    """The model cache that `headrace models fetch` fills."""
    id_keys: Annotated[dict[int, SecretStr], NoDecode] = Field(default_factory=dict)
    """JSON object of key number to secret, for job ids; the highest number issues."""
    api_keys: Annotated[dict[str, str], NoDecode] = Field(default_factory=dict)
    """JSON object of sha256(API key) to tenant: the bootstrap keys."""
    public_url: str = ""
    """Where callers reach the API, `https://host`: the issuer of access tokens of its own; empty: it issues none."""
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Origins whose pages may call the API from a browser, `https://app.example.com,…`; without it none may."""
    limits: Annotated[NewLimits, NoDecode] = NewLimits()
    """JSON object of what each tenant may use in a span of time: `{"requests": "600/minute", …}` (docs/limits.md)."""
    tenant_limits: Annotated[dict[str, NewLimits], NoDecode] = Field(default_factory=dict)
    """JSON object of tenant to limits of its own, in place of `limits`."""
    redis: SecretStr = SecretStr("")
    """`redis://…` or `rediss://…`, where all API processes count what callers use; empty: each counts for itself."""
    issuers: Annotated[tuple[Issuer, ...], NoDecode] = ()
    """JSON array of authorization servers whose access tokens are let in (docs/authentication.md)."""
    slot: str = "worker-1"
    """This process's stable name; its Kafka group instance id, owned by the supervisor or StatefulSet.

    `{hostname}` in it stands for the host's name: a restarted container keeps its own, a replica has another."""
    metrics_port: int = 0
    """Port of `/livez`, `/readyz` and `/metrics`; 0 for none."""
    metrics_host: str = "127.0.0.1"
    """Address of `metrics_port`: `0.0.0.0` in a container, where others scrape it."""
    idempotency_hours: float = Field(default=24, gt=0)
    """How long a submission's `Idempotency-Key` is remembered."""
    webhook_schedule: Annotated[tuple[float, ...], NoDecode] = WEBHOOK_SCHEDULE
    """Seconds before each attempt of a webhook, by commas; behind the last it is given up."""
    webhook_seconds: float = Field(default=15, gt=0, le=30)
    """How long one attempt may take, from looking the name up to the end of the answer."""
    webhook_disable_hours: float = Field(default=120, gt=0)
    """An endpoint that only failed for so long is disabled."""
    webhook_allow: Annotated[tuple[str, ...], NoDecode] = ()
    """Private networks that webhooks may go to, `10.1.0.0/16,…`: there also by plain http and on every port."""
    webhook_ports: Annotated[tuple[int, ...], NoDecode] = (443, 8443)
    """Ports that webhooks may go to anywhere else, by commas."""
    webhook_ca: Path | None = None
    """PEM file of authorities that receivers' certificates may be of, beside the public ones."""
    webhook_days: float = Field(default=30, gt=0)
    """How long messages, their deliveries and attempts are kept."""
    run_dir: Path | None = None
    """Folder that outlives the process: what it was running (for counting deaths), its ready mark, armed failpoints."""
    dev: bool = False
    """Accept one replica and no power-loss safety; `headrace up` sets it."""
    session_seconds: float = Field(default=10.0, ge=6, le=10)
    """Kafka session timeout: how long a worker that never returns keeps its partitions."""
    grace_seconds: float = Field(default=10.0, ge=2)
    """From SIGTERM to the exit of a worker or sink, at most: what still runs then is read again."""
    halt_window: int = Field(default=100, ge=1)
    """How many of a worker's latest outcomes decide whether its step halts."""
    halt_share: float = Field(default=0.25, gt=0, le=1)
    """Beyond this share of dead letters among them, those for bad input left out, the step halts."""
    halt_least: int = Field(default=20, ge=1)
    """Fewer outcomes than this decide nothing."""
    loop_seconds: float = Field(default=5.0, gt=0)
    """How long a worker's event loop may do nothing else before the process ends; 1 where nothing shares its cores."""
    stall_seconds: float = Field(default=120.0, gt=0)
    """How long a worker may come no further, with records at hand or waiting, before it ends."""
    batch: int = Field(default=64, ge=1, le=256)
    """The largest batch that an engine is given."""
    engines: str = "real"
    """`real`, or `sleep:SECONDS` and `fake` for fault runs and unit tests."""
    stream: str = ""
    """`faust` or `kafka`; empty for the step's own default (ADR 0002)."""
    max_streams: int = Field(default=1000, ge=1)
    """Most event streams that an API process keeps open at once."""
    upload_limit: int = 100 * 1024 * 1024
    """Largest upload in bytes."""
    max_pages: int = Field(default=2000, ge=1)
    """Most pages of a document (frames, slides, sections): 1,000 is a long contract, ten thousand a bomb."""
    max_pixels: int = Field(default=50_000_000, ge=1)
    """Most pixels of an image or rendered page: A3 at 300 dpi has 17 million."""
    max_pixels_in_all: int = Field(default=20_000_000_000, ge=1)
    """Most pixels of a document's pages together: 2,000 pages of A4 at 300 dpi have 17 thousand million."""
    max_ratio: float = Field(default=200.0, ge=1)
    """Most of a page's longer side over its shorter: a till receipt of 3 m has 40, a bomb of one row 100,000."""
    max_characters: int = Field(default=20_000_000, ge=1)
    """Most characters of text that a document itself holds: a page of print has 3,000, a thick book 3 million."""
    max_entries: int = Field(default=1000, ge=1)
    """Most members of an office file: a slide takes three, a picture one. Archives inside are never opened."""
    max_unpacked: int = Field(default=512 * 1024**2, ge=1)
    """Most bytes of an office file unpacked: a quarter of `decode_memory`, as what parses it holds it twice."""
    max_unpack_ratio: float = Field(default=100.0, ge=1)
    """Most of an office file's unpacked bytes over its packed: a sheet of numbers has 15, zeros 1,000."""
    decode_seconds: float = 60.0
    """Longest time the decoding child may take for a document, plus `decode_seconds_per_page` for each page."""
    decode_seconds_per_page: float = 10.0
    """Longest added time for each page rendered."""
    decode_memory: int = 2 * 1024**3
    """Address space of the decoding child in bytes."""
    publish_seconds: float = 10.0
    """How long a publish may wait for the log before the caller gets 503."""

    @field_validator(
        "id_keys", "api_keys", "issuers", "tenant_topics", "weights", "limits", "tenant_limits", mode="before"
    )
    @classmethod
    def _json(cls, value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) else value

    @field_validator("slot")
    @classmethod
    def _placed(cls, value: str) -> str:
        return value.replace("{hostname}", socket.gethostname())

    @field_validator("redis")
    @classmethod
    def _of_redis(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value() and not value.get_secret_value().startswith(("redis://", "rediss://")):
            raise ValueError("give an address as redis://HOST:PORT or rediss://HOST:PORT")
        return value

    @field_validator("public_url")
    @classmethod
    def _an_address(cls, value: str) -> str:
        return Issuer(issuer=value.rstrip("/"), audience="-").issuer if value else ""

    @field_validator("indexes", "cors_origins", "webhook_schedule", "webhook_allow", "webhook_ports", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if not re.fullmatch(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?", origin):
                raise ValueError(f"{origin} is no origin, such as https://app.example.com: no path, no star")
        return value

    @field_validator("indexes")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or not set(value) <= set(INDEXES) or len(set(value)) < len(value):
            raise ValueError(f"name one or more of {', '.join(INDEXES)}, each once")
        return value

    @model_validator(mode="after")
    def _reachable(self) -> "Settings":
        _ = self.broker  # contradictions are told at the start, not by the first client
        return self

    @property
    def broker(self) -> Broker:
        """How every client reaches the log."""
        return Broker(
            self.kafka, self.kafka_protocol, self.kafka_mechanism, self.kafka_username, self.kafka_password,
            self.kafka_ca, self.kafka_certificate, self.kafka_key,
        )  # fmt: skip
