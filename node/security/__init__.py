"""Who may speak to this node: keys on disk, the list of trusted ones, and CURVE on sockets.

Who may import it: `network`, `control`, `process`; and the laboratory. It imports `sockets`,
`config` and `core`.

How it works. Each listening TCP socket is locked with CURVE and has a ZAP domain that admits one
role: peers, clients or observers (`curve`). For each new connection libzmq asks
`zap_authenticator`, which looks the public key up in the `keyring`. The keyring reads the list of
trusted keys again when the file changes; `key_files` reads and writes the files.

Reading order: `key_files`, `keyring`, `curve`, `zap_authenticator`. Threats: docs/security.md.

Rules
- What cannot be decided is refused: no authenticator, no list, an unknown domain, a bad request.
- A secret key or a list that others could read or write is refused.
- A refusal tells the other side nothing, and the owner which key it was.

The caller's duties: start the authenticator before any locked socket is bound; and compare
`Keyring.trusted` with what it had, so that connections of removed keys are not served any more.
"""
