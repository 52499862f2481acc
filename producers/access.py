"""Who may read a tenant's own results topic: rules (ACLs) for its principal, and nobody else's business."""

import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ConfigResource,
    ResourcePatternType,
    ResourceType,
)

from schemas.envelope import TENANT
from schemas.errors import HeadraceError
from schemas.topics import GROUPS, RESULTS, tenant_results

log = logging.getLogger(__name__)
_TIMEOUT = 10.0
_ANY: Any = None  # what the library's types do not say it takes
_EVERYTHING = AclBindingFilter(
    ResourceType.ANY, _ANY, ResourcePatternType.ANY, _ANY, _ANY, AclOperation.ANY, AclPermissionType.ANY
)
_TENANT = re.compile(TENANT)


class AccessNotReady(HeadraceError):
    """Tenants' topics cannot be kept apart as the setting asks; the detail says what to change."""

    code = "access_not_ready"
    title = "Access to tenants' topics is not as declared; run: headrace topics apply"


def rules(tenant: str, principal: str) -> list[AclBinding]:
    """READ and DESCRIBE of the tenant's topic, and READ of the consumer groups whose names begin with `{tenant}.`.

    Raises `AccessNotReady` for a tenant or principal that would open more than that.
    """
    if not _TENANT.fullmatch(tenant) or any(group.startswith(f"{tenant}.") for group in GROUPS):
        raise AccessNotReady(f"HEADRACE_TENANT_TOPICS: {tenant!r} cannot have a topic: no tenant may be called that")
    if not re.fullmatch(r"User:.+", principal) or principal == "User:*":
        raise AccessNotReady(f"HEADRACE_TENANT_TOPICS: {principal!r} is no principal: it is written User:name")
    topic, allow = tenant_results(tenant).name, AclPermissionType.ALLOW
    exactly, beginning = ResourcePatternType.LITERAL, ResourcePatternType.PREFIXED
    return [
        AclBinding(ResourceType.TOPIC, topic, exactly, principal, "*", AclOperation.READ, allow),
        AclBinding(ResourceType.TOPIC, topic, exactly, principal, "*", AclOperation.DESCRIBE, allow),
        AclBinding(ResourceType.GROUP, f"{tenant}.", beginning, principal, "*", AclOperation.READ, allow),
    ]


def missing(admin: AdminClient, node: int, tenants: Mapping[str, str], *, dev: bool) -> list[AclBinding]:
    """The rules of `tenants` (tenant to principal) that the log does not have; what it has beyond them is warned of.

    `node` is the id of any broker. One without an authorizer, which lets everybody read everything, is a warning with
    `dev`, else `AccessNotReady`. Nothing is asked where there is no tenant. To a login that may not look at rules all
    of them are missing: librdkafka does not tell it the refusal.
    """
    wanted = [rule for tenant in sorted(tenants) for rule in rules(tenant, tenants[tenant])]
    if not wanted:
        return []
    if _unprotected(admin, node):
        told_of = "the broker has no authorizer: everybody may read every tenant's topic"
        if not dev:
            raise AccessNotReady(f"{told_of}; give it one, or unset HEADRACE_TENANT_TOPICS")
        log.warning("%s", told_of)
        return []
    try:
        found: list[AclBinding] = admin.describe_acls(_EVERYTHING, request_timeout=_TIMEOUT).result(_TIMEOUT)
    except KafkaException as error:
        raise AccessNotReady(f"the broker does not tell its rules: {error.args[0].str()}") from error
    _warn_of_others(found, wanted)
    return [rule for rule in wanted if rule not in found]


def grant(admin: AdminClient, wanted: list[AclBinding]) -> None:
    """Make these rules; one that exists already stays. Raises `AccessNotReady` where the broker refuses."""
    for rule in wanted:
        try:
            admin.create_acls([rule], request_timeout=_TIMEOUT)[rule].result(_TIMEOUT)
        except KafkaException as error:
            raise AccessNotReady(f"not allowed to say that {told(rule)}: {error.args[0].str()}") from error


def told(rule: AclBinding) -> str:
    """A rule in words."""
    ending = "*" if rule.resource_pattern_type == ResourcePatternType.PREFIXED else ""
    operation, kind = AclOperation(rule.operation).name, ResourceType(rule.restype).name.lower()
    return f"{rule.principal} may {operation} {kind} {rule.name}{ending}"


def _unprotected(admin: AdminClient, node: int) -> bool:
    """Asked of its settings, since a broker without an authorizer answers librdkafka that it has no rules."""
    resource = ConfigResource(ResourceType.BROKER, str(node))
    try:
        settings = admin.describe_configs([resource], request_timeout=_TIMEOUT)[resource].result(_TIMEOUT)
    except KafkaException as error:
        if error.args[0].code() == KafkaError.CLUSTER_AUTHORIZATION_FAILED:
            return False
        raise AccessNotReady(f"the broker does not tell its settings: {error.args[0].str()}") from error
    authorizer = settings.get("authorizer.class.name")
    return authorizer is not None and not authorizer.value


def _warn_of_others(found: Iterable[AclBinding], wanted: Iterable[AclBinding]) -> None:
    kept = {rule for rule in found if rule.restype == ResourceType.TOPIC and rule.name.startswith(f"{RESULTS.name}.")}
    for rule in sorted(kept - set(wanted), key=told):
        if rule.permission_type == AclPermissionType.ALLOW:
            log.warning("not declared, and left as it is: %s", told(rule))
