"""Peers of other trades: stripe, aiobotocore, fal-client, replicate."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from _peers.base import KEY, VECTOR, Peer


class Stripe(Peer):
    """The only one that sends an idempotency key."""

    package = "stripe"
    imports = "from stripe import StripeClient"
    replies: ClassVar = {
        "files": {"id": "f", "object": "file"},
        "": {"id": "c", "object": "customer", "embedding": VECTOR},
    }

    async def open(self, url: str, *, is_fast: bool = False) -> Any:
        addresses = {"api": url, "files": url}
        return import_module("stripe").StripeClient(KEY, base_addresses=addresses)

    async def ask(self, client: Any) -> object:
        return await client.v1.customers.create_async({"name": "Alice"})

    async def upload(self, client: Any, path: Path) -> object:
        with path.open("rb") as file:
            asked = {"purpose": "dispute_evidence", "file": file}
            return await client.v1.files.create_async(asked)

    async def close(self, client: Any) -> None:
        """It has no method for it."""


class AioBotocore(Peer):
    """An embedding by Bedrock, an upload to S3."""

    package = "aiobotocore"
    imports = "import aiobotocore.session"
    replies: ClassVar = {"invoke": {"embedding": VECTOR}, "": None}
    config: ClassVar[dict[str, Any]] = {}

    async def open(self, url: str, *, is_fast: bool = False) -> Any:
        session = import_module("aiobotocore.session").get_session()
        config = import_module("aiobotocore.config").AioConfig(**self.config)
        settings = {
            "region_name": "us-east-1",
            "endpoint_url": url,
            "aws_access_key_id": "local",
            "aws_secret_access_key": KEY,
            "config": config,
        }
        bedrock = session.create_client("bedrock-runtime", **settings)
        s3 = session.create_client("s3", **settings)
        return BedrockAndS3(await bedrock.__aenter__(), await s3.__aenter__())

    async def ask(self, client: Any) -> object:
        answer = await client.bedrock.invoke_model(modelId="m", body=b'{"inputText": "a"}')
        return import_module("json").loads(await answer["body"].read())

    async def upload(self, client: Any, path: Path) -> object:
        with path.open("rb") as file:
            return await client.s3.put_object(Bucket="bucket", Key="v.mp4", Body=file)

    async def close(self, client: Any) -> None:
        await client.bedrock.__aexit__(None, None, None)
        await client.s3.__aexit__(None, None, None)


class BedrockAndS3:
    """Its two clients."""

    def __init__(self, bedrock: Any, s3: Any) -> None:
        self.bedrock = bedrock
        self.s3 = s3

    def __repr__(self) -> str:
        return f"{self.bedrock!r} {self.s3!r} {vars(self.bedrock)!r}"


class PatientBotocore(AioBotocore):
    """The same as its users set it where requests are throttled; not its default."""

    name = "aiobotocore, adaptive, 10 attempts"
    is_default = False
    config: ClassVar = {"retries": {"mode": "adaptive", "total_max_attempts": 10}}


class Fal(Peer):
    """It speaks https to hosts of its own: three of its constants are replaced for a local server."""

    package = "fal-client"
    imports = "from fal_client import AsyncClient"
    replies: ClassVar = {
        "auth/token": {
            "token": "t",
            "token_type": "Bearer",
            "base_url": "u",
            "expires_at": "2100-01-01T00:00:00+00:00",
        },
        "files/upload": {"access_url": "u"},
        "": {"embedding": VECTOR},
    }

    async def open(self, url: str, *, is_fast: bool = False) -> Any:
        module = import_module("fal_client.client")
        module.RUN_URL_FORMAT, module.REST_URL, module.CDN_URL = url + "/", url, url
        return import_module("fal_client").AsyncClient(key=KEY)

    async def ask(self, client: Any) -> object:
        return await client.run("fal-ai/m", arguments={"prompt": "a red shirt"})

    async def upload(self, client: Any, path: Path) -> object:
        return await client.upload_file(path)

    async def close(self, client: Any) -> None:
        """It has no method for it."""


class Replicate(Peer):
    """A prediction that is done at once."""

    package = "replicate"
    imports = "from replicate.client import Client"
    replies: ClassVar = {
        "files": {
            "id": "f",
            "name": "v",
            "content_type": "video/mp4",
            "size": 1,
            "etag": "e",
            "checksums": {},
            "metadata": {},
            "created_at": "2026-01-01T00:00:00Z",
            "urls": {},
        },
        "": {
            "id": "p",
            "model": "m",
            "version": "v",
            "status": "succeeded",
            "input": {},
            "output": VECTOR,
            "logs": "",
            "error": None,
            "metrics": {},
            "created_at": "2026-01-01T00:00:00Z",
            "urls": {},
        },
    }

    async def open(self, url: str, *, is_fast: bool = False) -> Any:
        os.environ.pop("REPLICATE_API_TOKEN", None)
        return import_module("replicate.client").Client(api_token=KEY, base_url=url)

    async def ask(self, client: Any) -> object:
        return await client.predictions.async_create(version="v", input={"prompt": "a"})

    async def upload(self, client: Any, path: Path) -> object:
        return await client.files.async_create(path)

    async def close(self, client: Any) -> None:
        """It has no method for it."""
