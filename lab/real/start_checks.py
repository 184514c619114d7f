"""Checks of invalid starts: a node with a wrong name, file or lock must not start. It must print
one line that says why, and exit with the right code.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from lab.client.location import ClusterLocation

WITHIN_S = 30.0
# One process imports a node, and forks one child for each, as the launcher does.
EACH = """
import json, os, sys
from node.__main__ import main, prepare
prepare()
for arguments in json.loads(sys.argv[1]):
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        os.dup2(write, 2)
        os.close(write)
        os._exit(main(arguments))
    os.close(write)
    with open(read) as told:
        text = told.read()
    print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), text]), flush=True)
"""
Reporter = Callable[[str], None]


def start_wrongly(place: ClusterLocation, report: Reporter) -> None:
    """Try in turn: a name that is not in the file, a node that already runs, unusable files."""
    folder, running = Path(place.file).parent, next(iter(place.nodes))
    files = {
        "misspelt": ("nodes: [n1]\nintervall_ms: 5\n", "misspelt.yaml:2:1: ", "interval_ms"),
        "wrong": ("nodes: [n1]\nquiet_ms: soon\n", "wrong.yaml:2:11: ", "quiet_ms"),
        "twice": ("nodes: [n1, n2, n1]\n", "twice.yaml:1:17: ", "n1"),
        "beyond": (
            'nodes: [{name: n1, listen: "0.0.0.0:1234"}]\n',
            "beyond.yaml:1:28: ",
            "name the one",
        ),
    }
    cases: list[tuple[str, Path, int, tuple[str, ...]]] = [
        ("n1000", Path(place.file), 2, ("n1000",)),
        (running, Path(place.file), 5, (running,)),
        (running, folder / "nowhere.yaml", 2, ("nowhere.yaml",)),
    ]
    for name, (text, *words) in files.items():
        file = folder / f"{name}.yaml"
        file.write_text(text, encoding="utf-8")
        cases.append(("n1", file, 2, tuple(words)))
    arguments = [[node, "--file", str(file)] for node, file, _, _ in cases]
    command = [sys.executable, "-P", "-c", EACH, json.dumps(arguments)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=WITHIN_S, check=False)
    except subprocess.TimeoutExpired:
        report("nodes that must not start do not end")
        return
    endings = [json.loads(line) for line in done.stdout.splitlines()]
    if len(endings) != len(cases):
        report(f"nodes that must not start end otherwise: {done.stderr[-300:].decode()}")
    for (ended, text), (node, file, code, said) in zip(endings, cases, strict=False):
        what = f"node {node} of {file.name}"
        if ended != code:
            report(f"{what} ends with {ended} instead of {code}: {text[-200:]}")
        if text.count("\n") != 1 or any(one not in text for one in said):
            report(f"{what} does not say {said} in one line: {text[-300:]}")
