"""What is said to a broker and what it says, without a socket: frames, options, errors (docs/queue-protocol.md of Holdfast)."""

from __future__ import annotations

import json
import secrets
from datetime import datetime, timedelta
from typing import Any, Callable, Generic, Iterable, Mapping, Optional, Sequence, TypeVar, Union

from .durations import Duration, milliseconds
from .errors import HoldfastError

PROTOCOL = b"HQ1"

P = TypeVar("P")
R = TypeVar("R")

SUBMIT_TIMEOUT = 10.0
RESULT_TIMEOUT = 600.0

#: How long the broker may wait for something to tell before it answers that there is nothing.
EVENTS_WAIT_MS = 30_000
#: What asking again will not mend.
EVENTS_FATAL = frozenset(("CLOSED", "QUEUE_OPTIONS_INVALID", "QUEUE_PROTOCOL", "ACCESS_DENIED", "UNIT_INVALID"))


class GiveUp(Exception):
    """Raised by a handler when no further attempt will help: the task is dead at once."""


class RetryAfter(Exception):
    """Raised by a handler that cannot do its work now: the task is tried again after this time, and no attempt is spent."""

    def __init__(self, after: Duration, message: Optional[str] = None) -> None:
        super().__init__(message or f"again after {after}")
        self.after_ms = milliseconds(after, "after")


class Codec(Generic[P]):
    """Turns values into bytes and back."""

    def __init__(self, encode: Callable[[P], bytes], decode: Callable[[bytes], P]) -> None:
        self.encode = encode
        self.decode = decode


def _encode_json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _decode_json(data: bytes) -> Any:
    return json.loads(data) if data else None


#: As the TypeScript client has it: no bytes are ``None``.
JSON: Codec[Any] = Codec(_encode_json, _decode_json)

#: Bytes as they are.
BYTES: Codec[bytes] = Codec(bytes, bytes)

_DURATIONS = {
    "delay": "delayMs",
    "backoff_max": "backoffMaxMs",
    "attempt_timeout": "timeoutMs",
    "expire": "expireMs",
    "keep": "keepMs",
}
_AS_THEY_ARE = {"priority": "priority", "attempts": "attempts", "key": "key", "unique_while": "uniqueWhile", "group": "group", "on_parent_dead": "onParentDead", "when_full": "whenFull"}


def options_of(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a submission as they travel. Raises QUEUE_OPTIONS_INVALID for one that there is not; the broker checks the values."""
    wire: dict[str, Any] = {}
    for name, value in asked.items():
        if value is None:
            continue
        if name in _DURATIONS:
            wire[_DURATIONS[name]] = milliseconds(value, name)
        elif name in _AS_THEY_ARE:
            wire[_AS_THEY_ARE[name]] = value
        elif name == "run_at":
            if not isinstance(value, datetime) or value.tzinfo is None:
                raise HoldfastError("QUEUE_OPTIONS_INVALID", "Cannot submit: 'run_at' is a datetime with a time zone")
            wire["runAtMs"] = round(value.timestamp() * 1000)
        elif name == "backoff":
            wire["backoffMs"] = [milliseconds(each, name) for each in value] if isinstance(value, (list, tuple)) else milliseconds(value, name)
        elif name in ("throttle", "debounce"):
            if not isinstance(value, Mapping) or set(value) != {"key", "wait"}:
                raise HoldfastError("QUEUE_OPTIONS_INVALID", f"Cannot submit: '{name}' is a key and a time, {{\"key\": \"user-7\", \"wait\": \"5s\"}}")
            if "key" in asked:
                raise HoldfastError("QUEUE_OPTIONS_INVALID", f"Cannot submit: '{name}' has the key, and 'key' is not said beside it")
            wire["key"] = value["key"]
            wire[f"{name}Ms"] = milliseconds(value["wait"], name)
        elif name == "after":
            wire["after"] = [str(getattr(task, "id", task)) for task in value]
        else:
            known = ", ".join([*_DURATIONS, *_AS_THEY_ARE, "run_at", "after", "backoff", "throttle", "debounce"])
            raise HoldfastError("QUEUE_OPTIONS_INVALID", f"Cannot submit: there is no option '{name}'; there are {known}")
    return wire


def new_key() -> str:
    """A key under which a submission can be sent again: brokers forget it with the task."""
    return f"~{secrets.token_urlsafe(9)}.1"


def outcome_of(state: str, data: bytes, task: str, code: str, decode: Callable[[bytes], Any]) -> Any:
    """The result of a task that has ended. Raises the error of one that has none."""
    text = data.decode(errors="replace")
    if code:
        raise HoldfastError(code, text or f"Task {task} has no result")
    if state == "done":
        return decode(data)
    if state == "dead":
        raise HoldfastError("QUEUE_TASK_DEAD", text or f"Task {task} is dead")
    if state == "cancelled":
        raise HoldfastError("QUEUE_TASK_CANCELLED", f"Task {task} was cancelled")
    if state == "evicted":
        raise HoldfastError("QUEUE_RESULT_EVICTED", f"Task {task} is completed, but its result had to make room for newer ones")
    raise HoldfastError("QUEUE_TASK_UNKNOWN", f"Task {task} is unknown, or its result is no longer stored")


def message(verb: str, *frames: Union[bytes, str]) -> list[bytes]:
    """A message as it is sent."""
    return [PROTOCOL, verb.encode(), *(frame.encode() if isinstance(frame, str) else frame for frame in frames)]


def read(frames: Sequence[bytes]) -> tuple[str, Sequence[bytes]]:
    """The verb of what a broker said, and what follows it. Raises QUEUE_PROTOCOL."""
    if len(frames) < 2 or frames[0] != PROTOCOL:
        raise HoldfastError("QUEUE_PROTOCOL", "Cannot read a message that is not HQ1")
    verb = frames[1].decode("ascii", errors="replace")
    needs = NEEDS.get(verb)
    if needs is None:
        raise HoldfastError("QUEUE_PROTOCOL", f"The broker said {verb!r}, which the protocol does not have")
    if len(frames) - 2 < needs:
        raise HoldfastError("QUEUE_PROTOCOL", f"The broker's {verb} has {len(frames) - 2} frames of {needs}")
    return verb, frames[2:]


#: How many frames follow each verb that a broker may say to this client, at least.
NEEDS: Mapping[str, int] = {
    "WELCOME": 2,
    "STARTING": 2,
    "BEAT": 0,
    "ANEW": 0,
    "OK": 1,
    "REFUSED": 3,
    "ADDED": 2,
    "ENDED": 4,
    "DATA": 2,
    "PROGRESS": 3,
    "PARTIAL": 3,
    "TASK": 6,
    "KEPT": 1,
    "LOST": 1,
    "STOP": 2,
    "RECALL": 1,
    "STEPPED": 2,
    "HISTORY": 2,
}


def pause_ms(backoff: Union[None, Duration, Iterable[Duration], Callable[[int, BaseException], Optional[Duration]]], attempt: int, error: BaseException) -> Optional[int]:
    """How long until the next attempt, where the worker says so: always the same, one after the other of a list, or what a function says."""
    if backoff is None:
        return None
    if callable(backoff):
        said = backoff(attempt, error)
        return None if said is None else milliseconds(said, "backoff")
    if isinstance(backoff, (int, float, str, timedelta)):
        return milliseconds(backoff, "backoff")
    pauses = list(backoff)
    return milliseconds(pauses[min(attempt, len(pauses)) - 1], "backoff")
