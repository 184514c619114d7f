"""A replay token is one word that names a run exactly and tells whether this code can still
reproduce it.

    crash-storm.4711.aB3dE5fG7hI9jK1l.x9Y8.Q2w3E4r5T6y7.k3s
    scenario    seed domain gossip   config trace      sum
                     node   lab

A run depends on a scenario and a seed, or on a plan, and on the code. So a token contains a short
hash of the sources of each package that can influence a run, one of the scenario, and one of the
resulting trace. A scenario that is not part of chatlab is inside its token, after `own_`, and a
plan after `plan_`. All characters are safe in URLs and shells, and a checksum detects typing
errors.
"""

import re
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import fields

from lab.plan.draw import draw
from lab.plan.faults import Plan
from lab.plan.scenario import Scenario, ScenarioError, named
from lab.trace.kinds import SCHEMA

Source = Scenario | Plan

ROOT = Path(__file__).parents[2]
PACKAGES = ("domain", "gossip", "node", "lab")
ENTRY = "lab.sim.world"  # what it imports, and what that imports, decides a run
PART_CHARS = 4
TRACE_CHARS = 12
SUM_CHARS = 3
PLANTED = "+"  # between a planted bug and the token of a run that has it: `lab mutants`
PLAN_BYTES_MAX = 4 * 1024 * 1024
_IMPORTS = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n]*)|import[ \t]+([\w.]+))",
    re.MULTILINE,
)
_FORM = re.compile(
    r"(?:(?P<name>[a-z0-9][a-z0-9-]*)|(?P<sort>own|plan)_(?P<inside>[\w-]+))"
    r"\.(?P<seed>\d{1,19})\.(?P<build>[\w-]{16})\.(?P<config>[\w-]{4})"
    r"(?:\.(?P<trace>[\w-]{12}))?\.(?P<sum>[\w-]{3})",
    re.ASCII,
)


class TokenError(ValueError):
    """The word is no token, or it cannot be replayed here. The text is one line."""


class ReplayToken(Struct, frozen=True):
    source: Source | str  # a name: of a scenario that comes along
    seed: int
    build: str
    config: str
    trace: str = ""  # head of its hash; "": not known

    def __str__(self) -> str:
        if isinstance(self.source, str):
            head = self.source
        else:
            head = f"{'plan' if isinstance(self.source, Plan) else 'own'}_{_packed(self.source)}"
        parts = [head, str(self.seed), self.build, self.config, *([self.trace] * bool(self.trace))]
        text = ".".join(parts)
        return f"{text}.{_sum(text)}"

    def plan(self) -> Plan:
        """Raises TokenError where the scenario is not here."""
        source = self.resolved()
        return source if isinstance(source, Plan) else draw(source, self.seed)

    def resolved(self) -> Source:
        if not isinstance(self.source, str):
            return self.source
        try:
            return named(self.source)
        except ScenarioError as error:
            raise TokenError(str(error)) from None

    def differs(self) -> list[str]:
        """The names of what has changed since the token was made: packages, the scenario."""
        now, size = build_id(), PART_CHARS
        found = [
            f"the code of {package}"
            for at, package in enumerate(PACKAGES)
            if self.build[at * size : (at + 1) * size] != now[at * size : (at + 1) * size]
        ]
        if isinstance(self.source, str) and config_of(self.resolved()) != self.config:
            found.append(f"the scenario {self.source}")
        return found

    def made(self, trace_hash: str) -> bool:
        """Whether this is the trace that the token speaks of, as far as it can tell."""
        return not self.trace or self.trace == trace_chars(trace_hash)


def token_of(source: Source, seed: int, trace_hash: str = "") -> ReplayToken:
    inside: Source | str = source
    if isinstance(source, Plan):
        seed = source.seed
    elif _comes_along(source):
        inside = source.name
    trace = trace_chars(trace_hash) if trace_hash else ""
    return ReplayToken(inside, seed, build_id(), config_of(source), trace)


def parse(text: str) -> ReplayToken:
    """Raises TokenError."""
    text = text.strip()
    found = _FORM.fullmatch(text)
    if found is None:
        raise TokenError("that is no token: it has a form like lossy.7.BUILD.CONFIG.TRACE.SUM")
    body, _, total = text.rpartition(".")
    if _sum(body) != total:
        raise TokenError("the token is not whole: its sum does not fit, so copy it once more")
    source: Source | str = found["name"] or ""
    if found["sort"]:
        source = _unpacked(found["inside"], Plan if found["sort"] == "plan" else Scenario)
    token = ReplayToken(
        source, int(found["seed"]), found["build"], found["config"], found["trace"] or ""
    )
    if not isinstance(source, str) and config_of(source) != token.config:
        raise TokenError("the token contradicts itself: what is inside has another hash")
    return token


def trace_chars(trace_hash: str) -> str:
    return _chars(bytes.fromhex(trace_hash), TRACE_CHARS)


@lru_cache(maxsize=64)
def _comes_along(scenario: Scenario) -> bool:
    try:
        return named(scenario.name) == scenario
    except ScenarioError:
        return False


@lru_cache(maxsize=64)
def config_of(source: Source) -> str:
    """A short hash of a scenario or plan, with all its defaults."""
    return _chars(blake2b(msgspec.msgpack.encode(source)).digest(), PART_CHARS)


def _chars(digest: bytes, count: int) -> str:
    return urlsafe_b64encode(digest).decode()[:count]


def _sum(text: str) -> str:
    return _chars(blake2b(text.encode()).digest(), SUM_CHARS)


# --- what is inside -------------------------------------------------------------------------------


def _packed(source: Source) -> str:
    data = zlib.compress(msgspec.msgpack.encode(_sparse(source)), 9)
    return urlsafe_b64encode(data).decode().rstrip("=")


def _unpacked(text: str, kind: type[Source]) -> Source:
    try:
        inflate = zlib.decompressobj()
        data = inflate.decompress(urlsafe_b64decode(text + "=" * (-len(text) % 4)), PLAN_BYTES_MAX)
        if not inflate.eof:
            raise TokenError("what is inside the token is too large, or cut off")
        return msgspec.convert(msgspec.msgpack.decode(data), kind)
    except (zlib.error, Base64Error, msgspec.MsgspecError) as error:
        raise TokenError(f"what is inside the token cannot be read: {error}") from None


def _sparse(value: Any) -> Any:
    """Built of dicts and lists, without what is as by default."""
    if isinstance(value, Struct):
        tag = value.__struct_config__.tag
        told = {str(value.__struct_config__.tag_field): tag} if tag is not None else {}
        for one in fields(value):
            found = getattr(value, one.name)
            if one.default is msgspec.NODEFAULT or found != one.default:
                told[one.encode_name] = _sparse(found)
        return told
    if isinstance(value, tuple):
        return [_sparse(one) for one in value]
    return value


# --- the build ------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def build_id() -> str:
    """Hashes of the sources that decide a run, one for each package."""
    parts = {package: blake2b() for package in PACKAGES}
    parts["lab"].update(str(SCHEMA).encode())
    for module, data in sorted(sources_of(ENTRY).items()):
        part = parts[module.partition(".")[0]]
        part.update(f"{module} {len(data)}\n".encode())
        part.update(data)
    return "".join(_chars(parts[package].digest(), PART_CHARS) for package in PACKAGES)


def sources_of(entry: str, without: str = "") -> dict[str, bytes]:
    """The sources of a module and of all of ours that it imports, one through the other.

    `without` a package: what is imported only there is not among them.
    """
    found: dict[str, bytes] = {}
    waiting = [entry]
    while waiting:
        module = waiting.pop()
        if module in found or module.partition(".")[0] not in PACKAGES:
            continue
        if without and f"{module}.".startswith(f"{without}."):
            continue
        path = ROOT.joinpath(*module.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if not path.is_file():
            continue  # a name that was imported from a module
        data = path.read_bytes()
        found[module] = data
        waiting += _imported(data.decode())
        if "." in module:
            waiting.append(module.rpartition(".")[0])
    return found


def _imported(source: str) -> list[str]:
    names: list[str] = []
    for match in _IMPORTS.finditer(source):
        module, inside, plain = match.groups()
        names.append(module or plain)
        if module:
            words = re.sub(r"#[^\n]*|[()]", " ", inside).split(",")
            names += [f"{module}.{word.split()[0]}" for word in words if word.split()]
    return names
