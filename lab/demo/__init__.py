"""The guided tour: five real nodes in a temporary folder, from start to proof, in under a minute.

Imported by the command line. It does what a user would do by hand: the same commands, real
processes, real kill -9, and at the end a check that all timelines are equal. `dialogue.txt` has the
messages that are posted.
"""
