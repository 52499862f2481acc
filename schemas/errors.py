"""The error tree: each leaf says whose fault it is, the HTTP status, and what becomes of the record.

HeadraceError
├── InputError            the caller's bytes or words (reject: never retried)
│   ├── EmptyInput TooLarge UnsupportedMedia Truncated Encrypted TooManyPixels TooNarrow TooManyPages DecodeFailed
│   │   DecodeTimeout PoisonRecord
│   ├── BadRequest Unauthorized Forbidden NotFound Gone Conflict JobEnded NothingToRetry NothingStored LetterClosed
│   │   KeyEnded TooManyKeys DestinationRefused TooManyEndpoints WrongCode AlreadyVerified
│   │   IdempotencyKeyReused IdempotencyInProgress
│   └── TooManyPagesWaiting RateLimited SlowDown QuotaExceeded   (not wrong, but too much of it: come back)
├── RecordError           a record on the log that cannot be read (reject: dead letter with its original bytes)
├── DependencyDown        Kafka, PostgreSQL or the blob store (hold: nothing is dead-lettered)
├── Overloaded            more at once than this process takes (503, come back soon)
├── NewerThanUs           an unknown major version or plan (hold: a rollback must dead-letter nothing)
└── Internal              ours (retry, then reject)
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

Fate = Literal["reject", "hold", "retry"]


class HeadraceError(Exception):
    """Base of every error that may be told to a caller. `detail` must hold nothing secret or personal."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    fate: ClassVar[Fate] = "retry"
    title: ClassVar[str] = "Something went wrong on our side"

    def __init__(self, detail: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.retry_after = retry_after


class InputError(HeadraceError):
    """The caller's input is at fault; trying again without changing it cannot help."""

    code = "invalid_input"
    status = 422
    fate = "reject"
    title = "The input cannot be processed"


class EmptyInput(InputError):
    """A file of no bytes."""

    code = "empty_input"
    title = "The file is empty"


class TooLarge(InputError):
    """More bytes than the upload limit."""

    code = "too_large"
    status = 413
    title = "The file is larger than this server accepts"


class UnsupportedMedia(InputError):
    """The content (never the name) is of no kind that a pipeline reads."""

    code = "unsupported_media_type"
    status = 415
    title = (
        "The file is of no supported type; send PDF, PNG, JPEG, TIFF, WebP, HEIC, BMP, GIF, "
        "DOCX, PPTX, XLSX, HTML, e-mail or plain text"
    )


class Truncated(InputError):
    """The file ends before its content does."""

    code = "input_truncated"
    title = "The file is truncated or damaged"


class Encrypted(InputError):
    """A PDF that wants a password."""

    code = "encrypted_document"
    title = "The document is encrypted; remove its password and send it again"


class TooManyPixels(InputError):
    """An image whose header promises more pixels than the cap; refused before decoding."""

    code = "too_many_pixels"
    title = "The image has more pixels than this server decodes"


class TooNarrow(InputError):
    """A page whose longer side is more times its shorter one than the cap: no text stands on it."""

    code = "too_narrow"
    title = "The page is too long and narrow to be read"


class TooManyPages(InputError):
    """A document of more pages (frames, slides, sections) or more text than the cap."""

    code = "too_many_pages"
    title = "The document has more pages than this server accepts"


class DecodeFailed(InputError):
    """The decoder refused the bytes, or its child process died on them."""

    code = "decode_failed"
    title = "The file could not be decoded"


class DecodeTimeout(InputError):
    """Decoding took longer than its cap and was ended."""

    code = "decode_timeout"
    title = "Decoding the file took too long"


class PoisonRecord(InputError):
    """A record that ended its worker three times; it is not tried a fourth time."""

    code = "poison_record"
    title = "Processing this input ended the worker repeatedly"


class BadRequest(InputError):
    """A request that does not follow the interface."""

    code = "bad_request"
    status = 400
    title = "The request is malformed"


class Unauthorized(InputError):
    """No credentials, or none that are good here: `presented` tells which."""

    code = "unauthorized"
    status = 401
    title = "A valid API key or access token is required: Authorization: Bearer KEY"

    def __init__(self, detail: str = "", *, presented: bool = False) -> None:
        super().__init__(detail)
        self.presented = presented


class Forbidden(InputError):
    """Good credentials that do not permit this; `scopes` would."""

    code = "forbidden"
    status = 403
    title = "The credentials do not permit this"

    def __init__(self, scopes: Sequence[str]) -> None:
        super().__init__(f"the credentials lack the scope {' '.join(scopes)}")
        self.scopes = tuple(scopes)


class NotFound(InputError):
    """Nothing of that name that this caller may see; a foreign id looks the same."""

    code = "not_found"
    status = 404
    title = "There is no such resource"


class Gone(InputError):
    """It existed, and is no longer kept."""

    code = "gone"
    status = 410
    title = "The resource is no longer kept"


class Conflict(InputError):
    """The resource is not in a state that allows this."""

    code = "not_ready"
    status = 409
    title = "The job has not finished yet"


class JobEnded(InputError):
    """The job is not in a state from which this can be done."""

    code = "job_ended"
    status = 409
    title = "The job has ended already"


class NothingToRetry(InputError):
    """Only a job that ended without success is retried."""

    code = "nothing_to_retry"
    status = 409
    title = "The job has not ended, or has succeeded"


class KeyEnded(InputError):
    """A key that expired or was revoked gets no new secret."""

    code = "key_ended"
    status = 409
    title = "The API key has expired or was revoked; make a new one"


class IdempotencyKeyReused(InputError):
    """The key stands for another payload."""

    code = "idempotency_key_reused"
    title = "This Idempotency-Key was used for another request; take a new one"


class IdempotencyInProgress(InputError):
    """The request that first brought the key is not answered yet, or its process died a moment ago."""

    code = "idempotency_in_progress"
    status = 409
    title = "A request with this Idempotency-Key is under way; send it again later"


class DestinationRefused(InputError):
    """A webhook's URL that is malformed, resolves to nothing, or leads to where this server sends nothing."""

    code = "webhook_url_refused"
    title = "Webhooks are not sent to this URL"


class TooManyEndpoints(InputError):
    """A tenant has as many webhook endpoints as it may."""

    code = "too_many_endpoints"
    status = 409
    title = "There are as many webhook endpoints as a tenant may have; remove one first"


class TooManyKeys(InputError):
    """A tenant has as many API keys that stand as it may."""

    code = "too_many_keys"
    status = 409
    title = "There are as many API keys as a tenant may have; revoke one first"


class WrongCode(InputError):
    """What was told back is not what the endpoint was sent."""

    code = "wrong_code"
    title = "This is not the code that the endpoint was sent last"


class AlreadyVerified(InputError):
    """An endpoint that is verified has nothing to tell back."""

    code = "already_verified"
    status = 409
    title = "The endpoint is verified, or disabled; change its url to have it verified anew"


class LetterClosed(InputError):
    """Only an open dead letter is redriven or discarded."""

    code = "letter_closed"
    status = 409
    title = "The dead letter was redriven or discarded already"


class NothingStored(InputError):
    """A step can go on only from what earlier steps stored."""

    code = "nothing_stored"
    status = 409
    title = "Nothing is stored that the step could go on from; retry the job without `from`"


class TooManyPagesWaiting(InputError):
    """One caller has more waiting than its share of the queue; the same request may be accepted later."""

    code = "too_many_pages_waiting"
    status = 429
    title = "Too many of your pages wait already; try again later"


class RateLimited(InputError):
    """A limit on what one caller may use in a span of time; `Retry-After` says when there is room again."""

    code = "rate_limited"
    status = 429
    title = "You have used as much as you may for now; try again later"

    def __init__(self, policy: str, *, retry_after: float | None = None) -> None:
        super().__init__(f"the limit {policy!r} has no room for this now; try again later", retry_after=retry_after)
        self.policy = policy


class SlowDown(RateLimited):
    """More requests in a short span than one caller may send: the ramp is too steep, not the whole too much."""

    code = "slow_down"
    title = "Requests come too quickly; send them more slowly"


class QuotaExceeded(RateLimited):
    """A quota of a month, or of what is stored, is used up: waiting a while does not help."""

    code = "quota_exceeded"
    title = "Your quota is used up; delete documents, wait for the next month, or ask the operator for more"

    def __init__(self, policy: str) -> None:
        super().__init__(policy)
        self.detail = f"the quota {policy!r} is used up"


class RecordError(HeadraceError):
    """A record that is not what its topic holds."""

    code = "invalid_record"
    fate = "reject"
    title = "The record cannot be read"


class ModelOutputInvalid(HeadraceError):
    """A model answered with something that cannot be right (NaN, a box outside its page)."""

    code = "model_output_invalid"
    fate = "reject"
    title = "The model's answer is invalid"


class DependencyDown(HeadraceError):
    """Kafka, PostgreSQL or the blob store does not answer; records wait, callers come back."""

    code = "dependency_down"
    status = 503
    fate = "hold"
    title = "A part that this needs does not answer; try again later"


class Contended(DependencyDown):
    """A transaction gave way to another one (deadlock, serialization): the same one soon finds the way free."""

    code = "contended"
    title = "Too much is written at the same place at once; try again later"


class LogUnavailable(DependencyDown):
    """The log did not confirm the record in time: nothing was accepted."""

    code = "log_unavailable"
    title = "The log does not answer; nothing was accepted, try again later"


class Overloaded(HeadraceError):
    """More at once than this process takes; another one, or this one soon, may have room."""

    code = "overloaded"
    status = 503
    title = "This server has too much of this to do right now; try again"


class BlobMissing(HeadraceError):
    """Bytes that a record claims are not there: tried three times, as a store may be slow to show them."""

    code = "blob_missing"
    title = "The stored bytes are missing"


class DecoderKilled(HeadraceError):
    """The decoding child was killed by others (the kernel's memory killer, an operator): tried three times."""

    code = "decoder_killed"
    title = "The decoder was killed while it worked on the file"


class NewerThanUs(HeadraceError):
    """A version or plan that this release does not know; it waits for one that does."""

    code = "newer_than_us"
    status = 503
    fate = "hold"
    title = "The record was written by a newer release"
