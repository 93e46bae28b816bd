"""Captions by any vision-language model behind an OpenAI-compatible endpoint; the rest by pixels.

Eight to sixteen frames go out as JPEG, reference pictures labelled by name, and the measured facts
as context. Works with whatever takes pictures in chat completions (vLLM, Ollama, hosted ones).
Nothing goes anywhere but to the address that was configured; redirects are not followed.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from attrs import field, frozen

from memories_async.local.engine.moments import moments
from memories_async.local.engine.protocol import (
    CaptionRequest,
    CaptionText,
    Engine,
    EngineFailed,
    Facts,
    Found,
    Index,
)
from memories_async.local.engine.tokens import tokens

__all__ = ["OpenAIEngine", "VisionIndex"]

_LONGEST = 768
_QUALITY = 80
_MOST = 4 * 2**20
"""Bytes of an answer that are read."""
_OK = 200


@frozen(kw_only=True)
class VisionIndex:
    """A video indexed by the engine beneath, and where its frames can be read again."""

    beneath: Index = field(repr=False)
    path: Path

    @property
    def facts(self) -> Facts:
        return self.beneath.facts


def _plain(url: str) -> str:
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise ValueError("base_url must be an http or https address, such as http://host/v1")
    return url.rstrip("/")


@frozen(kw_only=True)
class OpenAIEngine:
    """Sends captions to *base_url*; indexes, searches and embeds with *beneath*."""

    beneath: Engine
    base_url: str = field(converter=_plain)
    model: str
    api_key: str | None = field(default=None, repr=False)
    timeout: float = 60.0
    """Seconds for each step of the exchange."""

    @property
    def name(self) -> str:
        return f"{self.beneath.name}+{self.model}"

    def index(self, path: Path) -> VisionIndex:
        """Index the video at *path*, which must stay there: captions read its frames."""
        return VisionIndex(beneath=self.beneath.index(path), path=path)

    def search(self, index: Index, image: bytes, prompt: str) -> Found:
        """Search with the engine beneath."""
        return self.beneath.search(_own(index).beneath, image, prompt)

    def embed(self, index: Index, dimensions: int) -> tuple[float, ...]:
        """Embed with the engine beneath."""
        return self.beneath.embed(_own(index).beneath, dimensions)

    def caption(self, index: Index, request: CaptionRequest) -> CaptionText:
        """Ask the model. Raises `EngineFailed`, which never holds the key."""
        facts = index.facts
        frames = _frames(_own(index).path, moments(facts))
        asked = {"model": self.model, "messages": _messages(facts, frames, request)}
        return _read(self._post(json.dumps(asked).encode()), asked)

    def _post(self, body: bytes) -> bytes:
        address = urlsplit(self.base_url)
        headers = {"Content-Type": "application/json"}
        if self.api_key is not None:
            headers["Authorization"] = f"Bearer {self.api_key}"
        line = self._line()
        try:
            line.request("POST", f"{address.path}/chat/completions", body, headers)
            answer = line.getresponse()
            content = answer.read(_MOST)
        except (OSError, http.client.HTTPException) as error:
            kind = type(error).__name__
            raise EngineFailed(f"the vision endpoint gave no answer ({kind})") from None
        finally:
            line.close()
        if answer.status != _OK:
            raise EngineFailed(f"the vision endpoint answered with status {answer.status}")
        return content

    def _line(self) -> http.client.HTTPConnection:
        address = urlsplit(self.base_url)
        host = address.hostname or ""
        if address.scheme == "http":
            return http.client.HTTPConnection(host, address.port, timeout=self.timeout)
        return http.client.HTTPSConnection(
            host, address.port, timeout=self.timeout, context=ssl.create_default_context()
        )


def _own(index: Index) -> VisionIndex:
    if not isinstance(index, VisionIndex):
        raise TypeError("this index was made by another engine")
    return index


def _frames(path: Path, times: tuple[float, ...]) -> list[tuple[float, bytes]]:
    from memories_async.local.engine._frames import jpegs  # noqa: PLC0415 # needs OpenCV

    return jpegs(path, times, longest=_LONGEST, quality=_QUALITY)


def _messages(
    facts: Facts, frames: Iterable[tuple[float, bytes]], request: CaptionRequest
) -> list[dict[str, Any]]:
    parts = [_text(f"{request.user_prompt}\n\n{_context(facts)}")]
    for person in request.persons:
        if person.image is not None:
            parts += [_text(f"Reference picture of {person.name}:"), _picture(person.image)]
        else:
            parts.append(_text(f"A person named {person.name} may appear; there is no picture."))
    for time, jpeg in frames:
        parts += [_text(f"Frame at {time:.1f} s:"), _picture(jpeg)]
    if request.thinking:
        parts.append(_text("Think step by step before you answer."))
    system = [{"role": "system", "content": request.system_prompt}] if request.system_prompt else []
    return [*system, {"role": "user", "content": parts}]


def _context(facts: Facts) -> str:
    shots = ", ".join(f"{shot.start_time:.1f}-{shot.end_time:.1f}" for shot in facts.shots[:50])
    return (
        f"The frames come from one video of {facts.duration:.1f} s, {facts.width}x{facts.height} "
        f"pixels. Shots (s): {shots}."
    )


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _picture(image: bytes) -> dict[str, Any]:
    kind = "png" if image.startswith(b"\x89PNG") else "webp" if image[8:12] == b"WEBP" else "jpeg"
    address = f"data:image/{kind};base64,{base64.b64encode(image).decode()}"
    return {"type": "image_url", "image_url": {"url": address}}


def _read(content: bytes, asked: dict[str, Any]) -> CaptionText:
    """Take the text and the usage; count by our own rule where the endpoint does not."""
    try:
        answer = json.loads(content)
        text = answer["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError):
        raise EngineFailed("the vision endpoint's answer cannot be read") from None
    if not isinstance(text, str) or not text.strip():
        raise EngineFailed("the vision endpoint's answer holds no text")
    usage: Any = answer.get("usage")
    return CaptionText(
        text=text,
        input_tokens=_count(usage, "prompt_tokens", or_else=sum(map(tokens, _texts(asked)))),
        output_tokens=_count(usage, "completion_tokens", or_else=tokens(text)),
    )


def _count(usage: Any, name: str, *, or_else: int) -> int:
    try:
        count = usage[name]
    except (LookupError, TypeError):
        return or_else
    return count if isinstance(count, int) and count >= 0 else or_else


def _texts(asked: dict[str, Any]) -> Iterable[str]:
    for message in asked["messages"]:
        content = message["content"]
        if isinstance(content, str):
            yield content
        else:
            yield from (part["text"] for part in content if part["type"] == "text")
