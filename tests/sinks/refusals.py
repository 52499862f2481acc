"""A gRPC proxy before a real Weaviate that refuses objects as the server does: with an error beside its index."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from weaviate.proto.v1 import batch_pb2

Judge = Callable[[int, int], str]
"""Of a call's number and a passage's number on its page: why it is refused, or nothing."""


class Refusals(grpc.GenericRpcHandler):
    """Passes every call on. `calls` are the passages of each call that stores, by their numbers on their pages."""

    def __init__(self, target: grpc.aio.Channel, judge: Judge) -> None:
        self.judge = judge
        self.calls: list[list[int]] = []
        self._target = target

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """The method that answers a call."""
        method = handler_call_details.method

        async def answer(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
            passed_on = self._target.unary_unary(method)
            metadata = [(key, value) for key, value in context.invocation_metadata() if not key.startswith("grpc")]
            if not method.endswith("/BatchObjects"):
                return bytes(await passed_on(request, metadata=metadata, timeout=10))
            kept, refused = self._judged(request)
            reply = batch_pb2.BatchObjectsReply()
            if kept.objects:
                reply.ParseFromString(await passed_on(kept.SerializeToString(), metadata=metadata, timeout=10))
                assert not reply.errors, "the server's own indices are of another list"
            for index, why in refused.items():
                reply.errors.append(batch_pb2.BatchObjectsReply.BatchError(index=index, error=why))
            return reply.SerializeToString()

        return grpc.unary_unary_rpc_method_handler(answer)

    def _judged(self, request: bytes) -> tuple[batch_pb2.BatchObjectsRequest, dict[int, str]]:
        asked = batch_pb2.BatchObjectsRequest.FromString(request)
        numbers = [int(item.properties.non_ref_properties["chunk"]) for item in asked.objects]
        self.calls.append(numbers)
        verdicts = [self.judge(len(self.calls), number) for number in numbers]
        kept = batch_pb2.BatchObjectsRequest(
            objects=[item for item, why in zip(asked.objects, verdicts, strict=True) if not why]
        )
        return kept, {index: why for index, why in enumerate(verdicts) if why}


@asynccontextmanager
async def refusing(address: str, judge: Judge) -> AsyncIterator[tuple[str, Refusals]]:
    """A proxy before the gRPC address, and its own address."""
    async with grpc.aio.insecure_channel(address) as channel:
        refusals, server = Refusals(channel, judge), grpc.aio.server()
        server.add_generic_rpc_handlers((refusals,))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            yield f"127.0.0.1:{port}", refusals
        finally:
            await server.stop(None)
