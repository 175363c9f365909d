"""
The queue's client for asyncio: submit tasks, wait for results, work on tasks. One connection to one broker, made again when it breaks: what is
unanswered is sent again under the same key, and leases are taken up again. Each call ends by its deadline.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
import threading
import traceback
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, AsyncIterator, Awaitable, Callable, Coroutine, Generic, Iterable, Mapping, Optional, Sequence, Union

import zmq
from zmq.utils.monitor import parse_monitor_message

from .durations import Duration, milliseconds
from .errors import HoldfastError
from .queue_protocol import (
    BYTES,
    JSON,
    RESULT_TIMEOUT,
    EVENTS_FATAL,
    EVENTS_WAIT_MS,
    SUBMIT_TIMEOUT,
    Codec,
    GiveUp,
    P,
    R,
    RetryAfter,
    message,
    new_key,
    options_of,
    outcome_of,
    pause_ms,
    read,
)
from .queue_steps import HandlerRun, RunEnded

__all__ = ["BYTES", "JSON", "Client", "Codec", "Context", "GiveUp", "HoldfastError", "Queue", "RetryAfter", "RunEnded", "Task", "Worker"]

URL = "tcp://127.0.0.1:5555"

#: Then others in the event loop have their turn.
MESSAGES_AT_ONCE = 500

#: What the broker may have said that nobody has read of a task's progress: the newest.
PROGRESS_UNREAD_MAX = 1000


@dataclass
class _Request:
    """One request until it is answered: what is sent, again after each reconnect."""

    frames: list[bytes]
    future: "asyncio.Future[Any]"
    #: Waits for an outcome, not for ADDED.
    is_call: bool = False
    #: The task, once it is known.
    task: Optional[str] = None
    told: Optional[Callable[[str, bytes], None]] = None


class Client:
    """The connection to a broker. Use it in one event loop. ``security``: ``{"plain": (name, password)}`` or ``{"curve": (server_key, public_key, secret_key)}``."""

    def __init__(self, url: str = URL, *, security: Optional[dict[str, Any]] = None) -> None:
        self.url = url
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._context = zmq.Context()
        self._socket: "zmq.Socket[bytes]" = self._context.socket(zmq.DEALER)
        for option, value in (
            (zmq.IMMEDIATE, 1),
            (zmq.LINGER, 1000),
            (zmq.SNDHWM, 1_000_000),
            (zmq.RCVHWM, 1_000_000),
            (zmq.HEARTBEAT_IVL, 5000),
            (zmq.HEARTBEAT_TIMEOUT, 10_000),
            (zmq.RECONNECT_IVL, 100),
            (zmq.RECONNECT_IVL_MAX, 1000),
        ):
            self._socket.setsockopt(option, value)
        _secure(self._socket, security)
        self._numbers = itertools.count(1)
        self._requests: dict[bytes, _Request] = {}
        self._workers: list["Worker[Any, Any]"] = []
        self._process = str(uuid.uuid4())
        #: The broker's name, while it is connected and has said WELCOME.
        self.broker: Optional[str] = None
        self._keeps_steps = False
        self._closed = False
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
        try:
            self._socket.connect(url)
        except zmq.ZMQError as error:
            self._socket.disable_monitor()
            self._context.destroy(linger=0)
            raise HoldfastError("QUEUE_OPTIONS_INVALID", f"Cannot connect to {url!r}: {error}; write tcp://HOST:PORT or ipc://PATH") from None
        self._looking = False
        self._greeting: Optional["asyncio.Task[None]"] = None
        self._readers = [int(socket.getsockopt(zmq.FD)) for socket in (self._socket, self._monitor)]
        for reader, read_all in zip(self._readers, (self._readable, self._changed)):
            self._loop.add_reader(reader, read_all)
        self._loop.call_soon(self._changed)

    async def close(self) -> None:
        """Ends the connection; what is pending fails with CLOSED. May be called twice."""
        if self._closed:
            return
        self._closed = True
        for request in list(self._requests.values()):
            _fail(request.future, HoldfastError("CLOSED", "The client was closed"))
        self._requests.clear()
        if self._greeting:
            self._greeting.cancel()
        for reader in self._readers:
            self._loop.remove_reader(reader)
        self._socket.disable_monitor()
        self._socket.close()
        self._context.destroy(linger=1000)

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def operate(self, name: str, asked: Optional[dict[str, Any]] = None, *, body: Optional[bytes] = None, timeout: Duration = SUBMIT_TIMEOUT) -> Any:
        """An operation (docs/reference/operations.md of Holdfast), such as ``operate("queues")``. Resolves to its answer."""
        frames = [name, json.dumps(asked or {}), ""]
        answer = await self.ask("OPERATE", *frames, *([body] if body is not None else []), timeout=timeout)
        return json.loads(answer[0])

    async def ask(self, verb: str, *frames: Union[bytes, str], timeout: Duration, **more: Any) -> Any:
        """Any request: resolves to what its answer says behind the number."""
        if self._closed:
            raise HoldfastError("CLOSED", "Cannot use a client after it was closed")
        number = b"%d" % next(self._numbers)
        request = _Request(message(verb, number, *frames), self._loop.create_future(), **more)
        self._requests[number] = request
        if self.broker is not None:
            self.send(request.frames)
        try:
            return await asyncio.wait_for(asyncio.shield(request.future), milliseconds(timeout, "timeout") / 1000)
        except asyncio.TimeoutError:
            why = "the broker is connected" if self.broker else f"no broker of {self.url} is connected"
            raise HoldfastError("QUEUE_UNREACHABLE", f"No answer to {verb} before the deadline: {why}") from None
        finally:
            if self._requests.pop(number, None) and request.is_call and not request.future.done():
                self.send(message("UNWATCH", number))
            request.future.cancel()

    def send(self, frames: list[bytes]) -> bool:
        """False when the broker is not there: what must arrive is said again when it is."""
        if self._closed:
            return False
        try:
            self._socket.send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again:
            return False
        finally:
            # Sending may have used up what its file descriptor had to say of messages that came.
            self._look()
        return True

    # ---- the connection

    def _changed(self) -> None:
        """The connection was made, or broke."""
        while not self._closed:
            try:
                event = parse_monitor_message(self._monitor.recv_multipart(zmq.NOBLOCK))["event"]
            except zmq.Again:
                return
            self.broker = None
            if self._greeting:
                self._greeting.cancel()
                self._greeting = None
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self._greeting = self._loop.create_task(self._greet())

    async def _greet(self) -> None:
        about = {"begun": 1, "evicted": 1, "steps": 1, "process": self._process}
        # The socket may hear of its new connection a moment later than we do.
        while not self.send(message("HELLO", "hello", json.dumps(about))):
            await asyncio.sleep(0.005)

    def _look(self) -> None:
        if not self._looking:
            self._looking = True
            self._loop.call_soon(self._readable)

    def _readable(self) -> None:
        """Reads until there is no more: the socket's file descriptor tells of what comes after that only."""
        self._looking = False
        for _ in range(MESSAGES_AT_ONCE):
            if self._closed:
                return
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._received(frames)
        self._look()

    def _received(self, frames: list[bytes]) -> None:
        try:
            verb, rest = read(frames)
            self._heard(verb, rest)
        except (HoldfastError, ValueError, KeyError, TypeError) as error:
            # A broker that says what the protocol does not have: whoever waits is told.
            known = error if isinstance(error, HoldfastError) else HoldfastError("QUEUE_PROTOCOL", f"Cannot read what the broker said: {error!r}")
            for request in list(self._requests.values()):
                _fail(request.future, known)

    def _heard(self, verb: str, rest: Any) -> None:
        if verb == "WELCOME":
            said = json.loads(rest[1])
            self.broker = str(said["broker"])
            self._keeps_steps = said.get("steps") == 1
            for number, request in list(self._requests.items()):
                self.send(message("WATCH", number, request.task) if request.is_call and request.task else request.frames)
            for worker in self._workers:
                worker._connected()
        elif verb == "ANEW":
            self.broker = None
            self._greeting = self._loop.create_task(self._greet())
        elif verb in ("TASK", "KEPT", "LOST", "STOP", "RECALL", "STEPPED", "HISTORY"):
            for worker in self._workers:
                worker._heard(verb, rest)
        elif verb not in ("BEAT", "STARTING"):
            self._answered(verb, rest)

    def _answered(self, verb: str, rest: Any) -> None:
        request = self._requests.get(rest[0])
        if request is None:
            return
        if verb == "REFUSED":
            _fail(request.future, HoldfastError(rest[1].decode(), rest[2].decode(errors="replace")))
        elif verb == "ADDED" and request.is_call:
            request.task = rest[1].decode()
        elif verb in ("PROGRESS", "PARTIAL"):
            if request.told:
                self._tell(request, verb.lower(), rest[2])
        elif not request.future.done():
            request.future.set_result(rest[1:])

    @staticmethod
    def _tell(request: _Request, kind: str, data: bytes) -> None:
        try:
            if request.told:
                request.told(kind, data)
        except Exception as error:  # pylint: disable=broad-except  -- it is the caller's own function, or codec
            _fail(request.future, error)

    def _join(self, worker: "Worker[Any, Any]") -> None:
        if any(other._queue.name == worker._queue.name for other in self._workers):
            raise HoldfastError("QUEUE_OPTIONS_INVALID", f"Cannot start a second worker on queue '{worker._queue.name}': raise the concurrency of the first")
        self._workers.append(worker)
        if self.broker is not None:
            worker._connected()

    def _leave(self, worker: "Worker[Any, Any]") -> None:
        self._workers.remove(worker)


def _fail(future: "asyncio.Future[Any]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


def _secure(socket: Any, security: Optional[dict[str, Any]]) -> None:
    if not security:
        return
    if "plain" in security:
        socket.plain_username, socket.plain_password = (word.encode() for word in security["plain"])
    elif "curve" in security:
        socket.curve_serverkey, socket.curve_publickey, socket.curve_secretkey = (word.encode() for word in security["curve"])
    else:
        raise HoldfastError("QUEUE_OPTIONS_INVALID", "Cannot connect: security is {'plain': …} or {'curve': …}")


class Task(Generic[R]):
    """A task that was submitted."""

    def __init__(self, queue: "Queue[Any, R]", id: str) -> None:
        self.id = id
        self._queue = queue

    async def result(self, *, timeout: Duration = RESULT_TIMEOUT) -> R:
        """Waits for its result, over reconnects. Raises HoldfastError: QUEUE_TASK_DEAD, QUEUE_TASK_CANCELLED, QUEUE_TASK_UNKNOWN, QUEUE_UNREACHABLE …"""
        answer = await self._queue.client.ask("WATCH", self.id, timeout=timeout, is_call=True, task=self.id)
        return self._queue._result(answer)

    async def progress(self, *, timeout: Duration = RESULT_TIMEOUT) -> AsyncIterator[Any]:
        """What its worker says of its progress, until it has ended; a slow reader gets the newest 1000."""
        async for value in self._told("progress", timeout):
            yield value

    async def partials(self, *, timeout: Duration = RESULT_TIMEOUT) -> AsyncIterator[Any]:
        """Parts of its result as they come, until it has ended."""
        async for value in self._told("partial", timeout):
            yield value

    async def _told(self, kind: str, timeout: Duration) -> AsyncIterator[Any]:
        values: "asyncio.Queue[Optional[bytes]]" = asyncio.Queue()

        def told(which: str, data: bytes) -> None:
            if which != kind:
                return
            if kind == "progress" and values.qsize() >= PROGRESS_UNREAD_MAX:
                values.get_nowait()
            values.put_nowait(data)

        client = self._queue.client
        watching = asyncio.ensure_future(client.ask("WATCH", self.id, timeout=timeout, is_call=True, task=self.id, told=told))
        watching.add_done_callback(lambda _: values.put_nowait(None))
        try:
            while (data := await values.get()) is not None:
                yield self._queue.codec.decode(data)
            await watching
        finally:
            watching.cancel()

    async def cancel(self, *, timeout: Duration = SUBMIT_TIMEOUT) -> None:
        """Ends it, wherever it is. Raises QUEUE_TASK_STATE when it has ended already."""
        await self._queue.client.ask("CANCEL", self.id, timeout=timeout)


class Queue(Generic[P, R]):
    """A queue of a broker, by its name. Values are JSON unless ``codec`` says otherwise."""

    def __init__(self, name: str, client: Client, *, codec: Codec[Any] = JSON) -> None:
        self.name = name
        self.client = client
        self.codec = codec

    async def add(self, payload: P, *, timeout: Duration = SUBMIT_TIMEOUT, **options: Any) -> Task[R]:
        """
        Submits a task; returns when the broker has it on disk. Options: priority, delay, run_at, attempts, backoff, backoff_max, attempt_timeout,
        expire, keep, key, unique_while, throttle, debounce, group, after, on_parent_dead, when_full. ``backoff`` is doubled each time; a list of
        times says each as it is. ``throttle={"key": "user-7", "wait": "1m"}``: the first wins within that time. ``debounce``, with the same: the last wins.
        """
        return (await self.add_many([payload], timeout=timeout, **options))[0]

    async def add_many(self, payloads: Iterable[P], *, timeout: Duration = SUBMIT_TIMEOUT, each: Optional[Callable[[P], Mapping[str, Any]]] = None, **options: Any) -> list[Task[R]]:
        """
        Submits tasks together: all of them are on disk when it returns, or none was accepted. ``each``, a function of a payload, says what one asks for
        beyond what all do, or instead, as a dict of options; either each of them has a key of its own there, or none has.
        """
        values = list(payloads)
        bodies = [self.codec.encode(payload) for payload in values]
        asked = {**self._asked(options), **({} if each is None else {"each": [options_of(each(payload)) for payload in values]})}
        ids = await self.client.ask("ADD", self.name, json.dumps(asked), *bodies, timeout=timeout)
        return [Task(self, id.decode()) for id in ids]

    async def call(self, payload: P, *, timeout: Duration = RESULT_TIMEOUT, told: Optional[Callable[[str, Any], None]] = None, **options: Any) -> R:
        """Submits a task and waits for its result, over reconnects and restarts of the broker. ``told`` hears of ("progress", value) and ("partial", value)."""
        hear = None if told is None else lambda kind, data: told(kind, self.codec.decode(data))
        answer = await self.client.ask("CALL", self.name, self._options(options), self.codec.encode(payload), timeout=timeout, is_call=True, told=hear)
        return self._result(answer)

    def task(self, id: str) -> Task[R]:
        """A task by its id, as ``add`` gave it."""
        return Task(self, id)

    async def signal(self, id: str, name: str, value: Any = None, *, timeout: Duration = SUBMIT_TIMEOUT) -> bool:
        """Sends a task the signal that its handler waits for, or will. False when one of this name had come before: the first counts."""
        answer = await self.client.operate("signal", {"id": id, "name": name}, body=self.codec.encode(value), timeout=timeout)
        return bool(answer["first"])

    async def counts(self, *, timeout: Duration = SUBMIT_TIMEOUT) -> dict[str, int]:
        """How many tasks are in each state."""
        answer = await self.client.operate("queues", {"queue": self.name}, timeout=timeout)
        states = [each["states"] for each in answer["queues"]]
        return dict(states[0]) if states else {}

    async def cursor(self, *, timeout: Duration = SUBMIT_TIMEOUT) -> str:
        """Where the queue's events are now: ``events(after=cursor)`` tells what happens from here on."""
        return str((await self.client.operate("events", {"queue": self.name}, timeout=timeout))["cursor"])

    async def events(
        self, *, events: Optional[Sequence[str]] = None, after: Optional[str] = None, timeout: Optional[Duration] = None
    ) -> AsyncIterator[dict[str, Any]]:
        """
        What happens to all tasks of the queue, at least once each, in the order of the broker's commits: dicts with ``event`` (waiting, delayed, blocked,
        retrying, failed, completed, dead, cancelled; when asked for also active and progress, which are live only), ``id``, ``atMs``, ``cursor`` and what the
        event has besides. ``after`` is the ``cursor`` of the last one that was heard, or ``"oldest"``; without it they begin with what happens from the first
        ``anext`` on (``cursor`` takes the place before). ``{"event": "gap", "cursor": …}`` comes where events were lost: they are kept for an hour. Ends when
        nothing has come for ``timeout``; default never. Goes on over restarts of the broker.

        Raises QUEUE_OPTIONS_INVALID, ACCESS_DENIED, CLOSED, UNIT_INVALID.
        """
        wait_ms = EVENTS_WAIT_MS if timeout is None else min(EVENTS_WAIT_MS, milliseconds(timeout, "timeout"))
        idle_since = self.client._loop.time()
        asked: dict[str, Any] = {"queue": self.name}
        if events is not None:
            asked["events"] = list(events)
        while True:
            try:
                page = await self.client.operate("events", asked if after is None else {**asked, "after": after, "waitMs": wait_ms}, timeout=wait_ms / 1000 + SUBMIT_TIMEOUT)
            except HoldfastError as error:
                if error.code in EVENTS_FATAL:
                    raise
                if error.code != "QUEUE_UNREACHABLE":
                    await asyncio.sleep(1)
                page = None
            if page is not None:
                if page.get("gap"):
                    yield {"event": "gap", "cursor": after or page["cursor"]}
                for event in page["events"]:
                    yield self._event(event, str(page["epoch"]))
                if page["events"] or page.get("gap") or after is None:
                    idle_since = self.client._loop.time()
                after = str(page["cursor"])
            if timeout is not None and self.client._loop.time() - idle_since >= milliseconds(timeout, "timeout") / 1000:
                return

    def _event(self, told: dict[str, Any], epoch: str) -> dict[str, Any]:
        event = {name: value for name, value in told.items() if name not in ("n", "live")}
        live = f".{told['live']}" if "live" in told else ""
        event.update(queue=self.name, cursor=f"{epoch}.{told['n']}{live}")
        if "progress" in event:
            try:
                event["progress"] = self.codec.decode(event["progress"].encode())
            except Exception:  # pylint: disable=broad-except  -- cut, or none of this codec's: the text
                pass
        return event

    def _options(self, options: dict[str, Any]) -> str:
        return json.dumps(self._asked(options))

    def _asked(self, options: dict[str, Any]) -> dict[str, Any]:
        return {"key": new_key(), **options_of(options)}

    def _result(self, answer: Any) -> R:
        task, state, data, *code = answer
        return outcome_of(state.decode(), data, task.decode(), code[0].decode() if code else "", self.codec.decode)  # type: ignore[no-any-return]


class Context:
    """What a handler is told beside the payload. Its functions may be called from any thread."""

    def __init__(self, worker: "Worker[Any, Any]", lease: bytes, id: str, attempt: int, has_steps: bool = False) -> None:
        self.id = id
        #: 1 for the first.
        self.attempt = attempt
        self._worker = worker
        self._lease = lease
        self._stopped: Optional[str] = None
        self._steps = HandlerRun(self._ask, worker._queue.codec, has_steps)

    @property
    def stopped(self) -> Optional[str]:
        """Why the task is not this worker's any more (timeout, cancelled, lost); a handler in a thread looks at it now and then."""
        return self._stopped

    def progress(self, value: Any) -> None:
        """Tells those who watch the task how far it is."""
        self._say("PROGRESS", value)

    def partial(self, value: Any) -> None:
        """Sends a part of the result to those who watch the task."""
        self._say("PARTIAL", value)

    async def step(self, name: str, act: Callable[[], Any]) -> Any:
        """
        Does a part of the work once: what ``act`` returns (or its coroutine) is on record before this returns, and every later run of the handler, after a
        crash or a failed attempt, gets that. A part that ends before it is on record is done again; code outside steps runs in every run, and every run
        must begin the same steps in the same order.

        Raises QUEUE_STEP_INVALID (a name twice), QUEUE_STEPS_CHANGED, QUEUE_RUN_ENDED, QUEUE_BODY_TOO_LARGE, QUEUE_TOO_MANY; what ``act`` raises.
        """
        at, known = await self._steps.begin_step(name)
        if known:
            return self._worker._queue.codec.decode(known.data)
        value = act()
        return await self._steps.end_step(at, name, await value if inspect.isawaitable(value) else value)

    async def sleep(self, time: Duration) -> None:
        """Ends this run by raising RunEnded; when the time has passed the handler is run again and comes to here at once. No attempt is spent."""
        await self._steps.sleep(time)

    async def wait_for(self, name: str, *, timeout: Optional[Duration] = None) -> Any:
        """Waits as ``sleep`` does, for a signal that ``Queue.signal`` sends or has sent: its value; None when the timeout was over before."""
        return await self._steps.wait_for(name, timeout)

    async def call(self, queue: str, body: Any = None, **options: Any) -> Any:
        """Adds a task to a queue of the same broker and waits for its result, as ``sleep`` does. Raises QUEUE_TASK_DEAD, QUEUE_TASK_CANCELLED. Options as of ``add``."""
        return await self._steps.call(queue, body, options)

    def _ask(self, verb: str, *frames: Union[bytes, str]) -> None:
        client = self._worker._queue.client
        if client.broker is not None and not client._keeps_steps:
            self._steps.fail(HoldfastError("QUEUE_PROTOCOL", "Cannot record a step: the broker is of a version that records none"))
        elif client.broker is not None:
            client.send(message(verb, self._lease, *frames))

    def _say(self, verb: str, value: Any) -> None:
        frames = message(verb, self._lease, self._worker._queue.codec.encode(value))
        client = self._worker._queue.client
        if threading.get_ident() == client._thread:
            client.send(frames)
        else:
            client._loop.call_soon_threadsafe(client.send, frames)


class BlockingContext(Context):
    """The same for handlers that run in threads: steps are functions, ``task.step("charge", lambda: charge(order))``."""

    def step(self, name: str, act: Callable[[], Any]) -> Any:
        at, known = self._wait(self._steps.begin_step(name))
        return self._worker._queue.codec.decode(known.data) if known else self._wait(self._steps.end_step(at, name, act()))

    def sleep(self, time: Duration) -> None:  # type: ignore[override]
        self._wait(self._steps.sleep(time))

    def wait_for(self, name: str, *, timeout: Optional[Duration] = None) -> Any:
        return self._wait(self._steps.wait_for(name, timeout))

    def call(self, queue: str, body: Any = None, **options: Any) -> Any:
        return self._wait(self._steps.call(queue, body, options))

    def _wait(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._worker._queue.client._loop).result()


@dataclass
class _Held:
    """A task that the worker has: its handler runs, or its end is not known to be on disk."""

    context: Context
    runs: Optional["asyncio.Task[None]"] = None
    #: Said when the handler has ended, and again after a reconnect.
    ending: Optional[list[bytes]] = field(default=None)


Handler = Callable[[P, Context], Union[R, Awaitable[R]]]
Backoff = Union[Duration, Iterable[Duration], Callable[[int, BaseException], Optional[Duration]]]


class Worker(Generic[P, R]):
    """
    Takes tasks of a queue and hands them to a function: a coroutine function runs in the event loop, any other in a thread. What it returns is the
    result; an exception is a failed attempt. ``backoff``: the pause between attempts, a time, a list, or a function of (attempt, error).
    """

    def __init__(
        self,
        queue: Queue[P, R],
        handler: "Handler[P, R]",
        *,
        concurrency: int = 1,
        drain: Duration = 5.0,
        backoff: Optional[Backoff] = None,
        on_error: Optional[Callable[[BaseException, Context], None]] = None,
    ) -> None:
        if not isinstance(concurrency, int) or not 1 <= concurrency <= 1000:
            raise HoldfastError("QUEUE_OPTIONS_INVALID", "Cannot start the worker: concurrency is a whole number from 1 to 1000")
        if backoff is not None and not callable(backoff):
            if not isinstance(backoff, (int, float, str)) and hasattr(backoff, "__iter__"):
                backoff = list(backoff)
                if not backoff:
                    raise HoldfastError("QUEUE_OPTIONS_INVALID", "Cannot start the worker: backoff is an empty list")
            for attempt in range(1, len(backoff) + 1 if isinstance(backoff, list) else 2):
                pause_ms(backoff, attempt, Exception())
        self._queue = queue
        self._handler = handler
        self._concurrency = concurrency
        self._drain = milliseconds(drain, "drain") / 1000
        self._backoff = backoff
        self._on_error = on_error
        self._threads = None if inspect.iscoroutinefunction(handler) else ThreadPoolExecutor(concurrency, "holdfast-worker")
        self._held: dict[bytes, _Held] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._closing = False
        queue.client._join(self)

    async def close(self) -> None:
        """Takes no more, waits for what runs, and after ``drain`` gives it back. May be called twice."""
        if self._closing:
            return
        self._closing = True
        client = self._queue.client
        client.send(message("WORK", self._queue.name, "0"))
        try:
            await asyncio.wait_for(self._idle.wait(), self._drain)
        except asyncio.TimeoutError:
            for lease, held in self._held.items():
                client.send(message("RETURN", lease))
                self._stop(held, "the worker closes")
        client._leave(self)
        if not client._workers:
            client.send(message("BYE"))
        if self._threads:
            self._threads.shutdown(wait=False)

    async def __aenter__(self) -> "Worker[P, R]":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # ---- what the client tells

    def _connected(self) -> None:
        """Leases of before are taken up again, what has ended is said again, then more is asked for."""
        client, name = self._queue.client, self._queue.name
        if self._held:
            client.send(message("HOLD", name, *self._held))
            client.send(message("BEGUN", *self._held))
        for held in self._held.values():
            if held.ending:
                client.send(held.ending)
            else:
                held.context._steps.again()
        if not self._closing:
            client.send(message("WORK", name, str(self._concurrency)))

    def _heard(self, verb: str, rest: Any) -> None:
        if verb == "TASK":
            if rest[2].decode() == self._queue.name:
                self._take(rest)
        elif verb == "KEPT":
            for lease in rest:
                self._over(lease)
        elif verb in ("STEPPED", "HISTORY"):
            self._answered(verb, *rest)
        elif verb != "RECALL" and rest[0] in self._held:
            self._stop(self._held[rest[0]], rest[1].decode() if len(rest) > 1 else "lost")
            self._over(rest[0])

    def _answered(self, verb: str, lease: bytes, said: bytes, data: Optional[bytes] = None, *_: bytes) -> None:
        held = self._held.get(lease)
        if held is None:
            return
        steps = held.context._steps
        if verb == "HISTORY":
            steps.history(said)
        else:
            steps.stepped(json.loads(said), data)
            if steps.suspended:
                self._over(lease)  # what is said of it no more counts

    def _take(self, rest: Any) -> None:
        lease, body, _, attempt, _, id = rest[:6]
        client = self._queue.client
        if self._closing:
            client.send(message("RETURN", lease))
            return
        client.send(message("BEGUN", lease))
        kind = Context if self._threads is None else BlockingContext
        held = _Held(kind(self, lease, id.decode(), int(attempt), b"steps" in rest[8:9]))
        self._held[lease] = held
        self._idle.clear()
        held.runs = client._loop.create_task(self._run(lease, held, body))

    async def _run(self, lease: bytes, held: _Held, body: bytes) -> None:
        codec = self._queue.codec
        try:
            payload = codec.decode(body)
            if self._threads is None:
                result = await self._handler(payload, held.context)  # type: ignore[misc]
            else:
                result = await self._queue.client._loop.run_in_executor(self._threads, self._handler, payload, held.context)
            held.context._steps.over()
            ending = message("DONE", lease, codec.encode(result))
        except (asyncio.CancelledError, RunEnded):
            return
        except RetryAfter as again:
            ending = message("FAIL", lease, str(again), "again", str(again.after_ms))
        except Exception as error:  # pylint: disable=broad-except  -- whatever a handler raises is a failed attempt
            ending = self._failure(lease, held.context, error)
        if lease in self._held:
            held.ending = ending
            self._queue.client.send(ending)

    def _failure(self, lease: bytes, context: Context, error: Exception) -> list[bytes]:
        text = "".join(traceback.format_exception_only(type(error), error)).strip() + "\n" + "".join(traceback.format_tb(error.__traceback__)).rstrip()
        try:
            if self._on_error:
                self._on_error(error, context)
            pause = pause_ms(self._backoff, context.attempt, error)
        except Exception:  # pylint: disable=broad-except  -- the task's own backoff goes
            traceback.print_exc()
            pause = None
        how = ["final"] if isinstance(error, GiveUp) else [] if pause is None else ["after", str(pause)]
        return message("FAIL", lease, text, *how)

    def _stop(self, held: _Held, why: str) -> None:
        held.context._stopped = why
        held.context._steps.fail(HoldfastError("ABORTED", f"Cannot go on with the steps of a task: {why}"))
        if held.runs and self._threads is None:
            held.runs.cancel()

    def _over(self, lease: bytes) -> None:
        self._held.pop(lease, None)
        if not self._held:
            self._idle.set()
