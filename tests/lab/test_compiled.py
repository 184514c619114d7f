"""Compiled runs: the same sources, the same runs; and how the sources are made fit for mypyc.

CHATLAB_LONG=1 builds the whole tree and compares 220 seeds. Here two modules are compiled.
"""

import ast
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from lab.compiled import build as building
from lab.compiled.hot import hot_modules
from lab.compiled.split import Halves, SplitError, split
from lab.compiled.tree import (
    FOLDER,
    ROOT,
    copy_into,
    environment,
    files_of,
    fresh_tree,
    is_compiled,
    stamp_of,
)
from lab.problem import Problem

pytestmark = pytest.mark.timeout(600)  # whoever comes first waits for the tree

LONG = os.environ.get("CHATLAB_LONG") == "1"
SEEDS = 220 if LONG else 11
FEW = ["domain.clock", "lab.sim.agenda"]  # one with a value in it, one without

# The trace, its token with build id and sum, and all that is said of it.
TELL = """
import sys, msgspec
from lab.compiled.tree import is_compiled
from lab.judging import run_judged
from lab.scenario import named, names
print(is_compiled())
for seed in range(int(sys.argv[1])):
    judged = run_judged(named(names()[seed % len(names())]), seed)
    told = [str(judged.token), judged.trace.hash, judged.verdicts, judged.sample]
    print(msgspec.json.encode(told, enc_hook=str).decode())
"""


def split_of(source: str, *values: str) -> Halves:
    return split(source, "house.room", lambda name: name in values)


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
    halves = split_of(ROOM, "Seen")
    assert halves.moved == ("KIND", "LIMIT", "Seen", "enough")
    whole, native, values = (text.splitlines() for text in (ROOM, halves.native, halves.values))
    assert len(native) == len(values) == len(whole)
    for at, line in enumerate(whole):
        assert native[at] in (line, "", "from house.room_values import KIND, LIMIT, Seen, enough")
        assert values[at] in (line, "", "from msgspec import Struct", "from typing import Literal")
    assert "".join(native).count("from house.room_values") == 1
    native_classes, value_classes = (
        [one.name for one in ast.parse(text).body if isinstance(one, ast.ClassDef)]
        for text in (halves.native, halves.values)
    )
    assert (native_classes, value_classes) == (["Native"], ["Seen"])
    assert "@marked" in halves.values and "@marked" not in halves.native
    assert "Roof" in halves.values, "annotations may need what is imported for types"


def test_a_module_without_values_stays_as_it_is() -> None:
    assert split_of(ROOM) == Halves(ROOM)


def test_a_value_that_uses_what_is_rebound_cannot_move() -> None:
    source = ROOM + "\n\ndef more() -> None:\n    global LIMIT\n    LIMIT = 4\n"
    with pytest.raises(SplitError, match=r"house\.room:\d+: .*global"):
        split_of(source, "Seen")


def test_two_handlers_of_a_function_call_the_error_by_different_names() -> None:
    source = (
        "def read():\n"
        "    try:\n"
        "        go()\n"
        "    except OSError as error:\n"
        "        tell('ö', error)\n"
        "    except (KeyError, IndexError) as error:\n"
        "        tell('ö', error, error.args)\n"
        "        raise Bad(error=str(error)) from error\n"
    )
    assert split_of(source).native == (
        "def read():\n"
        "    try:\n"
        "        go()\n"
        "    except OSError as error:\n"
        "        tell('ö', error)\n"
        "    except (KeyError, IndexError) as error_6:\n"
        "        tell('ö', error_6, error_6.args)\n"
        "        raise Bad(error=str(error_6)) from error_6\n"
    )


@pytest.mark.parametrize("module", hot_modules(ROOT))
def test_every_hot_module_can_be_split(module: str) -> None:
    source = ROOT.joinpath(*module.split(".")).with_suffix(".py").read_text(encoding="utf-8")
    halves = split(source, module, building.values_of(module))
    whole = ast.parse(source)
    assert len(ast.parse(halves.native).body) + len(halves.moved) >= len(whole.body)
    compile(halves.values, module, "exec")


def test_no_interpreted_class_inherits_from_a_compiled_one() -> None:
    """mypyc forbids it, and only when the module is loaded: a node would not start."""
    hot = {name: building.values_of(name) for name in hot_modules(ROOT)}

    def is_native(one: type) -> bool:
        return one.__module__ in hot and not hot[one.__module__](one.__name__)

    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files_of(ROOT)]
    loaded = [
        import_module(name) for name in names if not name.startswith("lab.cli") and is_code(name)
    ]
    classes = {one for module in loaded for one in vars(module).values() if isinstance(one, type)}
    heirs = {one for one in classes if any(is_native(base) for base in one.__mro__[1:])}
    assert heirs
    assert [one for one in heirs if not is_native(one)] == []


def is_code(name: str) -> bool:
    return ROOT.joinpath(*name.split(".")).with_suffix(".py").is_file() and "__" not in name


@pytest.mark.skipif(importlib.util.find_spec("setuptools") is None, reason="mypyc asks for it")
def test_mypyc_takes_every_hot_module(tmp_path: Path) -> None:
    """The half of the build that is ours, without the C compiler."""
    code = (
        "import sys; from pathlib import Path; from lab.compiled.build import write_c;"
        "from lab.compiled.hot import hot_modules;"
        "write_c(Path(sys.argv[1]), hot_modules(Path(sys.argv[1])), Path(sys.argv[2]))"
    )
    copy_into(tmp_path / "tree", ROOT)
    run_in(ROOT, sys.executable, "-c", code, str(tmp_path / "tree"), str(tmp_path / "work"))
    assert (tmp_path / "work" / "build" / "__native_gossip___engine.c").is_file()


# --- the tree -------------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Enough of one to be stamped."""
    (tmp_path / "domain" / "__pycache__").mkdir(parents=True)
    (tmp_path / "domain" / "clock.py").write_text("NOW = 1\n", encoding="utf-8")
    (tmp_path / "domain" / "__pycache__" / "clock.pyc").write_bytes(b"1")
    return tmp_path


def test_a_tree_is_fresh_as_long_as_no_source_has_changed(checkout: Path) -> None:
    assert fresh_tree(checkout) is None
    tree = checkout / FOLDER / stamp_of(checkout)
    copy_into(tree, checkout)
    assert fresh_tree(checkout) == tree
    assert [path.relative_to(tree).as_posix() for path in files_of(tree)] == ["domain/clock.py"]
    assert stamp_of(tree) == stamp_of(checkout), "a tree is named after what was copied"
    (checkout / "domain" / "__pycache__" / "clock.pyc").write_bytes(b"2")
    assert fresh_tree(checkout) == tree
    (checkout / "domain" / "clock.py").write_text("NOW = 2\n", encoding="utf-8")
    assert fresh_tree(checkout) is None
    (checkout / "domain" / "clock.py").write_text("NOW = 1\n", encoding="utf-8")
    assert fresh_tree(checkout) == tree
    (checkout / "domain" / "clock.py").rename(checkout / "domain" / "block.py")
    assert fresh_tree(checkout) is None


def test_another_interpreter_or_compiler_has_another_tree(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamps = {stamp_of(checkout)}
    with monkeypatch.context() as patch:
        patch.setattr(sys, "version", "3.99.0")
        stamps.add(stamp_of(checkout))
    with monkeypatch.context() as patch:
        patch.setattr("lab.compiled.tree.version", lambda name: "99")
        stamps.add(stamp_of(checkout))
    assert len(stamps) == 3


@pytest.mark.parametrize(
    ("missing", "told"),
    [("which", "no C compiler .* run the same command without"), ("is_file", r"no .*Python\.h")],
)
def test_what_is_missing_is_told_in_a_line(
    missing: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if missing == "which":
        monkeypatch.setattr(shutil, "which", lambda name: None)
    else:
        monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
        monkeypatch.setattr(Path, "is_file", lambda self: False)
    with pytest.raises(Problem, match=told) as caught:
        building.look_for_tools()
    assert "\n" not in str(caught.value)


# --- runs -----------------------------------------------------------------------------------------


def has_compiler() -> bool:
    try:
        building.look_for_tools()
    except Problem:
        return False
    return True


def run_in(tree: Path, *command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(
        command, env=environment(tree), cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The whole one, or one of two modules, which is a tree as good as any."""
    if not has_compiler():
        pytest.skip("no C compiler here")
    if LONG:
        yield Path(run_in(ROOT, sys.executable, "-m", "lab.compiled").strip())
        return
    folder = tmp_path_factory.mktemp("compiled")
    copy_into(folder / "tree", ROOT)
    code = (
        "import sys; from pathlib import Path; from lab.compiled.build import compile_modules;"
        "compile_modules(Path(sys.argv[1]), sys.argv[3:], Path(sys.argv[2]))"
    )
    places = (str(folder / "tree"), str(folder / "work"))
    run_in(ROOT, sys.executable, "-c", code, *places, *FEW)
    yield folder / "tree"


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
