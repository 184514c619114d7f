"""The bench around the nodes: command line, launcher, demo. It may import everything below it.

`cli` translates what people type; `cluster` and `launcher` start, stop and break real processes;
`client`, `ask` and `reading` speak to running nodes; `display` guards a person's terminal. Nothing
in `node`, `gossip` or `domain` knows that the lab exists.
"""
