"""Peers that call models: openai, anthropic, twelvelabs, google-genai."""

from __future__ import annotations

import base64
import struct
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from _peers.base import KEY, VECTOR, Peer


class OpenAI(Peer):
    """It asks for the numbers in base64, by itself."""

    package = "openai"
    imports = "from openai import AsyncOpenAI"
    replies: ClassVar = {
        "embeddings": {
            "object": "list",
            "model": "m",
            "usage": {"prompt_tokens": 1, "total_tokens": 1},
            "data": [
                {
                    "object": "embedding",
                    "index": 0,
                    "embedding": base64.b64encode(struct.pack("<1024f", *VECTOR)).decode(),
                }
            ],
        },
        "": {
            "id": "f",
            "object": "file",
            "bytes": 1,
            "created_at": 1,
            "filename": "v",
            "purpose": "user_data",
            "status": "processed",
        },
    }

    async def open(self, url: str, *, is_fast: bool = False) -> Any:
        return import_module("openai").AsyncOpenAI(api_key=KEY, base_url=url)

    async def ask(self, client: Any) -> object:
        return await client.embeddings.create(model="m", input="a red shirt")

    async def upload(self, client: Any, path: Path) -> object:
        return await client.files.create(file=path, purpose="user_data")


class Anthropic(Peer):
    """It has no endpoint that returns numbers: they come as text."""

    package = "anthropic"
    imports = "from anthropic import AsyncAnthropic"
    replies: ClassVar = {
        "messages": {
            "id": "m",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [{"type": "text", "text": str(VECTOR)}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 1},
        },
        "": {
            "id": "f",
            "type": "file",
            "filename": "v",
            "mime_type": "video/mp4",
            "size_bytes": 1,
            "created_at": "2026-01-01T00:00:00Z",
        },
    }

    async def open(self, url: str, *, is_fast: bool = False) -> Any:
        return import_module("anthropic").AsyncAnthropic(api_key=KEY, base_url=url)

    async def ask(self, client: Any) -> object:
        asked = [{"role": "user", "content": "a red shirt"}]
        return await client.messages.create(model="m", max_tokens=9, messages=asked)

    async def upload(self, client: Any, path: Path) -> object:
        return await client.beta.files.upload(file=path)


class TwelveLabs(Peer):
    """It takes no path: a user opens the file."""

    package = "twelvelabs"
    imports = "from twelvelabs import AsyncTwelveLabs"
    replies: ClassVar = {
        "embed": {"model_name": "m", "text_embedding": {"segments": [{"float": VECTOR}]}},
        "": {"_id": "a", "status": "ready"},
    }

    async def open(self, url: str, *, is_fast: bool = False) -> Any:
        return import_module("twelvelabs").AsyncTwelveLabs(api_key=KEY, base_url=url)

    async def ask(self, client: Any) -> object:
        return await client.embed.create(model_name="m", text="a red shirt")

    async def upload(self, client: Any, path: Path) -> object:
        with path.open("rb") as file:
            return await client.assets.create(method="direct", file=file)

    async def close(self, client: Any) -> None:
        """It has no method for it: the inner httpx client is closed."""
        await client._client_wrapper.httpx_client.httpx_client.aclose()


class GoogleGenAI(Peer):
    """Its asynchronous half, over aiohttp where that is installed."""

    package = "google-genai"
    imports = "from google import genai"
    replies: ClassVar = {
        "upload": {"file": {"name": "files/f", "uri": "u"}},
        "": {"embeddings": [{"values": VECTOR}], "embedding": {"values": VECTOR}},
    }

    async def open(self, url: str, *, is_fast: bool = False) -> Any:
        genai = import_module("google.genai")
        return genai.Client(api_key=KEY, http_options={"base_url": url})

    async def ask(self, client: Any) -> object:
        return await client.aio.models.embed_content(model="m", contents="a red shirt")

    async def upload(self, client: Any, path: Path) -> object:
        return await client.aio.files.upload(file=path, config={"mime_type": "video/mp4"})

    async def close(self, client: Any) -> None:
        await client.aio.aclose()
