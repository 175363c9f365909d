"""
Links for asyncio: a session with a server, over one connection after another. What was sent is kept until the server's application has it; after a
reconnect the session goes on where it was. Every send ends: confirmed, refused, or given up and told so. Standard library only.
"""

from __future__ import annotations

import asyncio
import inspect
import random
import secrets
import socket
import ssl
from collections import deque
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from math import inf
from typing import Any, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Optional, Union

from . import link_protocol as wire
from .durations import Duration, milliseconds
from .errors import HoldfastError
from .link_protocol import Parting, Topic
from .link_session import STREAMS_MAX, Connection, Event, IncomingStream, Outgoing, OutgoingStream, Session, Settings

__all__ = ["Client", "End", "Gap", "HoldfastError", "Opened", "Stream"]

ADDRESS = "127.0.0.1:12345"
#: Seconds for a TCP connection to be made, TLS included.
CONNECT_TIMEOUT = 10.0
#: A connection that lasted so many seconds was no failure.
BACKOFF_FORGET = 10.0
#: Seconds at most before the next server of a list.
BACKOFF_BETWEEN = 0.25
#: Bytes handed to the kernel ahead; unconfirmed messages are dropped when more than a quarter of it waits.
AHEAD_BYTES = 256 * 1024
#: Unconfirmed messages in handlers; more are dropped. And how long one may be.
NOTES_OPEN_MAX = 256
NOTE_BYTES_MAX = 16_384

#: Why a connection ended.
REASONS = {
    "fin": "the server closed the connection",
    "rst": "the connection was reset",
    "unreachable": "the server cannot be reached",
    "keepalive-timeout": "the server's machine did not answer",
    "heartbeat": "the server did not answer heartbeats: its process hangs, or the way to it is cut",
    "stalled-reader": "the server does not read what is sent to it",
    "closed": "this side closed the connection",
    "drained": "the server is shutting down and asked its clients to reconnect",
    "max-age": "the connection reached its maximum age",
    "taken-over": "the session went on over a newer connection, of another client of its name",
    "protocol": "one side violated the protocol",
    "refused": "the server refused the session",
    "hello-timeout": "the server did not complete the handshake in time",
    "leave-timeout": "messages stayed unacknowledged after BYE",
    "failed": "a system call failed",
}


@dataclass(frozen=True)
class End:
    """Why a connection ended: one word of ``REASONS``, a sentence, and the error where there was one."""

    reason: str
    message: str
    error: Optional[BaseException] = None


@dataclass(frozen=True)
class Opened:
    """How a session was opened."""

    #: It goes on where it was.
    resumed: bool
    #: It is that of a client of this name before this one: what waits for the name comes.
    restarted: bool
    heartbeat_ms: int
    ttl_ms: int


@dataclass(frozen=True)
class Gap:
    """A hole in what is delivered once and in order."""

    #: "peer": messages of the server will never come. "own": messages of this client were given up, or are in doubt.
    side: str
    count: int
    #: They are sent again in the new session, and may arrive twice.
    resent: bool


Data = Union[bytes, bytearray, memoryview, str]
Source = Union[AsyncIterable[Data], Iterable[Data]]
Handler = Callable[..., Union[None, Awaitable[Any], Any]]


def _end(reason: str, error: Optional[BaseException] = None) -> End:
    return End(reason, REASONS[reason] + (f" ({error})" if error else ""), error)


class Stream:
    """A message that is read as it arrives: ``async for data in stream``; in a handler of a program with threads, ``for data in stream``."""

    def __init__(self, incoming: IncomingStream, loop: asyncio.AbstractEventLoop) -> None:
        self.number = incoming.number
        self._incoming = incoming
        self._loop = loop
        self._changed = asyncio.Event()
        incoming.on_change = self._changed.set
        #: Seconds of the loop's clock at which bytes were last asked for.
        self._asked_at = loop.time()

    async def read(self) -> bytes:
        """The next bytes; none at the end. Raises LINK_GAP when no more will come."""
        while True:
            self._asked_at = self._loop.time()
            data = self._incoming.read()
            if data is not None:
                return data
            if isinstance(self._incoming.end, HoldfastError):
                raise self._incoming.end
            if self._incoming.end:
                return b""
            self._changed.clear()
            await self._changed.wait()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while data := await self.read():
            yield data

    def __iter__(self) -> Iterator[bytes]:
        while data := asyncio.run_coroutine_threadsafe(self.read(), self._loop).result():
            yield data

    def _idle_for(self, now: float) -> float:
        """How long its handler has asked for nothing, though there is something."""
        return now - self._asked_at if self._incoming.has_more else 0.0


class Client:
    """
    A session with a server. Use it in one event loop. With ``async with`` it is open when the block begins, or trying to be.

    ``addresses``: "HOST:PORT", tried in turn; one that was there for a while is tried first when its connection ends. ``name``: who this is; the server has one session a name. ``token``: never crosses the wire. ``will``: what
    the server announces when this client is lost. ``tls``: True, or an ``ssl.SSLContext``. ``heartbeat``: the silence before one to ask for.

    Handlers: ``on_message(data)``, ``on_topic(topic, data, kept)``, ``on_stream(stream)``, each a function or a coroutine function. The server hears that
    a message is done when its handler has returned, and that it is refused when it raises. Coroutines begin in the order in which messages came; the next
    may begin before the last has ended. ``handler_timeout``: then a message is refused.

    Told, in the event loop: ``on_open(Opened)``, ``on_gap(Gap)``, ``on_end(End)``: a connection ended or could not be made.

    ``backoff``: the upper bounds of the first wait between attempts, and of all; None ends the client with its first connection. ``keep``: how long a
    message is kept to be confirmed. ``outbox_messages``, ``outbox_max``: how many are, and their bytes; then ``when_full`` says whether to "reject" a new
    one with LINK_FULL, or to "drop-oldest". ``in_doubt``: when the server has lost the session, "reject" what may or may not have arrived with LINK_GAP,
    or "resend" it, so that it may arrive twice. ``stall``: how long the server may take nothing. ``message_max``, ``window``, ``window_max``: what this
    side takes. ``part_size``: longer messages are sent in parts. ``idle``, ``interval``, ``count``: TCP keep-alive.
    """

    def __init__(
        self,
        *addresses: str,
        name: str = "",
        token: Optional[str] = None,
        will: Optional[Data] = None,
        tls: Union[None, bool, ssl.SSLContext] = None,
        heartbeat: Optional[Duration] = None,
        on_message: Optional[Handler] = None,
        on_topic: Optional[Handler] = None,
        on_stream: Optional[Handler] = None,
        on_open: Optional[Callable[[Opened], Any]] = None,
        on_gap: Optional[Callable[[Gap], Any]] = None,
        on_end: Optional[Callable[[End], Any]] = None,
        backoff: Optional[tuple[Duration, Duration]] = ("250ms", "30s"),
        keep: Duration = "10m",
        stall: Duration = "35s",
        handler_timeout: Duration = "5m",
        when_full: str = "reject",
        in_doubt: str = "reject",
        outbox_messages: int = 65_536,
        outbox_max: int = 16 * 1024 * 1024,
        message_max: int = 1024 * 1024,
        window: int = 4096,
        window_max: int = 4 * 1024 * 1024,
        part_size: int = 16_384,
        idle: Duration = 5,
        interval: Duration = 10,
        count: int = 3,
        _in_threads: bool = False,
    ) -> None:
        _within("name", len(name.encode()), 0, 255)
        will = None if will is None else _bytes(will)
        _within("will", len(will or b""), 0, 8192)
        _within("message_max", message_max, 1, wire.MESSAGE_BYTES_LIMIT)
        _within("window", window, 1, 4096)
        _within("window_max", window_max, 1, 0xFFFF_FFFF)
        _within("part_size", part_size, 1024, 61_440)
        _one_of("when_full", when_full, ("reject", "drop-oldest"))
        _one_of("in_doubt", in_doubt, ("reject", "resend"))
        self._addresses = [_address(each) for each in addresses or (ADDRESS,)]
        self._tls = ssl.create_default_context() if tls is True else tls or None
        self._backoff = None if backoff is None else [milliseconds(each, "backoff") / 1000 for each in backoff]
        self._keep = milliseconds(keep, "keep") / 1000
        self._stall = milliseconds(stall, "stall") / 1000
        self._drop_oldest = when_full == "drop-oldest"
        self._outbox_messages = outbox_messages
        self._outbox_bytes = outbox_max
        self._message_max = message_max
        self._keep_alive = [max(1, -(-milliseconds(each, name) // 1000)) for each, name in ((idle, "idle"), (interval, "interval"))] + [count]
        self._told = {"open": on_open, "gap": on_gap, "end": on_end}
        self._loop = asyncio.get_running_loop()
        self._handlers = _Handlers(milliseconds(handler_timeout, "handler_timeout") / 1000, self._flush_soon, _in_threads)
        self._on = {"message": on_message or _ignore, "topic": on_topic or _no_topics, "stream": on_stream or _no_streams}
        settings = Settings(
            name=name,
            token=token,
            will=will,
            heartbeat_ms=0 if heartbeat is None else milliseconds(heartbeat, "heartbeat"),
            message_max=message_max,
            window=window,
            window_bytes=window_max,
            part_bytes=part_size,
            resend=in_doubt == "resend",
        )
        self._session = Session(settings, secrets.token_bytes, lambda *gap: self._tell("gap", Gap(*gap)))
        #: Filters that the server has confirmed to know.
        self._filters: dict[str, None] = {}
        self._wire: Optional[_Wire] = None
        #: Which address is tried, and how many were since one was there.
        self._at = 0
        self._tried = 0
        self._failures = 0
        self._opened_at: Optional[float] = None
        self._dictated: Optional[float] = None
        self._fatal = False
        self._closing = False
        self._closed = False
        self._close_at = inf
        self._timer: Optional[asyncio.TimerHandle] = None
        self._open_notes = 0
        #: Unconfirmed messages that were dropped, of either side.
        self.dropped = 0
        self._last_end = _end("closed")
        self._first: "asyncio.Future[None]" = self._loop.create_future()
        self._done: "asyncio.Future[End]" = self._loop.create_future()
        self._pumps: set["asyncio.Task[None]"] = set()
        self._runner = self._loop.create_task(self._run())

    # ---- what users call

    @property
    def connected(self) -> bool:
        """The server is there and the session open."""
        return self._wire is not None and self._wire.connection.phase == "open"

    @property
    def unconfirmed(self) -> tuple[int, int]:
        """Messages that are not confirmed yet, and their bytes."""
        return self._session.outbox.length, self._session.outbox.bytes

    @property
    def rtt(self) -> Optional[float]:
        """Round trip of the last heartbeat that was answered on this connection, in seconds."""
        return self._wire.connection.rtt if self._wire else None

    def send(self, message: Data, *, urgent: bool = False, expires: Optional[Duration] = None, confirm: bool = True) -> "asyncio.Future[None]":
        """
        Sends a message, now or when the server is there again. The future is done when the server's application has it.

        ``urgent``: it passes those that are not, large ones under way among them. ``expires``: it is given up when it was not delivered by then.
        ``confirm=False``: nobody confirms it, and it is dropped while the server is away or slow; at most 16 KiB.

        Raises, at once or from the future: LINK_FULL, LINK_MESSAGE_TOO_LARGE, LINK_REJECTED, LINK_GAP, LINK_ENDED, CLOSED.
        """
        data = _bytes(message)
        if not confirm:
            return self._note(Topic("message", False, 0, "", data))
        return self._push(data, urgent=urgent, expires_ms=_expires(expires))

    def publish(
        self, topic: str, message: Data, *, keep: bool = False, urgent: bool = False, expires: Optional[Duration] = None, confirm: bool = True
    ) -> "asyncio.Future[None]":
        """
        Publishes under a topic, to all sessions whose filters match. The future is done when the server has it on its way to them. ``keep``: it becomes
        the topic's last value, which later subscribers get; without bytes it takes that away. The rest as of ``send``.
        """
        _check("publish to", topic, wire.topic_fault(topic))
        data = _bytes(message)
        if confirm:
            expires_ms = _expires(expires)
            body = wire.encode("TOPIC", Topic("publish", keep, expires_ms, topic, data))[wire.HEADER_BYTES :] if len(data) <= self._most else data
            return self._push(body, urgent=urgent, expires_ms=expires_ms, is_topic=True)
        if keep:
            raise HoldfastError("LINK_OPTION_INVALID", "Cannot publish: what is to be kept is to be confirmed")
        return self._note(Topic("publish", False, 0, topic, data))

    async def subscribe(self, filter: str) -> None:
        """
        From when it returns on, what is published under topics that the filter matches comes to ``on_topic``: ``+`` stands for one level, ``#`` at its end
        for any number of them. The subscription is the session's: it stays over reconnects, and for the next client of its name.
        """
        _check("subscribe to", filter, wire.filter_fault(filter))
        await self._say("subscribe", filter)
        self._filters[filter] = None

    async def unsubscribe(self, filter: str) -> None:
        """Ends a subscription, by the same filter."""
        _check("subscribe to", filter, wire.filter_fault(filter))
        self._filters.pop(filter, None)
        await self._say("unsubscribe", filter)

    async def send_stream(self, source: Source) -> None:
        """
        Sends a message of any length as it is read, of an iterable of bytes (its next is called in a thread) or an asynchronous one. Returns when the
        server's handler is done with it. Other messages go on beside it.
        """
        stream = OutgoingStream()
        future = self._push(b"", stream=stream)
        try:
            await self._pump(source, stream)
        except BaseException as error:
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._session.outbox.abandon(stream.message, f"its source failed: {error!r}")
            self._flush_soon()
            raise
        await future

    async def ready(self) -> None:
        """Waits for the first outcome: the session is open, or the next attempt waits. Raises LINK_REFUSED, LINK_ENDED."""
        await asyncio.shield(self._first)

    async def closed(self) -> End:
        """Waits until the client is done."""
        return await asyncio.shield(self._done)

    async def close(self, within: Duration = 5) -> None:
        """Waits until everything is confirmed, says BYE and ends; what is not confirmed by then is given up. May be called twice."""
        if not self._closing and not self._closed:
            self._closing = True
            self._close_at = self._loop.time() + milliseconds(within, "within") / 1000
            self._arm()
            self._close_if_done()
        await self.closed()

    async def __aenter__(self) -> "Client":
        try:
            await self.ready()
        except BaseException:
            await self.close(0)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # ---- what is sent

    @property
    def _most(self) -> int:
        """The longest message that the server takes, as far as is known."""
        peer = self._wire.connection.peer if self._wire else None
        return peer.message_max if peer else self._message_max

    def _push(
        self, data: bytes, *, urgent: bool = False, expires_ms: int = 0, is_topic: bool = False, stream: Optional[OutgoingStream] = None
    ) -> "asyncio.Future[None]":
        outbox = self._session.outbox
        if self._closing or self._closed:
            raise HoldfastError("CLOSED", "Cannot send a message: the client is closed")
        if len(data) > self._most:
            raise HoldfastError("LINK_MESSAGE_TOO_LARGE", f"Cannot send a message: {len(data)} bytes, at most {self._most} allowed")

        def full() -> bool:
            return outbox.length >= self._outbox_messages or outbox.bytes + len(data) > self._outbox_bytes

        if full() and (not self._drop_oldest or len(data) > self._outbox_bytes):
            waiting = f"{outbox.length} messages and {outbox.bytes} bytes"
            raise HoldfastError("LINK_FULL", f"Cannot send a message: {waiting} are not confirmed yet")
        dropped = 0
        while full():
            outbox.drop_oldest("replaced by newer messages")
            dropped += 1
        if dropped:
            self._tell("gap", Gap("own", dropped, False))
        future: "asyncio.Future[None]" = self._loop.create_future()

        def settle(error: Optional[HoldfastError]) -> None:
            if not future.done():
                future.set_exception(error) if error else future.set_result(None)
            if self._closing:
                self._loop.call_soon(self._close_if_done)

        keep = min(self._keep, expires_ms / 1000 or inf)
        deadline = inf if stream else self._loop.time() + keep
        message = Outgoing(data, settle, deadline=deadline, expires=expires_ms > 0, urgent=urgent, is_topic=is_topic, stream=stream)
        if stream:
            stream.message = message
        outbox.push(message)
        self._arm()
        self._flush_soon()
        return future

    def _say(self, verb: str, filter: str) -> "asyncio.Future[None]":
        return self._push(wire.encode("TOPIC", Topic(verb, False, 0, filter, b""))[wire.HEADER_BYTES :], is_topic=True)

    def _note(self, note: Topic) -> "asyncio.Future[None]":
        if self._closing or self._closed:
            raise HoldfastError("CLOSED", "Cannot send a message: the client is closed")
        size = len(note.message) + len(note.topic.encode()) + 8
        if size > NOTE_BYTES_MAX:
            raise HoldfastError("LINK_MESSAGE_TOO_LARGE", f"Cannot send a message: {size} bytes, at most {NOTE_BYTES_MAX} go unconfirmed")
        if not (self._wire and self._wire.note(note)):
            self.dropped += 1
        future: "asyncio.Future[None]" = self._loop.create_future()
        future.set_result(None)
        return future

    async def _pump(self, source: Source, stream: OutgoingStream) -> None:
        room = asyncio.Event()
        stream.on_room = room.set
        async for piece in _each(source):
            stream.push(_bytes(piece))
            self._flush_soon()
            while stream.full:
                room.clear()
                await room.wait()
            if stream.closed:
                return
        stream.finish()
        self._flush_soon()

    def _subscribe_again(self) -> None:
        """The session is new to the server, which knows nothing of what this client subscribed to."""

        def said(filter: str, future: "asyncio.Future[None]") -> None:
            error = None if future.cancelled() else future.exception()
            if isinstance(error, HoldfastError) and error.code == "LINK_REJECTED":
                self._filters.pop(filter, None)

        for filter in self._filters:
            try:
                self._say("subscribe", filter).add_done_callback(lambda future, filter=filter: said(filter, future))  # type: ignore[misc]
            except HoldfastError:
                return  # closed, or full: the next session tries again

    # ---- connections

    async def _run(self) -> None:
        """Connects, and connects again, until there is no more reason to."""
        while True:
            end = await self._connection(*self._addresses[self._at])
            self._last_end = end
            if end.reason == "protocol":
                self._session.disagreed()
            self._tell("end", end)
            if self._fatal or self._backoff is None or (self._closing and not self._session.outbox.length):
                break
            if not self._first.done():
                self._first.set_result(None)
            await asyncio.sleep(self._wait(end))
        self._shut()

    def _wait(self, end: End) -> float:
        """
        Chooses the server to be tried next, and says how long to wait: a short time by chance between two of a list; after all of them, exponential
        backoff with full jitter, or what the only server said.
        """
        now = self._loop.time()
        lasted = self._opened_at is not None and now - self._opened_at >= BACKOFF_FORGET
        self._opened_at = None
        dictated, self._dictated = self._dictated, None
        if lasted:
            self._failures = self._tried = 0
        if not lasted or end.reason == "drained":
            self._at = (self._at + 1) % len(self._addresses)
            self._tried += 1
            if self._tried % len(self._addresses):
                return random.random() * BACKOFF_BETWEEN
        self._failures += 1
        first, most = self._backoff or (0.0, 0.0)
        if dictated is not None and len(self._addresses) == 1:
            return dictated
        return float(random.random() * min(most, first * 2 ** min(self._failures - 1, 30)))

    async def _connection(self, host: str, port: int) -> End:
        """One connection, from its beginning to its end."""
        link = _Wire(self)
        try:
            making = self._loop.create_connection(lambda: link, host, port, ssl=self._tls, server_hostname=host if self._tls else None)
            await asyncio.wait_for(making, CONNECT_TIMEOUT)
        except asyncio.TimeoutError:
            return _end("unreachable", TimeoutError(f"no answer within {CONNECT_TIMEOUT:g} s"))
        except ssl.SSLError as error:
            return _end("failed", error)
        except OSError as error:
            return _end("unreachable", error)
        try:
            return await link.ended
        finally:
            link.abort()
            self._wire = None

    def _tune(self, connection: Any) -> None:
        """TCP keep-alive, and no longer without an answer to data than it would take. Asks the module what the system has: the class tells nothing."""
        idle, interval, count = self._keep_alive
        user_timeout_ms = round(1000 * (idle + interval * count - min(1, interval / 2)))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (("TCP_KEEPIDLE", idle), ("TCP_KEEPINTVL", interval), ("TCP_KEEPCNT", count), ("TCP_USER_TIMEOUT", user_timeout_ms)):
            if hasattr(socket, option):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)

    def _event(self, link: "_Wire", event: Event) -> None:
        inbox = self._session.inbox
        if event.kind == "open":
            self._opened(event.value)
        elif event.kind == "message":
            self._handlers.handle(inbox, event.number, self._on["message"], event.value)
        elif event.kind == "topic":
            self._handlers.handle(inbox, event.number, self._on["topic"], event.value.topic, event.value.message, event.value.keep)
        elif event.kind == "note":
            self._note_came(event.value)
        elif event.kind == "stream":
            inbox.on_taken = self._flush_soon
            self._handlers.handle_stream(inbox, Stream(event.value, self._loop), self._on["stream"])
        elif event.kind == "gap":
            self._tell("gap", Gap("peer", event.value, False))
        elif event.kind == "bye":
            self._bye(link, event.value)
        elif event.kind == "refused":
            self._refused(link, event.value)

    def _opened(self, welcome: wire.Welcome) -> None:
        self._opened_at = self._loop.time()
        if not welcome.resumed and not welcome.restarted:
            self._subscribe_again()
        if not self._first.done():
            self._first.set_result(None)
        self._tell("open", Opened(welcome.resumed, welcome.restarted, welcome.heartbeat_ms, welcome.ttl_ms))
        if self._closing:
            self._loop.call_soon(self._close_if_done)

    def _bye(self, link: "_Wire", parting: Parting) -> None:
        link.announced = _end(parting.word)
        if parting.word in ("drained", "max-age"):
            self._dictated = parting.retry_after_ms / 1000 or random.random() * 0.25
        elif parting.word == "closed":
            self._session.forget()
        elif parting.word == "taken-over":
            # Coming back would take the name away from the newer client, which would take it back.
            self._fatal = True

    def _refused(self, link: "_Wire", parting: Parting) -> None:
        said = HoldfastError("LINK_REFUSED", f"{parting.word}: {parting.text}")
        if parting.word in ("draining", "full"):
            self._dictated = parting.retry_after_ms / 1000 or None
        elif parting.word != "session-unknown":
            self._fatal = True  # a wrong token does not get better by trying again
        reason = {"draining": "drained", "taken-over": "taken-over"}.get(parting.word, "refused")
        link.fail(_end(reason, said))

    def _note_came(self, note: Topic) -> None:
        if self._open_notes >= NOTES_OPEN_MAX:
            self.dropped += 1
            return
        self._open_notes += 1

        def handled() -> None:
            self._open_notes -= 1

        if note.verb == "message":
            self._handlers.run(self._on["message"], (note.message,), lambda _: handled())
        else:
            self._handlers.run(self._on["topic"], (note.topic, note.message, note.keep), lambda _: handled())

    def _flush_soon(self) -> None:
        if self._wire:
            self._wire.flush_soon()

    # ---- deadlines and the end

    def _arm(self) -> None:
        at = min(self._session.outbox.deadline, self._close_at)
        if at == inf or (self._timer and self._timer.when() <= at) or self._closed:
            return
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_at(at, self._due)

    def _due(self) -> None:
        self._timer = None
        now = self._loop.time()
        given_up = self._session.outbox.expire(now)
        if given_up:
            self._tell("gap", Gap("own", given_up, False))
        self._flush_soon()
        if now >= self._close_at:
            self._shut()
        self._arm()

    def _close_if_done(self) -> None:
        if self._session.outbox.length or self._closed:
            return
        if self._wire and self._wire.connection.phase in ("open", "leaving", "left"):
            self._wire.leave("closed")
        else:
            self._shut()

    def _shut(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._wire:
            self._wire.fail(_end("closed"), "closed")
        if self._runner is not asyncio.current_task(self._loop):
            self._runner.cancel()
        if self._timer:
            self._timer.cancel()
        end = self._last_end
        self._session.outbox.clear(HoldfastError("LINK_ENDED", f"No acknowledgement: the client was closed ({end.message}); it may or may not have arrived"))
        self._session.inbox.close()
        self._handlers.close()
        if not self._first.done():
            code = "LINK_REFUSED" if end.reason == "refused" else "LINK_ENDED"
            self._first.set_exception(HoldfastError(code, f"Cannot open a session: {end.message}"))
            self._first.exception()  # whoever waits for it hears of it; nobody has to
        self._done.set_result(end)

    def _tell(self, what: str, value: Any) -> None:
        hear = self._told[what]
        try:
            if hear:
                hear(value)
        except Exception as error:  # pylint: disable=broad-except  -- the caller's own function fails on its own account
            self._loop.call_exception_handler({"message": f"on_{what} failed", "exception": error})


class _Wire(asyncio.Protocol):
    """One connection on a socket: its bytes, its timers. Its owner hears of the end once, by ``ended``."""

    #: Made with the connection.
    _transport: asyncio.Transport
    connection: Connection

    def __init__(self, client: Client) -> None:
        self._client = client
        self._loop = client._loop
        self._flushing = False
        self._timer: Optional[asyncio.TimerHandle] = None
        self._written = 0
        #: What the kernel had taken when the watch began, and when it ends.
        self._stall_mark = 0
        self._stall_at = inf
        #: Why the connection will end, once what is under way is confirmed.
        self.announced: Optional[End] = None
        self._failed: Optional[End] = None
        self.ended: "asyncio.Future[End]" = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport), "it is a stream's"
        transport.set_write_buffer_limits(high=AHEAD_BYTES, low=AHEAD_BYTES // 4)
        self._transport = transport
        self.connection = Connection(self._client._session, self._loop.time())
        self._client._wire = self
        self._client._tune(transport.get_extra_info("socket"))
        self._arm()

    def data_received(self, data: bytes) -> None:
        if self._failed:
            return
        try:
            self.connection.receive(data, self._loop.time())
            for event in self.connection.events():
                self._client._event(self, event)
                if self._failed:
                    return
        except HoldfastError as error:
            self._client._fatal = self._client._fatal or error.code == "LINK_REFUSED"
            self.fail(_end("refused" if error.code == "LINK_REFUSED" else "protocol", error), "protocol")
            return
        self.flush_soon()

    def eof_received(self) -> bool:
        self.announced = self.announced or _end("fin")
        self.connection.peer_ended(self._loop.time())
        self.flush()
        return not self._transport.is_closing() and not self._client._tls

    def resume_writing(self) -> None:
        self._stall_at = inf
        self.flush()

    def connection_lost(self, error: Optional[Exception]) -> None:
        if self._timer:
            self._timer.cancel()
        end = self._failed or self.announced or (_end("fin") if error is None else _end_of(error))
        if not self.ended.done():
            self.ended.set_result(end)

    def flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Writes what there is to say, as far as the kernel keeps up."""
        self._flushing = False
        if self._failed or self._transport.is_closing():
            return
        connection, transport = self.connection, self._transport
        while (ahead := transport.get_write_buffer_size()) < AHEAD_BYTES:
            data = connection.pull(AHEAD_BYTES - ahead, self._loop.time())
            if not data:
                break
            self._written += len(data)
            transport.write(data)
        if connection.phase == "left" and connection.settled:
            transport.close()
        if self._stall_at == inf and transport.get_write_buffer_size():
            self._watch_stall()
        self._arm()

    def note(self, note: Topic) -> bool:
        """Says something that nobody confirms; False when it is not said: the server is not there, or slow."""
        if self._failed or self.connection.phase != "open":
            return False
        if self._transport.get_write_buffer_size() + self.connection.note_bytes >= AHEAD_BYTES // 4:
            return False
        self.connection.note(note)
        self.flush_soon()
        return True

    def leave(self, word: str) -> None:
        """Says BYE, and ends when all that is under way is confirmed."""
        self.announced = self.announced or _end(word)
        self.connection.leave(Parting(word, 0, ""), self._loop.time())
        self.flush()

    def fail(self, end: End, word: Optional[str] = None) -> None:
        """Ends the connection now, after a BYE where one can be said."""
        if self._failed:
            return
        if word and self.connection.phase in ("open", "leaving"):
            now = self._loop.time()
            self.connection.leave(Parting(word, 0, end.message[:200]), now)
            self._transport.write(self.connection.pull(0, now))
        self._failed = end
        self._transport.close()
        self._loop.call_later(0.1, self.abort)
        if not self.ended.done():
            self.ended.set_result(end)

    def abort(self) -> None:
        """What the kernel has not taken is not waited for."""
        if self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self._transport.close()

    def _watch_stall(self) -> None:
        self._stall_mark = self._written - self._transport.get_write_buffer_size()
        self._stall_at = self._loop.time() + self._client._stall

    def _arm(self) -> None:
        at = min(self.connection.deadline, self._stall_at)
        if at == inf or (self._timer and self._timer.when() <= at):
            return
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_at(at, self._due)

    def _due(self) -> None:
        self._timer = None
        if self._failed or self.ended.done():
            return
        now = self._loop.time()
        if now >= self._stall_at:
            self._stall_at = inf
            ahead = self._transport.get_write_buffer_size()
            if ahead and self._written - ahead == self._stall_mark:
                self.fail(_end("stalled-reader"))
                return
        why = self.connection.tick(now)
        if why == "leave-timeout" and self.announced:
            self.fail(self.announced)
        elif why:
            self.fail(_end(why), "heartbeat" if why == "heartbeat" else None)
        else:
            self.flush()


class _Handlers:
    """
    Runs what users gave for messages: in the event loop, begun in the order in which messages came; or, for programs that have none, functions in one
    thread, one after the other. One that takes too long costs its message: it is refused, and a new thread goes on with the next.
    """

    def __init__(self, timeout: float, changed: Callable[[], None], in_threads: bool) -> None:
        self._timeout = timeout
        self._changed = changed
        self._in_threads = in_threads
        self._loop = asyncio.get_running_loop()
        self._tasks: set["asyncio.Future[Any]"] = set()
        self._waiting: "deque[tuple[Handler, tuple[Any, ...], Callable[[Optional[str]], None]]]" = deque()
        self._thread: Optional[Executor] = None
        self._stream_threads: Optional[Executor] = None
        self._busy = False
        #: Coroutines: when each is to have ended, and who is told.
        self._begun: dict["asyncio.Future[Any]", tuple[float, Callable[[Optional[str]], None]]] = {}
        self._sweeper: Optional[asyncio.TimerHandle] = None

    def handle(self, inbox: Any, number: int, handler: Handler, *arguments: Any) -> None:
        def settle(reason: Optional[str]) -> None:
            if inbox.settle(number, reason):
                self._changed()

        self.run(handler, arguments, settle)

    def run(self, handler: Handler, arguments: tuple[Any, ...], settle: Callable[[Optional[str]], None]) -> None:
        """Calls ``settle`` once, with the reason when the handler refuses."""
        if self._in_threads and not _is_here(handler):
            self._waiting.append((handler, arguments, settle))
            if not self._busy:
                self._busy = True
                self._begin(self._work())
            return
        try:
            outcome = handler(*arguments)
        except Exception as error:  # pylint: disable=broad-except  -- whatever a handler raises refuses its message
            settle(_reason(error))
        else:
            if inspect.isawaitable(outcome):
                self._await(self._begin(outcome), settle)
            else:
                settle(None)

    def handle_stream(self, inbox: Any, stream: Stream, handler: Handler) -> None:
        def settle(reason: Optional[str]) -> None:
            if inbox.settle(stream.number, reason):
                self._changed()

        self._begin(self._stream(handler, stream, settle))

    def close(self) -> None:
        if self._sweeper:
            self._sweeper.cancel()
        for task in self._tasks:
            if task is not asyncio.current_task(self._loop):
                task.cancel()
        for executor in (self._thread, self._stream_threads):
            if executor:
                executor.shutdown(wait=False)

    def _begin(self, awaitable: Awaitable[Any]) -> "asyncio.Future[Any]":
        task = asyncio.ensure_future(awaitable)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _await(self, task: "asyncio.Future[Any]", settle: Callable[[Optional[str]], None]) -> None:
        def ended(task: "asyncio.Future[Any]") -> None:
            error = asyncio.CancelledError("its handler was cancelled") if task.cancelled() else task.exception()
            if self._begun.pop(task, None):
                settle(None if error is None else _reason(error))

        self._begun[task] = (self._loop.time() + self._timeout, settle)
        task.add_done_callback(ended)
        if not self._sweeper:
            self._sweep()

    def _sweep(self) -> None:
        """Ends coroutines that take too long. The oldest stands first."""
        self._sweeper = None
        while self._begun:
            task, (deadline, settle) = next(iter(self._begun.items()))
            if deadline > self._loop.time():
                self._sweeper = self._loop.call_at(deadline, self._sweep)
                return
            del self._begun[task]
            settle(self._overdue())
            task.cancel()

    async def _work(self) -> None:
        while self._waiting:
            handler, arguments, settle = self._waiting.popleft()
            self._thread = self._thread or ThreadPoolExecutor(1, "holdfast-link")
            running = self._loop.run_in_executor(self._thread, handler, *arguments)
            done, _ = await asyncio.wait({running}, timeout=self._timeout)
            if not done:
                self._thread.shutdown(wait=False)
                self._thread = None
                running.add_done_callback(lambda late: late.cancelled() or late.exception())
                settle(self._overdue())
                continue
            self._settle(running, settle)
        self._busy = False

    @staticmethod
    def _settle(running: "asyncio.Future[Any]", settle: Callable[[Optional[str]], None]) -> None:
        try:
            running.result()
        except Exception as error:  # pylint: disable=broad-except  -- whatever a handler raises refuses its message
            settle(_reason(error))
        else:
            settle(None)

    async def _stream(self, handler: Handler, stream: Stream, settle: Callable[[Optional[str]], None]) -> None:
        running: "asyncio.Future[Any]"
        if self._in_threads and not _is_here(handler):
            self._stream_threads = self._stream_threads or ThreadPoolExecutor(STREAMS_MAX, "holdfast-stream")
            running = self._loop.run_in_executor(self._stream_threads, handler, stream)
        else:
            running = asyncio.ensure_future(_call(handler, stream))
        try:
            while not (await asyncio.wait({running}, timeout=self._timeout))[0]:
                if stream._idle_for(self._loop.time()) >= self._timeout:
                    settle(self._overdue())
                    return
            self._settle(running, settle)
        finally:
            running.cancel()

    def _overdue(self) -> str:
        return f"the handler did not finish within {self._timeout:g} s; it may or may not have been handled"


def _ignore(_: bytes) -> None:
    """The handler of who wants no messages: they are done as they come."""


def _no_topics(*_: Any) -> None:
    raise HoldfastError("LINK_REJECTED", "this client has no on_topic")


def _no_streams(_: Any) -> None:
    raise HoldfastError("LINK_REJECTED", "this client takes no streams")


def _is_here(handler: Handler) -> bool:
    """It is ours, or a coroutine function: it blocks nothing."""
    return handler in (_ignore, _no_topics, _no_streams) or inspect.iscoroutinefunction(handler)


async def _call(handler: Handler, stream: Stream) -> None:
    outcome = handler(stream)
    if inspect.isawaitable(outcome):
        await outcome


def _reason(error: BaseException) -> str:
    text = error.message if isinstance(error, HoldfastError) else str(error) or type(error).__name__
    return text.encode("utf-8", "replace").decode()[: wire.REASON_CHARS_MAX]


async def _each(source: Source) -> AsyncIterator[Data]:
    if isinstance(source, AsyncIterable):
        async for piece in source:
            yield piece
        return
    loop = asyncio.get_running_loop()
    pieces, nothing = iter(source), object()
    while (found := await loop.run_in_executor(None, next, pieces, nothing)) is not nothing:
        yield found  # type: ignore[misc]


def _bytes(data: Data) -> bytes:
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    raise HoldfastError("LINK_OPTION_INVALID", f"Cannot send {type(data).__name__}: a message is text or bytes")


def _expires(expires: Optional[Duration]) -> int:
    if expires is None:
        return 0
    ms = milliseconds(expires, "expires")
    _within("expires", ms, 1, 0xFFFF_FFFF)
    return ms


def _within(option: str, value: Any, least: int, most: int) -> None:
    if not isinstance(value, int) or not least <= value <= most:
        raise HoldfastError("LINK_OPTION_INVALID", f"Cannot set {option}: {value!r} is not a whole number from {least} to {most}")


def _one_of(option: str, value: str, words: tuple[str, ...]) -> None:
    if value not in words:
        raise HoldfastError("LINK_OPTION_INVALID", f"Cannot set {option}: {value!r} is none of {', '.join(words)}")


def _check(what: str, topic: str, fault: Optional[str]) -> None:
    if fault:
        raise HoldfastError("LINK_OPTION_INVALID", f"Cannot {what} {topic!r}: {fault}")


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise HoldfastError("LINK_OPTION_INVALID", f"Cannot connect to {text!r}: write HOST:PORT")
    return host.strip("[]"), int(port)


def _end_of(error: BaseException) -> End:
    if isinstance(error, TimeoutError):
        return _end("keepalive-timeout", error)
    if isinstance(error, (ConnectionResetError, BrokenPipeError, ConnectionAbortedError)):
        return _end("rst", error)
    return _end("failed", error)
