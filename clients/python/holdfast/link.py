"""
Links for programs with threads: the same as ``holdfast.link_async``, whose event loop runs in a thread of its own here. All of it may be used from any
thread. Standard library only.
"""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any, Iterable, Optional

from . import link_async as aio
from .durations import Duration
from .errors import HoldfastError
from .link_async import Data, End, Gap, Opened, Stream
from .loop_thread import LoopThread

__all__ = ["Client", "End", "Gap", "HoldfastError", "Opened", "Stream"]


class Client:
    """
    A session with a server. With ``with`` it is open when the block begins, or trying to be. Options as of ``link_async.Client``. Handlers run in a thread
    of their own, one message at a time, and may wait and send; ``on_open``, ``on_gap`` and ``on_end`` are told in the client's thread, which they must not block.
    """

    def __init__(self, *addresses: str, **options: Any) -> None:
        self._thread = LoopThread("holdfast-link")
        self._wait = self._thread.wait

        async def begin() -> aio.Client:
            return aio.Client(*addresses, **options, _in_threads=True)

        try:
            self._client = self._wait(begin())
        except BaseException:
            self._thread.close()
            raise

    @property
    def connected(self) -> bool:
        """The server is there and the session open."""
        return self._client.connected

    @property
    def unconfirmed(self) -> tuple[int, int]:
        """Messages that are not confirmed yet, and their bytes."""
        return self._client.unconfirmed

    @property
    def dropped(self) -> int:
        """Unconfirmed messages that were dropped, of either side."""
        return self._client.dropped

    @property
    def rtt(self) -> Optional[float]:
        """Round trip of the last heartbeat that was answered on this connection, in seconds."""
        return self._client.rtt

    def send(self, message: Data, **how: Any) -> None:
        """Sends a message; returns when the server's application has it. Options and errors as of ``link_async.Client.send``."""
        self._wait(self._send(message, how))

    def send_soon(self, message: Data, **how: Any) -> "Future[None]":
        """Sends a message without waiting. The future is done when the server's application has it."""
        return self._thread.begin(self._send(message, how))

    async def _send(self, message: Data, how: dict[str, Any]) -> None:
        await self._client.send(message, **how)

    def publish(self, topic: str, message: Data, **how: Any) -> None:
        """Publishes under a topic; returns when the server has it on its way to the subscribers. Options as of ``link_async.Client.publish``."""

        async def publish() -> None:
            await self._client.publish(topic, message, **how)

        self._wait(publish())

    def subscribe(self, filter: str) -> None:
        """From when it returns on, what is published under topics that the filter matches comes to ``on_topic``."""
        self._wait(self._client.subscribe(filter))

    def unsubscribe(self, filter: str) -> None:
        """Ends a subscription, by the same filter."""
        self._wait(self._client.unsubscribe(filter))

    def send_stream(self, source: Iterable[Data]) -> None:
        """Sends a message of any length as it is read; returns when the server's handler is done with it."""
        self._wait(self._client.send_stream(source))

    def ready(self) -> None:
        """Waits for the first outcome: the session is open, or the next attempt waits. Raises LINK_REFUSED, LINK_ENDED."""
        self._wait(self._client.ready())

    def closed(self) -> End:
        """Waits until the client is done."""
        return self._wait(self._client.closed())

    def close(self, within: Duration = 5) -> None:
        """Waits until everything is confirmed, says BYE and ends; what is not confirmed by then is given up. May be called twice."""
        if not self._thread.closed:
            self._wait(self._client.close(within))
            self._thread.close()

    def __enter__(self) -> "Client":
        try:
            self.ready()
        except BaseException:
            self.close(0)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
