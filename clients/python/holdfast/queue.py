"""
The queue's client for programs with threads: the same as ``holdfast.queue_async``, whose event loop runs in a thread of its own here. All of it may
be used from any thread.
"""

from __future__ import annotations

import signal
import threading
from typing import Any, Callable, Generic, Iterable, Iterator, Optional

from . import queue_async as aio
from .durations import Duration
from .errors import HoldfastError
from .loop_thread import LoopThread
from .queue_protocol import BYTES, JSON, RESULT_TIMEOUT, SUBMIT_TIMEOUT, Codec, GiveUp, P, R, RetryAfter
from .queue_steps import RunEnded

__all__ = ["BYTES", "JSON", "Client", "Codec", "Context", "GiveUp", "HoldfastError", "Queue", "RetryAfter", "RunEnded", "Task", "Worker"]

Context = aio.BlockingContext


class Client:
    """The connection to a broker. Options as of ``queue_async.Client``."""

    def __init__(self, url: str = aio.URL, **options: Any) -> None:
        self._thread = LoopThread("holdfast-client")
        self._wait = self._thread.wait

        async def connect() -> aio.Client:
            return aio.Client(url, **options)

        self._client = self._wait(connect())

    def operate(self, name: str, asked: Optional[dict[str, Any]] = None, **more: Any) -> Any:
        """An operation, such as ``operate("queues")``."""
        return self._wait(self._client.operate(name, asked, **more))

    def close(self) -> None:
        """Ends the connection; what is pending fails with CLOSED. May be called twice."""
        if not self._thread.closed:
            self._wait(self._client.close())
            self._thread.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Task(Generic[R]):
    """A task that was submitted."""

    def __init__(self, client: Client, task: "aio.Task[R]") -> None:
        self.id = task.id
        self._client = client
        self._task = task

    def result(self, *, timeout: Duration = RESULT_TIMEOUT) -> R:
        """Waits for its result, over reconnects."""
        return self._client._wait(self._task.result(timeout=timeout))

    def progress(self, *, timeout: Duration = RESULT_TIMEOUT) -> Iterator[Any]:
        """What its worker says of its progress, until it has ended."""
        return _each(self._client, self._task.progress(timeout=timeout))

    def partials(self, *, timeout: Duration = RESULT_TIMEOUT) -> Iterator[Any]:
        """Parts of its result as they come, until it has ended."""
        return _each(self._client, self._task.partials(timeout=timeout))

    def cancel(self, *, timeout: Duration = SUBMIT_TIMEOUT) -> None:
        """Ends it, wherever it is."""
        self._client._wait(self._task.cancel(timeout=timeout))


def _each(client: Client, values: Any) -> Iterator[Any]:
    async def following() -> Any:
        return await values.__anext__()

    try:
        while True:
            try:
                yield client._wait(following())
            except StopAsyncIteration:
                return
    finally:
        client._wait(values.aclose())


class Queue(Generic[P, R]):
    """A queue of a broker, by its name. Values are JSON unless ``codec`` says otherwise."""

    def __init__(self, name: str, client: Client, *, codec: Codec[Any] = JSON) -> None:
        self.name = name
        self.client = client
        self._queue: "aio.Queue[P, R]" = aio.Queue(name, client._client, codec=codec)

    def add(self, payload: P, **options: Any) -> Task[R]:
        """Submits a task; returns when the broker has it on disk. Options as of ``queue_async.Queue.add``."""
        return Task(self.client, self.client._wait(self._queue.add(payload, **options)))

    def add_many(self, payloads: Iterable[P], **options: Any) -> list[Task[R]]:
        """Submits tasks together: all of them, or none."""
        return [Task(self.client, task) for task in self.client._wait(self._queue.add_many(payloads, **options))]

    def call(self, payload: P, *, told: Optional[Callable[[str, Any], None]] = None, **options: Any) -> R:
        """Submits a task and waits for its result. ``told`` hears of progress and partial results, in the client's thread."""
        return self.client._wait(self._queue.call(payload, told=told, **options))

    def task(self, id: str) -> Task[R]:
        """A task by its id."""
        return Task(self.client, self._queue.task(id))

    def signal(self, id: str, name: str, value: Any = None, **options: Any) -> bool:
        """Sends a task the signal that its handler waits for, or will. False when one of this name had come before: the first counts."""
        return self.client._wait(self._queue.signal(id, name, value, **options))

    def cursor(self, **options: Any) -> str:
        """Where the queue's events are now."""
        return self.client._wait(self._queue.cursor(**options))

    def events(self, **options: Any) -> Iterator[dict[str, Any]]:
        """What happens to all tasks of the queue. Options as of ``queue_async.Queue.events``."""
        return _each(self.client, self._queue.events(**options))

    def counts(self, **options: Any) -> dict[str, int]:
        """How many tasks are in each state."""
        return self.client._wait(self._queue.counts(**options))


class Worker(Generic[P, R]):
    """Takes tasks of a queue and hands them to a function, in threads. Options as of ``queue_async.Worker``."""

    def __init__(self, queue: Queue[P, R], handler: "aio.Handler[P, R]", **options: Any) -> None:
        self._client = queue.client

        async def start() -> "aio.Worker[P, R]":
            return aio.Worker(queue._queue, handler, **options)

        self._worker = self._client._wait(start())

    def close(self) -> None:
        """Takes no more, waits for what runs, and after ``drain`` gives it back."""
        self._client._wait(self._worker.close())

    def run(self) -> None:
        """Works until SIGTERM or SIGINT, then closes. For the main thread of a program that does nothing else."""
        ended = threading.Event()
        before = {number: signal.signal(number, lambda *_: ended.set()) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            # With a timeout, so that signals are heard on all systems.
            while not ended.wait(1):
                pass
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self.close()

    def __enter__(self) -> "Worker[P, R]":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
