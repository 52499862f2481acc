"""Error codes: each is explained where its problem's `type` leads, and on the page of all of them."""

import re

import httpx2

from api import problems
from api.generate import ERRORS


async def test_a_problem_s_type_leads_to_what_it_means(client: httpx2.AsyncClient) -> None:
    refused = await client.get("/v1/jobs/job_x")
    page = await client.get(refused.json()["type"], headers={"authorization": ""})
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "<code>not_found</code>" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_every_code_has_its_page_and_no_other_has_one(client: httpx2.AsyncClient) -> None:
    for code, error in problems.catalogue().items():
        page = await client.get(f"/problems/{code}")
        assert page.status_code == 200, code
        assert f"<dd>{error.status}</dd>" in page.text
    for unknown in ("nothing", "<b>", "..", "a" * 5000):
        assert (await client.get(f"/problems/{unknown}")).status_code == 404


def test_no_two_errors_share_a_code_and_codes_are_words() -> None:
    everything = list(problems._all(problems.HeadraceError))
    assert len({error.code for error in everything}) == len(everything)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", error.code) for error in everything)


def test_the_page_of_all_codes_is_fresh() -> None:
    assert ERRORS.read_text() == problems.page(), "run: make schemas"
