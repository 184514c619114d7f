"""The chat as values and pure functions: no I/O, no clock, no randomness. It imports no other
package.

Reading order: `commands` (what users ask for), `events` (the facts), `decider` (from a command to
an event), `moderation` (which texts are refused or censored), `arrival` and `projection` (from
facts to what a node shows), then the projections `timeline`, `presence` and `quiet`. `dot`, `clock`
and `seqset` are the values that all of these use.
"""
