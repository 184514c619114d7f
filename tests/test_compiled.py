"""Compiled runs: the same sources, the same runs; and how the sources are made fit for mypyc.

CHATLAB_LONG=1 compiles all hot modules and compares 220 seeds. Here it is two modules.
"""

import ast
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from hatch_build import MYPY, ROOT, hot_modules, look_for_tools, split, values_of, write
from lab.cli.common import is_compiled

pytestmark = pytest.mark.timeout(600)  # whoever comes first waits for the compiler

LONG = os.environ.get("CHATLAB_LONG") == "1"
SEEDS = 220 if LONG else 11
# One with a value in it, one without, and the two that every text meets.
FEW = "domain/clock.py lab/sim/scheduler.py domain/moderation/[mv]*.py"

# The trace, its token with build id and sum, and all that is said of it.
TELL = """
import sys, msgspec
from lab.cli.common import is_compiled
from lab.campaign.judged_run import run_judged
from lab.plan.scenario import named, names
print(is_compiled())
for seed in range(int(sys.argv[1])):
    judged = run_judged(named(names()[seed % len(names())]), seed)
    told = [str(judged.token), judged.trace.hash, judged.verdicts, judged.sample]
    print(msgspec.json.encode(told, enc_hook=str).decode())
"""


# --- splitting ------------------------------------------------------------------------------------

ROOM = '''"""A room."""

import os
from msgspec import Struct, field
from typing import (
    TYPE_CHECKING,
    Literal,
)

if TYPE_CHECKING:
    from house.roof import Roof

KIND = Literal["a", "b"]
LIMIT = 3
OTHER = 4


@marked
class Seen(Struct, frozen=True):
    kind: "KIND"
    next: "Seen | None" = None

    def full(self) -> bool:
        return enough(LIMIT)


class Native:
    seen: Seen


def enough(count: int) -> bool:
    return count > 2


def deeper() -> int:
    return OTHER
'''


def test_a_value_moves_with_what_it_uses_and_every_line_stays_where_it_was() -> None:
    halves = split(ROOM, "house.room", {"Seen"})
    whole, native, values = (text.splitlines() for text in (ROOM, *halves))
    assert len(native) == len(values) == len(whole)
    for at, line in enumerate(whole):
        assert native[at] in (line, "", "from house.room_values import KIND, LIMIT, Seen, enough")
        assert values[at] in (line, "", "from msgspec import Struct", "from typing import Literal")
    assert "".join(native).count("from house.room_values") == 1
    native_classes, value_classes = (
        [one.name for one in ast.parse(text).body if isinstance(one, ast.ClassDef)]
        for text in halves
    )
    assert (native_classes, value_classes) == (["Native"], ["Seen"])
    assert "@marked" in halves[1] and "@marked" not in halves[0]
    assert "Roof" in halves[1], "annotations may need what is imported for types"


def test_a_module_without_values_stays_as_it_is() -> None:
    assert split(ROOM, "house.room", set()) == (ROOM, "")
    assert split(ROOM, "house.room", {"Struct"}) == (ROOM, ""), "it is defined elsewhere"


@pytest.mark.parametrize("module", hot_modules())
def test_every_hot_module_can_be_split(module: str) -> None:
    source = source_of(module)
    native, values = split(source, module, values_of(module))
    there = [one for text in (native, values) for one in ast.parse(text).body]
    assert len(there) >= len(ast.parse(source).body)
    compile(values, module, "exec")


def test_handlers_of_one_function_call_the_error_by_different_names() -> None:
    """mypyc gives a local one type, that of the first: the second would be a TypeError."""
    for module in hot_modules():
        for function in ast.walk(ast.parse(source_of(module))):
            if isinstance(function, ast.FunctionDef):
                handlers = [one for one in ast.walk(function) if isinstance(one, ast.ExceptHandler)]
                names = [one.name for one in handlers if one.name is not None]
                assert len(names) == len(set(names)), f"{module}:{function.lineno}: {names}"


def source_of(module: str) -> str:
    return ROOT.joinpath(*module.split(".")).with_suffix(".py").read_text(encoding="utf-8")


def test_no_interpreted_class_inherits_from_a_compiled_one() -> None:
    """mypyc forbids it, and only when the module is loaded: a node would not start."""
    hot = {name: values_of(name) for name in hot_modules()}

    def is_native(one: type) -> bool:
        return one.__module__ in hot and one.__name__ not in hot[one.__module__]

    files = [
        path for top in ("domain", "gossip", "node", "lab") for path in ROOT.glob(f"{top}/**/*.py")
    ]
    names = [".".join(one.relative_to(ROOT).with_suffix("").parts) for one in files]
    loaded = [import_module(one) for one in names if "__" not in one and "lab.cli" not in one]
    classes = {one for module in loaded for one in vars(module).values() if isinstance(one, type)}
    heirs = {one for one in classes if any(is_native(base) for base in one.__mro__[1:])}
    assert heirs
    assert [one for one in heirs if not is_native(one)] == []


def test_mypyc_takes_every_hot_module(tmp_path: Path) -> None:
    """The half of the build that is ours, without the C compiler."""
    sources = write(tmp_path / "work", hot_modules())
    code = "import sys; from mypyc.build import mypycify; mypycify(sys.argv[1:], multi_file=True)"
    run_in(ROOT, sys.executable, "-c", code, *MYPY, *sources, cwd=tmp_path / "work")
    assert (tmp_path / "work" / "build" / "__native_gossip___engine.c").is_file()


@pytest.mark.parametrize(
    ("missing", "told"), [("which", "there is no .* do without"), ("is_file", r"no .*Python\.h")]
)
def test_what_is_missing_is_told_in_a_line(
    missing: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None if missing == "which" else name)
    monkeypatch.setattr(Path, "is_file", lambda self: missing != "is_file")
    with pytest.raises(SystemExit, match=told) as caught:
        look_for_tools()
    assert "\n" not in str(caught.value)


# --- runs -----------------------------------------------------------------------------------------


def run_in(tree: Path, *command: str, cwd: Path | None = None, **more: str) -> str:
    """As scripts/compile runs a command."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    places = {"PATH": path, "PYTHONPATH": str(tree), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        command,
        env=os.environ | places | more,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """With all hot modules compiled, or with two, which is as good as any."""
    try:
        look_for_tools()
    except SystemExit as missing:
        pytest.skip(str(missing))
    if LONG:
        yield Path(run_in(ROOT, str(ROOT / "scripts" / "compile")).strip())
        return
    folder = tmp_path_factory.mktemp("compiled")
    build = ("hatchling", "build", "-t", "wheel", "-d", str(folder))
    run_in(ROOT, *build, cwd=ROOT, HATCH_BUILD_HOOKS_ENABLE="true", CHATLAB_HOT=FEW)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder / "tree")
    yield folder / "tree"


def test_the_copy_has_the_sources_byte_for_byte(tree: Path) -> None:
    for path in (*ROOT.glob("domain/**/*.py"), *ROOT.glob("lab/sim/*.py")):
        assert (tree / path.relative_to(ROOT)).read_bytes() == path.read_bytes()
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    assert (tree / f"domain/clock{suffix}").is_file() and (
        tree / "domain/clock_values.py"
    ).is_file()


def test_compiled_runs_have_the_same_tokens_traces_and_verdicts(tree: Path) -> None:
    compiled, *there = run_in(tree, sys.executable, "-c", TELL, str(SEEDS)).splitlines()
    interpreted, *here = run_in(ROOT, sys.executable, "-c", TELL, str(SEEDS)).splitlines()
    assert (compiled, interpreted) == ("True", "False")
    assert len(here) == SEEDS
    assert there == here


def test_what_is_found_compiled_is_replayed_interpreted_and_the_other_way(tree: Path) -> None:
    for first, second in ((tree, ROOT), (ROOT, tree)):
        ran = json.loads(run_in(first, "chatlab", "lab", "run", "lossy", "--seed", "5", "--json"))
        again = run_in(second, "chatlab", "lab", "replay", ran["token"], "--json")
        assert json.loads(again)["trace_hash"] == ran["trace_hash"]


def test_a_compiled_run_says_so_and_its_workers_are_compiled_too(tree: Path) -> None:
    assert not is_compiled()
    assert run_in(tree, "chatlab", "--version").endswith("(compiled)\n")
    assert not run_in(ROOT, "chatlab", "--version").endswith("(compiled)\n")
    explored = run_in(tree, "chatlab", "lab", "explore", "lossy", "--seeds", "4", "-j", "2")
    assert "on 2 jobs, compiled" in explored


@pytest.mark.cluster
def test_nodes_run_compiled_too(tree: Path, tmp_path: Path) -> None:
    def chatlab(*arguments: str) -> str:
        return run_in(tree, "chatlab", *arguments, cwd=tmp_path)

    try:
        chatlab("cluster", "up", "-n", "2", "-d")
        chatlab("send", "n1", "hello", "--ack", "replicated:1")
        chatlab("cluster", "kill", "n1")
        chatlab("cluster", "restart", "n1")
        assert "hello" in chatlab("timeline", "n1")
        (node, _) = [json.loads(line) for line in chatlab("cluster", "ps", "--json").splitlines()]
        maps = Path(f"/proc/{node['pid']}/maps")
        if maps.exists():
            assert f"{tree}/" in maps.read_text(encoding="utf-8")  # only extensions are mapped
        assert "lab come from " + str(tree) + ", compiled" in chatlab("doctor")
    finally:
        chatlab("cluster", "down")
