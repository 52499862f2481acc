"""The floor: the same engines in a tuned loop, in as many processes, without log, database or disk between steps.

Each process renders, turns upright, lays out, reads, cuts and embeds whole pages in memory, taking the next one from a
shared counter, so no process idles while another works.
"""

import multiprocessing
from collections.abc import Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import psutil

from bench.machine import Span, cpu_of


class BareLoop:
    """Warm processes that wait for rounds."""

    def __init__(self, processes: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._next = context.Value("i", 0)
        self._begin, self._done = context.Barrier(processes + 1), context.Barrier(processes + 1)
        self._tasks = context.Manager().list()
        arguments = (self._tasks, self._next, self._begin, self._done)
        self._children = [context.Process(target=_work, args=arguments, daemon=True) for _ in range(processes)]
        for child in self._children:
            child.start()
        self._done.wait()  # engines are loaded

    def run(self, pages: Sequence[tuple[Path, int]]) -> dict[str, float | bool]:
        """One round over (PDF, page index)."""
        self._tasks[:] = [(str(path), index) for path, index in pages]
        self._next.value = 0
        before = self._cpu()
        span = Span()
        self._begin.wait()
        self._done.wait()
        return span.end(self._cpu() - before)

    def close(self) -> None:
        """End the processes."""
        for child in self._children:
            child.kill()
            child.join()

    def _cpu(self) -> float:
        return sum(cpu_of([psutil.Process(child.pid) for child in self._children]).values())


def _work(tasks: Any, following: Any, begin: Barrier, done: Barrier) -> None:
    import pypdfium2

    from processors.engines import language
    from processors.engines.factory import embedder, layout_finder, orienter, reader
    from processors.steps.chunk import chunks
    from processors.steps.findings import found_lines, found_regions
    from processors.steps.reading_order import ordered_page
    from processors.steps.upright import upright
    from schemas.documents import PageRead
    from schemas.plans import DOCUMENT
    from schemas.settings import Settings

    settings = Settings()
    orient, layout, read, embed = orienter(settings), layout_finder(settings), reader(settings), embedder(settings)
    for engine in (orient, layout, read, embed, language):
        engine.load()
    done.wait()
    while True:
        begin.wait()
        todo = list(tasks)
        while True:
            with following.get_lock():
                taken, following.value = following.value, following.value + 1
            if taken >= len(todo):
                break
            path, index = todo[taken]
            page = pypdfium2.PdfDocument(path)[index]
            rendered = page.render(scale=DOCUMENT.options("prepare")["dpi"] / 72).to_pil().convert("L")
            picture = upright(rendered, orient).image
            regions = found_regions(layout.regions(picture), *picture.size)
            lines, blocks = ordered_page(found_lines(read.read(picture), *picture.size), regions, *picture.size)
            result = PageRead(lines=lines, blocks=blocks, engine=read.stamp)
            embed.embed([chunk.text for chunk in chunks(result, DOCUMENT.options("chunk")["max_characters"])])
        done.wait()
