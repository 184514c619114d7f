"""A peer that is dialled, and sends what nobody asked for, costs bounded memory."""

import asyncio
import subprocess
import sys
from pathlib import Path

import zmq

from node.sockets.pump import RawContext
from tests.node.ends import End, small
from tests.node.loops import run, until

# A listener that shakes hands as a ROUTER does, and then sends one message of endless frames.
RUDE = """
import socket
greeting = b"\\xff" + bytes(8) + b"\\x7f\\x03\\0" + b"NULL".ljust(20, b"\\0") + bytes(32)
ready = b"\\x05READY\\x0bSocket-Type\\0\\0\\0\\x06ROUTER"
frames = (b"\\x03" + (1000).to_bytes(8, "big") + bytes(1000)) * 100
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    while True:
        one, _ = listener.accept()
        sent = 0
        try:
            one.sendall(greeting)
            said = b""
            while b"DEALER" not in said:
                said += one.recv(1000) or b"DEALER"
            one.sendall(bytes((4, len(ready))) + ready)
            while sent < 4_000_000_000:
                one.sendall(frames)
                sent += len(frames)
        except OSError:
            pass
        one.close()
"""


def resident() -> int:
    """MiB of this process."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024


def test_endless_frames_on_the_way_back_are_hung_up_on() -> None:
    async def main() -> None:
        context: RawContext = zmq.Context()
        end = End(context, "a")
        rude = await asyncio.create_subprocess_exec(
            sys.executable, "-c", RUDE, stdout=subprocess.PIPE
        )
        assert rude.stdout is not None
        port = int(await rude.stdout.readline())
        before = most = resident()

        def hung_up_often() -> bool:
            nonlocal most
            most = max(most, resident())
            return end.transport.traffic("b").dropped.get("unexpected", 0) >= 5

        try:
            end.transport.set_endpoint("b", f"tcp://127.0.0.1:{port}")
            await until(hung_up_often, 20)
        finally:
            end.transport.stop()
            rude.kill()
            await rude.wait()
            context.destroy(linger=0)
        assert most - before < 128, "of what comes in some hundredths of a second"

    run(main)


def test_a_few_messages_on_the_way_back_are_counted_and_the_connection_stays() -> None:
    async def main() -> None:
        context: RawContext = zmq.Context()
        end = End(context, "a")
        with context.socket(zmq.ROUTER) as odd:
            port = odd.bind_to_random_port("tcp://127.0.0.1")
            end.transport.set_endpoint("b", f"tcp://127.0.0.1:{port}")
            await until(lambda: end.transport.connected("b"))
            end.transport.send("b", small(1))
            await until(lambda: odd.poll(0))
            name, _ = odd.recv_multipart()
            for _ in range(10):
                odd.send_multipart([name, b"why not"])
            dropped = end.transport.traffic("b").dropped
            await until(lambda: dropped.get("unexpected") == 10)
            end.transport.send("b", small(2))
            await until(lambda: odd.poll(0))
            assert odd.recv_multipart()[0] == name, "the same connection"
        end.transport.stop()
        context.destroy(linger=0)

    run(main)
