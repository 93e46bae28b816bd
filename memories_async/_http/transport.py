"""Carries one HTTP request: one complete reply, or the error that says whether it may be billed.

Two transports do it. `DirectTransport` writes the request itself, over aiohttp's connector and parser;
`ReferenceTransport` uses aiohttp's session. Whether a failed request may be billed depends on whether
its first byte was sent, never on the type of an exception.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import aiohttp
from aiohttp.http import HttpProcessingError

from memories_async._http.attempt import Attempt, AttemptProgress, StaleConnectionError
from memories_async._http.failures import build_error
from memories_async._http.multipart import EncodedForm, encode_form
from memories_async._http.reply_reader import ENCODINGS
from memories_async._protocol.call import Form, Json
from memories_async._protocol.reply import Reply
from memories_async.errors import MemoriesError, NotSent, OutcomeUnknown


class Transport(Protocol):
    """Sends requests. It never repeats one and never follows a redirect."""

    async def carry(self, attempt: Attempt) -> Reply:
        """Return the complete reply, or raise `NotSent` or `OutcomeUnknown`."""
        ...

    async def aclose(self) -> None:
        """Close every connection; may be called twice."""
        ...


class HttpTransport:
    """What both transports share: how an attempt ends. A subclass exchanges request and reply."""

    async def carry(self, attempt: Attempt) -> Reply:
        """See `Transport.carry`."""
        loop = asyncio.get_running_loop()
        started, progress = loop.time(), AttemptProgress(attempt, loop)
        try:
            while True:
                try:
                    return await self.exchange(progress)
                except StaleConnectionError:
                    continue
        except (NotSent, OutcomeUnknown) as error:
            # The frames where it was raised hold the response, which refers to the request's headers.
            outcome: MemoriesError = error.with_traceback(None)
        except (
            *(aiohttp.ClientError, HttpProcessingError, OSError, ValueError, RuntimeError),
        ) as error:
            seconds = loop.time() - started
            outcome = build_error(error, url=attempt.url, sent=progress.has_sent, seconds=seconds)
        except asyncio.CancelledError as error:
            # The frames below hold the headers, and with them the key.
            raise error.with_traceback(None) from None
        # Raised outside the handlers: aiohttp's exception, which holds the key, is not its context.
        raise outcome

    async def exchange(self, progress: AttemptProgress) -> Reply:
        """Send the request and read its reply; raise what aiohttp raises."""
        raise NotImplementedError


def encode_request(attempt: Attempt) -> tuple[bytes | EncodedForm, dict[str, str]]:
    """Return the body as it is sent, and the headers; read no file yet."""
    headers = {
        "Authorization": attempt.key.reveal(),
        "Accept-Encoding": ENCODINGS if attempt.save_to is None else "identity",
    }
    if isinstance(attempt.body, Form):
        form = encode_form(attempt.body)
        headers["Content-Type"], headers["Content-Length"] = form.content_type, str(form.size)
        return form, headers
    if attempt.body is None:
        return b"", headers
    is_json, encoded = isinstance(attempt.body, Json), attempt.body.encode()
    headers["Content-Type"] = "application/json" if is_json else "application/x-www-form-urlencoded"
    headers["Content-Length"] = str(len(encoded))
    return encoded, headers
