"""What a person configures, and where the parts of a cluster lie on this machine.

Who may import it: every room of a node but `core`; and the laboratory. It imports `core` at most.

How it works. `cluster_file.load` reads cluster.yaml: `yaml_positions` keeps the line and column of
each value, msgspec checks the schema, and `error_messages` turns what it says into one line.
`paths` computes from the loaded file where everything lies; a node and the commands that talk to it
compute the same. `addresses` adds the ports that the file leaves open, `ownership` with
`cluster_mark` refuses a state folder that belongs to another cluster file. `applied` lists what a
running node has taken over, `extras` refuses a node whose file asks for a package that is not
there, `os_errors` says in one line what the system refused.

Reading order: `cluster_file`, `yaml_positions`, `error_messages`, `paths`, `addresses`,
`cluster_mark`, `ownership`, then the rest.

Rules
- Whatever a file holds raises `ConfigError` with one line that a person can act on, or is loaded.
- Reading changes nothing on the disk. Only `ClusterPaths.make`, the address book and the mark do.
- Word lists of moderation (`word_lists/`) are data; a file beside cluster.yaml goes before them.

The caller owes nothing but to show a `ConfigError` as it is; its exit code is 2.
"""
