"""The whole stack on fake engines: every kind of document that is not a clean scan."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from deploy.local import samples
from tests.flow.jobs import ended, submit
from tests.unit.decoding.office_documents import prices_xlsx, report_docx, talk_pptx

pytestmark = pytest.mark.stack

TEXTS: dict[str, tuple[Callable[[], bytes], str]] = {
    "report.docx": (report_docx, "python-docx"),
    "talk.pptx": (talk_pptx, "python-pptx"),
    "prices.xlsx": (prices_xlsx, "python-calamine"),
    "page.html": (lambda: b"<!doctype html><h1>Weirs</h1><p>The trash rack was cleared.</p>", "lxml"),
    "mail.eml": (lambda: b"From: a@example.org\r\nSubject: Weirs\r\n\r\nThe trash rack was cleared.\r\n", "python"),
    "notes.txt": (lambda: "The trash rack was cleared. Grüße".encode(), "python"),
}


def _result(client: httpx2.Client, content: bytes) -> dict[str, Any]:
    job = submit(client, content).json()["id"]
    assert ended(client, job)["state"] == "succeeded"
    found: dict[str, Any] = client.get(f"/v1/jobs/{job}/result").json()
    return found


@pytest.mark.parametrize("name", TEXTS)
def test_a_document_without_pictures_is_found_and_says_that_it_has_no_boxes(client: httpx2.Client, name: str) -> None:
    make, parser = TEXTS[name]
    result = _result(client, make())
    page = result["pages"][0]
    assert (page["origin"], page["engine"]["name"]) == ("document", parser)
    assert (page["width"], page["height"], page["image"]) == (None, None, None)
    assert {line["box"] for line in page["lines"]} == {None}
    query = {"query": page["text"], "document_id": result["document_id"]}
    hits = client.post("/v1/search", json=query).json()["hits"]
    assert hits
    assert {(hit["box"], hit["image_width"]) for hit in hits} == {(None, None)}
    assert client.get(f"/v1/jobs/{result['id']}/pages/1/image").status_code == 404


def test_a_typed_pdf_is_not_read_by_ocr_and_a_fax_has_all_its_pages(client: httpx2.Client, tmp_path: Path) -> None:
    lines = samples.typed(tmp_path / "typed.pdf")
    (page,) = _result(client, (tmp_path / "typed.pdf").read_bytes())["pages"]
    assert (page["origin"], [line["text"] for line in page["lines"]]) == ("text_layer", lines)
    samples.fax(tmp_path / "fax.tiff")
    result = _result(client, (tmp_path / "fax.tiff").read_bytes())
    assert [(page["page"], page["origin"]) for page in result["pages"]] == [(1, "ocr"), (2, "ocr"), (3, "ocr")]
    picture = client.get(result["pages"][2]["image"])
    assert (picture.headers["content-type"], picture.content[:4]) == ("image/png", b"\x89PNG")
    assert picture.headers["x-content-type-options"] == "nosniff"
