"""Captions by any vision-language model behind an OpenAI-compatible endpoint; the rest by pixels.

A request holds eight to sixteen frames as JPEG, the reference pictures labelled by name, and the
measured facts as context. Works with any endpoint that takes pictures in chat completions (vLLM,
Ollama, hosted ones).
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
from memories_async.local.engine.models.stills import Still, choose_times, load_stills
from memories_async.local.engine.protocol import (
    CaptionRequest,
    CaptionText,
    Engine,
    EngineFailed,
    Facts,
    Index,
    SearchResult,
    count_tokens,
)

__all__ = ["OpenAIEngine", "VisionIndex"]


@frozen(kw_only=True)
class VisionIndex:
    """A video indexed by the base engine, and the frames that captions are made of."""

    base: Index = field(repr=False)
    stills: tuple[Still, ...]

    @property
    def facts(self) -> Facts:
        return self.base.facts


def _wrap_key(secret: str | Key) -> Key:
    return secret if isinstance(secret, Key) else Key(secret, variable=ENGINE_KEY_VARIABLE)


@frozen(kw_only=True)
class OpenAIEngine:
    """Sends captions to *base_url*; indexes, searches and embeds with *base*."""

    base: Engine
    base_url: str
    """Such as `https://host/v1`; `ValueError` where the key would be sent unencrypted."""
    model: str
    key: Key | None = field(default=None, alias="api_key", converter=optional(_wrap_key))
    """In no repr or pickle; an unpickled engine reads it from `MEMORIES_ENGINE_API_KEY`."""
    timeout: float = 60.0
    """Seconds to connect, between bytes, and for the whole answer."""
    plain_http: bool = False
    """Allow the key over plain http to another machine, on a network where nobody else listens."""
    cache: Path | None = None
    """Folder for the frames taken, by content; may be that of *base*."""
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
        """Index the video at *path* with the base engine, and take its frames.

        Both in child processes; the file may be deleted afterwards. Raises `UnreadableVideo`.
        """
        base = self.base.index(path)
        times = choose_times(base.facts)
        stills = load_stills(path, self.cache, times=times, seconds=self.time_limit)
        return VisionIndex(base=base, stills=stills)

    def search(self, index: Index, image: bytes, prompt: str) -> SearchResult:
        """Search with the base engine."""
        return self.base.search(_check_index(index).base, image, prompt)

    def embed(self, index: Index, dimensions: int) -> tuple[float, ...]:
        """Embed with the base engine."""
        return self.base.embed(_check_index(index).base, dimensions)

    def caption(self, index: Index, request: CaptionRequest) -> CaptionText:
        """Ask the model. Raises `EngineFailed`, which never contains the key."""
        messages = _build_messages(index.facts, _check_index(index).stills, request)
        body = json.dumps({"model": self.model, "messages": messages}).encode()
        return _read_answer(self.endpoint.post(body), messages)


def _check_index(index: Index) -> VisionIndex:
    if not isinstance(index, VisionIndex):
        raise TypeError("this index was made by another engine")
    return index


def _build_messages(
    facts: Facts, stills: Iterable[Still], request: CaptionRequest
) -> list[dict[str, Any]]:
    shots = ", ".join(f"{shot.start_time:.1f}-{shot.end_time:.1f}" for shot in facts.shots[:50])
    context = (
        f"The frames come from one video of {facts.duration:.1f} s, {facts.width}x{facts.height} "
        f"pixels. Shots (s): {shots}."
    )
    parts = [_make_text(f"{request.user_prompt}\n\n{context}")]
    for person in request.persons:
        if person.image is not None:
            parts += [
                _make_text(f"Reference picture of {person.name}:"),
                _make_picture(person.image),
            ]
        else:
            parts.append(
                _make_text(f"A person named {person.name} may appear; there is no picture.")
            )
    for still in stills:
        parts += [_make_text(f"Frame at {still.time:.1f} s:"), _make_picture(still.jpeg)]
    if request.thinking:
        parts.append(_make_text("Think step by step before you answer."))
    system = [{"role": "system", "content": request.system_prompt}] if request.system_prompt else []
    return [*system, {"role": "user", "content": parts}]


def _make_text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _make_picture(image: bytes) -> dict[str, Any]:
    kind = "png" if image.startswith(b"\x89PNG") else "webp" if image[8:12] == b"WEBP" else "jpeg"
    address = f"data:image/{kind};base64,{base64.b64encode(image).decode()}"
    return {"type": "image_url", "image_url": {"url": address}}


def _read_answer(content: bytes, messages: list[dict[str, Any]]) -> CaptionText:
    """Read the text and the usage; count by our own rule where the endpoint does not."""
    try:
        answer = json.loads(content)
        text = answer["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise EngineFailed("the vision endpoint's answer cannot be read") from None
    if not isinstance(text, str) or not text.strip():
        raise EngineFailed("the vision endpoint's answer holds no text")
    usage: Any = answer.get("usage")
    sent = sum(map(count_tokens, _list_texts(messages)))
    return CaptionText(
        text=text,
        input_tokens=_read_count(usage, "prompt_tokens", default=sent),
        output_tokens=_read_count(usage, "completion_tokens", default=count_tokens(text)),
    )


def _read_count(usage: Any, name: str, *, default: int) -> int:
    try:
        count = usage[name]
    except (LookupError, TypeError):
        return default
    return count if isinstance(count, int) and count >= 0 else default


def _list_texts(messages: list[dict[str, Any]]) -> Iterable[str]:
    for message in messages:
        content = message["content"]
        if isinstance(content, str):
            yield content
        else:
            yield from (part["text"] for part in content if part["type"] == "text")
