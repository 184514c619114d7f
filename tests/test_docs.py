"""What the documents say of the code is so: links, names, bytes, notes, the sample cluster."""

import re
import tomllib
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
from typer.core import TyperGroup

from domain.dot import Dot
from gossip.entry import GENESIS, Entry, hash_of
from gossip.frontier import Frontier
from gossip.incarnation import incarnation_of, token_of
from gossip.packets import Packet, Push, Same, Syn
from gossip.store import MemoryStore
from gossip.wire import cluster_hash, decode, encode
from lab.checkers import RULES
from lab.cli.lazy_group import MODULES
from lab.cli.main import app
from lab.drills import DRILLS
from lab.plan.scenario import FaultRanges, Scenario, WorkloadRanges, names
from lab.real.feasibility import NEVER
from lab.terminal.errors import Exit
from node.config.cluster_file import generated, load
from node.process.structured_log import NOTES
from node.storage.codec import ProtobufCodec

ROOT = Path(__file__).resolve().parents[1]
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
ADRS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)

each_document = pytest.mark.parametrize(
    "doc", DOCS, ids=[p.relative_to(ROOT).as_posix() for p in DOCS]
)


def prose(doc: Path) -> str:
    return FENCE.sub("", doc.read_text(encoding="utf-8"))


def code_in(doc: Path) -> Iterator[str]:
    """What stands between backquotes."""
    yield from re.findall(r"`([^`\n]+)`", prose(doc))


# --- names ----------------------------------------------------------------------------------------


@each_document
def test_links_lead_to_files(doc: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose(doc))
    inside = [target for target in targets if "://" not in target]
    assert [target for target in inside if not (doc.parent / target).exists()] == []


@each_document
def test_paths_and_modules_exist(doc: Path) -> None:
    wrong = [code for code in code_in(doc) if not exists(code)]
    assert wrong == []


def exists(code: str) -> bool:
    """Whether this code, if it names a file, script, module or name in one, names a real one."""
    path = re.fullmatch(
        r"((?:domain|gossip|node|lab|tests|docs|scripts|proto)/[\w./-]*)( .*)?", code
    )
    if path:
        return (ROOT / path[1]).exists()
    if re.fullmatch(r"(domain|gossip|node|lab)(\.\w+)+", code):
        return resolves(code)
    return True


def resolves(dotted: str) -> bool:
    """A module, or what stands in one, however deep."""
    try:
        return find_spec(dotted) is not None
    except ModuleNotFoundError:
        parent, _, name = dotted.rpartition(".")
        return hasattr(value_of(parent), name)


def value_of(dotted: str) -> object:
    try:
        return import_module(dotted)
    except ModuleNotFoundError:
        parent, _, name = dotted.rpartition(".")
        return getattr(value_of(parent), name)


@each_document
def test_commands_exist(doc: Path) -> None:
    commands = re.findall(r"\bchatlab ([a-z]+)\b", "\n".join(code_in(doc)))
    assert set(commands) <= MODULES.keys() | {"watch", "lab"}, commands


@each_document
def test_no_document_speaks_of_one_machine(doc: Path) -> None:
    assert not re.search(r"/(work|root|home|Users)/", doc.read_text(encoding="utf-8"))


def test_code_that_names_a_document_names_one_that_is_there() -> None:
    for package in ("domain", "gossip", "node", "lab", "proto"):
        for path in (ROOT / package).rglob("*.[pe]*"):  # .py and .proto
            if path.suffix not in (".py", ".proto"):
                continue
            for name in re.findall(r"docs/[\w/-]+", path.read_text(encoding="utf-8")):
                assert list(ROOT.glob(f"{name}*")), f"{path}: {name}"


def test_decision_records_have_one_form_and_are_listed() -> None:
    index = (ROOT / "docs" / "adr" / "README.md").read_text(encoding="utf-8")
    numbers = [int(path.name.split("-")[0]) for path in ADRS]
    assert numbers == sorted(set(numbers))  # a number may be kept for a page under way
    for number, path in zip(numbers, ADRS, strict=True):
        text = path.read_text(encoding="utf-8")
        assert path.name.startswith(f"{number:04d}-")
        assert text.startswith(f"# {number}. ")
        assert re.search(
            r"^Status: (proposed|accepted|superseded by \d+), \d{4}-", text, re.MULTILINE
        )
        for part in ("## Context", "## Decision", "## Consequences"):
            assert part in text, path.name
        assert f"({path.name})" in index, path.name


def test_every_note_is_explained() -> None:
    text = (ROOT / "docs" / "notes.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", text, re.MULTILINE))
    assert rows == NOTES


# --- the command line -----------------------------------------------------------------------------


def test_the_contract_names_every_command_with_options_that_it_has() -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `chatlab ((?:[a-z]+(?=[ `]) ?)+)(.*?)` \|", text, re.MULTILINE)
    told: dict[str, set[str]] = {}
    for name, rest in rows:
        told.setdefault(name.strip(), set()).update(re.findall(r"--[a-z-]+", rest))
    there = dict(leaves(typer.main.get_command(app)))
    assert told.keys() == there.keys()
    for name, options in told.items():
        assert options <= {one for param in there[name].params for one in param.opts}, name


def leaves(command: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every command below this one, by the words that call it."""
    if not isinstance(command, TyperGroup):
        yield path.strip(), command
        return
    for name in command.commands:
        yield from leaves(command.commands[name], f"{path} {name}")


def test_the_contract_names_the_exit_codes() -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \|", text, re.MULTILINE)
    assert [(int(code), name) for code, name in rows] == [(one.value, one.name) for one in Exit]


# --- the architecture -----------------------------------------------------------------------------


def test_every_room_stands_on_the_line_where_its_contract_has_it() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d) \| `(node|lab)/(\w+)` \|", text, re.MULTILINE)
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    for package in ("node", "lab"):
        (layers,) = [one["layers"] for one in contracts if one.get("containers") == [package]]
        lines = [set(re.findall(r"\w+", layer)) - {"__main__"} for layer in layers]
        told = [
            {room for line, of, room in rows if (of, int(line)) == (package, number)}
            for number in range(1, 10)
        ]
        assert [line for line in told if line] == [line for line in lines if line], package


# --- the laboratory -------------------------------------------------------------------------------


def section(number: int) -> str:
    """Of docs/lab.md."""
    text = (ROOT / "docs" / "lab.md").read_text(encoding="utf-8")
    return text.partition(f"\n## {number}. ")[2].partition("\n## ")[0]


def test_every_scenario_is_named_and_every_key_of_one_is_explained() -> None:
    table, _, keys = section(2).partition("A scenario of your own")
    rows = re.findall(r"^\| [^|]+ \| (`.+`) \|$", table, re.MULTILINE)
    told = [name for row in rows for name in re.findall(r"`([a-z-]+)`", row)]
    assert sorted(told) == names()
    explained = [
        re.findall(r"`(\w+)`", row) for row in re.findall(r"^\| (`[^|]+) \|", keys, re.MULTILINE)
    ]
    assert {key for row in explained for key in row} == set(Scenario.__struct_fields__)
    (workload,) = re.findall(r"^\| `workload` .*$", keys, re.MULTILINE)
    assert all(f"`{key}`" in workload for key in WorkloadRanges.__struct_fields__)


def test_every_fault_is_explained_and_what_real_processes_do_of_it() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| .+ \| ([^|]+) \|$", section(3), re.MULTILINE))
    assert rows.keys() == set(FaultRanges.__struct_fields__)
    never = {"clock" if one.startswith("clock_") else one for one in NEVER}
    assert {key for key, real in rows.items() if real == "no"} == never & rows.keys()


def test_every_checker_is_explained_in_its_own_words() -> None:
    rows = re.findall(r"^\| (C\d+) \| (.+?) \| (.+?) \| (.*?) ?\|$", section(4), re.MULTILINE)
    assert [(one, name, promise) for one, name, promise, _ in rows] == [
        (rule.id, rule.name, rule.promise) for rule in RULES.values()
    ]
    assert {one for one, *_, unless in rows if "(not required)" in unless} == {
        rule.id for rule in RULES.values() if not rule.required
    }


def test_every_drill_is_explained() -> None:
    told = re.findall(r"^\| `(\w+)` \|", section(13), re.MULTILINE)
    assert sorted(told) == sorted(name.rpartition(".")[2] for name in DRILLS)


# --- the sample cluster ---------------------------------------------------------------------------


def test_the_sample_cluster_shows_the_defaults(tmp_path: Path) -> None:
    """As it stands, and with everything that is commented out."""
    sample = ROOT / "cluster.yaml"
    assert load(sample) == generated(5)
    everything = tmp_path / "cluster.yaml"
    text = sample.read_text(encoding="utf-8")
    everything.write_text(re.sub(r"(?m)^#(?=\w|  \S|    \S)", "", text), encoding="utf-8")
    loaded = load(everything)
    assert loaded.data_dir == ".chatlab"
    assert msgspec.structs.replace(loaded, data_dir=None) == generated(5)
    for name in ("gossip", "restarts"):
        keys = msgspec.structs.fields(type(getattr(loaded, name)))
        assert [key.name for key in keys if f"{key.name}:" not in text] == []


# --- the protocol's examples ----------------------------------------------------------------------


def example(name: str) -> bytes:
    """A fenced block of hex digits, each line with a comment behind two spaces."""
    found = re.search(rf"^```hex {name}\n(.*?)^```$", PROTOCOL, re.MULTILINE | re.DOTALL)
    assert found, name
    return bytes.fromhex("".join(line.split("   ")[0] for line in found[1].splitlines()))


def decoded(name: str) -> Packet:
    data = example(name)
    packet = decode(data)
    assert encode(packet) == data
    assert (packet.version, packet.cluster) == (1, cluster_hash("chatlab"))
    return packet


def test_the_example_of_a_push_is_true() -> None:
    packet = decoded("push")
    assert (packet.sender, packet.incarnation, packet.number) == ("n1", incarnation_of(1), 1)
    assert len(example("push")) == 88
    push = packet.body
    assert type(push) is Push
    assert (push.direct, push.receipt) == (True, False)
    (run,) = push.runs
    dot = Dot(run.origin, run.epoch, run.first)
    assert dot == Dot("n1", 0x1122334455667788, 1)
    (data,) = run.data
    opened = ProtobufCodec().decode(data)
    assert (opened.event.dot, opened.prev) == (dot, GENESIS)
    entry = Entry(dot, opened.prev, hash_of(data), data)
    frontier = Frontier(MemoryStore(), 16)
    assert f"`{frontier.root.hex()}`" in PROTOCOL
    frontier.add(entry)
    for value in (entry.hash, entry.tag, frontier.root):
        assert f"`{value.hex()}`" in PROTOCOL


def test_the_example_of_a_round_of_equals_is_true_and_costs_less_than_100_bytes() -> None:
    syn, same = decoded("syn"), decoded("same")
    assert type(syn.body) is Syn and type(same.body) is Same
    assert (syn.sender, same.sender) == ("n2", "n1")
    assert same.body.re == token_of(syn.incarnation, syn.number)
    assert f"`{syn.body.root.hex()}`" in PROTOCOL
    assert syn.body == Syn(same.body.root, 262_144)
    assert same.body == Same(same.body.re, syn.body.root)
    assert [len(example("syn")), len(example("same"))] == [44, 39]
