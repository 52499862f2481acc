"""How the log is reached: what belongs together, what contradicts, and what is never shown."""

import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import ValidationError

from deploy.local.children import StartFailed
from deploy.local.stack import Given
from producers.clients import librdkafka
from producers.credentials import aiokafka
from schemas.broker import Broker
from schemas.settings import Settings

LOGIN = {"kafka_mechanism": "SCRAM-SHA-512", "kafka_username": "headrace", "kafka_password": "s3cret-word"}


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return tmp_path / "ca.pem"


def _settings(**told: Any) -> Settings:
    return Settings(**told)


def test_without_more_than_an_address_the_log_is_spoken_to_in_plain_text() -> None:
    broker = _settings(kafka="a:1,b:2").broker
    assert broker == Broker("a:1,b:2")
    assert librdkafka(broker) == {
        "bootstrap.servers": "a:1,b:2", "security.protocol": "PLAINTEXT", "reconnect.backoff.max.ms": 1000,
        "log_level": 0,
    }  # fmt: skip
    assert aiokafka(broker) == {"bootstrap_servers": "a:1,b:2", "security_protocol": "PLAINTEXT", "ssl_context": None}


def test_the_variables_reach_both_clients(monkeypatch: pytest.MonkeyPatch, ca: Path) -> None:
    told = LOGIN | {"kafka": "a:1", "kafka_protocol": "SASL_SSL", "kafka_ca": str(ca)}
    for name, value in told.items():
        monkeypatch.setenv(f"HEADRACE_{name.upper()}", value)
    broker = Settings().broker
    assert librdkafka(broker).items() >= {
        "security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "headrace",
        "sasl.password": "s3cret-word", "ssl.ca.location": str(ca),
    }.items()  # fmt: skip
    ours = aiokafka(broker)
    assert (ours["sasl_plain_username"], ours["sasl_plain_password"]) == ("headrace", "s3cret-word")
    assert (ours["ssl_context"].check_hostname, ours["ssl_context"].verify_mode) == (True, ssl.CERT_REQUIRED)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"kafka_protocol": "SASL_SSL"}, "SASL_SSL needs HEADRACE_KAFKA_MECHANISM and HEADRACE_KAFKA_USERNAME and"),
        ({**LOGIN, "kafka_protocol": "SASL_SSL", "kafka_password": ""}, "SASL_SSL needs HEADRACE_KAFKA_PASSWORD"),
        (LOGIN, "HEADRACE_KAFKA_MECHANISM is set, but HEADRACE_KAFKA_PROTOCOL=PLAINTEXT has no login"),
        ({"kafka_username": "x", "kafka_protocol": "SSL"}, "HEADRACE_KAFKA_USERNAME is set, but"),
        ({"kafka_ca": __file__}, "HEADRACE_KAFKA_CA is set, but HEADRACE_KAFKA_PROTOCOL=PLAINTEXT has no TLS"),
        ({"kafka_protocol": "SSL", "kafka_ca": "nowhere.pem"}, "HEADRACE_KAFKA_CA: there is no file nowhere.pem"),
        ({"kafka_protocol": "SSL", "kafka_key": __file__}, "HEADRACE_KAFKA_CERTIFICATE and HEADRACE_KAFKA_KEY go tog"),
        ({"kafka_protocol": "SSL3"}, "kafka_protocol"),
        ({"kafka_mechanism": "GSSAPI"}, "kafka_mechanism"),
    ],
)
def test_what_contradicts_is_refused_with_the_names_of_its_variables(told: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError) as raised:
        _settings(**told)
    assert said in str(raised.value)
    assert "s3cret-word" not in str(raised.value)


def test_a_password_is_in_no_text_of_a_broker() -> None:
    broker = _settings(**LOGIN, kafka_protocol="SASL_PLAINTEXT").broker
    assert "s3cret-word" not in f"{broker} {broker!r} {_settings(**LOGIN, kafka_protocol='SASL_PLAINTEXT')!r}"


def test_a_value_that_cannot_be_read_is_not_quoted() -> None:
    with pytest.raises(ValidationError) as raised:
        _settings(id_keys="{1: s3cret-word")
    assert "s3cret-word" not in str(raised.value)


def test_an_embedded_broker_with_somebodys_login_is_refused() -> None:
    with pytest.raises(StartFailed, match="HEADRACE_KAFKA_CA is set, but HEADRACE_KAFKA is not"):
        Given.read({"HEADRACE_KAFKA_CA": "ca.pem"})
