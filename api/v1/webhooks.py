"""Webhook endpoints: where events are sent, what was delivered, and how to send it again."""

from datetime import timedelta
from typing import Annotated, TypeVar

from fastapi import APIRouter, Path, Query, Request, Response

from api.auth.doors import WebhooksRead, WebhooksWrite, audited
from api.errors import InvalidRequest, declare
from api.json_route import JsonRoute
from api.parts import Parts, PartsOf
from schemas import webhooks
from schemas.errors import (
    AlreadyVerified,
    BadRequest,
    DependencyDown,
    DestinationRefused,
    NotFound,
    TooManyEndpoints,
    WrongCode,
)
from schemas.webhooks import (
    ENDPOINT_ID,
    MESSAGE_ID,
    DeliveriesTaken,
    DeliveryList,
    DeliveryQuery,
    DeliveryView,
    Endpoint,
    EndpointChange,
    EndpointList,
    EndpointWithSecrets,
    MessageSent,
    NewEndpoint,
    SecretRotation,
    SecretVersion,
    SigningSecret,
    Since,
    Verification,
)

router = APIRouter(prefix="/v1/webhook-endpoints", tags=["webhooks"], route_class=JsonRoute)
_Id = Annotated[str, Path(pattern=rf"^{ENDPOINT_ID}$", description="The endpoint's id.")]
_Message = Annotated[str, Path(pattern=rf"^{MESSAGE_ID}$", description="The message's id, its `webhook-id`.")]
_ONE = declare(NotFound, InvalidRequest, DependencyDown)
_Found = TypeVar("_Found")


@router.post(
    "", status_code=201, responses=declare(DestinationRefused, TooManyEndpoints, InvalidRequest, DependencyDown)
)
async def endpoint_creation(
    request: Request, response: Response, wanted: NewEndpoint, who: WebhooksWrite, parts: PartsOf
) -> EndpointWithSecrets:
    """Make an endpoint. Before anything else it is sent a message of type `endpoint.verification`.

    It becomes active when it answers that with `{"code": …}`, the code in the message's `data`, or when the code is
    given to `/verify`. Events that come before wait until then.
    """
    await parts.webhook_urls.check(wanted.url)
    identifier = webhooks.new_endpoint_id()
    secret = SecretVersion(key=parts.webhook_secrets.newest(), version=1)
    made = await parts.webhooks.create(who.tenant, identifier, wanted, secret, audited(request, who))
    response.headers["Location"] = f"/v1/webhook-endpoints/{identifier}"
    return _with_secrets(response, made, (secret,), parts)


@router.get("", responses=declare(DependencyDown))
async def endpoint_list(who: WebhooksRead, parts: PartsOf) -> EndpointList:
    """The caller's endpoints, newest first."""
    return EndpointList(data=await parts.webhooks.endpoints(who.tenant))


@router.get("/{endpoint}", responses=_ONE)
async def endpoint_view(endpoint: _Id, who: WebhooksRead, parts: PartsOf) -> Endpoint:
    """One endpoint."""
    return _found(await parts.webhooks.endpoint(who.tenant, endpoint))


@router.patch("/{endpoint}", responses=declare(DestinationRefused, NotFound, InvalidRequest, DependencyDown))
async def endpoint_change(endpoint: _Id, wanted: EndpointChange, who: WebhooksWrite, parts: PartsOf) -> Endpoint:
    """Make an endpoint different. With another `url` it has to be verified anew; what waits goes there then."""
    if wanted.url is not None:
        await parts.webhook_urls.check(wanted.url)
    return _found(await parts.webhooks.change(who.tenant, endpoint, wanted))


@router.delete("/{endpoint}", status_code=204, responses=_ONE)
async def endpoint_removal(endpoint: _Id, who: WebhooksWrite, parts: PartsOf) -> None:
    """Forget an endpoint, and all that was or was to be delivered to it."""
    if not await parts.webhooks.remove(who.tenant, endpoint):
        raise NotFound("there is no such webhook endpoint")


@router.get("/{endpoint}/secrets", responses=_ONE)
async def endpoint_secrets(
    response: Response, endpoint: _Id, who: WebhooksWrite, parts: PartsOf
) -> EndpointWithSecrets:
    """An endpoint with what its signatures are checked with; while a rotation goes on, more than one."""
    return await _shown(response, endpoint, who.tenant, parts)


@router.post("/{endpoint}/rotate", responses=_ONE)
async def secret_rotation(
    response: Response, endpoint: _Id, who: WebhooksWrite, parts: PartsOf, wanted: SecretRotation | None = None
) -> EndpointWithSecrets:
    """Give an endpoint a new secret. For `overlap_hours` messages are signed with the one before, too."""
    overlap = timedelta(hours=(wanted or SecretRotation()).overlap_hours)
    if not await parts.webhooks.rotate(who.tenant, endpoint, parts.webhook_secrets.newest(), overlap):
        raise NotFound("there is no such webhook endpoint")
    return await _shown(response, endpoint, who.tenant, parts)


@router.post("/{endpoint}/verify", responses=declare(WrongCode, NotFound, InvalidRequest, DependencyDown))
async def endpoint_verification(endpoint: _Id, told: Verification, who: WebhooksWrite, parts: PartsOf) -> Endpoint:
    """Tell the code that the endpoint was sent, where it does not answer with it by itself."""
    return _found(await parts.webhooks.verify(who.tenant, endpoint, told.code))


@router.post(
    "/{endpoint}/challenge",
    status_code=202,
    responses=declare(AlreadyVerified, NotFound, InvalidRequest, DependencyDown),
)
async def endpoint_challenge(endpoint: _Id, who: WebhooksWrite, parts: PartsOf) -> MessageSent:
    """Send an endpoint that is not verified another code."""
    return MessageSent(message=_found(await parts.webhooks.challenge(who.tenant, endpoint)))


@router.post("/{endpoint}/test", status_code=202, responses=_ONE)
async def endpoint_test(endpoint: _Id, who: WebhooksWrite, parts: PartsOf) -> MessageSent:
    """Send an endpoint a message of type `endpoint.test`; it waits while the endpoint is not active."""
    return MessageSent(message=_found(await parts.webhooks.test(who.tenant, endpoint)))


@router.post("/{endpoint}/recover", status_code=202, responses=_ONE)
async def recovery(endpoint: _Id, since: Since, who: WebhooksWrite, parts: PartsOf) -> DeliveriesTaken:
    """Deliver again all messages since then whose delivery was given up."""
    return DeliveriesTaken(taken=_found(await parts.webhooks.recover(who.tenant, endpoint, since.since)))


@router.post("/{endpoint}/replay", status_code=202, responses=_ONE)
async def replay(endpoint: _Id, since: Since, who: WebhooksWrite, parts: PartsOf) -> DeliveriesTaken:
    """Deliver all messages since then that the endpoint asks for and was never sent, as while it was disabled."""
    return DeliveriesTaken(taken=_found(await parts.webhooks.replay(who.tenant, endpoint, since.since)))


@router.get("/{endpoint}/deliveries", responses=declare(BadRequest, NotFound, InvalidRequest, DependencyDown))
async def delivery_list(
    endpoint: _Id, query: Annotated[DeliveryQuery, Query()], who: WebhooksRead, parts: PartsOf
) -> DeliveryList:
    """What was or is to be delivered to an endpoint, newest message first."""
    return _found(await parts.webhooks.deliveries(who.tenant, endpoint, query))


@router.get("/{endpoint}/deliveries/{message}", responses=_ONE)
async def delivery_view(endpoint: _Id, message: _Message, who: WebhooksRead, parts: PartsOf) -> DeliveryView:
    """One delivery: the body, and of each attempt request, answer, and how long it took."""
    return _found(await parts.webhooks.delivery(who.tenant, endpoint, message), "delivery")


@router.post("/{endpoint}/deliveries/{message}/resend", status_code=202, responses=_ONE)
async def resending(endpoint: _Id, message: _Message, who: WebhooksWrite, parts: PartsOf) -> MessageSent:
    """Deliver a message once more, whatever became of it before; its `webhook-id` is the same."""
    if not await parts.webhooks.resend(who.tenant, endpoint, message):
        raise NotFound("there is no such delivery")
    return MessageSent(message=message)


async def _shown(response: Response, endpoint: str, tenant: str, parts: Parts) -> EndpointWithSecrets:
    secrets = _found(await parts.webhooks.secrets(tenant, endpoint))
    return _with_secrets(response, _found(await parts.webhooks.endpoint(tenant, endpoint)), secrets, parts)


def _with_secrets(
    response: Response, endpoint: Endpoint, current: tuple[SecretVersion, ...], parts: Parts
) -> EndpointWithSecrets:
    response.headers["Cache-Control"] = "no-store"
    made = parts.webhook_secrets
    secrets = [
        SigningSecret(
            secret=made.secret(endpoint.id, each.key, each.version),
            public_key=made.public_key(endpoint.id, each.key, each.version),
            until=each.until,
        )
        for each in current
    ]
    return EndpointWithSecrets(**endpoint.model_dump(), secrets=secrets)


def _found(found: _Found | None, what: str = "webhook endpoint") -> _Found:
    if found is None:
        raise NotFound(f"there is no such {what}")
    return found
