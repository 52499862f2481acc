"""The description of what lies on Kafka: AsyncAPI 3.0, made of the map of topics and the models of their records."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from schemas import topics
from schemas.codec import KINDS
from schemas.control import AttemptsMarked, ControlEntry, LoadReport, StepOrder
from schemas.documents import Claim
from schemas.envelope import ATTRIBUTES, Envelope
from schemas.keys import KeyEntry
from schemas.plans import Plan
from schemas.results import RelayPosition
from schemas.topics import DEAD_LETTERS, RESULTS, TOPICS, Topic
from schemas.usage import Usage

_TENANTS = topics.tenant_results("{tenant}")
_PLAIN: dict[str, type[BaseModel]] = {
    model.__name__: model
    for model in (ControlEntry, StepOrder, Plan, KeyEntry, Usage, LoadReport, AttemptsMarked, RelayPosition)
}
_DEAD = "DeadLetter"
_WRITERS = {
    "headrace.jobs": ("api",), "headrace.prepare": ("dispatcher",), "headrace.prepare-interactive": ("dispatcher",),
    "headrace.ocr": ("prepare", "dispatcher"), "headrace.ocr-interactive": ("prepare", "dispatcher"),
    "headrace.redrives": ("api",), "headrace.delayed": ("worker",), "headrace.load": ("dispatcher",),
    "headrace.chunk": ("prepare", "ocr", "dispatcher", "relay"), "headrace.embed": ("chunk", "dispatcher"),
    "headrace.vectors": ("embed", "dispatcher"),
    "headrace.events": ("api", "prepare", "ocr", "chunk", "embed", "index-pgvector", "index-weaviate", "relay"),
    "headrace.documents": ("api", "relay"), "headrace.results": ("relay",), "headrace.relay": ("relay",),
    "headrace.control": ("api", "relay", "worker", "reconciler"), "headrace.attempts": ("worker", "reconciler"),
    "headrace.dead-letters": ("worker",),
    _TENANTS.name: ("relay",),
}  # fmt: skip
_REPLIES = {"headrace.jobs": ("PageEnded", "JobEnded"), "headrace.documents": ("DocumentDeleted",)}
"""Topics whose records are answered, and with what on `headrace.results`."""
_ABOUT = """Each record carries its envelope as CloudEvents 1.0 binary headers and a JSON object as its value.

`headrace.results` (and a tenant's own copy of it) is for everybody: each page and each job that ended, exactly once for
readers with `isolation.level=read_committed`. All other topics are between Headrace's own processes and may change with
any release. Readers take fields that they do not know for additions."""
_NUMBERS = {"run": "^[1-9][0-9]*$", "attempt": "^[1-9][0-9]*$", "revision": "^[1-9][0-9]*$", "part": "^[0-9]+$"}
_REF = "#/components/schemas/{model}"


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI document."""
    channels = (*TOPICS, _TENANTS)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Headrace",
            "version": "1",
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
            "tags": [{"name": "public"}, {"name": "internal"}],
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": "{bootstrap}",
                "protocol": "kafka",
                "description": "The log.",
                "variables": {"bootstrap": {"default": "127.0.0.1:9092", "description": "Any broker's host and port."}},
            }
        },
        "channels": {_name(topic): _channel(topic) for topic in channels},
        "operations": {name: operation for topic in channels for name, operation in _operations(topic)},
        "components": {"messages": _messages(), "schemas": _schemas()},
    }


def _channel(topic: Topic) -> dict[str, Any]:
    policy = "compact" if topic.compacted else "delete"
    configuration: dict[str, Any] = {"cleanup.policy": [policy]}
    if not topic.compacted:
        configuration["retention.ms"] = topic.retention_ms
    channel: dict[str, Any] = {
        "address": topic.name,
        "description": f"Keyed by {topic.key}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _records(topic)},
        "tags": [{"name": "public" if topic.name.startswith(RESULTS.name) else "internal"}],
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": configuration,
                "bindingVersion": "0.5.0",
            }
        },
    }
    if topic is _TENANTS:
        channel["parameters"] = {"tenant": {"description": "A tenant that the setting `tenant_topics` names."}}
        channel["description"] += " A tenant's own copy of its events on `headrace.results`."
    return channel


def _operations(topic: Topic) -> list[tuple[str, dict[str, Any]]]:
    """Who writes a topic, and each group that reads it; a reply stands with the group that brings it about."""
    channel = {"$ref": f"#/channels/{_name(topic)}"}
    found: list[tuple[str, dict[str, Any]]] = []
    for writer in _WRITERS[topic.name]:
        about = f"{writer} writes {topic.name}"
        found.append((f"{writer}.writes.{_name(topic)}", {"action": "send", "channel": channel, "description": about}))
    for reader in topic.readers:
        if reader == "*":
            continue
        name = reader.removeprefix("headrace.")
        operation: dict[str, Any] = {
            "action": "receive",
            "channel": channel,
            "description": f"{name} reads {topic.name}",
            "bindings": {"kafka": {"groupId": {"type": "string", "const": reader}, "bindingVersion": "0.5.0"}},
        }
        if name == "projector" and topic.name in _REPLIES:
            to = f"#/channels/{_name(RESULTS)}"
            messages = [{"$ref": f"{to}/messages/{record}"} for record in _REPLIES[topic.name]]
            operation["reply"] = {"channel": {"$ref": to}, "messages": messages}
        found.append((f"{name}.reads.{_name(topic)}", operation))
    return found


def _messages() -> dict[str, Any]:
    messages = {name: _message(name, payload.kind(), payload) for name, payload in KINDS.items()}
    for name, model in _PLAIN.items():
        plain = {"name": name, "title": name, "summary": _summary(model)}
        messages[name] = plain | {"payload": {"$ref": _REF.format(model=name)}}
    messages[_DEAD] = {
        "name": _DEAD,
        "title": "A dead letter",
        "summary": "A record that could not be handled, as it was, with what happened beside it.",
        "headers": {"$ref": _REF.format(model="DeadLetterHeaders")},
        "payload": {"description": "The record's own value, whatever it was."},
    }
    return messages


def _message(name: str, kind: str, payload: type[BaseModel]) -> dict[str, Any]:
    of = {"properties": {"ce_type": {"const": kind}}}
    return {
        "name": kind,
        "title": name,
        "summary": _summary(payload),
        "headers": {"type": "object", "allOf": [{"$ref": _REF.format(model="EnvelopeHeaders")}, of]},
        "payload": {"$ref": _REF.format(model=name)},
        "correlationId": {"description": "The job.", "location": "$message.header#/ce_job"},
        "bindings": {"kafka": {"key": {"type": "string"}, "bindingVersion": "0.5.0"}},
    }


def _schemas() -> dict[str, Any]:
    models: list[type[BaseModel]] = [*KINDS.values(), *_PLAIN.values(), Claim]
    _, described = models_json_schema([(model, "serialization") for model in models], ref_template=_REF)
    dead = {name: {"type": "string"} for name in ("code", "detail", "step", "attempt", "position")}
    schemas: dict[str, Any] = {
        "EnvelopeHeaders": _headers(),
        "DeadLetterHeaders": {
            "type": "object",
            "description": "Beside the record's own headers.",
            "properties": {f"headrace_{name}": schema for name, schema in dead.items()},
            "required": [f"headrace_{name}" for name in dead],
        },
    }
    return schemas | {name: _draft_7(schema) for name, schema in sorted(described["$defs"].items())}


def _headers() -> dict[str, Any]:
    """The envelope as headers: every value a string of UTF-8."""
    model = Envelope.model_json_schema()
    properties: dict[str, Any] = {
        "ce_specversion": {"type": "string", "const": "1.0"},
        "ce_source": {"type": "string", "const": "headrace"},
        "content-type": {"type": "string", "const": "application/json"},
    }
    for field, attribute in ATTRIBUTES.items():
        kept = {key: value for key, value in model["properties"][field].items() if key in ("pattern", "enum", "format")}
        number = {"pattern": _NUMBERS[field]} if field in _NUMBERS else {}
        properties[f"ce_{attribute}"] = {"type": "string"} | kept | number
    properties["ce_deadline"]["format"] = "date-time"
    properties["traceparent"] = {"type": "string", "pattern": model["properties"]["traceparent"]["pattern"]}
    claim = "Where the value is larger than 256 KiB: JSON of a `Claim` for it, and the value is an empty object."
    required = [name for name in properties if name != "ce_deadline"]
    properties["headrace_claim"] = {"type": "string", "description": claim}
    return {"type": "object", "properties": properties, "required": required}


def _draft_7(schema: Any) -> Any:
    """A schema in the dialect that AsyncAPI takes for granted: there a tuple's items are a list under `items`."""
    if isinstance(schema, list):
        return [_draft_7(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {key: _draft_7(value) for key, value in schema.items() if key != "prefixItems"}
    return changed | ({"items": _draft_7(schema["prefixItems"])} if "prefixItems" in schema else {})


def _records(topic: Topic) -> tuple[str, ...]:
    return (_DEAD,) if topic.name == DEAD_LETTERS.name else topic.records


def _name(topic: Topic) -> str:
    return topic.name.replace("{", "").replace("}", "")


def _summary(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().split("\n")[0]
