"""What a chat is, as values and functions: no I/O, no clock, no randomness, no other layer.

Reading order: `commands` (what people ask for), `events` (what then is a fact), `decider` (the way
from one to the other), `moderation` (what may be said), `arrival` and `projection` (how facts
become what a node shows): `timeline`, `presence`, `quiet`. Below them lie `dot`, `clock`, `seqset`.
"""
