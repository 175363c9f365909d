"""Against a real server, whose address is in HOLDFAST_LINK_SERVER (test/link/support/vector-server.ts). Run by test/link/python-client.test.ts."""

import asyncio
import os
import queue
import sys
import threading
import time
import unittest
import uuid

sys.modules["zmq"] = None  # type: ignore[assignment]  # links need the standard library only

from holdfast import link
from holdfast import link_protocol as wire
from holdfast.link_async import Client, HoldfastError
from holdfast.link_numbers import NumberRanges
from holdfast.link_session import Connection, Session, Settings

SERVER = os.environ["HOLDFAST_LINK_SERVER"]


def fresh() -> str:
    return f"python-{uuid.uuid4()}"


class Async(unittest.IsolatedAsyncioTestCase):
    async def test_a_message_is_confirmed_or_refused_and_what_the_server_sends_comes(self) -> None:
        heard: asyncio.Queue = asyncio.Queue()
        async with Client(SERVER, name=fresh(), on_message=heard.put) as client:
            self.assertTrue(client.connected)
            await client.send("hello")
            await client.send(b"\x00\xff")
            await client.send("ask")
            self.assertEqual(await heard.get(), b"answer 3")
            with self.assertRaises(HoldfastError) as raised:
                await client.send("refuse")
            self.assertEqual(raised.exception.code, "LINK_REJECTED")
            self.assertIn("no", raised.exception.message)
            self.assertEqual(client.unconfirmed, (0, 0))
        self.assertEqual((await client.closed()).reason, "closed")
        with self.assertRaises(HoldfastError) as raised:
            await client.send("late")
        self.assertEqual(raised.exception.code, "CLOSED")
        await client.close()

    async def test_topics_and_their_last_values_come(self) -> None:
        place, heard = fresh(), asyncio.Queue()
        async with Client(SERVER, name=fresh()) as sensor, Client(SERVER, name=fresh(), on_topic=lambda *told: heard.put_nowait(told)) as panel:
            await sensor.publish(f"{place}/7", "21.5", keep=True)
            await panel.subscribe(f"{place}/+")
            self.assertEqual(await heard.get(), (f"{place}/7", b"21.5", True))
            await sensor.publish(f"{place}/8", "x" * 100_000, urgent=True)
            topic, data, kept = await heard.get()
            self.assertEqual((topic, len(data), kept), (f"{place}/8", 100_000, False))
            await sensor.publish(f"{place}/8", "quick", confirm=False)
            self.assertEqual(await heard.get(), (f"{place}/8", b"quick", False))
            await panel.unsubscribe(f"{place}/+")
            await sensor.publish(f"{place}/7", "nobody")
        self.assertTrue(heard.empty())

    async def test_streams_of_any_length_go_both_ways(self) -> None:
        heard: asyncio.Queue = asyncio.Queue()

        async def count(stream: object) -> None:
            heard.put_nowait(sum([len(data) async for data in stream]))

        async def pieces() -> object:
            for _ in range(60):
                yield "x" * 50_000

        async with Client(SERVER, name=fresh(), on_message=heard.put, on_stream=count) as client:
            await client.send_stream(pieces())
            self.assertEqual(await heard.get(), b"stream of 3000000")
            await client.send_stream([b"one", "two"])
            self.assertEqual(await heard.get(), b"stream of 6")
            await client.send("stream")
            self.assertEqual(await heard.get(), 3_000_000)

            async def failing() -> object:
                yield b"some"
                raise KeyError("mine")

            with self.assertRaises(KeyError):
                await client.send_stream(failing())
            await client.send("others go on")

    async def test_a_handler_that_takes_too_long_costs_its_message_and_the_rest_goes_on(self) -> None:
        heard: list = []
        cancelled = asyncio.Event()

        async def hangs(data: bytes) -> None:
            heard.append(data)
            if data == b"answer 1":
                try:
                    await asyncio.sleep(30)
                finally:
                    cancelled.set()

        async with Client(SERVER, name=fresh(), on_message=hangs, handler_timeout="100ms") as client:
            await asyncio.gather(*(client.send("ask") for _ in range(3)))
            await cancelled.wait()
            self.assertEqual(heard, [b"answer 1", b"answer 2", b"answer 3"])

    async def test_without_a_server_every_send_ends(self) -> None:
        ends = []
        async with Client("127.0.0.1:1", on_end=ends.append, backoff=("10ms", "10ms"), outbox_messages=2) as client:
            self.assertFalse(client.connected)
            with self.assertRaises(HoldfastError) as raised:
                await client.send("x", expires="50ms")
            self.assertEqual(raised.exception.code, "LINK_GAP")
            await client.send("nobody hears it", confirm=False)
            self.assertEqual(client.dropped, 1)
            pending = [client.send("1"), client.send("2")]
            with self.assertRaises(HoldfastError) as raised:
                client.send("3")
            self.assertEqual(raised.exception.code, "LINK_FULL")
            await client.close(within="50ms")
            for future in pending:
                with self.assertRaises(HoldfastError) as raised:
                    await future
                self.assertEqual(raised.exception.code, "LINK_ENDED")
        self.assertEqual(ends[0].reason, "unreachable")
        with self.assertRaises(HoldfastError) as raised:
            async with Client("127.0.0.1:1", backoff=None):
                pass
        self.assertEqual(raised.exception.code, "LINK_ENDED")

    async def test_of_several_addresses_the_next_is_tried(self) -> None:
        ends: list = []
        async with Client("127.0.0.1:1", SERVER, name=fresh(), on_end=ends.append, backoff=("1ms", "1ms")) as client:
            await client.send("arrives")
        self.assertEqual([end.reason for end in ends], ["unreachable", "closed"])

    async def test_the_oldest_is_dropped_where_that_was_asked_for_and_the_gap_is_told(self) -> None:
        gaps: list = []
        async with Client("127.0.0.1:1", on_gap=gaps.append, outbox_messages=1, when_full="drop-oldest") as client:
            first = client.send("1")
            client.send("2").add_done_callback(lambda future: future.exception())
            with self.assertRaises(HoldfastError) as raised:
                await first
            self.assertEqual(raised.exception.code, "LINK_GAP")
            self.assertEqual([(gap.side, gap.count) for gap in gaps], [("own", 1)])
            await client.close(0)

    async def test_garbage_from_a_server_ends_by_a_coded_error_and_never_hangs(self) -> None:
        for garbage in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0" * 100, b"\xff" * 100, os.urandom(5000), b"\x01\xff\xff\xff", b"", b"\x01"):
            server = await asyncio.start_server(lambda _, writer, garbage=garbage: (writer.write(garbage), writer.close()), "127.0.0.1", 0)
            ends: list = []
            client = Client("127.0.0.1:%d" % server.sockets[0].getsockname()[1], backoff=None, on_end=ends.append)
            sent = client.send("x")
            with self.subTest(garbage[:20]):
                for waiting in (client.ready(), sent):
                    with self.assertRaises(HoldfastError) as raised:
                        await asyncio.wait_for(waiting, 10)
                    self.assertEqual(raised.exception.code, "LINK_ENDED")
                self.assertIn(ends[0].reason, ("protocol", "fin", "rst"))
                self.assertEqual((await client.closed()).reason, ends[0].reason)
            server.close()

    async def test_what_listeners_raise_harms_nobody(self) -> None:
        told: list = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))

        def fails(_: object) -> None:
            raise KeyError("mine")

        async with Client(SERVER, name=fresh(), on_open=fails, on_end=fails) as client:
            await client.send("x")
        self.assertEqual([type(error) for error in told], [KeyError, KeyError])

    async def test_what_cannot_be_is_a_coded_error(self) -> None:
        for options, code in (
            ({"name": "ü" * 200}, "LINK_OPTION_INVALID"),
            ({"will": b"x" * 8193}, "LINK_OPTION_INVALID"),
            ({"window": 0}, "LINK_OPTION_INVALID"),
            ({"part_size": 100}, "LINK_OPTION_INVALID"),
            ({"message_max": 1 << 24}, "LINK_OPTION_INVALID"),
            ({"when_full": "explode"}, "LINK_OPTION_INVALID"),
            ({"in_doubt": "hope"}, "LINK_OPTION_INVALID"),
            ({"keep": "soon"}, "UNIT_INVALID"),
        ):
            with self.subTest(options), self.assertRaises(HoldfastError) as raised:
                Client(SERVER, **options)
            self.assertEqual(raised.exception.code, code)
        for address in ("somewhere", "host:", ":1", "host:x", "host:70000"):
            with self.subTest(address), self.assertRaises(HoldfastError) as raised:
                Client(address)
            self.assertEqual(raised.exception.code, "LINK_OPTION_INVALID")
        async with Client(SERVER, name=fresh()) as client:
            for attempt, code in (
                (lambda: client.send("x" * 1_048_577), "LINK_MESSAGE_TOO_LARGE"),
                (lambda: client.send("x" * 16_384, confirm=False), "LINK_MESSAGE_TOO_LARGE"),
                (lambda: client.send(17), "LINK_OPTION_INVALID"),
                (lambda: client.send("x", expires=0), "LINK_OPTION_INVALID"),
                (lambda: client.publish("a/#", "x"), "LINK_OPTION_INVALID"),
                (lambda: client.publish("", "x"), "LINK_OPTION_INVALID"),
                (lambda: client.publish("\ud800", "x"), "LINK_OPTION_INVALID"),
                (lambda: client.publish("a", "x" * 1_048_570), "LINK_MESSAGE_TOO_LARGE"),
                (lambda: client.publish("a", "x", keep=True, confirm=False), "LINK_OPTION_INVALID"),
            ):
                with self.assertRaises(HoldfastError) as raised:
                    attempt()
                self.assertEqual(raised.exception.code, code)
            for filter in ("", "a/#/b", "a+", "\0"):
                with self.assertRaises(HoldfastError) as raised:
                    await client.subscribe(filter)
                self.assertEqual(raised.exception.code, "LINK_OPTION_INVALID")


class Blocking(unittest.TestCase):
    def test_threads_send_and_handlers_may_too(self) -> None:
        heard: queue.Queue = queue.Queue()

        def answer(data: bytes) -> None:
            heard.put((data, threading.current_thread() is not threading.main_thread()))
            if data == b"answer 1":
                client.send("ask")  # a handler may wait

        with link.Client(SERVER, name=fresh(), on_message=answer) as client:
            client.send("ask")
            self.assertEqual(heard.get(timeout=10), (b"answer 1", True))
            self.assertEqual(heard.get(timeout=10), (b"answer 2", True))
            futures = [client.send_soon(str(number)) for number in range(1000)]
            for future in futures:
                future.result(10)
            with self.assertRaises(HoldfastError) as raised:
                client.send("refuse")
            self.assertEqual(raised.exception.code, "LINK_REJECTED")
            self.assertTrue(client.connected)
        self.assertEqual(client.unconfirmed, (0, 0))
        with self.assertRaises(HoldfastError) as raised:
            client.send("late")
        self.assertEqual(raised.exception.code, "CLOSED")
        client.close()

    def test_a_handler_that_takes_too_long_costs_its_message_and_the_rest_goes_on(self) -> None:
        heard: queue.Queue = queue.Queue()
        free = threading.Event()

        def stuck(data: bytes) -> None:
            heard.put(data)
            if data == b"answer 1":
                free.wait(30)

        with link.Client(SERVER, name=fresh(), on_message=stuck, handler_timeout="100ms") as client:
            for _ in range(3):
                client.send("ask")
            self.assertEqual([heard.get(timeout=10) for _ in range(3)], [b"answer 1", b"answer 2", b"answer 3"])
            free.set()

    def test_topics_and_streams(self) -> None:
        place = fresh()
        heard: queue.Queue = queue.Queue()

        def count(stream: object) -> None:
            heard.put(sum(len(data) for data in stream))

        with link.Client(SERVER, name=fresh(), on_topic=lambda *told: heard.put(told), on_message=heard.put, on_stream=count) as client:
            client.subscribe(f"{place}/#")
            client.publish(f"{place}/a", "1")
            self.assertEqual(heard.get(timeout=10), (f"{place}/a", b"1", False))
            client.unsubscribe(f"{place}/#")
            client.send_stream(b"x" * 1000 for _ in range(2000))
            self.assertEqual(heard.get(timeout=10), b"stream of 2000000")
            client.send("stream")
            self.assertEqual(heard.get(timeout=10), 3_000_000)

    def test_no_server_is_no_hang(self) -> None:
        with self.assertRaises(HoldfastError):
            link.Client("nowhere")
        with self.assertRaises(HoldfastError) as raised:
            with link.Client("127.0.0.1:1", backoff=None):
                pass
        self.assertEqual(raised.exception.code, "LINK_ENDED")
        began = time.monotonic()
        with link.Client("127.0.0.1:1") as client:
            with self.assertRaises(HoldfastError):
                client.send("x", expires=0.05)
        self.assertLess(time.monotonic() - began, 5)


class Values(unittest.TestCase):
    """Without a socket."""

    def test_ranges_of_numbers(self) -> None:
        ranges, known, done = NumberRanges(), set(), 0
        for number in (5, 3, 9, 4, 7, 2, 8, 20, 6):
            ranges.add(number, number)
            known.add(number)
            self.assertEqual([each in ranges for each in range(25)], [each in known for each in range(25)])
        self.assertEqual(ranges.after(6), [(7, 9), (20, 20)])
        ranges.add(9, 15)
        self.assertEqual(ranges.after(0), [(2, 15), (20, 20)])
        done = ranges.advance(1)
        self.assertEqual((done, ranges.after(done)), (15, [(20, 20)]))

    def test_silence_ends_the_handshake_after_ten_seconds(self) -> None:
        connection = Connection(self.session(), 100.0)
        self.assertEqual(connection.deadline, 110.0)
        self.assertIsNone(connection.tick(109.9))
        self.assertEqual(connection.tick(110.0), "hello-timeout")

    def test_heartbeats(self) -> None:
        connection = self.opened(100.0)
        self.assertEqual(connection.deadline, 130.0)
        self.assertIsNone(connection.tick(130.0))
        self.assertEqual(connection.pull(1000, 130.0), wire.encode("PING"))
        connection.receive(wire.encode("PONG"), 132.5)
        list(connection.events())
        self.assertEqual((connection.rtt, connection.deadline), (2.5, 162.5))
        self.assertIsNone(connection.tick(162.5))
        self.assertEqual(connection.deadline, 172.5)
        self.assertEqual(connection.tick(172.5), "heartbeat")
        late = self.opened(100.0)
        late.tick(130.0)
        self.assertIsNone(late.tick(1000.0), "this process slept: what was sent meanwhile may lie unread")
        self.assertEqual(late.tick(1010.0), "heartbeat")

    def test_a_side_in_the_middle_of_a_long_frame_says_that_it_hears(self) -> None:
        connection = self.opened(100.0)
        connection.receive(wire.frame("MESSAGE", b"x" * 1000)[:500], 119.0)
        list(connection.events())
        name, _ = self.frames(connection.pull(1000, 119.0))[0]
        self.assertEqual(name, "ACK")
        connection.receive(b"x", 120.0)
        list(connection.events())
        self.assertEqual(connection.pull(1000, 120.0), b"")

    def session(self) -> Session:
        return Session(Settings(name="s"), lambda count: b"\1" * count, lambda *_: None)

    def opened(self, now: float) -> Connection:
        connection = Connection(self.session(), now)
        connection.receive(wire.encode("CHALLENGE", wire.Challenge(False, 2, b"\2" * 16)), now)
        list(connection.events())
        terms = wire.Terms(0, wire.Receipt(0), {}, 1000, 10, 10_000)
        connection.receive(wire.encode("WELCOME", wire.Welcome(False, False, b"\1" * 16, terms, 30_000, 10_000, 600_000, b"")), now)
        self.assertEqual([event.kind for event in connection.events()], ["open"])
        connection.pull(1000, now)
        return connection

    def frames(self, data: bytes) -> list:
        decoder = wire.Decoder(1_048_576)
        decoder.push(data)
        return list(iter(decoder.next, None))


if __name__ == "__main__":
    unittest.main()
