"""
A cable with a delay: a TUN device in each of two network namespaces, and every packet of one handed to the other after half the
round trip of its port. Usage: delay-relay.py NAMESPACE ADDRESS NAMESPACE ADDRESS PORT=RTT_MS... (kernels without sch_netem).
"""
import ctypes, fcntl, heapq, os, select, struct, subprocess, sys, time

libc = ctypes.CDLL(None, use_errno=True)
TUNSETIFF, IFF_TUN, IFF_NO_PI, CLONE_NEWNET = 0x400454CA, 1, 0x1000, 0x40000000


def tun(namespace, address):
    with open(f"/run/netns/{namespace}") as file:
        if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH", b"lab", IFF_TUN | IFF_NO_PI))
    for arguments in (["addr", "add", address, "dev", "lab"], ["link", "set", "lab", "up"], ["link", "set", "lo", "up"]):
        subprocess.run(["ip", *arguments], check=True)
    return fd


a, b = tun(sys.argv[1], sys.argv[2]), tun(sys.argv[3], sys.argv[4])
round_trips = {int(port): float(ms) / 1000 for port, ms in (each.split("=") for each in sys.argv[5:])}
waiting, order = [], 0
print("ready", flush=True)
while True:
    wait = max(0, waiting[0][0] - time.monotonic()) if waiting else None
    for fd in select.select([a, b], [], [], wait)[0]:
        try:
            packet = os.read(fd, 65536)
        except OSError:
            continue
        if packet[0] >> 4 != 4 or packet[9] != 6:
            continue
        head = (packet[0] & 15) * 4
        ports = struct.unpack("!HH", packet[head : head + 4])
        delay = next((round_trips[port] for port in ports if port in round_trips), 0) / 2
        order += 1
        heapq.heappush(waiting, (time.monotonic() + delay, order, b if fd == a else a, packet))
    while waiting and waiting[0][0] <= time.monotonic():
        try:
            os.write(waiting[0][2], waiting[0][3])
        except OSError:
            pass  # its interface is down
        heapq.heappop(waiting)
