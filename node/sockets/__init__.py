"""Raw ZeroMQ sockets on an asyncio loop, and what bounds the memory that they take.

Who may import it: `security`, `network`, `control`, `process`; and the laboratory's drills. It
imports `core` and `config` at most. Nothing here knows what a frame means.

How it works. libzmq bounds neither the bytes of a message of many frames nor the number of
connections. So a `gate` listens at the port, and passes bytes on to a socket of libzmq in this
process, as much as may lie there unread; each connection is a `passage`. A `pump` reads messages
from the socket when its file descriptor says so. `return_path` does for connections that this node
dialled what the gate does for those that it accepted.

Reading order: `pump`, `gate`, `passage`, `listening`, `return_path`, `tcp_connection`, `ipc`.

The caller's duties
- Use all of it on one event loop; nothing is thread-safe.
- Leave no message unread: hold senders back with `Gate.pause`, not by not reading.
- Tell the gate which connections are of known peers, and that each message was read.
- Close what was opened, pump before socket.
"""
