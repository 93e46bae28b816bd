"""The peers: for each, how its users make a client, send one small call and upload a file.

Nothing is set but the key and the address, so that the peers' own defaults are what is measured. The
packages are imported when a peer is used: whoever measures one need not install the others. A reply
holds 1,024 numbers wherever the method has a place for them.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

KEY = "sk-local-0123456789abcdef"
VECTOR = [random.Random(at).gauss(0, 0.03) for at in range(1024)]


class Peer(ABC):
    """One package, used as its own README does."""

    package: ClassVar[str]
    """The distribution, as pip knows it."""
    imports: ClassVar[str]
    """The line by which a user imports it."""
    replies: ClassVar[dict[str, Any]]
    """What the server answers, by a part of the path: the first that fits; None is an empty body."""
    name: ClassVar[str] = ""
    """In the table, where it is not the package."""
    is_default: ClassVar[bool] = True
    """Whether this is the package as it comes; other settings of one are measured by counts alone."""

    @abstractmethod
    async def open(self, url: str, *, is_fast: bool = False) -> Any:
        """Make a client. Where it has a rate limiter, *is_fast* puts the rate out of reach."""

    @abstractmethod
    async def ask(self, client: Any) -> object:
        """Send one small call."""

    @abstractmethod
    async def upload(self, client: Any, path: Path) -> object:
        """Upload the file *path*."""

    async def close(self, client: Any) -> None:
        """Close the client."""
        await client.close()


class Memories(Peer):
    """Ours."""

    package = "memories_async"
    imports = "from memories_async import Client"
    replies: ClassVar = {
        "embeddings": {"code": "0000", "msg": "success", "data": {"embedding": VECTOR}},
        "": {"code": 0, "msg": "success", "data": {"task_id": "t-1"}},
    }

    async def open(self, url: str, *, is_fast: bool = False) -> Any:
        """Keep the documented rates, if only for the call that a peer has no limiter for."""
        ours = import_module("memories_async")
        far = ours.Limit(1e9, concurrency=16)
        changes = {"limits": ours.Limits(embeddings=far, captions=far)} if is_fast else {}
        return ours.Client(api_key=KEY, hosts=ours.Hosts.at(url), **changes)

    async def ask(self, client: Any) -> object:
        return await client.embeddings.video("re_657")

    async def upload(self, client: Any, path: Path) -> object:
        return await client.captions.upload_file(
            path, user_prompt="u", system_prompt="s", callback="https://example.com/cb"
        )

    async def close(self, client: Any) -> None:
        await client.aclose()


class HandWritten(Peer):
    """The 20 lines that most people write: aiohttp, a semaphore, tenacity."""

    package = "aiohttp"
    imports = "import aiohttp, tenacity"
    replies: ClassVar = {"": {"data": {"embedding": VECTOR}}}
    name = "20 lines by hand"

    async def open(self, url: str, *, is_fast: bool = False) -> Any:
        return LoopOverRequests(url)

    async def ask(self, client: Any) -> object:
        return await client.post("/embed", json={"asset_id": "re_657"})

    async def upload(self, client: Any, path: Path) -> object:
        with path.open("rb") as file:
            return await client.post("/upload", data={"file": file})


class LoopOverRequests:
    """A session, at most 16 requests at a time, and up to six attempts with growing waits."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.semaphore = import_module("asyncio").Semaphore(16)
        self.session = import_module("aiohttp").ClientSession(
            headers={"Authorization": KEY}, raise_for_status=True
        )

    async def post(self, path: str, **body: Any) -> Any:
        """POST *body*, again after any failure."""
        tenacity = import_module("tenacity")
        wait = tenacity.wait_random_exponential(multiplier=0.5, max=10)
        stop = tenacity.stop_after_attempt(6)
        async for attempt in tenacity.AsyncRetrying(wait=wait, stop=stop, reraise=True):
            with attempt:
                async with (
                    self.semaphore,
                    self.session.post(self.url + path, **body) as response,
                ):
                    return await response.json()
        return None

    async def close(self) -> None:
        """Close the session."""
        await self.session.close()
