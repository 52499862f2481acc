"""The models that this API itself answers with, in OpenAI's shape."""

import time
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from api.auth.doors import ModelsRead
from api.errors import declare_openai
from api.queries import Model, QueryEmbedder
from schemas.errors import DependencyDown, NotFound

router = APIRouter(prefix="/v1/models", tags=["models"])
_STARTED = int(time.time())


class ModelNotFound(NotFound):
    """No model of that name answers here."""

    code = "model_not_found"
    title = "There is no such model"


class ModelView(BaseModel):
    """A model; `step` and what follows are ours. `created` is when this server began to offer it."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "headrace"
    step: str
    engine: str
    version: str
    digest: str
    dimensions: int
    max_tokens: int


class ModelList(BaseModel):
    """`GET /v1/models`."""

    object: Literal["list"] = "list"
    data: list[ModelView]


@router.get("", responses=declare_openai(DependencyDown))
async def model_list(request: Request, who: ModelsRead) -> ModelList:
    """The models that `POST /v1/embeddings` takes: the one whose vectors searches compare."""
    queries: QueryEmbedder = request.app.state.queries
    return ModelList(data=[_view(await queries.model())])


@router.get("/{model:path}", responses=declare_openai(ModelNotFound, DependencyDown))
async def model_view(request: Request, model: str, who: ModelsRead) -> ModelView:
    """One model, with the digest of its weights."""
    return _view(await wanted(request, model))


async def wanted(request: Request, name: str) -> Model:
    """The model of this name; raises `ModelNotFound`, `DependencyDown`."""
    queries: QueryEmbedder = request.app.state.queries
    model = await queries.model()
    if name != model.stamp.model:
        raise ModelNotFound(
            f"there is no model of this name; GET /v1/models lists those there are: {model.stamp.model}"
        )
    return model


def _view(model: Model) -> ModelView:
    return ModelView(
        id=model.stamp.model,
        created=_STARTED,
        step="embed",
        engine=model.stamp.name,
        version=model.stamp.version,
        digest=model.stamp.digest,
        dimensions=model.dimensions,
        max_tokens=model.max_tokens,
    )
