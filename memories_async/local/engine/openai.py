"""Captions by any vision-language model behind an OpenAI-compatible endpoint; the rest by pixels.

Eight to sixteen frames go out as JPEG, reference pictures labelled by name, and the measured facts
as context. Works with whatever takes pictures in chat completions (vLLM, Ollama, hosted ones).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from attrs import field, frozen
from attrs.converters import optional

from memories_async._protocol.keys import ENGINE_KEY_VARIABLE, Key
from memories_async.local.engine.models.endpoint import Endpoint
from memories_async.local.engine.models.moments import moments
from memories_async.local.engine.models.stills import Still, stills
from memories_async.local.engine.protocol import (
    CaptionRequest,
    CaptionText,
    Engine,
    EngineFailed,
    Facts,
    Index,
    SearchResult,
)
from memories_async.local.engine.tokens import tokens

__all__ = ["OpenAIEngine", "VisionIndex"]


@frozen(kw_only=True)
class VisionIndex:
    """A video indexed by the base engine, and the frames that captions are made of."""

    base: Index = field(repr=False)
    stills: tuple[Still, ...]

    @property
    def facts(self) -> Facts:
        return self.base.facts


def _key(secret: str | Key) -> Key:
    return secret if isinstance(secret, Key) else Key(secret, variable=ENGINE_KEY_VARIABLE)


@frozen(kw_only=True)
class OpenAIEngine:
    """Sends captions to *base_url*; indexes, searches and embeds with *base*."""

    base: Engine
    base_url: str
    """Such as `https://host/v1`; `ValueError` where the key would travel in the clear."""
    model: str
    key: Key | None = field(default=None, alias="api_key", converter=optional(_key))
    """Shown nowhere; pickled, it is looked up in `MEMORIES_ENGINE_API_KEY` by who unpickles."""
    timeout: float = 60.0
    """Seconds to connect, for each silence, and for the answer as a whole."""
    plain_http: bool = False
    """Let the key go over plain http to another machine, where nobody else can listen."""
    cache: Path | None = None
    """Folder for the frames that were taken, by content; that of *base* will do."""
    time_limit: float = 600.0
    """Seconds for taking the frames of one video."""
    endpoint: Endpoint = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        endpoint = Endpoint(
            base_url=self.base_url,
            key=self.key,
            timeout=self.timeout,
            plain_http=self.plain_http,
        )
        object.__setattr__(self, "endpoint", endpoint)

    @property
    def name(self) -> str:
        return f"{self.base.name}+{self.model}"

    def index(self, path: Path) -> VisionIndex:
        """Index the video at *path* with the base engine, and take its frames; it may go away afterwards.

        Both are done apart, as the default engine does. Raises `UnreadableVideo`.
        """
        base = self.base.index(path)
        taken = stills(path, self.cache, times=moments(base.facts), seconds=self.time_limit)
        return VisionIndex(base=base, stills=taken)

    def search(self, index: Index, image: bytes, prompt: str) -> SearchResult:
        """Search with the base engine."""
        return self.base.search(_own(index).base, image, prompt)

    def embed(self, index: Index, dimensions: int) -> tuple[float, ...]:
        """Embed with the base engine."""
        return self.base.embed(_own(index).base, dimensions)

    def caption(self, index: Index, request: CaptionRequest) -> CaptionText:
        """Ask the model. Raises `EngineFailed`, which never holds the key."""
        messages = _messages(index.facts, _own(index).stills, request)
        asked = {"model": self.model, "messages": messages}
        return _read(self.endpoint.post(json.dumps(asked).encode()), asked)


def _own(index: Index) -> VisionIndex:
    if not isinstance(index, VisionIndex):
        raise TypeError("this index was made by another engine")
    return index


def _messages(
    facts: Facts, taken: Iterable[Still], request: CaptionRequest
) -> list[dict[str, Any]]:
    parts = [_text(f"{request.user_prompt}\n\n{_context(facts)}")]
    for person in request.persons:
        if person.image is not None:
            parts += [_text(f"Reference picture of {person.name}:"), _picture(person.image)]
        else:
            parts.append(_text(f"A person named {person.name} may appear; there is no picture."))
    for still in taken:
        parts += [_text(f"Frame at {still.time:.1f} s:"), _picture(still.jpeg)]
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
    except (ValueError, LookupError, TypeError, RecursionError):
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
