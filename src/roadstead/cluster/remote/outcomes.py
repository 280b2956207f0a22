"""What an answer, or the lack of one, says about a write."""

from __future__ import annotations

import httpx2
import orjson

from roadstead.kinds.object import Json
from roadstead.runtime.cluster import Create, Outcome, Result, Write

_NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)

RETRY_SECONDS = 1.0
LOGIN_RETRY_SECONDS = 5.0


def status_of(response: httpx2.Response) -> Json:
    """The Status in an answer, or one made up from what there is."""
    try:
        body = orjson.loads(response.content)
    except ValueError:
        body = None
    if isinstance(body, dict) and body.get("kind") == "Status":
        return body
    text = response.text.strip()[:300] or response.reason_phrase
    return {"message": f"the server answered {response.status_code}: {text}", "reason": ""}


def outcome_of_answer(write: Write, response: httpx2.Response) -> Outcome:
    """The outcome of a write that was answered with an error."""
    status = status_of(response)
    message = str(status.get("message", ""))
    after = _retry_after(response, status)
    match response.status_code:
        case 404:
            return Outcome(Result.MISSING, message=message)
        case 409:
            is_taken = status.get("reason") == "AlreadyExists" and isinstance(write, Create) and not write.subresource
            return Outcome(Result.EXISTS if is_taken else Result.CONFLICT, message=message)
        case 401:  # credentials may be renewed; the request itself is not at fault
            return Outcome(Result.THROTTLED, message=message, retry_after=after or LOGIN_RETRY_SECONDS)
        case 429 | 507:
            return Outcome(Result.THROTTLED, message=message, retry_after=after or RETRY_SECONDS)
        case 503 if after:
            return Outcome(Result.THROTTLED, message=message, retry_after=after)
        case code if code >= 500:  # also 500 ServerTimeout and 504: a write may land after them
            return Outcome(Result.UNKNOWN, message=message)
        case _:
            return Outcome(Result.INVALID, message=message)


def outcome_of_silence(error: httpx2.HTTPError) -> Outcome:
    """The outcome of a write that got no answer: if it was never sent it was not carried out."""
    message = f"{type(error).__name__}: {error}"
    if isinstance(error, _NEVER_SENT):
        return Outcome(Result.THROTTLED, message=message, retry_after=RETRY_SECONDS)
    return Outcome(Result.UNKNOWN, message=message)


def _retry_after(response: httpx2.Response, status: Json) -> float:
    header = response.headers.get("retry-after", "")
    if header.isdigit():
        return max(float(header), 0.1)
    details = status.get("details")
    seconds = details.get("retryAfterSeconds") if isinstance(details, dict) else None
    return float(seconds) if isinstance(seconds, int | float) else 0.0
