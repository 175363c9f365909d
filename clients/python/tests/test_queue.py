"""
Against a real broker, whose address is in HOLDFAST_QUEUE_URL; a TypeScript worker works on "upper" and a TypeScript producer calls "python". Run by
test/queue/python-client.test.ts, from the wheel.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
import time
import unittest
import uuid
from datetime import datetime, timedelta, timezone

import zmq
import zmq.asyncio

from holdfast import queue as sync
from holdfast.queue_async import BYTES, Client, Context, GiveUp, HoldfastError, Queue, RetryAfter, Worker
from holdfast.durations import milliseconds
from holdfast.queue_protocol import options_of, pause_ms, read

URL = os.environ["HOLDFAST_QUEUE_URL"]
CASES = os.environ["HOLDFAST_QUEUE_CASES"]


def fresh() -> str:
    return f"python-{uuid.uuid4()}"


class Conversations(unittest.TestCase):
    """What docs/queue-protocol.md says, from a bare socket."""

    def test_each(self) -> None:
        with open(CASES, encoding="utf-8") as file:
            cases = json.load(file)
        self.assertGreater(len(cases), 15)
        context = zmq.Context()
        for case in cases:
            with self.subTest(case["fact"]):
                self.converse(context, case["steps"])
        context.destroy(linger=0)

    def converse(self, context: zmq.Context, steps: list) -> None:
        peers = {}
        known = {"$queue": fresh()}
        for step in steps:
            name = step.get("peer", "")
            if name not in peers:
                peers[name] = context.socket(zmq.DEALER)
                peers[name].connect(URL)
            if "say" in step:
                words = [re.sub(r"\$\w+", lambda match: known.get(match[0], match[0]), word) for word in step["say"]]
                peers[name].send_multipart([b"HQ1", *(word.encode() for word in words)])
            if "hear" in step:
                self.assertTrue(peers[name].poll(10_000), f"nothing came of {step['hear']}")
                protocol, *heard = (frame.decode() for frame in peers[name].recv_multipart())
                self.assertEqual(protocol, "HQ1")
                for place, word in enumerate(step["hear"]):
                    if word.startswith("$"):
                        known.setdefault(word, heard[place])
                self.assertEqual(heard, [heard[place] if word == "*" else known.get(word, word) for place, word in enumerate(step["hear"])])
        for peer in peers.values():
            peer.close(0)


class Async(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.client = Client(URL)
        self.addAsyncCleanup(self.client.close)
        self.queue: Queue = Queue(fresh(), self.client)

    async def test_a_call_is_done_by_a_worker_and_its_result_comes_back(self) -> None:
        async def double(number: int, _: object) -> int:
            return 2 * number

        async with Worker(self.queue, double, concurrency=10):
            results = await asyncio.gather(*(self.queue.call(number) for number in range(100)))
        self.assertEqual(results, [2 * number for number in range(100)])
        self.assertEqual((await self.queue.counts())["completed"], 100)

    async def test_values_are_what_typescript_makes_of_them_both_ways(self) -> None:
        value = {"text": "ünïcode 😀", "numbers": [1, 2.5, -3], "nothing": None, "yes": True}
        upper: Queue = Queue("upper", self.client)
        self.assertEqual(await upper.call(value), {"heard": value, "by": "TypeScript"})
        self.assertIsNone(await upper.call(None))

    async def test_a_handler_that_raises_is_tried_again_and_one_that_gives_up_is_not(self) -> None:
        attempts = []

        def handler(what: str, task: object) -> str:
            attempts.append((what, task.attempt))
            if what == "never":
                raise GiveUp("no address")
            if task.attempt < 3:
                raise ValueError("not yet")
            return "at last"

        async with Worker(self.queue, handler, backoff=0):
            self.assertEqual(await self.queue.call("later"), "at last")
            with self.assertRaises(HoldfastError) as raised:
                await self.queue.call("never")
            self.assertEqual(raised.exception.code, "QUEUE_TASK_DEAD")
            self.assertIn("no address", raised.exception.message)
            with self.assertRaises(HoldfastError) as raised:
                await self.queue.call("later2", attempts=1)
            self.assertIn("not yet", raised.exception.message)
        self.assertEqual(attempts, [("later", 1), ("later", 2), ("later", 3), ("never", 1), ("later2", 1)])

    async def test_retry_after_spends_no_attempt(self) -> None:
        seen = []

        async def handler(_: object, task: object) -> str:
            seen.append(task.attempt)
            if len(seen) < 4:
                raise RetryAfter(0.01)
            return "done"

        async with Worker(self.queue, handler):
            self.assertEqual(await self.queue.call(None, attempts=1), "done")
        self.assertEqual(seen, [1, 1, 1, 1])

    async def test_progress_and_partial_results_are_told_in_order(self) -> None:
        begin = asyncio.Event()

        async def handler(_: object, task: object) -> str:
            await begin.wait()
            for part in range(3):
                task.progress({"percent": part * 50})
                task.partial(f"part {part}")
            return "whole"

        told = []
        async with Worker(self.queue, handler, concurrency=3):
            first = asyncio.ensure_future(self.queue.call(None, told=lambda *said: told.append(said)))
            task = await self.queue.add(None)
            watching = asyncio.ensure_future(collect(task.progress()))
            parts = asyncio.ensure_future(collect(task.partials()))
            await asyncio.sleep(0.2)
            begin.set()
            self.assertEqual(await first, "whole")
            self.assertEqual(await watching, [{"percent": 0}, {"percent": 50}, {"percent": 100}])
            self.assertEqual(await parts, ["part 0", "part 1", "part 2"])
        self.assertEqual(len(told), 6)
        self.assertEqual(told[:2], [("progress", {"percent": 0}), ("partial", "part 0")])

    async def test_a_cancelled_task_cancels_its_coroutine(self) -> None:
        began, ended = asyncio.Event(), asyncio.Event()

        async def handler(_: object, task: object) -> None:
            began.set()
            try:
                await asyncio.sleep(60)
            finally:
                ended.set()

        async with Worker(self.queue, handler):
            task = await self.queue.add(None)
            await began.wait()
            await task.cancel()
            await asyncio.wait_for(ended.wait(), 10)
            with self.assertRaises(HoldfastError) as raised:
                await task.result()
            self.assertEqual(raised.exception.code, "QUEUE_TASK_CANCELLED")
            with self.assertRaises(HoldfastError) as raised:
                await task.cancel()
            self.assertEqual(raised.exception.code, "QUEUE_TASK_STATE")

    async def test_options_reach_the_broker(self) -> None:
        first = await self.queue.add("a", key="k", delay="1h", priority=7, attempts=9, group="g")
        again = await self.queue.add("a", key="k")
        self.assertEqual(first.id, again.id)
        known = await self.client.operate("get", {"id": first.id})
        self.assertEqual([known[name] for name in ("state", "priority", "group", "attempts", "key")], ["delayed", 7, "g", 9, "k"])
        later = datetime.now(timezone.utc) + timedelta(days=1)
        second = await self.queue.add("b", run_at=later)
        self.assertAlmostEqual((await self.client.operate("get", {"id": second.id}))["atMs"], later.timestamp() * 1000, delta=1)
        many = await self.queue.add_many(["c", "d"], after=[first])
        self.assertEqual(len({task.id for task in many}), 2)
        self.assertEqual((await self.queue.counts())["blocked"], 2)

    async def test_the_first_or_the_last_under_a_key_wins(self) -> None:
        first = await self.queue.add("a", debounce={"key": "d", "wait": "1h"})
        last = await self.queue.add("b", debounce={"key": "d", "wait": 0})
        self.assertEqual(first.id, last.id)
        throttled = [await self.queue.add(each, throttle={"key": "t", "wait": "1h"}) for each in "cd"]
        self.assertEqual(throttled[0].id, throttled[1].id)
        seen: list[object] = []

        async def handler(payload: object, task: Context) -> None:
            seen.append(payload)
            if payload == "e":
                waiting = await self.queue.add("f", key="u", unique_while="active")
                self.assertEqual(waiting.id, task.id)

        async with Worker(self.queue, handler):
            unique = await self.queue.add("e", key="u", unique_while="active")
            for task in (first, throttled[0], unique):
                await task.result()
            again = await self.queue.add("g", key="u", unique_while="active")
            await again.result()
        self.assertEqual(seen, ["b", "c", "e", "g"])
        each = await self.queue.add_many([1, 2, 1], each=lambda n: {"throttle": {"key": f"n{n}", "wait": "1h"}})
        self.assertEqual([task.id == each[0].id for task in each], [True, False, True])

    async def test_a_list_of_pauses_is_kept_to(self) -> None:
        attempts: list[int] = []

        async def handler(_: object, task: Context) -> None:
            attempts.append(task.attempt)
            raise ValueError("no")

        async with Worker(self.queue, handler):
            with self.assertRaises(HoldfastError):
                await self.queue.call(None, backoff=["1ms", 0.002], attempts=4)
        self.assertEqual(attempts, [1, 2, 3, 4])

    async def test_events_are_heard_from_a_cursor_on_and_what_was_lost_is_a_gap(self) -> None:
        begin = await self.queue.cursor()

        async def handler(payload: object, task: Context) -> int:
            task.progress(50)
            if payload == "bad":
                raise GiveUp("no address")
            return 1

        live: list[dict[str, object]] = []

        async def listen() -> None:
            async for event in self.queue.events(events=["active", "progress"], after=begin):
                live.append(event)
                if event["event"] == "progress":
                    return

        listening = asyncio.create_task(listen())
        await asyncio.sleep(0.2)
        async with Worker(self.queue, handler):
            good = await self.queue.add("good")
            await good.result()
            bad = await self.queue.add("bad")
            with self.assertRaises(HoldfastError):
                await bad.result()
            await asyncio.wait_for(listening, 20)
        self.assertEqual([(event["event"], event["id"]) for event in live][:2], [("active", good.id), ("progress", good.id)])
        self.assertEqual(live[1]["progress"], 50)
        heard = [event async for event in self.queue.events(after=begin, timeout=0.2)]
        told = [(event["event"], event["id"]) for event in heard]
        self.assertEqual(told, [("waiting", good.id), ("completed", good.id), ("waiting", bad.id), ("failed", bad.id), ("dead", bad.id)])
        self.assertEqual(heard[-1]["reason"], "final")
        again = [event async for event in self.queue.events(events=["dead"], after=heard[1]["cursor"], timeout=0.2)]
        self.assertEqual([event["cursor"] for event in again], [heard[-1]["cursor"]])
        lost = [event["event"] async for event in self.queue.events(events=["dead"], after=f"{begin.split(':')[0]}:0ther.7", timeout=0.2)]
        self.assertEqual(lost, ["gap", "dead"])
        with self.assertRaises(HoldfastError) as raised:
            await self.queue.events(events=["born"]).__anext__()
        self.assertEqual(raised.exception.code, "QUEUE_OPTIONS_INVALID")

    async def test_what_cannot_be_is_a_coded_error(self) -> None:
        for options, code in (
            ({"urgency": 1}, "QUEUE_OPTIONS_INVALID"),
            ({"priority": 256}, "QUEUE_OPTIONS_INVALID"),
            ({"delay": "soon"}, "UNIT_INVALID"),
            ({"debounce": {"key": "k"}}, "QUEUE_OPTIONS_INVALID"),
            ({"throttle": {"key": "k", "wait": "1s"}, "key": "l"}, "QUEUE_OPTIONS_INVALID"),
            ({"unique_while": "active"}, "QUEUE_OPTIONS_INVALID"),
            ({"backoff": []}, "QUEUE_OPTIONS_INVALID"),
            ({"delay": -1}, "UNIT_INVALID"),
            ({"run_at": datetime.now()}, "QUEUE_OPTIONS_INVALID"),
            ({"after": ["00000000-1"]}, "QUEUE_OPTIONS_INVALID"),
        ):
            with self.subTest(options), self.assertRaises(HoldfastError) as raised:
                await self.queue.add(None, **options)
            self.assertEqual(raised.exception.code, code)
        with self.assertRaises(HoldfastError) as raised:
            await self.queue.add_many([])
        self.assertEqual(raised.exception.code, "QUEUE_TOO_MANY")
        with self.assertRaises(HoldfastError) as raised:
            await self.queue.task("00000000-1").result()
        self.assertEqual(raised.exception.code, "QUEUE_TASK_UNKNOWN")
        with self.assertRaises(HoldfastError) as raised:
            await self.client.operate("dance")
        self.assertEqual(raised.exception.code, "QUEUE_OPTIONS_INVALID")
        for arguments in ({"concurrency": 0}, {"backoff": []}, {"backoff": ["soon"]}, {"drain": "never"}):
            with self.subTest(arguments), self.assertRaises(HoldfastError):
                Worker(self.queue, print, **arguments)
        async with Worker(self.queue, print):
            with self.assertRaises(HoldfastError):
                Worker(self.queue, print)
        with self.assertRaises(HoldfastError) as raised:
            Client("somewhere")
        self.assertEqual(raised.exception.code, "QUEUE_OPTIONS_INVALID")

    async def test_a_broker_that_says_garbage_costs_what_is_pending_and_no_more(self) -> None:
        context = zmq.asyncio.Context()
        broker = context.socket(zmq.ROUTER)
        port = broker.bind_to_random_port("tcp://127.0.0.1")
        async with Client(f"tcp://127.0.0.1:{port}") as client:
            for garbage in ([b"HQ1", b"WELCOME", b"hello", b"no json"], [b"HQ1", b"WELCOME", b"hello", b"{}"], [b"HQ1", b"WELCOME", b"hello", b"[]"], [b"XYZ"], [b"HQ1", b"DANCE"], [b"HQ1", b"ADDED"]):
                adding = asyncio.ensure_future(Queue("x", client).add(1))
                if garbage[-1] == b"no json":
                    peer, *hello = await broker.recv_multipart()
                    self.assertEqual(hello[1], b"HELLO")
                await asyncio.sleep(0)
                await broker.send_multipart([peer, *garbage])
                with self.subTest(garbage), self.assertRaises(HoldfastError) as raised:
                    await adding
                self.assertEqual(raised.exception.code, "QUEUE_PROTOCOL")
            await broker.send_multipart([peer, b"HQ1", b"WELCOME", b"hello", b'{"broker":"00000001"}'])
            adding = asyncio.ensure_future(Queue("x", client).add(1))
            _, _, verb, number, *_ = await broker.recv_multipart()
            self.assertEqual(verb, b"ADD")
            await broker.send_multipart([peer, b"HQ1", b"ADDED", number, b"00000001-1"])
            self.assertEqual((await adding).id, "00000001-1")
        context.destroy(linger=0)

    async def test_what_hears_of_progress_and_fails_fails_its_call_only(self) -> None:
        async def handler(_: object, task: object) -> str:
            task.progress(1)
            return "done"

        def told(*_: object) -> None:
            raise KeyError("mine")

        async with Worker(self.queue, handler):
            with self.assertRaises(KeyError):
                await self.queue.call(None, told=told)
            self.assertEqual(await self.queue.call(None), "done")

    async def test_a_result_that_cannot_be_written_is_a_failed_attempt(self) -> None:
        async def handler(_: object, task: object) -> object:
            return float("nan") if task.attempt == 1 else {1, 2}

        async with Worker(self.queue, handler, backoff=0):
            with self.assertRaises(HoldfastError) as raised:
                await self.queue.call(None, attempts=2)
            self.assertEqual(raised.exception.code, "QUEUE_TASK_DEAD")

    async def test_without_a_broker_a_call_ends_at_its_deadline(self) -> None:
        async with Client("tcp://127.0.0.1:1") as nobody:
            with self.assertRaises(HoldfastError) as raised:
                await Queue("x", nobody).add(None, timeout=0.1)
            self.assertEqual(raised.exception.code, "QUEUE_UNREACHABLE")
            pending = asyncio.ensure_future(Queue("x", nobody).add(None))
            await asyncio.sleep(0.05)
        with self.assertRaises(HoldfastError) as raised:
            await pending
        self.assertEqual(raised.exception.code, "CLOSED")

    async def test_a_worker_that_closes_gives_back_what_it_has_not_ended(self) -> None:
        began = asyncio.Event()

        async def hang(_: object, task: object) -> None:
            began.set()
            await asyncio.sleep(60)

        worker = Worker(self.queue, hang, drain=0.05)
        task = await self.queue.add("x")
        await began.wait()
        await worker.close()
        async def echo(body: str, _: object) -> str:
            return body
        async with Worker(self.queue, echo):
            self.assertEqual(await task.result(timeout=10), "x")
        self.assertEqual((await self.client.operate("get", {"id": task.id}))["errors"], [])

    async def test_bytes_go_as_they_are(self) -> None:
        raw: Queue = Queue(fresh(), self.client, codec=BYTES)
        every = bytes(range(256))
        async def reverse(body: bytes, _: object) -> bytes:
            return body[::-1]
        async with Worker(raw, reverse):
            self.assertEqual(await raw.call(every), every[::-1])
            self.assertEqual(await raw.call(b""), b"")


class Steps(unittest.IsolatedAsyncioTestCase):
    """What a handler's parts came to is on record."""

    async def asyncSetUp(self) -> None:
        self.client = Client(URL)
        self.addAsyncCleanup(self.client.close)
        self.queue: Queue = Queue(fresh(), self.client)

    async def test_a_step_on_record_is_not_done_again_whatever_follows_it(self) -> None:
        done = []

        async def charge() -> dict:
            done.append("charge")
            return {"receipt": 7}

        async def handler(_: object, task: object) -> list:
            receipt = await task.step("charge", charge)
            if task.attempt == 1:
                raise ValueError("after the step")
            return [receipt, await task.step("ship", lambda: done.append("ship"))]

        async with Worker(self.queue, handler, backoff=0):
            self.assertEqual(await self.queue.call("x"), [{"receipt": 7}, None])
        self.assertEqual(done, ["charge", "ship"])

    async def test_sleep_wait_and_call_end_the_run_and_spend_no_attempt(self) -> None:
        runs = []
        labels: Queue = Queue(fresh(), self.client)

        async def handler(order: str, task: object) -> list:
            runs.append(task.attempt)
            await task.sleep("10ms")
            approved = await task.wait_for("approved", timeout="1m")
            late = await task.wait_for("never", timeout="10ms")
            return [approved, late, await task.call(labels.name, order, priority=3)]

        async def label(order: str, _: object) -> str:
            return f"label of {order}"

        async with Worker(self.queue, handler), Worker(labels, label):
            task = await self.queue.add("an order", attempts=1)
            self.assertTrue(await self.queue.signal(task.id, "approved", {"by": "Ada"}))
            self.assertFalse(await self.queue.signal(task.id, "approved", {"by": "Bob"}))
            self.assertEqual(await task.result(timeout=20), [{"by": "Ada"}, None, "label of an order"])
        self.assertEqual(runs, [1, 1, 1, 1])
        with self.assertRaises(HoldfastError):
            await self.queue.signal(task.id, "late")

    async def test_a_called_task_that_is_dead_is_told_to_its_caller(self) -> None:
        broken: Queue = Queue(fresh(), self.client)

        async def handler(_: object, task: object) -> str:
            try:
                return await task.call(broken.name, "x", attempts=1)
            except HoldfastError as error:
                return f"{error.code} {error.message.splitlines()[0]}"

        async def breaks(_: object, __: object) -> None:
            raise ValueError("out of paper")

        async with Worker(self.queue, handler), Worker(broken, breaks):
            self.assertEqual(await self.queue.call(None, timeout=20), "QUEUE_TASK_DEAD ValueError: out of paper")

    async def test_a_changed_handler_and_a_swallowed_end_are_coded_errors(self) -> None:
        told: list = []

        async def changed(_: object, task: object) -> None:
            await task.step("before" if task.attempt == 1 else "after", lambda: 1)
            raise ValueError("once more")

        async with Worker(self.queue, changed, backoff=0, on_error=lambda error, _: told.append(error)):
            with self.assertRaises(HoldfastError) as raised:
                await self.queue.call(None, attempts=2)
        self.assertEqual(told[1].code, "QUEUE_STEPS_CHANGED")
        self.assertIn("QUEUE_STEPS_CHANGED", raised.exception.message)

        async def twice(_: object, task: object) -> None:
            await task.step("one", lambda: 1)
            await task.step("one", lambda: 1)

        other: Queue = Queue(fresh(), self.client)
        async with Worker(other, twice):
            with self.assertRaises(HoldfastError) as raised:
                await other.call(None, attempts=1)
        self.assertIn("QUEUE_STEP_INVALID", raised.exception.message)

        swallowed: list = []

        async def swallows(_: object, task: object) -> str:
            try:
                await task.sleep("50ms")
            except BaseException:
                swallowed.append(type(task).__name__)
            return "slept"

        third: Queue = Queue(fresh(), self.client)
        async with Worker(third, swallows, on_error=lambda error, _: swallowed.append(error.code)):
            self.assertEqual(await third.call(None, timeout=20), "slept")
        self.assertEqual(swallowed, ["Context", "QUEUE_RUN_ENDED"])

    async def test_handlers_in_threads_have_them_too(self) -> None:
        names = []

        def handler(order: str, task: object) -> list:
            receipt = task.step("charge", lambda: names.append(threading.current_thread().name) or 7)
            task.sleep(0.01)
            return [receipt, task.wait_for("go"), task.call(echo.name, order)]

        echo: Queue = Queue(fresh(), self.client)
        async with Worker(self.queue, handler, concurrency=2), Worker(echo, lambda body, _: body):
            task = await self.queue.add("x")
            await self.queue.signal(task.id, "go", "now")
            self.assertEqual(await task.result(timeout=20), [7, "now", "x"])
        self.assertEqual([name.startswith("holdfast-worker") for name in names], [True])

    async def test_steps_of_one_language_go_on_in_the_other(self) -> None:
        mixed: Queue = Queue("mixed", self.client)
        task = await mixed.add("x")
        # The TypeScript worker did "charge" and sleeps; it leaves "mixed" then, and this one goes on.
        while not (await self.client.operate("get", {"id": task.id})).get("steps"):
            await asyncio.sleep(0.02)

        async def handler(_: object, task: object) -> object:
            receipt = await task.step("charge", lambda: "never done here")
            await task.sleep("50ms")
            return receipt

        async with Worker(mixed, handler):
            self.assertEqual(await task.result(timeout=20), "charged in TypeScript")


class Sync(unittest.TestCase):
    def test_events_are_heard_in_a_thread(self) -> None:
        with sync.Client(URL) as client:
            queue: sync.Queue = sync.Queue(fresh(), client)
            begin = queue.cursor()
            ids = [task.id for task in queue.add_many(range(3))]
            self.assertEqual([event["id"] for event in queue.events(after=begin, timeout=0.2)], ids)
            following = queue.events(after=begin)
            self.assertEqual(next(following)["id"], ids[0])
            following.close()

    def test_threads_submit_and_work(self) -> None:
        names = set()

        def handler(number: int, task: object) -> int:
            names.add(threading.current_thread().name)
            time.sleep(0.01)
            task.progress(number)
            return number + 1

        with sync.Client(URL) as client:
            numbers: sync.Queue = sync.Queue(fresh(), client)
            with sync.Worker(numbers, handler, concurrency=4):
                tasks = numbers.add_many(range(20))
                self.assertEqual([task.result() for task in tasks], list(range(1, 21)))
                self.assertEqual(numbers.call(41), 42)
                late = numbers.add(1, delay="10m")
                late.cancel()
                with self.assertRaises(HoldfastError):
                    late.result()
                self.assertEqual(list(numbers.add(5).progress())[-1:], [5])
            self.assertGreater(len(names), 1)
            self.assertEqual(numbers.counts()["completed"], 22)
        with self.assertRaises(HoldfastError):
            numbers.add(1)
        client.close()

    def test_a_program_works_until_sigterm(self) -> None:
        name = fresh()
        program = (
            "import sys; from holdfast.queue import Client, Queue, Worker\n"
            "with Client(sys.argv[1]) as client: Worker(Queue(sys.argv[2], client), lambda body, task: body * 2).run()\n"
            "print('ended')"
        )
        child = subprocess.Popen([sys.executable, "-c", program, URL, name], stdout=subprocess.PIPE, text=True)
        with sync.Client(URL) as client:
            self.assertEqual(sync.Queue(name, client).call("ab", timeout=30), "abab")
        child.terminate()
        self.assertEqual(child.communicate(timeout=30)[0], "ended\n")
        self.assertEqual(child.returncode, 0)


class Protocol(unittest.TestCase):
    """Values in, values out."""

    def test_durations(self) -> None:
        for value, ms in ((5, 5000), (0.25, 250), ("250ms", 250), ("2h", 7_200_000), (timedelta(days=3), 259_200_000)):
            self.assertEqual(milliseconds(value, "x"), ms)
        for value in ("5", "soon", -1, float("nan"), float("inf"), None, True, [], "5 years"):
            with self.subTest(value), self.assertRaises(HoldfastError):
                milliseconds(value, "x")

    def test_garbage_from_a_broker_is_an_error(self) -> None:
        for frames in ([], [b"HQ1"], [b"XX1", b"BEAT"], [b"HQ1", b"DANCE"], [b"HQ1", b"ENDED", b"1"], [b"HQ1", b"\xff"]):
            with self.subTest(frames), self.assertRaises(HoldfastError) as raised:
                read(frames)
            self.assertEqual(raised.exception.code, "QUEUE_PROTOCOL")

    def test_pauses(self) -> None:
        self.assertEqual([pause_ms(["1s", 5], attempt, Exception()) for attempt in (1, 2, 3)], [1000, 5000, 5000])
        self.assertEqual(pause_ms(lambda attempt, error: attempt * len(str(error)), 3, Exception("ab")), 6000)
        self.assertIsNone(pause_ms(None, 1, Exception()))

    def test_no_option_is_no_option(self) -> None:
        self.assertEqual(options_of({"delay": None}), {})


async def collect(values: object) -> list:
    return [value async for value in values]


if __name__ == "__main__":
    unittest.main()
