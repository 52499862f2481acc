"""Encryption and login as aiokafka takes them, for clients of ours and Faust's."""

import ssl
from typing import Any

from schemas.broker import Broker


def tls(broker: Broker) -> ssl.SSLContext | None:
    """The context of an encrypted connection, which checks certificate and host name; None where there is none."""
    if not broker.encrypts:
        return None
    context = ssl.create_default_context(cafile=broker.ca)
    if broker.certificate and broker.key:
        context.load_cert_chain(broker.certificate, broker.key)
    return context


def aiokafka(broker: Broker) -> dict[str, Any]:
    """Arguments of any client of aiokafka."""
    connection = {"bootstrap_servers": broker.bootstrap, "security_protocol": broker.protocol}
    login = {
        "sasl_mechanism": broker.mechanism,
        "sasl_plain_username": broker.username,
        "sasl_plain_password": broker.password.get_secret_value(),
    }
    return connection | {"ssl_context": tls(broker)} | (login if broker.logs_in else {})
