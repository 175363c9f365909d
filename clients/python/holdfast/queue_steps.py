"""
One run of a handler with durable steps: the k-th step that it begins is the k-th on record, or is done and recorded now (docs/queue-protocol.md of Holdfast,
"Steps of a handler"). A step on record is not done again; once a sleep or a wait has ended the run, no step of it begins.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Callable, NamedTuple, Optional

from .durations import Duration, milliseconds
from .errors import HoldfastError
from .queue_protocol import Codec, options_of


class RunEnded(BaseException):
    """
    Raised by sleep, wait_for and call where they end the run: the handler lets it pass, and is run again when the time has come. It is no Exception,
    so that ``except Exception`` does not stop it.
    """


class Recorded(NamedTuple):
    """A step that is on record."""

    type: str
    name: str
    #: wait: the signal came, and its value is ``data``.
    signalled: bool
    #: call: how the task ended; its result, or its error, is ``data``.
    state: Optional[str]
    data: bytes


def read_history(data: bytes) -> dict[int, Recorded]:
    """What HISTORY carries: for each step u32 and a JSON object, u32 and bytes. Raises ValueError, KeyError."""
    fields, at = [], 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data):
            raise ValueError("a history that ends within a record")
        fields.append(data[at + 4 : end])
        at = end
    known = {}
    for about, value in zip(fields[::2], fields[1::2]):
        said = json.loads(about)
        known[int(said["at"])] = Recorded(str(said["type"]), str(said["name"]), said.get("signalled") is True, said.get("state"), value)
    return known


#: Says a verb of the run's lease, if a broker is there.
Say = Callable[..., None]


class HandlerRun:
    """Its coroutines run in the client's event loop."""

    def __init__(self, say: Say, codec: Codec[Any], has_steps: bool) -> None:
        self._say = say
        self._codec = codec
        self._has_steps = has_steps
        self._history: "Optional[asyncio.Future[dict[int, Recorded]]]" = None
        #: What waits for STEPPED, to be said again after a reconnect.
        self._open: "dict[int, tuple[str, bytes, asyncio.Future[Optional[bytes]]]]" = {}
        self._names: set[str] = set()
        self._ended: Optional[RunEnded] = None
        self._failure: Optional[HoldfastError] = None

    @property
    def suspended(self) -> bool:
        """The broker has ended the run: nothing that it says counts any more."""
        return self._ended is not None

    # ---- what a handler asks for

    async def begin_step(self, name: str) -> tuple[int, Optional[Recorded]]:
        return await self._begin(name, "step")

    async def end_step(self, at: int, name: str, value: Any) -> Any:
        """What counts: the value, or that of an earlier run."""
        earlier = await self._record({"at": at, "type": "step", "name": name}, self._codec.encode(value))
        return self._codec.decode(earlier) if earlier is not None else value

    async def sleep(self, time: Duration) -> None:
        name = f"sleep {len(self._names) + 1}"
        at, known = await self._begin(name, "sleep")
        if not known:
            await self._record({"at": at, "type": "sleep", "name": name, "forMs": milliseconds(time, "sleep")}, b"")

    async def wait_for(self, name: str, timeout: Optional[Duration]) -> Any:
        at, known = await self._begin(name, "wait")
        if known:
            return self._codec.decode(known.data) if known.signalled else None
        for_ms = {} if timeout is None else {"forMs": milliseconds(timeout, "timeout")}
        value = await self._record({"at": at, "type": "wait", "name": name, **for_ms}, b"")
        return None if value is None else self._codec.decode(value)

    async def call(self, queue: str, body: Any, options: dict[str, Any]) -> Any:
        asked = options_of(options)
        if "key" in asked or "whenFull" in asked:
            raise HoldfastError("QUEUE_OPTIONS_INVALID", "Cannot call: a call has no key and no when_full")
        name = f"call {len(self._names) + 1} {queue}"[:100]
        at, known = await self._begin(name, "call")
        if known and known.state == "completed":
            return self._codec.decode(known.data)
        if known and known.state == "dead":
            raise HoldfastError("QUEUE_TASK_DEAD", known.data.decode(errors="replace") or f"The task that was called in '{queue}' is dead")
        if known and known.state == "cancelled":
            raise HoldfastError("QUEUE_TASK_CANCELLED", f"The task that was called in '{queue}' was cancelled")
        await self._record({"at": at, "type": "call", "name": name, "queue": queue, "options": asked}, self._codec.encode(body))
        raise HoldfastError("QUEUE_PROTOCOL", "The broker recorded a call and did not end the run")

    def over(self) -> None:
        """The handler has returned. Raises QUEUE_RUN_ENDED, QUEUE_STEPS_CHANGED when steps are on record that it did not ask for."""
        if self._ended:
            raise HoldfastError("QUEUE_RUN_ENDED", "The handler returned after sleep, wait_for or call had ended its run: let RunEnded pass")
        if self._history and self._history.done():
            for at, known in sorted(self._history.result().items()):
                if at >= len(self._names):
                    raise _changed(at, known, "nothing more")

    async def _begin(self, name: str, type: str) -> tuple[int, Optional[Recorded]]:
        if self._ended:
            raise HoldfastError("QUEUE_RUN_ENDED", f"Cannot begin '{name}': the run was ended by sleep, wait_for or call, whose RunEnded is to pass")
        if not isinstance(name, str) or not 1 <= len(name.encode()) <= 255:
            raise HoldfastError("QUEUE_STEP_INVALID", "Cannot begin a step: its name is a text of 1 to 255 bytes")
        if name in self._names:
            raise HoldfastError("QUEUE_STEP_INVALID", f"Cannot begin '{name}': this run has had a step of that name")
        at = len(self._names)
        self._names.add(name)
        known = (await self._known()).get(at)
        if self._ended:
            raise self._ended
        if known and (known.type, known.name) != (type, name):
            raise _changed(at, known, f"{type} '{name}'")
        return at, known

    async def _known(self) -> dict[int, Recorded]:
        if self._failure:
            raise self._failure
        if self._history is None:
            self._history = asyncio.get_running_loop().create_future()
            if self._has_steps:
                self._say("HISTORY")
            else:
                self._history.set_result({})
        return await asyncio.shield(self._history)

    async def _record(self, asked: dict[str, Any], body: bytes) -> Optional[bytes]:
        if self._failure or self._ended:
            raise self._failure or self._ended  # type: ignore[misc]
        said, at = json.dumps(asked), asked["at"]
        answer: "asyncio.Future[Optional[bytes]]" = asyncio.get_running_loop().create_future()
        self._open[at] = (said, body, answer)
        self._say("STEP", said, body)
        return await asyncio.shield(answer)

    # ---- what the broker says

    def again(self) -> None:
        """Another connection: what has no answer is asked again."""
        if self._history and not self._history.done():
            self._say("HISTORY")
        for said, body, _ in self._open.values():
            self._say("STEP", said, body)

    def history(self, data: bytes) -> None:
        if self._history and not self._history.done():
            self._history.set_result(read_history(data))

    def stepped(self, said: dict[str, Any], data: Optional[bytes]) -> None:
        at, now = said["at"], said["now"]
        refused = HoldfastError(str(said.get("code", "QUEUE_PROTOCOL")), str(said.get("message", "the broker refused a step")))
        if at == -1:
            if self._history and not self._history.done():
                self._history.set_exception(refused)
            return
        if now == "suspended":
            self._ended = RunEnded("the run has ended; the handler is run again when the time has come")
        _, _, answer = self._open.pop(at, ("", b"", None))
        if answer is None or answer.done():
            return
        if now == "refused":
            answer.set_exception(refused)
        elif self._ended and now == "suspended":
            answer.set_exception(self._ended)
        else:
            answer.set_result(data)

    def fail(self, error: HoldfastError) -> None:
        """No step of the run is recorded any more."""
        self._failure = self._failure or error
        waiting: "list[Any]" = [answer for _, _, answer in self._open.values()]
        for future in [*waiting, self._history]:
            if future and not future.done():
                future.set_exception(self._failure)
                future.exception()
        self._open.clear()


def _changed(at: int, known: Recorded, asked: str) -> HoldfastError:
    return HoldfastError(
        "QUEUE_STEPS_CHANGED",
        f"Cannot go on: step {at + 1} of this task is on record as {known.type} '{known.name}', and the handler now asks for {asked}",
    )
