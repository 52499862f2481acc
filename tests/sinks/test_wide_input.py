"""Pages with and without pictures, as the projector and the index keep them and a caller reads them."""

from schemas.documents import Block, ChunksEmbedded, Claim, EmbeddedChunk, Line, PageRead, TextLayer
from schemas.jobs import picture_path
from schemas.ports import Query
from sinks.pgvector_index import PgvectorIndex
from sinks.pgvector_search import PgvectorSearch
from sinks.postgres.reader import PostgresJobReader
from sinks.projector import Projector
from tests.sinks import events
from tests.sinks.databases import NO_FAILPOINTS, Database

AHEAD = tuple(events.towards(0))
PICTURE = Claim(key="demo/j/pages/1/00001.png", sha256="cd" * 32, size=9)
READ = PageRead(
    width=100,
    height=200,
    image=PICTURE,
    origin="text_layer",
    lines=(Line(text="Total", box=(1, 2, 3, 4), score=0.5), Line(text="99", box=(5, 2, 7, 4), score=1)),
    blocks=(Block(kind="table", box=(1, 2, 7, 4), score=0.8, lines=(0, 1), rows=((0, 1),)),),
    layers=(TextLayer(verdict="garbage", lines=(Line(text="%&", box=(1, 2, 3, 4), score=1),)),),
    engine=events.STAMP,
)
SECTION = PageRead(origin="document", lines=(Line(text="Dear all", score=1),), engine=events.STAMP)


async def test_a_page_is_given_back_as_it_was_read(projector: Projector, reader: PostgresJobReader) -> None:
    job = events.new_job()
    await projector.write([events.submitted(job), events.prepared(job, 2), events.task(job, 1, READ)])
    await projector.write([events.task(job, 2, SECTION)])
    result = await reader.result("demo", job)
    assert result is not None
    seen, section = result.pages
    assert (seen.origin, seen.image) == ("text_layer", picture_path(job, 1))
    assert (tuple(seen.lines), tuple(seen.blocks), tuple(seen.layers)) == (READ.lines, READ.blocks, READ.layers)
    assert (section.origin, section.image, section.width, section.height) == ("document", None, None, None)
    assert section.lines[0].box is None


async def test_a_picture_is_found_by_its_tenant_where_its_page_has_one(
    projector: Projector, reader: PostgresJobReader
) -> None:
    job = events.new_job()
    await projector.write([events.prepared(job, 3), events.task(job, 1, READ), events.task(job, 2, SECTION)])
    assert await reader.picture("demo", job, 1) == PICTURE
    assert await reader.picture("other", job, 1) is None
    assert [await reader.picture("demo", job, page) for page in (2, 3, 4)] == [None, None, None]
    assert await reader.picture("demo", events.new_job(), 1) is None


async def test_a_picture_of_an_earlier_run_is_not_the_pages_picture(
    projector: Projector, reader: PostgresJobReader
) -> None:
    job = events.new_job()
    await projector.write([events.prepared(job, 1), events.task(job, 1, READ)])
    await projector.write([events.prepared(job, 1, run=2)])
    assert await reader.picture("demo", job, 1) is None
    newer = READ.model_copy(update={"image": PICTURE.model_copy(update={"sha256": "ef" * 32})})
    await projector.write([events.task(job, 1, newer, run=2)])
    assert await reader.picture("demo", job, 1) == newer.image


async def test_passages_keep_their_pieces_and_language_and_may_have_no_box(database: Database) -> None:
    job, tenant = events.new_job(), f"t{events.new_job()[4:]}"
    boxed = EmbeddedChunk(
        index=0, text="Summe 99", box=(1, 2, 9, 8), boxes=((1, 2, 3, 4), (5, 6, 9, 8)), language="de",
        vector=events.packed(events.towards(0.1)),
    )  # fmt: skip
    bare = EmbeddedChunk(index=1, text="Dear all", vector=events.packed(events.towards(0.2)))
    index, search = PgvectorIndex(database.sink, NO_FAILPOINTS), PgvectorSearch(database.api)
    for page, width, chunk in ((1, 100, boxed), (2, None, bare)):
        payload = ChunksEmbedded(width=width, height=width, dimensions=384, chunks=(chunk,), engine=events.STAMP)
        await index.write([events.task(job, page, payload, tenant=tenant)])
        await index.write([events.task(job, page, payload, tenant=tenant, run=2)])
    first, second = await search.search(tenant, Query("", AHEAD))
    assert (first.box, first.boxes, first.language) == (boxed.box, list(boxed.boxes), "de")
    assert (first.image_width, first.image_height) == (100, 100)
    assert (second.text, second.box, second.boxes, second.language) == ("Dear all", None, [], "")
    assert (second.image_width, second.image_height) == (None, None)
    await index.close()
    await search.close()
