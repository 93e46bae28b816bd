"""The event loop and thread of a service that blocking code uses."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future

import anyio
from anyio.from_thread import BlockingPortal
from attrs import frozen

__all__ = ["ServiceThread", "start_thread"]


@frozen
class ServiceThread:
    """The event loop and thread of a service that was entered with `with`."""

    portal: BlockingPortal
    thread: threading.Thread
    process: int

    def get_portal(self) -> BlockingPortal:
        """Return the portal; raise in a forked child, which has no such thread to wait for."""
        if os.getpid() != self.process:
            raise RuntimeError("the service runs in the parent of this process, not in this fork")
        return self.portal

    def stop(self) -> None:
        """End the event loop and the thread."""
        self.portal.call(self.portal.stop, True)  # anyio's signature
        self.thread.join()


def start_thread() -> ServiceThread:
    """Start an event loop on a new thread.

    anyio's `start_blocking_portal` is a generator: a fork that ends would finalize it and wait for a
    thread that only its parent has.
    """
    ready: Future[BlockingPortal] = Future()

    async def serve() -> None:
        async with BlockingPortal() as portal:
            ready.set_result(portal)
            await portal.sleep_until_stopped()

    def run() -> None:
        try:
            anyio.run(serve)
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    thread = threading.Thread(target=run, name="memories-local", daemon=True)
    thread.start()
    return ServiceThread(ready.result(), thread, os.getpid())
