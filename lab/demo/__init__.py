"""The guided tour: five real nodes in a temporary folder, from start to proof, in under a minute.

Imported by the command line. It does what a person does by hand: the same commands, real processes,
real kill -9, and at the end a proof that all timelines are equal. `dialogue.txt` is what is said.
"""
