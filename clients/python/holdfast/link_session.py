"""
A link's session without a socket: what was sent and is not done, what has arrived, and one connection of it after another. Bytes and time come in,
bytes and events go out. Invariants: a message is settled once; one that arrived is never taken again; numbers are those of docs/link-protocol.md.
"""

from __future__ import annotations

import heapq
import hmac
import itertools
from collections import deque
from math import inf
from typing import Any, Callable, Iterable, Iterator, Mapping, NamedTuple, Optional, Union

from . import link_protocol as wire
from .errors import HoldfastError
from .link_numbers import NumberRanges, PartWindow
from .link_protocol import Part, Parting, Progress, Receipt, Terms, Topic, Welcome

#: Streams of a session at once, and of one the bytes read ahead of what the peer's application has taken.
STREAMS_MAX = 8
STREAM_AHEAD_BYTES = 1024 * 1024
#: Seconds for the handshake, and for what is under way after a BYE.
HELLO_TIMEOUT = 10.0
LEAVE_TIMEOUT = 5.0
#: Control frames that a peer may send at once, and a second.
CONTROL_BURST = 64
CONTROL_PER_SECOND = 2
#: Seconds between two GAPs with no message after the first.
GAP_ALONE = 1.0
#: Of the heartbeat: who is in the middle of a frame hears so often that it is heard.
LIFE_SHARE = 0.6
#: A deadline noticed so many seconds late means that this process was stopped or busy.
LATE = 1.0

Settle = Callable[[Optional[HoldfastError]], None]


class Outgoing:
    """A message on its way."""

    __slots__ = ("data", "deadline", "expires", "urgent", "is_topic", "stream", "number", "written", "told", "complete", "_settle")

    def __init__(
        self,
        data: bytes,
        settle: Settle,
        *,
        deadline: float = inf,
        expires: bool = False,
        urgent: bool = False,
        is_topic: bool = False,
        stream: "Optional[OutgoingStream]" = None,
    ) -> None:
        self.data = data
        self.deadline = deadline
        #: It has a deadline of its own.
        self.expires = expires
        self.urgent = urgent
        self.is_topic = is_topic
        self.stream = stream
        #: 0 until its first byte is written.
        self.number = 0
        #: How much was written on this connection; of that, what the peer has said it has.
        self.written = 0
        self.told = 0
        #: All of it was written: it may arrive.
        self.complete = False
        self._settle: Optional[Settle] = settle

    @property
    def open(self) -> bool:
        """False once its sender knows what became of it."""
        return self._settle is not None

    @property
    def lane(self) -> str:
        return "streams" if self.stream else "urgent" if self.urgent else "normal"

    def settle(self, error: Optional[HoldfastError] = None) -> None:
        settle, self._settle = self._settle, None
        if self.stream:
            self.stream.close()
        if settle:
            settle(error)


class OutgoingStream:
    """The bytes of a message that is sent as it is read, kept until the peer's application has them."""

    def __init__(self) -> None:
        self.start = 0
        self.message: "Outgoing"
        self._kept = bytearray()
        self._ended = False
        self.closed = False
        #: Called when there may be room for more.
        self.on_room: Callable[[], None] = lambda: None

    @property
    def full(self) -> bool:
        return len(self._kept) >= STREAM_AHEAD_BYTES and not self.closed

    def ready(self, offset: int) -> bool:
        """A part can be written from there on."""
        return self._ended or offset < self.start + len(self._kept)

    def push(self, data: bytes) -> None:
        self._kept += data

    def finish(self) -> None:
        self._ended = True

    def read(self, offset: int, most: int) -> tuple[bytes, bool]:
        at = offset - self.start
        return bytes(self._kept[at : at + most]), self._ended and at + most >= len(self._kept)

    def may_go_on(self, offset: int) -> bool:
        return self.start <= offset <= self.start + len(self._kept)

    def trim(self, offset: int) -> None:
        """So much has been taken."""
        if offset > self.start:
            del self._kept[: offset - self.start]
            self.start = offset
        if not self.full:
            self.on_room()

    def close(self) -> None:
        self.closed = True
        self._kept.clear()
        self.on_room()


class IncomingStream:
    """A message that is read as it arrives."""

    def __init__(self, number: int, taken: Callable[[int], None]) -> None:
        self.number = number
        self._taken = taken
        self._chunks: "deque[bytes]" = deque()
        self._reading = 0
        #: None while more may come; True when all has arrived; an error when no more will.
        self.end: Union[None, bool, HoldfastError] = None
        #: Called when there is more to read, or the end.
        self.on_change: Callable[[], None] = lambda: None

    @property
    def has_more(self) -> bool:
        """There is something to read, or the end."""
        return bool(self._chunks) or self.end is not None

    def read(self) -> Optional[bytes]:
        """The next bytes that are here. The sender may send as many more as the ones before them were: those are done with."""
        if self._reading:
            taken, self._reading = self._reading, 0
            self._taken(taken)
        if not self._chunks:
            return None
        chunk = self._chunks.popleft()
        self._reading = len(chunk)
        return chunk

    def push(self, data: bytes) -> None:
        if data:
            self._chunks.append(data)
            self.on_change()

    def finish(self) -> None:
        self.end = True
        self.on_change()

    def fail(self, why: str) -> None:
        if self.end is None:
            self.end = HoldfastError("LINK_GAP", f"Cannot read the rest of a stream: {why}")
            self.on_change()


class Peer(NamedTuple):
    """What the other side takes, and the size of the parts that this side writes."""

    message_max: int
    window: int
    window_bytes: int
    part_bytes: int


class Outbox:
    """Messages sent and not done. A message gets its number when its first byte is written."""

    def __init__(self) -> None:
        #: By number, in order: written and not acknowledged.
        self._written: dict[int, Outgoing] = {}
        self._lanes: dict[str, "deque[Outgoing]"] = {"urgent": deque(), "normal": deque(), "streams": deque()}
        #: Written in part.
        self._parts: list[Outgoing] = []
        #: Given up while written in part.
        self._abandoned: "deque[Outgoing]" = deque()
        #: Given up before they were written: the peer is told that so many numbers are missing.
        self._missing = 0
        self._gap_at = -inf
        self._last = 0
        self.done = 0
        #: Messages kept, and their bytes.
        self.length = 0
        self.bytes = 0
        self._flight_bytes = 0
        self._deadlines: list[tuple[float, int, Outgoing]] = []
        self._counter = itertools.count()
        self._under_way = PartWindow()
        self._streams_turn = False

    @property
    def in_flight(self) -> int:
        """Messages written whole that are not done."""
        return len(self._written) - len(self._parts)

    @property
    def pending(self) -> bool:
        """Something is to be written, if the peer's windows allow."""
        return self._missing > 0 or bool(self._abandoned or self._parts) or any(self._peek(lane) for lane in self._lanes)

    def push(self, message: Outgoing) -> None:
        self._lanes[message.lane].append(message)
        self.length += 1
        self.bytes += len(message.data)
        if message.deadline < inf:
            if len(self._deadlines) > 2 * self.length + 64:
                self._deadlines = [row for row in self._deadlines if row[2].open]
                heapq.heapify(self._deadlines)
            heapq.heappush(self._deadlines, (message.deadline, next(self._counter), message))

    def _peek(self, name: str) -> Optional[Outgoing]:
        lane = self._lanes[name]
        while lane and not lane[0].open:
            lane.popleft()
        return lane[0] if lane else None

    # ---- giving up

    @property
    def deadline(self) -> float:
        """When the first message is to be given up."""
        while self._deadlines and not self._deadlines[0][2].open:
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else inf

    def expire(self, now: float) -> int:
        """Gives up what is past its deadline; returns how many that is a hole for the application."""
        count = 0
        while self.deadline <= now:
            message = heapq.heappop(self._deadlines)[2]
            if message.expires and message.number == 0:
                # It leaves no hole: it was to be delivered in time or not at all.
                self._forget(message)
                message.settle(HoldfastError("LINK_GAP", "Message dropped: it has expired; it was never sent"))
                continue
            self._missing += message.number == 0
            count += not message.expires
            self._give_up(message, "its time is over")
        return count

    def drop_oldest(self, why: str) -> None:
        kept = next((message for message in self._written.values() if message.open), None)
        if kept is None:
            kept = next((message for message in map(self._peek, ("normal", "urgent", "streams")) if message), None)
            self._missing += kept is not None
        if kept:
            self._give_up(kept, why)

    def abandon(self, message: Outgoing, why: str) -> None:
        """Its own side cannot go on with it."""
        if message.open:
            self._missing += message.number == 0
            self._give_up(message, why)

    def _give_up(self, message: Outgoing, why: str) -> None:
        if message in self._parts:
            self._parts.remove(message)
            self._abandoned.append(message)
        self._forget(message)
        doubt = "it may or may not have arrived" if message.complete else "it was never sent"
        message.settle(HoldfastError("LINK_GAP", f"Message dropped: {why}; {doubt}"))

    def _forget(self, message: Outgoing) -> None:
        self.length -= 1
        self.bytes -= len(message.data)

    # ---- writing

    def take(self, peer: Peer, now: float) -> Union[None, int, Outgoing, tuple[Outgoing, Part]]:
        """What to write now: a message, a part of one, the number that the next one has because those before it are gone, or nothing."""
        if self._abandoned:
            message = self._abandoned.popleft()
            return message, Part(message.number, message.written, True, True, message.stream is not None, message.is_topic, b"")
        if self._missing and (now >= self._gap_at + GAP_ALONE or any(self._fits(first, peer) for first in map(self._peek, self._lanes) if first)):
            self._gap_at = now
            self._last += self._missing
            self._missing = 0
            return self._last + 1
        urgent = self._take_from("urgent", peer, now)
        if urgent:
            return urgent
        self._streams_turn = not self._streams_turn
        if self._streams_turn:
            return self._take_stream(peer, now) or self._take_from("normal", peer, now)
        return self._take_from("normal", peer, now) or self._take_stream(peer, now)

    def _take_from(self, lane: str, peer: Peer, now: float) -> Union[None, Outgoing, tuple[Outgoing, Part]]:
        for message in self._parts:
            if message.lane == lane:
                return self._part(message, peer, now)
        first = self._peek(lane)
        if first is None or not self._fits(first, peer):
            return None
        in_parts = len(first.data) > peer.part_bytes
        if in_parts and self._under_way.full:
            return None
        self._lanes[lane].popleft()
        self._begin(first)
        if in_parts:
            self._parts.append(first)
            return self._part(first, peer, now)
        first.complete = True
        return first

    def _take_stream(self, peer: Peer, now: float) -> Optional[tuple[Outgoing, Part]]:
        for message in self._parts:
            if message.stream and message.stream.ready(message.written):
                part = self._part(message, peer, now)
                if part and message in self._parts:
                    self._parts.remove(message)
                    self._parts.append(message)  # the next one's turn
                return part
        first = self._peek("streams")
        if first is None or not first.stream or not first.stream.ready(0) or not self._fits(first, peer) or self._under_way.full:
            return None
        if sum(message.stream is not None for message in self._parts) >= STREAMS_MAX:
            return None
        self._lanes["streams"].popleft()
        self._begin(first)
        self._parts.append(first)
        return self._part(first, peer, now)

    def _fits(self, message: Outgoing, peer: Peer) -> bool:
        if len(self._written) >= peer.window:
            return False
        # One message is always let through; an urgent one does not wait for the bytes of one that is written in part.
        held = self._flight_bytes - (sum(len(part.data) for part in self._parts) if message.urgent else 0)
        return held == 0 or held + len(message.data) <= peer.window_bytes

    def _begin(self, message: Outgoing) -> None:
        self._last += 1
        message.number = self._last
        self._written[self._last] = message
        self._flight_bytes += len(message.data)

    def _part(self, message: Outgoing, peer: Peer, now: float) -> Optional[tuple[Outgoing, Part]]:
        if self._under_way.full:
            return None
        offset = message.written
        if message.stream:
            if offset - message.told + peer.part_bytes > max(peer.window_bytes, peer.part_bytes):
                return None
            data, last = message.stream.read(offset, peer.part_bytes)
        else:
            data = message.data[offset : offset + peer.part_bytes]
            last = offset + len(data) == len(message.data)
        message.written += len(data)
        self._under_way.wrote(len(data), now, peer.window_bytes)
        if last:
            self._parts.remove(message)
            message.complete = True
        return message, Part(message.number, offset, last, False, message.stream is not None, message.is_topic, data)

    # ---- what the peer says of it

    def progress(self, said: Progress, now: float) -> bool:
        """False when that is nothing new. Raises LINK_ACK_INVALID."""
        message = self._written.get(said.number)
        if message is None:
            return False  # given up, or done, meanwhile
        if not message.told <= said.bytes <= message.written:
            known = f"{message.told} to {message.written} bytes"
            raise HoldfastError("LINK_ACK_INVALID", f"Invalid progress of message {said.number}: {said.bytes} is not in {known}")
        more = said.bytes - message.told
        self._under_way.told(more, now)
        message.told = said.bytes
        if message.stream:
            message.stream.trim(said.bytes)
        return more > 0

    def receipt(self, receipt: Receipt) -> None:
        """Settles all up to ``done``, and those of the ranges. Raises LINK_ACK_INVALID."""
        if not self.done <= receipt.done <= self._last:
            raise HoldfastError("LINK_ACK_INVALID", f"Invalid receipt: {receipt.done} is not in {self.done} … {self._last}")
        if any(not first <= last <= self._last for first, last in receipt.ranges):
            raise HoldfastError("LINK_ACK_INVALID", f"Invalid receipt: {receipt.ranges} of {self._last} written")
        before, self.done = self.done, receipt.done
        for first, last in [(before + 1, receipt.done), *receipt.ranges]:
            numbers: Iterable[int] = range(first, last + 1)
            if last - first > len(self._written):
                numbers = [number for number in self._written if first <= number <= last]
            for number in numbers:
                message = self._written.pop(number, None)
                if message:
                    self._acknowledge(message, receipt.refused.get(number))

    def _acknowledge(self, message: Outgoing, reason: Optional[str]) -> None:
        self._flight_bytes -= len(message.data)
        if message.written > message.told:
            self._under_way.told(message.written - message.told)
        if message in self._parts:
            self._parts.remove(message)  # settled before all of it was written
            self._abandoned.append(message)
        if not message.open:
            return
        self._forget(message)
        refused = HoldfastError("LINK_REJECTED", f"Cannot deliver a message: the peer's application refused it: {reason}")
        message.settle(None if reason is None else refused)

    def may_resume(self, terms: Terms) -> bool:
        """False when the peer claims to have what was never written, or less than it had."""
        if not self.done <= terms.receipt.done <= terms.arrived <= self._last:
            return False
        return all(self._may_go_on(self._written.get(number), count) for number, count in terms.parts.items())

    @staticmethod
    def _may_go_on(message: Optional[Outgoing], count: int) -> bool:
        if message is None:
            return True
        return message.stream.may_go_on(count) or not message.open if message.stream else count <= len(message.data)

    def resume(self, terms: Terms) -> None:
        """A new connection on the same session, which ``may_resume``: goes on after what the peer has."""
        self.receipt(terms.receipt)
        written, self._written = self._written, {}
        self._nothing_under_way()
        self._last = terms.arrived
        back = []
        for number, message in written.items():
            if number > terms.arrived:
                if message.open:
                    back.append(message)
                else:
                    self._missing += 1
                continue
            self._written[number] = message
            self._flight_bytes += len(message.data)
            has = terms.parts.get(number)
            message.complete = has is None
            if has is None:
                continue
            message.written = has
            if not message.stream:
                message.told = has
            (self._parts if message.open else self._abandoned).append(message)
        self._wait_again(back)

    def restart(self, keep_doubtful: bool) -> tuple[int, list[Outgoing]]:
        """
        The peer has forgotten the session. What was never written whole moves on, numbered anew; what was is in doubt: it moves on as well, or is
        given up by the caller. Returns how many are in doubt, and those to give up.
        """
        count = 0
        given_up, moved = [], []
        for message in self._written.values():
            if not message.open:
                continue
            begun = message.stream is not None and message.stream.start > 0
            count += message.complete or begun
            if begun or (message.complete and not keep_doubtful):
                given_up.append(message)
                self._forget(message)
            else:
                moved.append(message)
        self._written = {}
        self._nothing_under_way()
        self._missing = self._last = self.done = 0
        self._wait_again(moved)
        return count, given_up

    def _wait_again(self, messages: list[Outgoing]) -> None:
        for message in reversed(messages):
            message.number = message.written = message.told = 0
            message.complete = False
            self._lanes[message.lane].appendleft(message)

    def _nothing_under_way(self) -> None:
        """What was written went with its connection."""
        self._under_way = PartWindow()
        self._parts = []
        self._abandoned.clear()
        self._flight_bytes = 0

    def refuse_longer_than(self, most: int) -> None:
        """Gives up what was never written and is longer than the peer takes: writing it would end the connection, again and again."""
        for lane in self._lanes.values():
            for message in [message for message in lane if message.open and len(message.data) > most]:
                self._forget(message)
                message.settle(HoldfastError("LINK_MESSAGE_TOO_LARGE", f"Cannot send a message: {len(message.data)} bytes, at most {most} allowed by the peer"))

    def clear(self, error: HoldfastError) -> None:
        """Gives up everything."""
        _, given_up = self.restart(False)
        waiting = [message for lane in self._lanes.values() for message in lane if message.open]
        for lane in self._lanes.values():
            lane.clear()
        self.length = self.bytes = 0
        self._deadlines = []
        for message in [*given_up, *waiting]:
            message.settle(error)


class _Partial:
    """A message of which more is to come."""

    def __init__(self, part: Part, stream: Optional[IncomingStream]) -> None:
        self.data = bytearray()
        self.stream = stream
        self.is_topic = part.is_topic
        #: Arrived; and of those, what the application has not taken.
        self.arrived = 0
        self.held = 0
        self.whole = False


class Inbox:
    """Messages received: which numbers arrived, which the application is done with."""

    def __init__(self, message_max: int, window: int, window_bytes: int) -> None:
        self.arrived = 0
        self.done = 0
        self._message_max = message_max
        self._window = window
        self._window_bytes = window_bytes
        self._early = NumberRanges()
        #: Settled above ``done`` and not told yet.
        self._fresh = NumberRanges()
        #: Number → reason, what had arrived by then, and whether it was told.
        self._refused: dict[int, tuple[str, int, bool]] = {}
        self._receipted = 0
        #: In the application's hands: number → bytes; and all their bytes.
        self._open: dict[int, int] = {}
        self._bytes = 0
        self._partials: dict[int, _Partial] = {}
        self._progress: dict[int, int] = {}
        self._closed = False
        #: Called when a stream's application has taken bytes.
        self.on_taken: Callable[[], None] = lambda: None

    @property
    def open(self) -> int:
        """Messages in the application's hands."""
        return len(self._open)

    @property
    def receipt_due(self) -> bool:
        return self.done > self._receipted or bool(self._fresh)

    def take(self, size: int) -> int:
        """A message arrived: its number. Raises LINK_WINDOW_EXCEEDED."""
        self._check(size)
        self.arrived += 1
        self._hand_over(self.arrived, size)
        return self.arrived

    def _hand_over(self, number: int, size: int) -> None:
        self._open[number] = size
        self._bytes += size

    def part(self, part: Part) -> "Optional[Event]":
        """A part arrived. Raises LINK_PART_INVALID, LINK_WINDOW_EXCEEDED, LINK_FRAME_TOO_LARGE."""
        partial = self._partials.get(part.number)
        if partial is None and part.given_up:
            return None  # settled here before its sender knew
        is_new = partial is None
        if partial is None:
            if part.number != self.arrived + 1 or part.offset:
                raise HoldfastError("LINK_PART_INVALID", f"Cannot take part of message {part.number} from {part.offset}: it has not begun")
            self._check(0)
            if len(self._partials) >= STREAMS_MAX + 2:
                raise HoldfastError("LINK_WINDOW_EXCEEDED", f"More than {STREAMS_MAX + 2} messages in parts at once")
            self.arrived += 1
            partial = self._begin(part)
        if part.offset != partial.arrived:
            raise HoldfastError("LINK_PART_INVALID", f"Cannot take part of message {part.number} from {part.offset}: {partial.arrived} are here")
        if part.given_up:
            return self._given_up(part.number, partial)
        partial.arrived += len(part.data)
        if partial.stream:
            return self._stream_part(part, partial, partial.stream, is_new)
        if partial.arrived > self._message_max:
            why = f"{partial.arrived} bytes, at most {self._message_max} allowed"
            raise HoldfastError("LINK_FRAME_TOO_LARGE", f"Cannot take message {part.number}: {why}")
        partial.data += part.data
        self._progress[part.number] = partial.arrived
        if not part.last:
            return None
        del self._partials[part.number]
        self._hand_over(part.number, partial.arrived)
        return Event("topic" if partial.is_topic else "message", part.number, bytes(partial.data))

    def _begin(self, part: Part) -> _Partial:
        number = part.number

        def taken(count: int) -> None:
            held = self._partials.get(number)
            if held is None or held.held == 0:
                return
            held.held -= count
            if held.held == 0 and held.whole:
                del self._partials[number]
            self._progress[number] = held.arrived - held.held
            self.on_taken()

        partial = _Partial(part, IncomingStream(number, taken) if part.is_stream else None)
        self._partials[number] = partial
        if part.is_stream:
            self._hand_over(number, 0)
        return partial

    def _stream_part(self, part: Part, partial: _Partial, stream: IncomingStream, is_new: bool) -> "Optional[Event]":
        settled = self._is_settled(part.number)
        if not settled:
            partial.held += len(part.data)
            if partial.held > self._window_bytes:
                raise HoldfastError("LINK_WINDOW_EXCEEDED", f"More than {self._window_bytes} bytes of a stream are not taken")
            stream.push(part.data)
        if part.last:
            partial.whole = True
            if settled or partial.held == 0:
                del self._partials[part.number]
            stream.finish()
        return Event("stream", part.number, stream) if is_new else None

    def _given_up(self, number: int, partial: _Partial) -> "Optional[Event]":
        del self._partials[number]
        if self._is_settled(number):
            return None
        if partial.stream:
            partial.stream.fail("its sender gave it up")
        else:
            self._settled(number, number)
        return Event("gap", number, 1)

    def skip_to(self, following: int) -> int:
        """Messages before ``following`` will never come: how many. Raises LINK_GAP_INVALID."""
        if following <= self.arrived + 1:
            raise HoldfastError("LINK_GAP_INVALID", f"Cannot skip to message {following}: {self.arrived} have arrived")
        first, self.arrived = self.arrived + 1, following - 1
        self._settled(first, self.arrived)  # nobody waits for them
        return following - first

    def settle(self, number: int, reason: Optional[str] = None) -> bool:
        """The application is done with a message, or refuses it. False when it was settled before."""
        size = self._open.pop(number, None)
        if self._closed or size is None:
            return False
        self._bytes -= size
        if reason is not None:
            self._refused[number] = (reason, self.arrived, False)
        partial = self._partials.get(number)
        if partial:
            # A stream whose application has enough of it: the rest is thrown away as it comes.
            partial.held = 0
            if partial.stream:
                partial.stream.fail("it is done with")
            if partial.whole:
                del self._partials[number]
        self._settled(number, number)
        return True

    def _is_settled(self, number: int) -> bool:
        return number <= self.done or number in self._early

    def _settled(self, first: int, last: int) -> None:
        if first == self.done + 1:
            self.done = self._early.advance(last)
        else:
            self._early.add(first, last)
            self._fresh.add(first, last)

    def receipt(self) -> Receipt:
        """What was done since the last receipt."""
        self._receipted = self.done
        rows = self._fresh.after(self.done)
        self._fresh = NumberRanges()
        for first, last in rows[wire.RANGES_MAX :]:
            self._fresh.add(first, last)
        return Receipt(self.done, self._take_refused(again=False), rows[: wire.RANGES_MAX])

    def terms(self) -> Terms:
        """Where this side is, for HELLO: with all refusals of which the peer may not have heard."""
        self._fresh = NumberRanges()
        for first, last in self._early.after(self.done):
            self._fresh.add(first, last)
        refused = self._take_refused(again=True)
        receipt = self.receipt()._replace(refused=refused)
        self._progress = {}
        parts = {number: partial.arrived for number, partial in self._partials.items() if not partial.whole}
        return Terms(self.arrived, receipt, parts, self._message_max, self._window, self._window_bytes)

    def take_progress(self) -> Mapping[int, int]:
        """What the peer is to be told of parts."""
        progress, self._progress = self._progress, {}
        return progress

    @property
    def progress_due(self) -> bool:
        return bool(self._progress)

    def _take_refused(self, again: bool) -> dict[int, str]:
        found = {}
        for number, (reason, arrived, told) in list(self._refused.items()):
            # No further than a window past this one does the peer send without having heard of it.
            if told and self.arrived > arrived + self._window:
                del self._refused[number]
            elif again or not told:
                found[number] = reason
                self._refused[number] = (reason, arrived, True)
        return found

    def close(self) -> None:
        """The session is no more: what handlers say later counts no more."""
        self._closed = True
        for partial in self._partials.values():
            if partial.stream:
                partial.stream.fail("the session of its sender has ended")
        self._partials = {}

    def _check(self, size: int) -> None:
        if self.open + len(self._partials) < self._window and (not self._open or self._bytes + size <= self._window_bytes):
            return
        allowed = f"{self._window} messages and {self._window_bytes} bytes"
        raise HoldfastError("LINK_WINDOW_EXCEEDED", f"Window exceeded at message {self.arrived + 1}: more than {allowed} are unacknowledged")


class Event(NamedTuple):
    """
    What came: "open" (Welcome), "refused" and "bye" (Parting), "message" (bytes), "topic" and "note" (Topic),
    "stream" (IncomingStream), "gap" (how many messages will never come).
    """

    kind: str
    number: int
    value: Any


class Settings(NamedTuple):
    """What a session is made with. Bytes, and milliseconds where they travel."""

    name: str = ""
    token: Optional[str] = None
    will: Optional[bytes] = None
    heartbeat_ms: int = 0
    message_max: int = 1024 * 1024
    window: int = 4096
    window_bytes: int = 4 * 1024 * 1024
    part_bytes: int = 16_384
    #: What is in doubt is sent again, and may arrive twice.
    resend: bool = False


class Session:
    """What outlives connections."""

    def __init__(self, settings: Settings, draw: Callable[[int], bytes], on_gap: Callable[[str, int, bool], None]) -> None:
        self.settings = settings
        self._draw = draw
        self._on_gap = on_gap
        self.id = draw(wire.SESSION_ID_BYTES)
        self.outbox = Outbox()
        self.inbox = self._new_inbox()
        #: The server has said WELCOME to this id.
        self.server_knows = False
        self._done_at_error: Optional[int] = None

    def _new_inbox(self) -> Inbox:
        return Inbox(self.settings.message_max, self.settings.window, self.settings.window_bytes)

    def nonce(self) -> bytes:
        return self._draw(wire.NONCE_BYTES)

    def forget(self) -> None:
        """The server knows it no more: what was sent and not confirmed is in doubt, what was never sent moves on under a new id."""
        count, given_up = self.outbox.restart(self.settings.resend)
        self.inbox.close()
        self.inbox = self._new_inbox()
        self.id = self._draw(wire.SESSION_ID_BYTES)
        self.server_knows = False
        self._done_at_error = None
        if count:
            self._on_gap("own", count, self.settings.resend)
        for message in given_up:
            message.settle(HoldfastError("LINK_GAP", "No acknowledgement: the session cannot go on with this server; it may or may not have arrived"))

    def disagreed(self) -> None:
        """A connection ended for an error of the protocol; twice with nothing confirmed between, and a third time would be no better."""
        if not self.server_knows:
            return
        if self.outbox.done == self._done_at_error:
            self.forget()
        else:
            self._done_at_error = self.outbox.done


class Heartbeat:
    """
    Finds a peer whose process does not answer: received bytes put the next ping off, what is sent does not. A deadline noticed late means that this
    process slept, and what the peer sent meanwhile may lie unread: it gets another timeout.
    """

    def __init__(self, interval: float, timeout: float, now: float) -> None:
        self._interval = interval
        self._timeout = timeout
        self._heard = now
        self._death: Optional[float] = None

    @property
    def deadline(self) -> float:
        return self._heard + self._interval if self._death is None else self._death

    def heard(self, now: float) -> None:
        self._heard = now
        self._death = None

    def due(self, now: float) -> Optional[str]:
        """ "ping", "dead" or nothing."""
        late = now - self.deadline
        if late < 0:
            return None
        if self._death is not None and late < LATE:
            return "dead"
        death = self._heard + self._interval + self._timeout if self._death is None else now + self._timeout
        self._death = death if death > now else now + self._timeout
        return "ping"


_SESSION_FRAMES = ("MESSAGE", "PART", "TOPIC", "NOTE", "PROGRESS", "ACK", "GAP", "PING", "PONG", "BYE")
#: Frames that may come, by phase.
MAY_COME: Mapping[str, tuple[str, ...]] = {
    "greeting": ("CHALLENGE", "REFUSE"),
    "deciding": ("WELCOME", "REFUSE"),
    "open": _SESSION_FRAMES,
    "leaving": _SESSION_FRAMES,
    "left": ("ACK", "PROGRESS", "PING", "PONG", "BYE"),
}


class Connection:
    """
    One connection of a session, as its client: greeting → deciding → open → leaving (this side said BYE) or left (the server did).
    An error that ``events`` raises ends it; one of code LINK_REFUSED no other connection would mend.
    """

    def __init__(self, session: Session, now: float) -> None:
        self.session = session
        self.phase = "greeting"
        #: Round trip of the last heartbeat that was answered, in seconds.
        self.rtt: Optional[float] = None
        self.peer: Optional[Peer] = None
        self._decoder = wire.Decoder()
        self._now = now
        self._control: list[bytes] = []
        self._challenge: Optional[wire.Challenge] = None
        self._hello: Optional[wire.Hello] = None
        self._tried_again = False
        self._heartbeat: Optional[Heartbeat] = None
        self._life = inf
        self._wrote_at = now
        self._pinged_at: Optional[float] = None
        self._timeout_at = now + HELLO_TIMEOUT
        self._budget: float = CONTROL_BURST
        self._budget_at = now
        self._gap_is_free = True
        self._note_bytes = 0
        self._ended = False

    # ---- bytes in

    def receive(self, data: bytes, now: float) -> None:
        self._now = now
        if self._heartbeat:
            self._heartbeat.heard(now)
        self._decoder.push(data)

    def events(self) -> Iterator[Event]:
        """What the bytes mean. Raises HoldfastError LINK_* when the server breaks the protocol."""
        while True:
            found = self._decoder.next()
            if found is None:
                break
            name, body = found
            if name not in MAY_COME[self.phase]:
                raise HoldfastError("LINK_FRAME_UNEXPECTED", f"Unexpected {name}: the client is {self.phase}")
            event = self._take(name, body)
            if event and event.kind == "topic":
                event = event._replace(value=wire.decode("TOPIC", event.value))
            if event:
                yield event
        if self.phase == "open" and self._decoder.waiting and self._now - self._wrote_at >= self._life:
            # In the middle of a long frame on a thin line: the server may wait long for another sign of life.
            self._put("ACK", self.session.inbox.receipt())

    def _take(self, name: str, body: bytes) -> Optional[Event]:
        inbox, outbox = self.session.inbox, self.session.outbox
        if name in ("MESSAGE", "TOPIC"):
            self._gap_is_free = True
            return Event(name.lower(), inbox.take(len(body)), body)
        value = wire.decode(name, body)
        if name == "PART":
            self._gap_is_free = True
            return inbox.part(value)
        if name == "NOTE":
            return Event("note", 0, value)
        if name == "ACK":
            if value.done == outbox.done and not value.ranges:
                self._spend()
            outbox.receipt(value)
        elif name == "PROGRESS":
            if not outbox.progress(value, self._now):
                self._spend()
        elif name == "GAP":
            if not self._gap_is_free:
                self._spend()
            self._gap_is_free = False
            return Event("gap", value, inbox.skip_to(value))
        elif name == "PING":
            self._spend()
            self._put("PONG")
        elif name == "PONG":
            self._spend()
            if self._pinged_at is not None:
                self.rtt = self._now - self._pinged_at
                self._pinged_at = None
        elif name == "BYE":
            self._left()
            return Event("bye", 0, value)
        elif name == "CHALLENGE":
            self._challenged(value)
        elif name == "WELCOME":
            return self._welcomed(value)
        elif name == "REFUSE":
            return self._refused(value)
        return None

    def _challenged(self, challenge: wire.Challenge) -> None:
        if challenge.version < wire.VERSION:
            raise HoldfastError("LINK_REFUSED", f"The server speaks version {challenge.version} of the protocol, this client {wire.VERSION}")
        if challenge.token_required and self.session.settings.token is None:
            raise HoldfastError("LINK_REFUSED", "The server requires a token and this client has none")
        self._challenge = challenge
        self._say_hello(challenge)

    def _say_hello(self, challenge: wire.Challenge) -> None:
        session = self.session
        settings = session.settings
        hello = wire.Hello(
            resume=session.server_knows,
            nonce=session.nonce(),
            server_nonce=challenge.nonce,
            session_id=session.id,
            terms=session.inbox.terms(),
            heartbeat_ms=settings.heartbeat_ms,
            name=settings.name,
            will=settings.will,
            proof=b"",
        )
        if settings.token is not None:
            hello = hello._replace(proof=wire.client_proof(settings.token, challenge.nonce, hello))
        self._hello = hello
        self._put("HELLO", hello)
        self.phase = "deciding"

    def _welcomed(self, welcome: Welcome) -> Event:
        session, hello = self.session, self._hello
        settings = session.settings
        assert hello is not None, "phase deciding comes after HELLO"
        if settings.token is not None and not hmac.compare_digest(wire.server_proof(settings.token, hello), welcome.proof):
            raise HoldfastError("LINK_PROOF_INVALID", "Server authentication failed: it did not prove that it knows the token")
        if welcome.client_nonce != hello.nonce:
            raise HoldfastError("LINK_PROOF_INVALID", "Cannot open a session: the WELCOME was made for another connection")
        if not session.outbox.may_resume(welcome.terms):
            session.forget()
            raise HoldfastError("LINK_ACK_INVALID", "Cannot resume: the server's numbers disagree with this client's")
        terms = welcome.terms
        session.outbox.resume(terms)
        session.outbox.refuse_longer_than(terms.message_max)
        session.server_knows = True
        self.peer = Peer(terms.message_max, terms.window, terms.window_bytes, settings.part_bytes)
        self._decoder.message_max = settings.message_max
        self._life = LIFE_SHARE * welcome.heartbeat_ms / 1000
        self._heartbeat = Heartbeat(welcome.heartbeat_ms / 1000, welcome.heartbeat_timeout_ms / 1000, self._now)
        self.phase = "open"
        return Event("open", 0, welcome)

    def _refused(self, notice: Parting) -> Optional[Event]:
        if notice.word == "session-unknown" and self._challenge:
            self.session.forget()
            if not self._tried_again:
                self._tried_again = True
                self._say_hello(self._challenge)
                return None
        self._left()
        return Event("refused", 0, notice)

    def _left(self) -> None:
        self.phase = "left"
        self._timeout_at = self._now + LEAVE_TIMEOUT

    def peer_ended(self, now: float) -> None:
        """The server has closed its side, with or without a BYE."""
        self._ended = True
        if self.phase != "left":
            self._now = now
            self._left()
        self._heartbeat = None

    def _spend(self) -> None:
        """Control frames cost."""
        self._budget = min(CONTROL_BURST, self._budget + (self._now - self._budget_at) * CONTROL_PER_SECOND) - 1
        self._budget_at = self._now
        if self._budget < 0:
            raise HoldfastError("LINK_FLOOD", f"More than {CONTROL_BURST} control frames in one burst")

    # ---- bytes out

    def _put(self, name: str, value: wire.Value = None) -> None:
        self._control.append(wire.encode(name, value))

    @property
    def note_bytes(self) -> int:
        """Unconfirmed messages that wait to be pulled."""
        return self._note_bytes

    def note(self, value: Topic) -> None:
        """Says something that nobody confirms."""
        data = wire.encode("NOTE", value)
        self._note_bytes += len(data)
        self._control.append(data)

    def leave(self, parting: Parting, now: float) -> None:
        """Says BYE: no message is written any more; what is under way can still be confirmed."""
        if self.phase != "open":
            return
        self._put("BYE", parting)
        self.phase = "leaving"
        self._timeout_at = now + LEAVE_TIMEOUT

    def pull(self, most: int, now: float) -> bytes:
        """Bytes to write now, about ``most`` of messages; empty when there are none."""
        self._now = now
        session, control = self.session, self._control
        if self.peer:
            if session.inbox.receipt_due:
                self._put("ACK", session.inbox.receipt())
            for number, count in session.inbox.take_progress().items():
                self._put("PROGRESS", Progress(number, count))
        size = 0
        while self.phase == "open" and self.peer and size < most:
            found = session.outbox.take(self.peer, now)
            if found is None:
                break
            if isinstance(found, int):
                data = wire.encode("GAP", found)
            elif isinstance(found, Outgoing):
                data = wire.frame("TOPIC" if found.is_topic else "MESSAGE", found.data)
            else:
                data = wire.encode("PART", found[1])
            control.append(data)
            size += len(data)
        self._control = []
        self._note_bytes = 0
        if control:
            self._wrote_at = now
        return b"".join(control)

    @property
    def settled(self) -> bool:
        """All that both sides sent on this connection is confirmed, as far as it can be: a peer that has ended confirms nothing."""
        session = self.session
        awaited = 0 if self._ended else session.outbox.in_flight
        return awaited == 0 and session.inbox.open == 0 and not session.inbox.receipt_due and not self._control

    # ---- time

    @property
    def deadline(self) -> float:
        """When ``tick`` wants to be called."""
        heartbeat = self._heartbeat.deadline if self._heartbeat else inf
        return heartbeat if self.phase == "open" else min(self._timeout_at, heartbeat)

    def tick(self, now: float) -> Optional[str]:
        """Time passed. Why the connection should end, or nothing."""
        if self.phase != "open" and now >= self._timeout_at:
            return "hello-timeout" if self.phase in ("greeting", "deciding") else "leave-timeout"
        due = self._heartbeat.due(now) if self._heartbeat else None
        if due == "ping":
            self._pinged_at = now
            self._put("PING")
        return "heartbeat" if due == "dead" else None
