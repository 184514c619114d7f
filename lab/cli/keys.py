"""The commands `chatlab keys ...`: make CURVE keys, and list, add and remove those that a cluster
with `encrypt: true` trusts.

They only change files. Running nodes read a changed list after about two seconds at most.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.common import Json, Settings, complete_node, emit, hint, settings_of
from lab.client.location import keys_in
from lab.terminal.errors import Exit, Problem

if TYPE_CHECKING:
    from node.security.key_files import KeyPair, Role, TrustedKey

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Make, show and trust keys: who may speak to the nodes over TCP.",
)
Name = Annotated[str, typer.Argument(metavar="NAME", autocompletion=complete_node)]


@app.command()
def new(
    context: typer.Context,
    nodes: Annotated[
        list[str] | None, typer.Argument(metavar="[NODE…]", autocompletion=complete_node)
    ] = None,
    client: Annotated[
        str | None, typer.Option(metavar="NAME", help="A key for a person's commands.")
    ] = None,
    observer: Annotated[
        str | None, typer.Option(metavar="NAME", help="A key that can only watch.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Put the secret key there, to be carried elsewhere."),
    ] = None,
) -> None:
    """Make a key pair for each name, and trust it in this cluster."""
    from node.security.key_files import new_pair

    wanted: list[tuple[str, Role]] = [(name, "peer") for name in dict.fromkeys(nodes or [])]
    wanted += [(client, "client")] if client is not None else []
    wanted += [(observer, "observer")] if observer is not None else []
    if not wanted:
        raise Problem("for whom? Name nodes, or --client NAME, or --observer NAME", Exit.USAGE)
    settings = settings_of(context)
    for name, role in wanted:
        _check_name(settings, name, role)
    folder = _folder(settings, make=True)
    if out is not None:
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, role in wanted:
        _add(folder, out or folder, new_pair(name, role))
    if out is not None and (client is not None or observer is not None):
        _add_nodes(folder, out)
    _hint_encrypt(settings)


def _add(folder: Path, out: Path, pair: "KeyPair") -> None:
    """Trust the key first: if a later step fails, no secret has been written that is not listed."""
    from lab.terminal.display import display_safe
    from node.config.cluster_file import ConfigError
    from node.security.key_files import (
        TrustedKey,
        fingerprint,
        forget,
        read_trusted,
        secret_file,
        trust,
    )
    from node.security.key_files import write_secret as write

    for place in (folder, out):
        if secret_file(place, pair.name).exists():
            text = (
                f"{pair.name} has a key: {secret_file(place, pair.name)}; remove it to make another"
            )
            raise Problem(text, Exit.USAGE)
    try:
        if pair.name in read_trusted(folder).keys:
            text = f"{pair.name} is trusted with a key: `chatlab keys forget {pair.name}` first"
            raise Problem(text, Exit.USAGE)
        trust(folder, TrustedKey(pair.role, pair.name, pair.public))
    except ConfigError as error:
        raise Problem(str(error), Exit.USAGE) from None
    try:
        path = write(out, pair)
    except OSError:
        forget(folder, pair.name)
        raise
    shown = display_safe(str(path))
    print(f"{pair.role} {pair.name}: {fingerprint(pair.public)}, secret key in {shown}")


def _add_nodes(folder: Path, out: Path) -> None:
    """Write the nodes' public keys beside a client's key: a client must know them to connect."""
    from node.config.cluster_file import ConfigError
    from node.security.key_files import trust

    nodes = [key for key in _trusted(folder) if key.role == "peer"]
    try:
        for key in nodes:
            trust(out, key, replace=True)
    except ConfigError as error:
        raise Problem(str(error), Exit.USAGE) from None
    if not nodes:
        hint("no node has a key yet: whoever uses this one gives the node's with --node-key")


@app.command()
def show(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", autocompletion=complete_node)
    ] = None,
    json: Json = False,
) -> None:
    """List the trusted public keys and their fingerprints. Secret keys are never shown."""
    from lab.terminal.tables import table

    settings = settings_of(context)
    keys = _trusted(_folder(settings))
    if name is not None:
        keys = [key for key in keys if key.name == name]
        if not keys:
            raise Problem(f"no trusted key of that name: `chatlab keys new {name}`", Exit.USAGE)
    rows = [_row(settings, key) for key in keys]
    if json:
        for row in rows:
            emit(row)
        return
    if not rows:
        hint("no keys yet: `chatlab keys new NODE…`")
        return
    head = ["name", "role", "fingerprint", "secret", "public key"]
    shown = [
        [
            str(row["name"]),
            str(row["role"]),
            str(row["fingerprint"]),
            "here" if row["secret"] else "",
            str(row["public"]),
        ]
        for row in rows
    ]
    print(table(head, shown, settings.paint))


def _row(settings: Settings, key: "TrustedKey") -> dict[str, object]:
    from node.security.key_files import fingerprint, secret_file

    return {
        "name": key.name,
        "role": key.role,
        "fingerprint": fingerprint(key.public),
        "public": key.public.hex(),
        "secret": secret_file(_folder(settings), key.name).exists(),
    }


@app.command()
def trust(
    context: typer.Context,
    name: Name,
    key: Annotated[str, typer.Argument(metavar="PUBLICKEY", help="64 hex digits.")],
    role: Annotated[
        str, typer.Option("--as", metavar="peer|client|observer", help="What the key opens.")
    ] = "peer",
    replace: Annotated[
        bool, typer.Option("--replace", help="In place of the key that this name has.")
    ] = False,
) -> None:
    """Let a key that was made elsewhere come in. Compare its fingerprint with its owner."""
    from node.config.cluster_file import ConfigError
    from node.security.key_files import ROLES, TrustedKey, fingerprint, parse_public
    from node.security.key_files import trust as add

    settings = settings_of(context)
    wanted: Role | None = next((one for one in ROLES if one == role), None)
    if wanted is None:
        raise Problem("--as is one of peer, client, observer", Exit.USAGE)
    _check_name(settings, name, wanted)
    try:
        public = parse_public(key)
        added = add(_folder(settings, make=True), TrustedKey(wanted, name, public), replace=replace)
    except (ValueError, ConfigError) as error:
        raise Problem(str(error), Exit.USAGE) from None
    print(f"{wanted} {name}: {fingerprint(public)} {'is trusted' if added else 'was trusted'}")
    _hint_encrypt(settings)


@app.command()
def forget(context: typer.Context, name: Name) -> None:
    """Take a key off the list. Running nodes do not listen to it any more, also if connected."""
    from node.config.cluster_file import ConfigError
    from node.security.key_files import forget as remove

    try:
        gone = remove(_folder(settings_of(context)), name)
    except ConfigError as error:
        raise Problem(str(error), Exit.USAGE) from None
    if not gone:
        raise Problem("no trusted key of that name: `chatlab keys show` lists them", Exit.USAGE)
    print(f"{name} is not trusted any more")


# --- what they share ------------------------------------------------------------------------------


def _folder(settings: Settings, *, make: bool = False) -> Path:
    from node.config.cluster_file import ConfigError
    from node.security.key_files import check_folder

    folder = keys_in(Path(settings.place().file))
    if make:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        check_folder(folder)
    except ConfigError as error:
        raise Problem(str(error), Exit.USAGE) from None
    return folder


def _trusted(folder: Path) -> "list[TrustedKey]":
    from node.config.cluster_file import ConfigError
    from node.security.key_files import read_trusted

    try:
        return list(read_trusted(folder).keys.values())
    except ConfigError as error:
        raise Problem(str(error), Exit.USAGE) from None


def _check_name(settings: Settings, name: str, role: str) -> None:
    from node.config.error_messages import NAME_FORM
    from node.security.key_files import NAME

    place = settings.place()
    if role == "peer":
        place.node(name)
    elif NAME.fullmatch(name) is None:
        raise Problem(f"{name[:40]!a} is not a name: {NAME_FORM}", Exit.USAGE)
    elif name in place.nodes:
        raise Problem(f"{name} is a node: a {role} needs a name of its own", Exit.USAGE)


def _hint_encrypt(settings: Settings) -> None:
    from lab.terminal.display import display_safe
    from node.config.cluster_file import load

    place = settings.place()
    if not load(Path(place.file)).encrypt:
        hint(f"keys are not used yet: set `encrypt: true` in {display_safe(place.file)}")
