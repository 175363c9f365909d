"""The soak's players that others wrote the clients of: player.py ROLE ADDRESS [PACE]. They talk as said.ts says."""

import json
import random
import sys
import time

ROLE, ADDRESS = sys.argv[1:3]
PACE = float(sys.argv[3]) if len(sys.argv) > 3 else 1.0
KEYS = 20_000


def say(**said):
    print(json.dumps(said), flush=True)


def value_of(number):
    return f"soak:{number}|".ljust(40 + number * 37 % 1500, "x")


class Counter:
    """Tells once a second how many operations there were."""

    def __init__(self, what):
        self.what, self.count, self.since = what, 0, time.monotonic()

    def add(self, count=1):
        self.count += count
        if time.monotonic() - self.since >= 1:
            say(kind="count", what=self.what, count=self.count)
            self.count, self.since = 0, time.monotonic()


def cache(get_many, store, delete, what):
    """A third of the operations store or delete; what is read must name its key."""
    counter = Counter(what)
    while True:
        numbers = random.sample(range(KEYS), 5)
        for key, value in get_many([f"soak:{number}" for number in numbers]).items():
            text = value.decode() if isinstance(value, bytes) else value
            if text != value_of(int(key.split(":")[1])):
                say(kind="wrong", text=f"{what}: {key} is {text[:60]}")
        store(f"soak:{numbers[0]}", value_of(numbers[0]))
        if random.random() < 0.1:
            delete(f"soak:{numbers[1]}")
        counter.add(7)
        time.sleep(0.05 / PACE)


def pymemcache():
    from pymemcache.client.base import Client

    host, port = ADDRESS.rsplit(":", 1)
    client = Client((host, int(port)), timeout=10)
    cache(client.get_many, lambda key, value: client.set(key, value, expire=3600, noreply=False), client.delete, "pymemcache")


def pylibmc():
    import pylibmc

    client = pylibmc.Client([ADDRESS], binary=True)
    cache(client.get_multi, lambda key, value: client.set(key, value, time=3600), client.delete, "pylibmc")


def ready():
    """The lecture's worker: a REQ that says Ready; its result is the task in capitals."""
    import zmq

    socket = zmq.Context().socket(zmq.REQ)
    socket.connect(ADDRESS)
    counter = Counter("pyzmq Ready")
    socket.send(b"Ready")
    while True:
        task = socket.recv()
        time.sleep(random.random() / 200)
        socket.send_multipart([b"Ready", task.upper()])
        counter.add()


def majordomo_worker():
    """As in the Guide: a DEALER, heartbeats while idle, a new socket after DISCONNECT."""
    import zmq

    context = zmq.Context()

    def connect():
        socket = context.socket(zmq.DEALER)
        socket.linger = 0
        socket.connect(ADDRESS)
        socket.send_multipart([b"", b"MDPW01", b"\x01", b"default"])
        return socket

    socket = connect()
    counter = Counter("Majordomo worker")
    while True:
        if not socket.poll(1000):
            socket.send_multipart([b"", b"MDPW01", b"\x04"])
            continue
        _, _, command, *rest = socket.recv_multipart()
        if command == b"\x02":
            client, _, body = rest
            time.sleep(random.random() / 200)
            socket.send_multipart([b"", b"MDPW01", b"\x03", client, b"", body.upper()])
            counter.add()
        elif command == b"\x05":
            socket.close()
            socket = connect()


def majordomo_client():
    import zmq

    socket = zmq.Context().socket(zmq.REQ)
    socket.connect(ADDRESS)
    socket.rcvtimeo = 120_000
    counter = Counter("Majordomo client")
    number = 0
    while True:
        number += 1
        body = b"majordomo %d %d" % (time.time_ns(), number)
        socket.send_multipart([b"MDPC01", b"default", body])
        answer = socket.recv_multipart()
        if answer != [b"MDPC01", b"default", body.upper()]:
            say(kind="wrong", text=f"Majordomo client: {body} was answered {answer}")
        counter.add()
        time.sleep(0.2 / PACE)


{
    "pymemcache": pymemcache,
    "pylibmc": pylibmc,
    "ready": ready,
    "majordomo-worker": majordomo_worker,
    "majordomo-client": majordomo_client,
}[ROLE]()
