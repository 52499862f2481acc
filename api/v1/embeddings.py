"""`POST /v1/embeddings` as OpenAI's clients know it, answered by the model whose vectors searches compare."""

import base64
import struct
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, field_validator
from pydantic_core import to_json
from starlette.requests import ClientDisconnect

from api.auth.doors import Embeds, spend
from api.errors import FieldProblem, InvalidRequest, declare_openai
from api.json_route import JsonRoute
from api.queries import QueryEmbedder
from api.v1.models import ModelNotFound, wanted
from schemas.errors import BadRequest, DependencyDown, InputError, Overloaded, TooLarge
from schemas.given import Whole

router = APIRouter(prefix="/v1/embeddings", tags=["embeddings"], route_class=JsonRoute)
_MOST_TEXTS = 2048  # OpenAI's own limit; some clients send as many by default
_SLICE = 8  # texts that have the model's thread at once
_NO_TOKENS = "arrays of tokens are not taken: send text (with LangChain: check_embedding_ctx_length=False)"


class TooManyTokens(InputError):
    """A text that the model would read only the beginning of."""

    code = "context_length_exceeded"
    status = 400
    title = "A text has more tokens than the model reads"


class EmbeddingRequest(BaseModel):
    """Texts, and how their vectors are to be written. `user` is taken and not used."""

    model_config = ConfigDict(extra="forbid")

    input: Annotated[
        list[Annotated[str, Field(min_length=1)]],
        Field(min_length=1, max_length=_MOST_TEXTS),
        WithJsonSchema(
            {
                "oneOf": [
                    {"type": "string", "minLength": 1},
                    {"type": "array", "items": {"type": "string", "minLength": 1}, "maxItems": _MOST_TEXTS},
                ]
            }
        ),
    ]
    model: str
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Whole | None = None
    user: str | None = None

    @field_validator("input", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        if isinstance(value, list) and any(isinstance(item, int | list) for item in value):
            raise ValueError(_NO_TOKENS)
        return [value] if isinstance(value, str) else value


class Embedding(BaseModel):
    """One text's vector: numbers, or base64 of little-endian float32."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class Usage(BaseModel):
    """Tokens that the model read."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(BaseModel):
    """The answer: one vector a text, in order, each of length 1."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: Usage


@router.post(
    "",
    response_model=EmbeddingList,
    responses=declare_openai(
        BadRequest, TooManyTokens, ModelNotFound, TooLarge, InvalidRequest, Overloaded, DependencyDown
    ),
)
async def embeddings(request: Request, asked: EmbeddingRequest, who: Embeds) -> Response:
    """The texts' vectors. Texts longer than the model reads are refused, not cut off in silence.

    Large requests take turns with others, a few texts at a time.
    """
    queries: QueryEmbedder = request.app.state.queries
    with queries.request():
        model = await wanted(request, asked.model)
        if asked.dimensions not in (None, model.dimensions):
            raise _wrong("dimensions", f"this model's vectors have {model.dimensions} dimensions")
        tokens = [count for _, texts in _slices(asked.input) for count in await queries.tokens(texts)]
        _check(tokens, model.max_tokens)
        await spend(request, who, "tokens", sum(tokens))
        written: list[bytes] = []
        for begin, texts in _slices(asked.input):
            written.append(_written(await queries.vectors(texts), begin, asked.encoding_format))
            if await request.is_disconnected():
                raise ClientDisconnect
    usage = Usage(prompt_tokens=sum(tokens), total_tokens=sum(tokens))
    end = f'],"model":{to_json(asked.model).decode()},"usage":{usage.model_dump_json()}}}'
    return Response(b'{"object":"list","data":[' + b",".join(written) + end.encode(), media_type="application/json")


def _slices(texts: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    for begin in range(0, len(texts), _SLICE):
        yield begin, texts[begin : begin + _SLICE]


def _check(tokens: Sequence[int], limit: int) -> None:
    for index, count in enumerate(tokens):
        if count > limit:
            raise TooManyTokens(f"input[{index}] has {count} tokens and the model reads {limit}; cut it into several")


def _written(vectors: Sequence[tuple[float, ...]], begin: int, form: str) -> bytes:
    """A slice's part of the list `data`, written at once: thousands of vectors at the end would hold the loop."""
    items = [
        Embedding(index=index, embedding=list(vector) if form == "float" else _packed(vector))
        for index, vector in enumerate(vectors, begin)
    ]
    return to_json(items)[1:-1]


def _packed(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _wrong(field: str, detail: str) -> InvalidRequest:
    return InvalidRequest([FieldProblem(pointer=f"/{field}", code="value_error", detail=detail)])
