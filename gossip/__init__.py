"""How copies converge: a sans-IO gossip protocol over entries (dot, hash, opaque bytes).

Pure: no I/O, no clock, no randomness of its own; it knows nothing of chat. Of `domain` it imports
the values `dot`, `seqset` and `arrival` alone; `node` and `lab` may import it. The caller's duties,
in this order, whenever something happened:

1. `engine.tick(now_ms)`, then `engine.receive(...)` for each packet, `engine.offer(...)` for own
   entries that are as durable as promised.
2. Keep what `receive` returned: these entries are new here.
3. `engine.flush()`, and send what it returns. Any of it may be lost.
4. Call again at `engine.wake_at_ms` at the latest.

Reading order: `entry` and `frontier` (what a node holds, and the root that proves it), `packets`
and `wire` (what is said), `engine` (who says it when), then the parts that it joins: `reconcile`
and `delta` (what the other lacks), `rumor` and `pushing`, `rounds`, `membership`, `receipts`.
Bounds on what others can make a node keep or compute: `places`, `meter`, `allowance`.
"""
