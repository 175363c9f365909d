"""
vectors.json (HOLDFAST_LINK_VECTORS): what docs/link-protocol.md says, as frames and conversations, which the tests of the TypeScript side run as well.
``clients``: our client before a scripted server. ``servers``: from a bare socket to a real server (HOLDFAST_LINK_SERVER). Run by
test/link/python-client.test.ts.
"""

import asyncio
import json
import os
import re
import secrets
import sys
import unittest

sys.modules["zmq"] = None  # type: ignore[assignment]  # links need the standard library only

from holdfast import link_protocol as wire
from holdfast.link_async import Client, HoldfastError

with open(os.environ["HOLDFAST_LINK_VECTORS"], encoding="utf-8") as file:
    VECTORS = json.load(file)
SERVER = os.environ["HOLDFAST_LINK_SERVER"]

MAY_COME_BETWEEN = ("ACK", "PROGRESS", "PING", "PONG")
#: Their "text" stands for their bytes, "times" over.
WITH_BYTES = ("MESSAGE", "PART", "TOPIC", "NOTE")
#: Learnt each time they are heard; other words that begin with "$" the first time.
NONCES = ("$nonce", "$server")
#: No step may take longer.
PATIENCE = 20


def receipt_fields(receipt: wire.Receipt) -> dict:
    return {
        "done": receipt.done,
        "refused": {str(number): why for number, why in receipt.refused.items()},
        "ranges": [list(row) for row in receipt.ranges],
    }


def to_receipt(fields: dict) -> wire.Receipt:
    refused = {int(number): why for number, why in fields["refused"].items()}
    return wire.Receipt(fields["done"], refused, [tuple(row) for row in fields["ranges"]])


def terms_fields(terms: wire.Terms) -> dict:
    parts = {str(number): count for number, count in terms.parts.items()}
    sizes = {"messageMax": terms.message_max, "window": terms.window, "windowBytes": terms.window_bytes}
    return {"arrived": terms.arrived, **receipt_fields(terms.receipt), "parts": parts, **sizes}


def to_terms(fields: dict) -> wire.Terms:
    parts = {int(number): count for number, count in fields["parts"].items()}
    return wire.Terms(fields["arrived"], to_receipt(fields), parts, fields["messageMax"], fields["window"], fields["windowBytes"])


def fields_of(name: str, value: object) -> dict:
    """What a frame carries, as vectors.json writes it."""
    if name == "MESSAGE":
        return {"bytes": value.hex()}
    if name == "GAP":
        return {"next": value}
    if name == "ACK":
        return receipt_fields(value)
    if name in ("PING", "PONG"):
        return {}
    found = {camel(key): each.hex() if isinstance(each, bytes) else each for key, each in value._asdict().items()}
    if name == "HELLO":
        return {"version": 2, **found, "terms": terms_fields(value.terms)}
    if name == "WELCOME":
        return {**found, "terms": terms_fields(value.terms)}
    return {RENAMED.get(name, {}).get(key, key): each for key, each in found.items()}


RENAMED = {
    "PART": {"isStream": "stream", "isTopic": "topic", "data": "bytes"},
    "PROGRESS": {"bytes": "count"},
    "TOPIC": {"message": "bytes"},
    "NOTE": {"message": "bytes"},
}
KINDS = {"CHALLENGE": wire.Challenge, "HELLO": wire.Hello, "WELCOME": wire.Welcome, "REFUSE": wire.Parting, "BYE": wire.Parting}
KINDS.update({"PART": wire.Part, "PROGRESS": wire.Progress, "TOPIC": wire.Topic, "NOTE": wire.Topic})


def value_of(name: str, fields: dict) -> object:
    """The other way."""
    if name == "MESSAGE":
        return bytes.fromhex(fields["bytes"])
    if name == "GAP":
        return fields["next"]
    if name == "ACK":
        return to_receipt(fields)
    if name in ("PING", "PONG"):
        return None
    back = {new: old for old, new in RENAMED.get(name, {}).items()}
    known = {snake(back.get(key, key)): each for key, each in fields.items() if key != "version" or name == "CHALLENGE"}
    for key in ("nonce", "server_nonce", "client_nonce", "session_id", "will", "proof", "data", "message"):
        if isinstance(known.get(key), str):
            known[key] = bytes.fromhex(known[key])
    if "terms" in known:
        known["terms"] = to_terms(known["terms"])
    return KINDS[name](**known)


def camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)


def snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda match: "_" + match[0].lower(), name)


def full(name: str, fields: dict) -> dict:
    """A frame with what its step leaves out; terms too."""
    known = VECTORS["defaults"].get(name, {})
    terms = {"terms": {**known["terms"], **fields.get("terms", {})}} if "terms" in known else {}
    return {**known, **fields, **terms}


def with_bytes(name: str, fields: dict) -> dict:
    if name not in WITH_BYTES or "text" not in fields:
        return fields
    rest = {key: each for key, each in fields.items() if key not in ("text", "times")}
    return {**rest, "bytes": (fields["text"] * fields.get("times", 1)).encode().hex()}


def resolve(value: object, known: dict) -> object:
    if isinstance(value, str):
        return re.sub(r"^\$\w+", lambda match: known.get(match[0], match[0]), value)
    return {key: resolve(each, known) for key, each in value.items()} if isinstance(value, dict) else value


def matches(heard: object, expected: object, known: dict) -> bool:
    if expected == "*":
        return True
    if isinstance(expected, str) and re.fullmatch(r"\$\w+", expected):
        if expected in NONCES:
            known[expected] = heard
        return known.setdefault(expected, heard) == heard
    if isinstance(expected, dict):
        return all(matches(heard.get(key), each, known) for key, each in expected.items())
    return heard == resolve(expected, known)


class Peer:
    """The side of a conversation that the test plays."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.decoder = wire.Decoder(1_048_576)

    def say(self, name: str, fields: dict, known: dict) -> None:
        self.writer.write(wire.encode(name, value_of(name, resolve(with_bytes(name, fields), known))))

    async def hear(self, name: str, fields: dict, known: dict) -> None:
        while True:
            heard, body = await self.next()
            found = fields_of(heard, wire.decode(heard, body))
            if heard == name and matches(found, with_bytes(name, fields), known):
                return
            if heard not in MAY_COME_BETWEEN:
                raise AssertionError(f"{heard} {found} came instead of {name} {fields}")

    async def next(self) -> tuple:
        while not (frame := self.decoder.next()):
            data = await self.reader.read(65_536)
            if not data:
                raise AssertionError("the connection was closed")
            self.decoder.push(data)
        return frame

    async def ended(self) -> None:
        try:
            while await self.reader.read(65_536):
                pass
        except ConnectionError:
            pass
        self.writer.close()

    def cut(self) -> None:
        self.writer.transport.abort()


class Frames(unittest.TestCase):
    def test_each_is_read_and_written(self) -> None:
        ran = 0
        for each in VECTORS["frames"]:
            if each.get("version") == 1:
                continue  # this client speaks version 2 alone
            with self.subTest(each["frame"], what=each["what"]):
                decoder = wire.Decoder(1_048_576)
                for place in range(0, len(each["hex"]), 2):  # byte by byte
                    self.assertIsNone(decoder.next())
                    decoder.push(bytes.fromhex(each["hex"][place : place + 2]))
                name, body = decoder.next()
                self.assertEqual(name, each["frame"])
                value = wire.decode(name, body)
                self.assertEqual(fields_of(name, value), each["fields"])
                self.assertEqual(wire.encode(name, value_of(name, each["fields"])).hex(), each["hex"])
                ran += 1
        self.assertGreater(ran, 25)

    def test_what_is_malformed_is_an_error_with_its_code(self) -> None:
        for each in VECTORS["malformed"]:
            with self.subTest(each["what"]), self.assertRaises(HoldfastError) as raised:
                decoder = wire.Decoder(1_048_576)
                decoder.push(bytes.fromhex(each["hex"]))
                wire.decode(*decoder.next())
            self.assertEqual(raised.exception.code, each["code"])

    def test_any_byte_of_a_frame_may_be_another_and_any_may_be_missing(self) -> None:
        for each in VECTORS["frames"]:
            frame = bytes.fromhex(each["hex"])
            for place in range(len(frame)):
                for changed in (frame[:place] + bytes([frame[place] ^ 0x81]) + frame[place + 1 :], frame[:place] + frame[place + 1 :]):
                    decoder = wire.Decoder(1_048_576)
                    decoder.push(changed)
                    try:
                        if found := decoder.next():
                            wire.decode(*found)
                    except HoldfastError as error:
                        self.assertTrue(error.code.startswith("LINK_"))

    def test_proofs(self) -> None:
        for each in VECTORS["proofs"]:
            hello = value_of("HELLO", each["hello"])
            self.assertEqual(wire.client_proof(each["token"], hello.server_nonce, hello).hex(), each["clientProof"])
            self.assertEqual(wire.server_proof(each["token"], hello).hex(), each["serverProof"])


class Application:
    """An application of our client: does as it is told, and tells what it hears."""

    def __init__(self, options: dict, port: int) -> None:
        self.heard: list = []
        self.changed = asyncio.Event()
        self.outcomes: dict = {}
        self.holds = False
        options = {snake(key): value for key, value in options.items()}
        if "heartbeat_ms" in options:
            options["heartbeat"] = options.pop("heartbeat_ms") / 1000
        self.client = Client(
            f"127.0.0.1:{port}",
            **options,
            on_message=self.message,
            on_topic=self.topic,
            on_open=lambda how: self.tell("open", resumed=how.resumed, restarted=how.restarted),
            on_gap=lambda gap: self.tell("gap", side=gap.side, count=gap.count),
            on_end=lambda end: self.tell("end", reason=end.reason, code=getattr(end.error, "code", None)),
            backoff=("1ms", "1ms"),
        )
        self.tasks = [asyncio.ensure_future(self.closed())]

    async def closed(self) -> None:
        self.tell("closed", reason=(await self.client.closed()).reason)

    async def message(self, data: bytes) -> None:
        if data == b"refuse":
            raise ValueError("no")
        self.tell("message", text=data.decode())
        if self.holds:
            await asyncio.sleep(60)

    async def topic(self, topic: str, data: bytes, kept: bool) -> None:
        self.tell("topic", topic=topic, text=data.decode(), kept=kept)

    def tell(self, kind: str, **fields: object) -> None:
        self.heard.append((kind, fields))
        self.changed.set()

    async def next(self, kind: str) -> dict:
        while True:
            for place, (which, fields) in enumerate(self.heard):
                if which == kind:
                    del self.heard[place]
                    return fields
            self.changed.clear()
            await self.changed.wait()

    def act(self, what: str, *, text: str = "", times: int = 1, topic: str = "", filter: str = "", **how: object) -> None:
        if what == "hold":
            self.holds = True
        elif what == "send":
            self.outcomes[text] = self.client.send(text * times, **how)
        elif what == "note":
            self.client.send(text, confirm=False)
        elif what == "publish":
            self.retrieve(self.client.publish(topic, text * times, **how))
        elif what == "close":
            self.retrieve(self.client.close())
        else:
            self.retrieve(self.subscribing(what, filter))

    async def subscribing(self, what: str, filter: str) -> None:
        await getattr(self.client, what)(filter)
        self.tell(f"{what}d")

    def retrieve(self, awaitable: object) -> None:
        task = asyncio.ensure_future(awaitable)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        self.tasks.append(task)

    async def outcome(self, text: str) -> str:
        try:
            await self.outcomes[text]
            return "confirmed"
        except HoldfastError as error:
            return error.code


class Clients(unittest.IsolatedAsyncioTestCase):
    async def test_our_client_before_a_scripted_server(self) -> None:
        self.assertGreater(len(VECTORS["clients"]), 50)
        for case in VECTORS["clients"]:
            with self.subTest(case["fact"]):
                accepted: asyncio.Queue = asyncio.Queue()
                server = await asyncio.start_server(lambda *pair: accepted.put_nowait(Peer(*pair)), "127.0.0.1", 0)
                app = Application(case.get("options", {}), server.sockets[0].getsockname()[1])
                peers: list = []
                try:
                    for step in case["steps"]:
                        await asyncio.wait_for(self.step(step, app, accepted, peers), PATIENCE)
                finally:
                    server.close()
                    for peer in peers:
                        peer.cut()
                    await app.client.close(0)
                    for future in app.outcomes.values():
                        future.done() and future.exception()
                    await asyncio.gather(*app.tasks, return_exceptions=True)

    async def step(self, step: dict, app: Application, accepted: asyncio.Queue, peers: list) -> None:
        known = app.__dict__.setdefault("known", {})
        fields = {key: each for key, each in step.items() if key not in ("server", "client", "raw", "accept", "cut", "fin", "outcome", "of", "app", "do")}
        if "accept" in step:
            peers.append(await accepted.get())
        elif "server" in step:
            peers[-1].say(step["server"], full(step["server"], fields), known)
        elif "client" in step:
            await peers[-1].hear(step["client"], fields, known)
        elif "raw" in step:
            peers[-1].writer.write(bytes.fromhex(step["raw"]))
        elif "cut" in step:
            peers[-1].cut()
        elif "fin" in step:
            await peers[-1].ended()
        elif "do" in step:
            app.act(step["do"], **fields)
        elif "outcome" in step:
            self.assertEqual(await app.outcome(step["of"]), step["outcome"])
        elif "app" in step:
            value = await app.next(step["app"])
            self.assertTrue(matches(value, fields, known), f"{step['app']} {value}, not {fields}")


class Servers(unittest.IsolatedAsyncioTestCase):
    async def test_the_server_and_a_scripted_client(self) -> None:
        self.assertGreater(len(VECTORS["servers"]), 8)
        for case in VECTORS["servers"]:
            with self.subTest(case["fact"]):
                peers: dict = {}
                known = {"$name": secrets.token_hex(8)}
                for step in case["steps"]:
                    await asyncio.wait_for(self.step(dict(step), peers, known), PATIENCE)
                for peer in peers.values():
                    peer.cut()

    async def step(self, step: dict, peers: dict, known: dict) -> None:
        name = step.pop("peer", "")
        if name not in peers:
            host, port = SERVER.split(":")
            peers[name] = Peer(*await asyncio.open_connection(host, int(port)))
        peer = peers[name]
        if server := step.pop("server", None):
            await peer.hear(server, step, known)
        elif client := step.pop("client", None):
            for word in re.findall(r'"(\$[a-z])"', json.dumps(step)):
                known.setdefault(word, secrets.token_hex(16))
            known["$fresh"] = secrets.token_hex(16)
            peer.say(client, full(client, step), known)
        elif "fin" in step:
            await peer.ended()
        elif "cut" in step:
            peer.cut()
            del peers[name]


if __name__ == "__main__":
    unittest.main()
