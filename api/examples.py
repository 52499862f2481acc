"""Examples of what goes in and comes out, for the description; each is checked against its model by a test."""

from typing import Any

_JOB = "job_aduucy2zdyazkvx7gn5dyt3l7mabqfqa2zzdk7wo"
_AT = "2026-11-21T10:00:00Z"
_REVISION = 1795255200000000
_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_SUMMARY = {
    "id": _JOB, "state": "running", "cancelling": False, "run": 1, "document_id": "invoices/2026-114",
    "revision": _REVISION, "pipeline": "document", "filename": "invoice.pdf", "deleted": False, "pages_total": 2,
    "created_at": _AT, "started_at": _AT, "finished_at": None,
}  # fmt: skip
_PROJECTED = {"projected_through": _AT}
_DOCUMENT = {
    "document_id": "invoices/2026-114", "revision": _REVISION, "job": _JOB, "state": "succeeded",
    "current": _REVISION, "filename": "invoice.pdf", "created_at": _AT,
}  # fmt: skip
_STAMP = {"name": "rapidocr-onnxruntime", "model": "PP-OCRv5-mobile", "version": "1.24.0", "digest": "0f4b1c2d3e4f5a6b"}
_LINE = {"text": "Total 119.00 EUR", "box": [312.0, 1480.0, 702.0, 1512.0], "score": 0.98}
_PAGE = {
    "page": 1, "width": 1240, "height": 1754, "origin": "ocr", "image": f"/v1/jobs/{_JOB}/pages/1/image",
    "text": "Total 119.00 EUR", "lines": [_LINE], "layers": [], "engine": _STAMP,
    "blocks": [{"kind": "text", "box": _LINE["box"], "score": 0.9, "lines": [0], "rows": []}],
    "times": {"queued": 0.02, "run": 0.8},
}  # fmt: skip
_HIT = {
    "document_id": "invoices/2026-114", "revision": _REVISION, "job": _JOB, "page": 1, "chunk": 0,
    "text": "Total 119.00 EUR", "language": "en", "box": _LINE["box"], "boxes": [_LINE["box"]], "image_width": 1240,
    "image_height": 1754, "score": 0.71,
}  # fmt: skip
_MODEL = {
    "id": "all-MiniLM-L6-v2", "object": "model", "created": 1795255200, "owned_by": "headrace", "step": "embed",
    "engine": "minilm-onnxruntime", "version": "1.24.0", "digest": "2f0c1d5e6a7b8c9d", "dimensions": 384,
    "max_tokens": 256,
}  # fmt: skip

_LETTER = {
    "id": "6c0f3a52-7d1e-5b0a-9a3f-2f6d1c4b8e90", "state": "open", "job": _JOB, "document_id": "invoices/2026-114",
    "page": 17, "run": 1, "plan": "5e0c1b2a3d4f5e6a", "kind": "headrace.PagePrepared.v1", "step": "ocr",
    "code": "decode_failed", "detail": "the page's picture is too narrow to be read", "cause": "8d1f0b3c5a7e9021",
    "attempt": 1, "at": _AT, "position": "headrace.ocr[3]@4711",
}  # fmt: skip
_CLAIM = {"key": f"demo/{_JOB}/pages/1/00017.png", "sha256": _SHA256, "size": 48211}
_EDITS = {"settings": {"ocr": {"det_limit_side": 1280}}, "payload": None}

_ENDPOINT = {
    "id": "we_q3v5m2kzc4hx7abn", "url": "https://example.com/hooks/headrace", "events": ["job.succeeded", "job.failed"],
    "payload": "thin", "description": "the archive", "state": "active", "reason": "", "created_at": _AT,
    "created_by": "demo", "verified_at": _AT, "disabled_at": None, "failing_since": None,
}  # fmt: skip
_SECRET = {
    "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    "public_key": "whpk_5oGLRtH1LXcEkEkMIRWKMKxw6Xqk2iSlnAZgUqk1xg4=",
    "until": None,
}  # fmt: skip
_MESSAGE = "msg_6c0f3a527d1e5b0a9a3f2f6d1c4b8e90"
_STEP = {
    "step": "ocr", "attempt": 1, "state": "succeeded", "code": None, "started_at": _AT, "finished_at": _AT,
    "queued_seconds": 0.021, "run_seconds": 0.804,
}  # fmt: skip
_DELIVERY = {
    "message": _MESSAGE, "type": "job.succeeded", "job": _JOB, "at": _AT, "state": "delivered", "attempts": 1,
    "next_attempt_at": None, "status": 204, "error": "",
}  # fmt: skip
_ATTEMPT = {
    "at": _AT, "seconds": 0.08, "status": 204, "error": "", "response": "",
    "request": {
        "webhook-id": _MESSAGE, "webhook-timestamp": "1795255200",
        "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
    },
}  # fmt: skip

EXAMPLES: dict[str, dict[str, Any]] = {
    "JobAccepted": {
        "id": _JOB, "state": "queued", "document_id": "invoices/2026-114", "revision": _REVISION,
        "pipeline": "document", "plan": "5e0c1b2a3d4f5e6a", "filename": "invoice.pdf", "size": 48211,
        "sha256": _SHA256, "created_at": _AT,
    },
    "JobView": {
        **_SUMMARY, "deadline": None, "pages_done": 1, "errors": [], **_PROJECTED,
        "pages": [{"page": 1, "state": "indexed"}, {"page": 2, "state": "read"}],
    },
    "JobList": {"data": [{**_SUMMARY, "lane": "interactive"}], "has_more": False, "next": None, **_PROJECTED},
    "JobResult": {
        "id": _JOB, "state": "succeeded", "document_id": "invoices/2026-114", "document_sha256": _SHA256,
        "revision": _REVISION, "plan": "5e0c1b2a3d4f5e6a", "pages": [_PAGE], "errors": [],
    },
    "PageResult": _PAGE,
    "JobTimeline": {
        "data": [{"page": 1, "run": 1, "attempts": [_STEP]}], "has_more": False, "next": None,
    },
    "JobEvent": {"seq": 4, "event": "page.read", "run": 1, "page": 1, "at": _AT, "data": {}},
    "DocumentView": _DOCUMENT,
    "DocumentList": {"data": [_DOCUMENT], "has_more": False, "next": None},
    "DocumentDeletion": {"document_id": "invoices/2026-114", "through": _REVISION},
    "LetterList": {"data": [_LETTER], "has_more": False, "next": None},
    "LetterView": {
        **_LETTER, "envelope": {"job": _JOB, "run": 1, "part": 17, "tenant": "demo", "lane": "interactive"},
        "payload": {"image": _CLAIM, "width": 40, "height": 6000, "media_type": "image/png"},
        "story": [{"seq": 9, "event": "page.failed", "run": 1, "page": 17, "at": _AT, "data": {"step": "ocr"}}],
        "audit": [{"action": "redriven", "by": "req_5f2a1c3d", "at": _AT, "run": 2, "reason": "", "edits": _EDITS}],
    },
    "CauseList": {
        "data": [
            {
                "cause": _LETTER["cause"], "step": "ocr", "code": "decode_failed", "detail": _LETTER["detail"],
                "letters": 3, "first": _AT, "last": _AT, "example": _LETTER["id"],
            }
        ]
    },
    "Chosen": {"where": {"step": "ocr", "cause": _LETTER["cause"]}},
    "ChosenToRedrive": {"letters": [_LETTER["id"]], "edits": _EDITS},
    "LettersTaken": {"taken": 1, "plans": {"5e0c1b2a3d4f5e6a": "91b0c5d7e2f34a68"}},
    "NewEndpoint": {"url": _ENDPOINT["url"], "events": ["job.succeeded", "job.failed"], "payload": "thin"},
    "EndpointChange": {"enabled": True},
    "Endpoint": _ENDPOINT,
    "EndpointList": {"data": [_ENDPOINT]},
    "EndpointWithSecrets": {**_ENDPOINT, "secrets": [_SECRET]},
    "MessageSent": {"message": _MESSAGE},
    "DeliveryList": {"data": [_DELIVERY], "has_more": False, "next": None},
    "DeliveryView": {
        **_DELIVERY, "tried": [_ATTEMPT],
        "body": {"type": "job.succeeded", "timestamp": _AT, "data": {"job": _JOB, "state": "succeeded"}},
    },
    "ChosenJobs": {"where": {"state": ["failed"], "tag": ["archive"]}},
    "JobsTaken": {"taken": 12, "more": False},
    "SearchRequest": {"query": "what is the total?", "mode": "hybrid", "limit": 5},
    "SearchResponse": {"query": "what is the total?", "hits": [_HIT]},
    "EmbeddingRequest": {"model": "all-MiniLM-L6-v2", "input": ["what is the total?"], "encoding_format": "float"},
    "EmbeddingList": {
        "object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.0123, -0.0456]}],
        "model": "all-MiniLM-L6-v2", "usage": {"prompt_tokens": 7, "total_tokens": 7},
    },
    "ModelView": _MODEL,
    "ModelList": {"object": "list", "data": [_MODEL]},
    "Readiness": {"status": "ready", "parts": {"kafka": {"state": "ok", "code": None}}, "degraded": []},
}  # fmt: skip
