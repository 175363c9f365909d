"""
What is said over a link and what it means, without a socket: frames and their bodies (docs/link-protocol.md of Holdfast), version 2 of the protocol.
Values in, bytes out, and back. What cannot be read is a HoldfastError whose code begins with LINK_.
"""

from __future__ import annotations

import hmac
import struct
from typing import Any, Mapping, NamedTuple, Optional, Sequence, Union

from .errors import HoldfastError

MAGIC = b"HOLDFAST"
VERSION = 2
NONCE_BYTES = 16
SESSION_ID_BYTES = 16
HEADER_BYTES = 4

#: Bodies of all frames but MESSAGE and TOPIC are at most as long.
CONTROL_BYTES_MAX = 65_536
#: 16 MiB - 1: what the length field of a frame can say.
MESSAGE_BYTES_LIMIT = 0xFF_FFFF
#: 2^53: numbers of 8 bytes are below it.
NUMBER_LIMIT = 1 << 53
#: Bytes of reasons told at once; refusals beyond go without.
REASONS_BYTES_MAX = 16_384
#: Ranges told in one receipt; the next one has the rest.
RANGES_MAX = 256
REASON_CHARS_MAX = 200

TYPES: Mapping[str, int] = {
    "CHALLENGE": 0x01,
    "HELLO": 0x02,
    "WELCOME": 0x03,
    "REFUSE": 0x04,
    "MESSAGE": 0x10,
    "ACK": 0x11,
    "GAP": 0x12,
    "PING": 0x13,
    "PONG": 0x14,
    "BYE": 0x15,
    "PART": 0x16,
    "PROGRESS": 0x17,
    "TOPIC": 0x18,
    "NOTE": 0x19,
}
_NAMES = {number: name for name, number in TYPES.items()}

REFUSE_WORDS = ("unauthorised", "session-unknown", "version", "full", "draining", "taken-over")
BYE_WORDS = ("closed", "drained", "max-age", "protocol", "taken-over", "heartbeat", "stalled-reader")
TOPIC_VERBS = ("message", "publish", "subscribe", "unsubscribe")


class Challenge(NamedTuple):
    """What a server says first."""

    token_required: bool
    #: The highest that the server speaks, as far as this client knows: 1 or 2.
    version: int
    nonce: bytes


class Receipt(NamedTuple):
    """Which messages the application is done with."""

    #: All up to this number.
    done: int
    #: Of all that are done, those that were refused, and why.
    refused: Mapping[int, str] = {}
    #: Numbers beyond ``done``: (from, to).
    ranges: Sequence[tuple[int, int]] = ()


class Terms(NamedTuple):
    """How far a side has come, and what it takes."""

    arrived: int
    receipt: Receipt
    #: Of which messages a part is here, and how many bytes.
    parts: Mapping[int, int]
    message_max: int
    window: int
    window_bytes: int


class Hello(NamedTuple):
    """A client's introduction."""

    resume: bool
    nonce: bytes
    server_nonce: bytes
    session_id: bytes
    terms: Terms
    #: 0 leaves it to the server.
    heartbeat_ms: int
    name: str
    will: Optional[bytes]
    proof: bytes


class Welcome(NamedTuple):
    """A server's answer to it."""

    resumed: bool
    #: The name's session was there, of a client before this one.
    restarted: bool
    client_nonce: bytes
    terms: Terms
    heartbeat_ms: int
    heartbeat_timeout_ms: int
    ttl_ms: int
    proof: bytes


class Parting(NamedTuple):
    """REFUSE or BYE."""

    word: str
    #: How long to stay away.
    retry_after_ms: int
    text: str


class Topic(NamedTuple):
    """TOPIC or NOTE."""

    verb: str
    keep: bool
    #: 0 for ever.
    expires_ms: int
    #: Or a filter.
    topic: str
    message: bytes


class Part(NamedTuple):
    """Some bytes of a message."""

    number: int
    #: How many came before.
    offset: int
    last: bool
    given_up: bool
    is_stream: bool
    is_topic: bool
    data: bytes


class Progress(NamedTuple):
    """How much of a message has arrived; of a stream, how much the application has taken."""

    number: int
    bytes: int


class Decoder:
    """Bytes in, frames out: (name, body). Nothing of a body is looked at."""

    def __init__(self, message_max: int = 0) -> None:
        #: Longest MESSAGE or TOPIC taken.
        self.message_max = message_max
        self._buffer = bytearray()

    @property
    def waiting(self) -> int:
        """Bytes of a frame that has begun to arrive."""
        return len(self._buffer)

    def push(self, data: bytes) -> None:
        self._buffer += data

    def next(self) -> Optional[tuple[str, bytes]]:
        """Raises LINK_FRAME_UNKNOWN, LINK_FRAME_TOO_LARGE, at the header."""
        buffer = self._buffer
        if len(buffer) < HEADER_BYTES:
            return None
        name = _NAMES.get(buffer[0])
        length = buffer[1] << 16 | buffer[2] << 8 | buffer[3]
        if name is None:
            raise HoldfastError("LINK_FRAME_UNKNOWN", f"Cannot read a frame: there is no type {buffer[0]}")
        most = self.message_max if name in ("MESSAGE", "TOPIC") else CONTROL_BYTES_MAX
        if length > most:
            raise HoldfastError("LINK_FRAME_TOO_LARGE", f"Cannot read {name}: {length} bytes, at most {most} allowed")
        end = HEADER_BYTES + length
        if len(buffer) < end:
            return None
        body = bytes(memoryview(buffer)[HEADER_BYTES:end])
        del buffer[:end]
        return name, body


def frame(name: str, body: bytes = b"") -> bytes:
    """A frame as it is sent."""
    return struct.pack(">I", TYPES[name] << 24 | len(body)) + body


class _Reader:
    """Reads a body from its beginning to its end."""

    def __init__(self, body: bytes, name: str) -> None:
        self._body = body
        self._at = 0
        self._name = name

    def invalid(self, what: str) -> HoldfastError:
        return HoldfastError("LINK_BODY_INVALID", f"Cannot read {self._name}: it has {what}")

    def take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._body):
            raise self.invalid(f"{end - len(self._body)} bytes too few")
        taken = self._body[self._at : end]
        self._at = end
        return taken

    def number(self, count: int) -> int:
        value = int.from_bytes(self.take(count), "big")
        if count == 8 and value >= NUMBER_LIMIT:
            raise self.invalid("a number of 2^53 or more")
        return value

    def text(self, count: int) -> str:
        try:
            return self.take(count).decode("utf-8")
        except UnicodeDecodeError:
            raise self.invalid("text that is not UTF-8") from None

    def rest(self) -> bytes:
        return self.take(len(self._body) - self._at)

    @property
    def left(self) -> int:
        return len(self._body) - self._at

    def end(self) -> None:
        if self.left:
            raise self.invalid(f"{self.left} bytes too many")


def _u8(value: int) -> bytes:
    return value.to_bytes(1, "big")


def _u16(value: int) -> bytes:
    return value.to_bytes(2, "big")


def _u32(value: int) -> bytes:
    return value.to_bytes(4, "big")


def _u64(value: int) -> bytes:
    return value.to_bytes(8, "big")


def _short(data: bytes) -> bytes:
    return _u8(len(data)) + data


def _long(data: bytes) -> bytes:
    return _u16(len(data)) + data


def _encode_receipt(receipt: Receipt) -> bytes:
    room = REASONS_BYTES_MAX
    parts = [_u64(receipt.done), _u16(len(receipt.refused))]
    for number, reason in receipt.refused.items():
        text = reason.encode()
        room -= len(text)
        parts += [_u64(number), _long(text if room >= 0 else b"")]
    return b"".join(parts)


def _encode_ranges(ranges: Sequence[tuple[int, int]]) -> bytes:
    return _u16(len(ranges)) + b"".join(_u64(first) + _u64(last) for first, last in ranges)


def _decode_receipt(reader: _Reader) -> Receipt:
    done = reader.number(8)
    refused = {}
    for _ in range(reader.number(2)):
        number = reader.number(8)
        refused[number] = reader.text(reader.number(2))
    return Receipt(done, refused)


def _decode_ranges(reader: _Reader) -> list[tuple[int, int]]:
    return [(reader.number(8), reader.number(8)) for _ in range(reader.number(2))]


def _encode_terms(terms: Terms) -> bytes:
    return b"".join(
        (
            _u64(terms.arrived),
            _encode_receipt(terms.receipt),
            _encode_ranges(terms.receipt.ranges),
            _u8(len(terms.parts)),
            *(_u64(number) + _u64(count) for number, count in terms.parts.items()),
            _u32(terms.message_max),
            _u32(terms.window),
            _u32(terms.window_bytes),
        )
    )


def _decode_terms(reader: _Reader) -> Terms:
    arrived = reader.number(8)
    receipt = _decode_receipt(reader)._replace(ranges=_decode_ranges(reader))
    parts = {}
    for _ in range(reader.number(1)):
        number = reader.number(8)
        parts[number] = reader.number(8)
    return Terms(arrived, receipt, parts, reader.number(4), reader.number(4), reader.number(4))


def _encode_challenge(value: Challenge) -> bytes:
    return MAGIC + _u8(1) + _u8(value.token_required | (value.version > 1) << 1) + value.nonce


def _decode_challenge(reader: _Reader) -> Challenge:
    if reader.take(len(MAGIC)) != MAGIC:
        raise reader.invalid("no 'HOLDFAST' at its start")
    version = reader.number(1)
    if version != 1:
        raise reader.invalid(f"version {version}, not 1")
    flags = reader.number(1)
    return Challenge(bool(flags & 1), 2 if flags & 2 else 1, reader.take(NONCE_BYTES))


def _encode_hello(value: Hello) -> bytes:
    return b"".join(
        (
            MAGIC,
            _u8(VERSION),
            _u8(value.resume | (value.will is not None) << 1),
            value.nonce,
            value.server_nonce,
            value.session_id,
            _encode_terms(value.terms),
            _u32(value.heartbeat_ms),
            _short(value.name.encode()),
            b"" if value.will is None else _long(value.will),
            _short(value.proof),
        )
    )


def _decode_hello(reader: _Reader) -> Hello:
    if reader.take(len(MAGIC)) != MAGIC:
        raise reader.invalid("no 'HOLDFAST' at its start")
    version = reader.number(1)
    if version != VERSION:
        raise reader.invalid(f"version {version}, not {VERSION}")
    flags = reader.number(1)
    nonce, server_nonce, session_id = (reader.take(16) for _ in range(3))
    terms = _decode_terms(reader)
    heartbeat_ms = reader.number(4)
    name = reader.text(reader.number(1))
    will = reader.take(reader.number(2)) if flags & 2 else None
    return Hello(bool(flags & 1), nonce, server_nonce, session_id, terms, heartbeat_ms, name, will, reader.take(reader.number(1)))


def _encode_welcome(value: Welcome) -> bytes:
    flags = value.resumed | 2 | value.restarted << 2
    times = _u32(value.heartbeat_ms) + _u32(value.heartbeat_timeout_ms) + _u32(value.ttl_ms)
    return _u8(flags) + value.client_nonce + _encode_terms(value.terms) + times + _short(value.proof)


def _decode_welcome(reader: _Reader) -> Welcome:
    flags = reader.number(1)
    if not flags & 2:
        raise reader.invalid("version 1, not 2")
    client_nonce = reader.take(NONCE_BYTES)
    terms = _decode_terms(reader)
    times = (reader.number(4), reader.number(4), reader.number(4))
    return Welcome(bool(flags & 1), bool(flags & 4), client_nonce, terms, *times, reader.take(reader.number(1)))


def _encode_ack(value: Receipt) -> bytes:
    return _encode_receipt(value) + (_encode_ranges(value.ranges) if value.ranges else b"")


def _decode_ack(reader: _Reader) -> Receipt:
    receipt = _decode_receipt(reader)
    return receipt._replace(ranges=_decode_ranges(reader)) if reader.left else receipt


def _decode_parting(reader: _Reader, words: Sequence[str]) -> Parting:
    word = reader.number(1)
    retry_after_ms = reader.number(4)
    text = reader.text(reader.number(2))
    if not 1 <= word <= len(words):
        raise reader.invalid("an unknown reason")
    return Parting(words[word - 1], retry_after_ms, text)


def _encode_topic(value: Topic) -> bytes:
    return _u8(TOPIC_VERBS.index(value.verb)) + _u8(value.keep) + _u32(value.expires_ms) + _long(value.topic.encode()) + value.message


def _decode_topic(reader: _Reader) -> Topic:
    verb = reader.number(1)
    keep = bool(reader.number(1) & 1)
    expires_ms = reader.number(4)
    topic = reader.text(reader.number(2))
    if verb >= len(TOPIC_VERBS):
        raise reader.invalid("an unknown verb")
    return Topic(TOPIC_VERBS[verb], keep, expires_ms, topic, reader.rest())


def _encode_part(value: Part) -> bytes:
    flags = value.last | value.given_up << 1 | value.is_stream << 2 | value.is_topic << 3
    return _u8(flags) + _u64(value.number) + _u64(value.offset) + value.data


def _decode_part(reader: _Reader) -> Part:
    flags = reader.number(1)
    number = reader.number(8)
    offset = reader.number(8)
    return Part(number, offset, bool(flags & 1), bool(flags & 2), bool(flags & 4), bool(flags & 8), reader.rest())


#: What a frame carries: bytes (MESSAGE), the number of the next message (GAP), nothing (PING, PONG), or one of the values above.
Value = Union[None, bytes, int, Challenge, Hello, Welcome, Parting, Receipt, Topic, Part, Progress]


def encode(name: str, value: Value = None) -> bytes:
    """A frame and what it carries, as it is sent."""
    known: Any = value
    if name in ("REFUSE", "BYE"):
        words = REFUSE_WORDS if name == "REFUSE" else BYE_WORDS
        return frame(name, _u8(words.index(known.word) + 1) + _u32(known.retry_after_ms) + _long(known.text.encode()))
    return frame(name, _ENCODE[name](known))


_ENCODE: Mapping[str, Any] = {
    "CHALLENGE": _encode_challenge,
    "HELLO": _encode_hello,
    "WELCOME": _encode_welcome,
    "MESSAGE": bytes,
    "ACK": _encode_ack,
    "GAP": _u64,
    "PING": lambda _: b"",
    "PONG": lambda _: b"",
    "PART": _encode_part,
    "PROGRESS": lambda value: _u64(value.number) + _u64(value.bytes),
    "TOPIC": _encode_topic,
    "NOTE": _encode_topic,
}


def decode(name: str, body: bytes) -> Any:
    """What a frame carries. Raises LINK_BODY_INVALID."""
    if name == "MESSAGE":
        return body
    reader = _Reader(body, name)
    value = _DECODE[name](reader)
    reader.end()
    return value


_DECODE: Mapping[str, Any] = {
    "CHALLENGE": _decode_challenge,
    "HELLO": _decode_hello,
    "WELCOME": _decode_welcome,
    "REFUSE": lambda reader: _decode_parting(reader, REFUSE_WORDS),
    "BYE": lambda reader: _decode_parting(reader, BYE_WORDS),
    "ACK": _decode_ack,
    "GAP": lambda reader: reader.number(8),
    "PING": lambda _: None,
    "PONG": lambda _: None,
    "PART": _decode_part,
    "PROGRESS": lambda reader: Progress(reader.number(8), reader.number(8)),
    "TOPIC": _decode_topic,
    "NOTE": _decode_topic,
}


def client_proof(token: str, server_nonce: bytes, hello: Hello) -> bytes:
    """What proves to the server that this client knows the token."""
    proven = _encode_hello(hello._replace(proof=b""))[:-1]
    return hmac.digest(token.encode(), b"client" + server_nonce + proven, "sha256")


def server_proof(token: str, hello: Hello) -> bytes:
    """What the server proves it with."""
    return hmac.digest(token.encode(), b"server" + hello.nonce + hello.server_nonce + hello.session_id, "sha256")


def topic_fault(topic: str) -> Optional[str]:
    """Why nothing can be published under a topic (MQTT 5.0, section 4.7)."""
    return _length_fault(topic) or ("wildcards stand in filters only" if "+" in topic or "#" in topic else None)


def filter_fault(filter: str) -> Optional[str]:
    """Why a filter cannot be subscribed to."""
    levels = filter.split("/")
    return (
        _length_fault(filter)
        or ("a wildcard is a level of its own" if any(len(level) > 1 and ("+" in level or "#" in level) for level in levels) else None)
        or ("# stands at the end only" if "#" in levels[:-1] else None)
    )


def _length_fault(topic: str) -> Optional[str]:
    if not topic:
        return "it is empty"
    if "\0" in topic:
        return "it has a NUL"
    try:
        length = len(topic.encode())
    except UnicodeEncodeError:
        return "it is no text of Unicode"
    return f"{length} bytes, at most 1024 allowed" if length > 1024 else None
