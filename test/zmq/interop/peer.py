"""A libzmq peer for the interop tests: pyzmq, driven by lines of JSON on stdin, one answer a line on stdout.

usage: peer.py OCTETS_FILE. The operations are those of test/zmq/peer.ts, which says what each means.
"""

import hashlib
import json
import sys
import time

import zmq
import zmq.auth.thread
from zmq.utils.monitor import recv_monitor_message

OCTETS = open(sys.argv[1], "rb").read()
WAIT_MS = 8000

TYPES = {
    "Request": zmq.REQ,
    "Reply": zmq.REP,
    "Dealer": zmq.DEALER,
    "Router": zmq.ROUTER,
    "Push": zmq.PUSH,
    "Pull": zmq.PULL,
    "Publisher": zmq.PUB,
    "Subscriber": zmq.SUB,
    "XPublisher": zmq.XPUB,
    "XSubscriber": zmq.XSUB,
    "Pair": zmq.PAIR,
}

OPTIONS = {
    "linger": zmq.LINGER,
    "routingId": zmq.ROUTING_ID,
    "mandatory": zmq.ROUTER_MANDATORY,
    "handover": zmq.ROUTER_HANDOVER,
    "correlate": zmq.REQ_CORRELATE,
    "relaxed": zmq.REQ_RELAXED,
    "immediate": zmq.IMMEDIATE,
    "conflate": zmq.CONFLATE,
    "sendHighWaterMark": zmq.SNDHWM,
    "receiveHighWaterMark": zmq.RCVHWM,
    "reconnectInterval": zmq.RECONNECT_IVL,
    "heartbeatInterval": zmq.HEARTBEAT_IVL,
    "heartbeatTimeout": zmq.HEARTBEAT_TIMEOUT,
    "heartbeatTimeToLive": zmq.HEARTBEAT_TTL,
    "probeRouter": zmq.PROBE_ROUTER,
    "zapDomain": zmq.ZAP_DOMAIN,
    "plainServer": zmq.PLAIN_SERVER,
    "plainUsername": zmq.PLAIN_USERNAME,
    "plainPassword": zmq.PLAIN_PASSWORD,
    "curveServer": zmq.CURVE_SERVER,
    "curvePublicKey": zmq.CURVE_PUBLICKEY,
    "curveSecretKey": zmq.CURVE_SECRETKEY,
    "curveServerKey": zmq.CURVE_SERVERKEY,
}

# libzmq's events by the names that the `zeromq` package gives them
EVENTS = {
    zmq.EVENT_CONNECTED: "connect",
    zmq.EVENT_CONNECT_DELAYED: "connect:delay",
    zmq.EVENT_CONNECT_RETRIED: "connect:retry",
    zmq.EVENT_LISTENING: "bind",
    zmq.EVENT_BIND_FAILED: "bind:error",
    zmq.EVENT_ACCEPTED: "accept",
    zmq.EVENT_ACCEPT_FAILED: "accept:error",
    zmq.EVENT_CLOSED: "close",
    zmq.EVENT_CLOSE_FAILED: "close:error",
    zmq.EVENT_DISCONNECTED: "disconnect",
    zmq.EVENT_MONITOR_STOPPED: "end",
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "handshake:error:other",
    zmq.EVENT_HANDSHAKE_SUCCEEDED: "handshake",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "handshake:error:protocol",
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "handshake:error:auth",
}

context = zmq.Context()
sockets = {}


class Opened:
    """A socket with what its monitor has said so far; `seen` is how far `wait` has read."""

    def __init__(self, kind, options):
        self.socket = context.socket(TYPES[kind])
        self.socket.setsockopt(zmq.RCVTIMEO, WAIT_MS)
        self.socket.setsockopt(zmq.SNDTIMEO, WAIT_MS)
        for name, value in options.items():
            encoded = value.encode("latin1") if isinstance(value, str) else int(value)
            self.socket.setsockopt(OPTIONS[name], encoded)
        self.monitor = self.socket.get_monitor_socket()
        self.events = []
        self.seen = 0
        self.bound = None

    def bind(self, endpoint):
        self.socket.bind(endpoint)
        self.bound = self.socket.getsockopt_string(zmq.LAST_ENDPOINT)
        return self.bound

    def listen(self, timeout_ms):
        """Reads one event of the monitor, or nothing within the time."""
        if not self.monitor.poll(timeout_ms):
            return False
        message = recv_monitor_message(self.monitor)
        name = EVENTS.get(message["event"], "unknown")
        self.events.append(f"{name} {message['value']}" if name.startswith("handshake:") else name)
        return True

    def wait(self, event):
        deadline = time.monotonic() + WAIT_MS / 1000
        while True:
            while self.seen < len(self.events):
                self.seen += 1
                if self.events[self.seen - 1].split()[0] == event:
                    return
            left_ms = (deadline - time.monotonic()) * 1000
            if left_ms <= 0 or not self.listen(left_ms):
                raise TimeoutError(f"no {event} among {self.events}")

    def close(self):
        """Waits until the endpoint is free: libzmq's I/O thread would remove an ipc path that was bound anew in the meantime."""
        if self.bound:
            self.socket.unbind(self.bound)
            self.wait("close")
        while self.listen(0):
            pass
        self.socket.disable_monitor()
        self.monitor.close(linger=0)
        self.socket.close()


def octets(frame):
    if isinstance(frame, str):
        return frame.encode("latin1")
    offset, size = frame
    return OCTETS[offset : offset + size]


def show(frame):
    return f"{len(frame)}:{hashlib.sha1(frame).hexdigest()[:12]}"


def run(opened, steps):
    socket = opened.socket
    received = []
    last = []
    for name, *arguments in steps:
        if name == "send":
            socket.send_multipart([octets(frame) for frame in arguments[0]])
        elif name == "sendOnceRouted":
            send_once_routed(socket, [octets(frame) for frame in arguments[0]])
        elif name == "receive":
            last = receive(socket, arguments[0] if arguments else None)
            received.append([show(frame) for frame in last])
        elif name == "reply":
            socket.send_multipart(last[: arguments[0]] + [octets(frame) for frame in arguments[1]])
        elif name == "drain":
            while socket.poll(0):
                socket.recv_multipart()
        elif name == "subscribe":
            socket.setsockopt(zmq.SUBSCRIBE, octets(arguments[0]))
        elif name == "unsubscribe":
            socket.setsockopt(zmq.UNSUBSCRIBE, octets(arguments[0]))
        else:
            raise ValueError(name)
    return received


def receive(socket, skipped):
    while True:
        frames = socket.recv_multipart()
        if skipped is None or frames != [skipped.encode("latin1")]:
            return frames


def send_once_routed(socket, frames):
    """A mandatory ROUTER knows its peer only after the handshake."""
    deadline = time.monotonic() + WAIT_MS / 1000
    while True:
        try:
            return socket.send_multipart(frames)
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH or time.monotonic() > deadline:
                raise
            time.sleep(0.002)


def authenticate(passwords, keys):
    authenticator = zmq.auth.thread.ThreadAuthenticator(context)
    authenticator.start()
    authenticator.configure_plain(domain="*", passwords=passwords)
    allowed = {key.encode("ascii") for key in keys}

    class Provider:
        def callback(self, domain, key):
            return key in allowed

    authenticator.configure_curve_callback(domain="*", credentials_provider=Provider())
    return authenticator


def answer(request):
    operation = request["do"]
    if operation == "authenticate":
        sockets["authenticator"] = authenticate(request["passwords"], request["keys"])
        return None
    if operation == "open":
        sockets[request["name"]] = Opened(request["type"], request["options"])
        return None
    opened = sockets[request["name"]]
    if operation == "bind":
        return opened.bind(request["endpoint"])
    if operation == "connect":
        return opened.socket.connect(request["endpoint"]) and None
    if operation == "run":
        return run(opened, request["steps"])
    if operation == "wait":
        return opened.wait(request["event"])
    if operation == "close":
        del sockets[request["name"]]
        opened.close()
        return opened.events
    raise ValueError(operation)


for line in sys.stdin:
    try:
        reply = {"value": answer(json.loads(line))}
    except Exception as error:  # whatever it is belongs to the test that asked
        reply = {"error": f"{type(error).__name__}: {error}"}
    sys.stdout.write(json.dumps(reply) + "\n")
    sys.stdout.flush()

authenticator = sockets.pop("authenticator", None)
if authenticator:
    authenticator.stop()
for opened in sockets.values():
    opened.close()
context.destroy(linger=0)
