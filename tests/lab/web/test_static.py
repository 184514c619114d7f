"""What lies in `lab/web/static`, whichever page it is for."""

import re

from lab.web.report import STATIC

LINES_MAX = 1500  # of all pages; without comments, types in comments, and blank lines
_SAYS_NOTHING = re.compile(r"\s*(//.*|/\*.*\*/\s*|/\*\*.*|\* .*|\*/)?")


def test_all_pages_together_stay_small() -> None:
    files = [path for path in STATIC.iterdir() if path.suffix in (".js", ".css", ".html")]
    lines = [line for path in files for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(files) > 10
    assert sum(_SAYS_NOTHING.fullmatch(line) is None for line in lines) <= LINES_MAX


def test_no_page_names_an_address_elsewhere() -> None:
    for path in STATIC.iterdir():
        assert not re.search(r"https?:|//[a-z]+\.", path.read_text(encoding="utf-8")), path
