"""Word lists: from files beside the cluster file, or built in; one clear line if they cannot be."""

from pathlib import Path

import pytest

from domain.moderation import Policy, Rule
from node.config.cluster_file import (
    BUILTIN_DIR,
    DEFAULT_RULES,
    ClusterConfig,
    ConfigError,
    ModerationConfig,
    NodeConfig,
    RuleConfig,
    generated,
    policy_of,
    words_in,
)


def policy(folder: Path, *rules: RuleConfig, allow: tuple[str, ...] = ()) -> Policy:
    moderation = ModerationConfig(rules, allow)
    return policy_of(ClusterConfig([NodeConfig("n1")], moderation=moderation), folder)


def complaint(folder: Path, words: str) -> str:
    with pytest.raises(ConfigError) as caught:
        policy(folder, RuleConfig("a", words))
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith("moderation.rules[0].words: ")
    return line.removeprefix("moderation.rules[0].words: ").replace(f"{folder}/", "")


def test_a_list_has_a_word_or_phrase_per_line_each_once(tmp_path: Path) -> None:
    text = "# ours\n\n  grue \ntwo words\ngrue\n\t# not a word\nGRUE\r\nnaïve\n"
    (tmp_path / "house.txt").write_bytes(text.encode())
    found = policy(tmp_path, RuleConfig("house", "house.txt", "reject"), allow=("grues",))
    words = ("grue", "two words", "GRUE", "naïve")
    assert found == Policy((Rule("house", words, "reject"),), ("grues",))


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("darn  # mild", "darn"),
        ("darn\t#mild", "darn"),
        ("# all of it", None),
        ("  # all of it", None),
        ("c# minor", "c# minor"),
        ("top hats # two words", "top hats"),
    ],
)
def test_a_comment_may_stand_behind_a_word(line: str, word: str | None) -> None:
    assert words_in(line) == ((word,) if word else ())


def test_a_path_is_relative_to_the_cluster_file_or_absolute(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    file = tmp_path / "below" / "w.txt"
    file.write_text("grue\n")
    for words in ("below/w.txt", str(file)):
        assert policy(tmp_path, RuleConfig("a", words)).rules[0].words == ("grue",)


def test_no_rules_are_a_policy_too(tmp_path: Path) -> None:
    assert policy(tmp_path) == Policy((), ())


def test_the_default_rules_are_built_in(tmp_path: Path) -> None:
    found = policy_of(generated(1), tmp_path)
    assert [rule.id for rule in found.rules] == [rule.id for rule in DEFAULT_RULES]
    assert all(rule.words for rule in found.rules)


def test_every_built_in_list_can_be_read(tmp_path: Path) -> None:
    names = sorted(file.stem for file in BUILTIN_DIR.glob("*.txt"))
    assert {"en", "fr"} <= set(names)
    for name in names:
        assert policy(tmp_path, RuleConfig("a", f"builtin:{name}")).rules[0].words


def test_an_unknown_built_in_list_is_told_with_those_that_exist(tmp_path: Path) -> None:
    assert complaint(tmp_path, "builtin:klingon").startswith(
        "no built-in word list 'klingon': there are "
    )
    assert complaint(tmp_path, "builtin:../en").startswith("no built-in word list '../en': ")


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("# nothing yet\n\n")
    (tmp_path / "latin").write_bytes(b"ok\ncaf\xe9\n")
    (tmp_path / "folder").mkdir()
    assert complaint(tmp_path, "gone") == "cannot read gone: No such file or directory"
    assert complaint(tmp_path, "a\0b") == "cannot read a\0b: embedded null byte"
    assert complaint(tmp_path, "empty") == "empty holds no words: one word or phrase per line"
    assert complaint(tmp_path, "latin") == "latin:2:4: byte 0xe9 is not UTF-8"
    assert complaint(tmp_path, "folder") == "folder: is not a file"
