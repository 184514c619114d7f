"""Drawn mutants: where there are sites, what each operator makes of them, and who comes there."""

import ast
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.mutants import choosing, drawing, trying
from tests.mutants.boarding import (
    EQUIVALENT,
    Equivalent,
    MutantRow,
    carried,
    equivalents,
    judged,
    section,
    with_section,
)
from tests.mutants.choosing import ROOT, Executed
from tests.mutants.drawing import Site, drawn, sites
from tests.mutants.drawn import joined
from tests.mutants.reaching import Reached, keys_of
from tests.mutants.rounding import ByRounds, end_all_in
from tests.mutants.trying import BySeeds, ByTests, by_tests, mutated

DECLARED = '''"""A module."""
LIMIT = 4 + 4
class Port(Protocol):
    def one(self) -> int:
        return 1 + 1
class Value:
    size: int = 3
    def __init__(self, size: int = 5) -> None:
        """Keeps it."""
        self.size = size
    def checked(self) -> int:
        assert self.size > 3, "no more than 3"
        return len(f"{self.size + 1}")
'''

CHANGED = [
    ("x = a < b", ["x = a <= b"]),
    ("x = a not in b", ["x = a in b"]),
    ("x = (a) - (b)", ["x = (a) + (b)"]),
    ("x += y", ["x -= y", "pass"]),
    ("x = a and b or c", ["x = a and b and c", "x = a or b or c"]),
    ("x = 7", ["x = 8"]),
    ("x = True", ["x = False"]),
    ("x = min(a, b.c)", ["x = max(a, b.c)"]),
    ("x = f(a, b.c)", ["x = f(b.c, a)"]),
    ("x = f(a, 'b')", []),
    ("x = zip(a, b, strict=True)", []),
    ("f(a)", ["pass"]),
    ("a.b = c", ["pass"]),
    ("raise Wrong(3)", ["pass"]),
    ("x = not a", ["x = (a)"]),
    ("x = b if a > 0 else c", [
        "x = b if a > 1 else c", "x = b if a >= 0 else c", "x = b if not (a > 0) else c",
    ]),
    ("x = [b for b in a if b]", ["x = [b for b in a if not (b)]"]),
]  # fmt: skip


def placed(tmp_path: Path, source: str) -> list[Site]:
    (tmp_path / "one.py").write_text(source, encoding="utf-8")
    return sites(tmp_path, "one.py")


@pytest.mark.parametrize(("line", "changes"), CHANGED)
def test_what_each_operator_makes_of_a_line(tmp_path: Path, line: str, changes: list[str]) -> None:
    found = placed(tmp_path, f"def f(a, b, c):\n    {line}\n")
    assert sorted(site.becomes for site in found) == sorted(changes)
    for site in found:
        made = site.mutated((tmp_path / "one.py").read_bytes())
        assert made.decode() == f"def f(a, b, c):\n    {site.becomes}\n"
        assert (site.was, site.line, site.function) == (line, 2, "f")


def test_what_is_declared_is_left_alone(tmp_path: Path) -> None:
    assert placed(tmp_path, DECLARED) == []


def test_what_a_function_returns_becomes_empty_and_its_body_ends_early(tmp_path: Path) -> None:
    source = "def f() -> list[int]:\n    return g()\ndef h() -> None:\n    a.b()\n    a.c()\n"
    assert [(site.operator, site.becomes) for site in placed(tmp_path, source)] == [
        ("return", "return []"),
        ("drop", "pass"),
        ("early", "return"),
        ("drop", "pass"),
    ]


def test_every_mutant_of_the_core_can_be_compiled_and_is_another_program() -> None:
    some = drawn(ROOT, 150, seed=3)
    assert len({site.id for site in some}) == len({site.key for site in some}) == 150
    for site in some:
        source = (ROOT / site.file).read_bytes()
        assert ast.dump(ast.parse(site.mutated(source))) != ast.dump(ast.parse(source)), site.id


def test_a_draw_survives_changes_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "gossip"
    folder.mkdir()
    source = "def f(a):\n    return a + 1 < 7 and a - 2 > 3 or a * 9 == 4\n"
    (folder / "one.py").write_text(source, encoding="utf-8")
    before = [site.key for site in drawn(tmp_path, 99, seed=1)]
    (folder / "one.py").write_text(f"def g(a):\n    pass\n\n\n{source}", encoding="utf-8")
    after = drawn(tmp_path, 99, seed=1)
    assert [site.key for site in after] == before
    assert {site.line for site in after} == {6}
    assert [site.key for site in drawn(tmp_path, 99, seed=2)] != before


def test_who_comes_to_a_line_is_known_by_its_text_and_else_by_its_function() -> None:
    keys = keys_of("def f():\n    a()\n    b()\n\n\nclass C:\n    def g(self):\n        a()\n")
    assert keys[2:4] == ["f\ta()", "f\tb()"]
    assert keys[8] == "C.g\ta()"
    one = Reached(["", "x", "y"], {"one.py": {"f\ta()": "0x2", "f\tb()": "0x4"}})
    assert one.at("one.py", ["f\ta()"], "f") == ["x"]
    assert one.at("one.py", ["f\tnew()"], "f") == ["x", "y"]
    assert one.at("one.py", ["C.g\ta()"], "C.g") == []
    always = Reached(["", "x", "y"], {"one.py": {"f\ta()": "0x1"}})
    assert always.at("one.py", ["f\ta()"], "f") == ["", "x", "y"]
    both = joined([one, Reached(["", "z"], {"one.py": {"f\ta()": "0x2"}})])
    assert both.at("one.py", ["f\ta()"], "f") == ["x", "z"]


PROJECT = {
    "gossip/__init__.py": "",
    "gossip/one.py": "def least(a, b):\n    return min(a, b + 0)\n\n\ndef spin(n):\n"
    "    while n > 0:\n        n -= 1\n    return n\n",
    "tests/test_one.py": "from gossip.one import least, spin\n\n\ndef test_of_equal_ones():\n"
    "    assert least(1, 1) == 1\n\n\ndef test_of_two():\n    assert least(1, 2) == 1\n\n\n"
    "def test_spin():\n    assert spin(3) == 0\n",
    "tests/mutants/__init__.py": "",
}


@pytest.mark.timeout(120)
def test_the_first_test_that_fails_is_named_and_the_tree_is_sound_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "project"
    for name, text in PROJECT.items():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text(text, encoding="utf-8")
    for name in ("choosing.py", "reaching.py"):
        source = (ROOT / "tests" / "mutants" / name).read_text(encoding="utf-8")
        (copy / "tests" / "mutants" / name).write_text(source, encoding="utf-8")
    monkeypatch.setattr(trying, "ROOT", copy)
    monkeypatch.setattr(trying, "TEST_S_MAX", 2)
    code, told = trying.pytest(copy, ["tests/test_one.py"], {choosing.RECORD: str(tmp_path / "r")})
    assert code == 0, told
    tests = {"tests/test_one.py": read(tmp_path / "r")}
    of = {site.becomes: site for site in sites(copy, "gossip/one.py")}
    twin = by_tests(copy, of["return max(a, b + 0)"], tests)
    assert twin == ByTests(2, "tests/test_one.py::test_of_two")
    assert by_tests(copy, of["return min(a, b - 0)"], tests) == ByTests(2), "equivalent"
    for name, text in PROJECT.items():
        assert (copy / name).read_text(encoding="utf-8") == text
    hangs = by_tests(copy, of["n += 1"], tests)
    assert hangs == ByTests(1, "tests/test_one.py::test_spin"), "by its limit of time"


def read(path: Path) -> Executed:
    return msgspec.json.decode(path.read_bytes(), type=Executed)


def test_a_mutant_is_gone_when_its_context_ends(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("def f(a):\n    return a + 1\n", encoding="utf-8")
    before = (tmp_path / "one.py").stat().st_mtime_ns
    site = drawing.sites(tmp_path, "one.py")[0]
    with mutated(tmp_path, site):
        assert (tmp_path / "one.py").read_bytes() == site.mutated(b"def f(a):\n    return a + 1\n")
    assert (tmp_path / "one.py").read_text(encoding="utf-8") == "def f(a):\n    return a + 1\n"
    assert (tmp_path / "one.py").stat().st_mtime_ns == before


def test_the_section_counts_equivalent_ones_nowhere(tmp_path: Path) -> None:
    made = placed(tmp_path, "def f(a, b):\n    x = a < b\n    y = a and b\n    z = a or b\n")
    seen, unit, none = made
    rows = [
        MutantRow(seen, True, BySeeds(9, 3, 2, "C1 7"), ByTests(4)),
        MutantRow(unit, True, BySeeds(9, 9, 0), ByTests(4, "tests/test_x.py::test_y")),
        MutantRow(none, False, BySeeds(0, 0, 0), ByTests(0), ByRounds(5)),
    ]
    known = {(none.file, none.function, none.was, none.becomes): "of truth values alone"}
    assert judged(rows[2], known) == "of truth values alone"
    assert not judged(rows[0], dict.fromkeys(known, ""))
    text = section(rows, 1, 1000)
    assert "| all | 3 | 1 (33 %) | 1 (33 %) | 1 (33 %) | 1 (33 %) |" in text
    assert "| C1 7 | 2 of 3; 9 | - |" in text
    page = with_section("# Page\n\n## Which faults are needed\nrest\n", text)
    assert page.endswith("\n## Which faults are needed\nrest\n")
    assert with_section(page, text) == page
    anew = "# Page anew\n\n## Which faults are needed\nrest\n"
    assert carried(page, anew) == with_section(anew, text)
    assert carried("# Page\n", anew) == anew


def test_what_a_round_on_real_processes_sees_is_told_apart(tmp_path: Path) -> None:
    (site,) = placed(tmp_path, "def f(a, b):\n    return [a < b]\n")[:1]
    row = MutantRow(site, False, BySeeds(0, 0, 0), ByTests(0), ByRounds(2, "REAL 2", "why"))
    text = section([row], 1, 1000)
    assert "| not driven | 1 | 1 (100 %) | 0 (0 %) | 0 (0 %) | 0 (0 %) |" in text
    assert "| REAL 2 (real) |" in text


def test_whatever_a_round_leaves_running_is_ended(tmp_path: Path) -> None:
    code = "import time; time.sleep(60)"
    inside = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "cluster.yaml")])
    outside = subprocess.Popen([sys.executable, "-c", code, f"{tmp_path}-other"])
    try:
        while not Path(f"/proc/{inside.pid}/cmdline").read_bytes():
            pass
        end_all_in(tmp_path)
        assert inside.wait(10) == -signal.SIGKILL
        assert outside.poll() is None
    finally:
        inside.kill()
        outside.kill()
        outside.wait()


def test_what_is_called_equivalent_has_a_reason_and_is_named_once() -> None:
    every = msgspec.json.decode(EQUIVALENT.read_bytes(), type=list[Equivalent])
    assert len(equivalents()) == len(every)
    for one in every:
        assert one.why and one.was != one.becomes
        assert (ROOT / one.file).suffix == ".py"
