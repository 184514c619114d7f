"""Commands that serve a page: what they print, and what a browser is given."""

import asyncio
import stat
import threading
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from lab.cli import pages
from lab.terminal.errors import Exit, Problem
from lab.web.server import WebServer


def test_a_browser_is_given_a_private_file_that_leads_to_the_page(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = WebServer("watch.html")
    given: list[tuple[str, Path, str, int]] = []
    opened = threading.Event()

    def browse(url: str) -> bool:
        file = Path(unquote(urlsplit(url).path))
        given.append((url, file, file.read_text(), stat.S_IMODE(file.stat().st_mode)))
        opened.set()
        return True

    async def until_opened() -> None:
        assert await asyncio.to_thread(opened.wait, 10)

    monkeypatch.setattr("webbrowser.open", browse)
    monkeypatch.setattr(pages, "hear_the_end", lambda: None)
    pages.serve(server, True, until_opened)
    ((url, file, text, mode),) = given
    assert capsys.readouterr().out == f"{server.address}  (Ctrl-C ends)\n"
    assert url.startswith("file:///") and server.token not in url
    assert f'content="0;url={server.address}"' in text
    assert mode == 0o600 and not file.exists()


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    pages.need_pages()
    monkeypatch.setattr(pages, "find_spec", lambda name: None)
    with pytest.raises(Problem, match=r"install the extra, pip install 'chatlab\[observe\]'") as no:
        pages.need_pages()
    assert no.value.code == Exit.USAGE


def test_a_file_that_is_no_trace_is_one_clear_line(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_bytes(b"\xff\xfe not a trace\n")
    for name in (file, tmp_path, tmp_path / "nowhere"):
        with pytest.raises(Problem, match=str(name)) as no:
            pages.trace_of(name)
        assert no.value.code == Exit.USAGE
