"""
The network that bench/net_peers puts between two programs: packets and answers find their way, each
sender has one address, and the faults are there in both directions.
"""
import contextlib
import json
import os
import socket
import subprocess
import sys

from program import check, equal, test, tests_done

RELAY = os.path.abspath(sys.argv[2])
PORTS = 3
DEADLINE_S = 20  # only what never comes takes so long


def local_socket(port=0):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(DEADLINE_S)
    s.bind(("127.0.0.1", port))
    return s


def adjacent_sockets(count):
    """Sockets on ports that follow each other."""
    while True:
        with contextlib.ExitStack() as stack:
            first = stack.enter_context(local_socket())
            port = first.getsockname()[1]
            try:
                found = [first] + [stack.enter_context(local_socket(port + i)) for i in range(1, count)]
            except (OSError, OverflowError):
                continue
            stack.pop_all()
            return found


class Relay:
    """A relay, PORTS sockets `far` that it sends to, and `near`, which sends to it."""

    def __init__(self, *faults):
        self.faults = faults

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        self.far = [self.stack.enter_context(s) for s in adjacent_sockets(PORTS)]
        self.near = self.stack.enter_context(local_socket())
        held = adjacent_sockets(PORTS)
        self.port = held[0].getsockname()[1]
        for s in held:
            s.close()
        command = [RELAY, "7", self.port, self.far[0].getsockname()[1], PORTS, *self.faults]
        self.process = subprocess.Popen([str(x) for x in command], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.counts()  # it listens
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(DEADLINE_S)
        self.process.stdout.close()
        self.stack.close()

    def counts(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def send(self, data, port=0):
        self.near.sendto(data, ("127.0.0.1", self.port + port))


@test
def a_sender_has_one_address_behind_all_ports_and_answers_come_from_the_port_it_asked():
    with Relay() as relay, local_socket() as other:
        addresses = []
        for sender in (relay.near, other):
            seen = set()
            for i in (2, 0, 1):
                sender.sendto(b"to %d" % i, ("127.0.0.1", relay.port + i))
                data, address = relay.far[i].recvfrom(100)
                equal(data, b"to %d" % i)
                seen.add(address)
                relay.far[i].sendto(b"from %d" % i, address)
                equal(sender.recvfrom(100), (b"from %d" % i, ("127.0.0.1", relay.port + i)))
            equal(len(seen), 1, "addresses of one sender")
            addresses += seen
        check(addresses[0] != addresses[1], "two senders have one address")


@test
def empty_and_long_packets_pass_and_all_are_counted_with_their_headers():
    with Relay() as relay:
        for size in (0, 1, 1472, 8000):
            relay.send(b"x" * size)
            equal(relay.far[0].recv(10000), b"x" * size)
        counts = relay.counts()
        equal((counts["packets"], counts["bytes"]), (4, 0 + 1 + 1472 + 8000 + 4 * 28))


@test
def loss_is_in_both_directions_and_what_is_counted_as_lost_is_what_never_came():
    with Relay("loss", "0.3") as relay:
        address = None
        for i in range(200):
            relay.send(b"%d" % i)
        while relay.counts()["packets"] < 200:
            pass
        came = []
        for _ in range(200 - relay.counts()["lost"]):
            data, address = relay.far[0].recvfrom(100)
            came.append(int(data))
        check(30 <= relay.counts()["lost"] <= 90, f"{relay.counts()} of 200 at 30 %")
        equal(came, sorted(came), "order")
        for i in range(200):
            relay.far[0].sendto(b"%d" % i, address)
        while relay.counts()["back_packets"] < 200:
            pass
        for _ in range(200 - relay.counts()["back_lost"]):
            relay.near.recv(100)
        check(30 <= relay.counts()["back_lost"] <= 90, f"{relay.counts()} of 200 at 30 %")


@test
def order_is_kept_or_free_as_asked():
    for order in ("kept", "free"):
        with Relay("jitter", "gamma:5,5", "order", order) as relay:
            for i in range(200):
                relay.send(b"%d" % i)
            came = [int(relay.far[0].recv(100)) for _ in range(200)]
            equal(sorted(came), list(range(200)), order)
            equal(came == sorted(came), order == "kept", f"in order when {order}")


tests_done()
