"""`npattn exercise` as a learner types it, and the file that remembers."""

import json
import os
import re
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from npattn import cli
from npattn.commands import exercise as command
from npattn.exercises.progress import FILE, note, read_progress
from npattn.exercises.sandbox import grade_file

RIGHT = "    return P * (dP - (dP * P).sum(-1, keepdims=True))\n"
NAME = "softmax_backward.py"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(cli, "COMMANDS", tuple({*cli.COMMANDS, "exercise"}))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def npattn(capsys):
    """npattn("hint", "softmax") -> exit code, what was printed, and the error line."""

    def run(*arguments):
        code = cli.main(["exercise", *arguments])
        return code, *capsys.readouterr()

    return run


def fill_in(path, body):
    """Replace the TODO of a file that `start` wrote."""
    text = path.read_text(encoding="utf-8")
    stub = text[text.index("    # TODO"):]
    path.write_text(text.replace(stub, body), encoding="utf-8")


def test_from_start_to_solution(folder, npattn):
    code, out, _ = npattn("start", "softmax-backward")
    assert code == 0 and f"wrote {NAME}" in out
    code, out, _ = npattn("check", NAME)
    assert code == 1 and re.match(r"softmax-backward: nothing is written yet, line \d+", out)
    code, _, error = npattn("solution", "softmax-backward")
    assert code == 2 and "is not solved yet" in error

    fill_in(folder / NAME, "    return P * dP\n")
    code, out, _ = npattn("check", NAME)
    assert code == 1 and "Most likely: Only the numerator was differentiated." in out
    text = (folder / NAME).read_text(encoding="utf-8")
    (folder / NAME).write_text(text.replace("    return P * dP\n", RIGHT), encoding="utf-8")
    code, out, _ = npattn("check", NAME)
    assert code == 0 and out.startswith("softmax-backward: right.")

    code, out, _ = npattn("solution", "softmax-backward")
    assert code == 0 and "\n1. " in out and "$" not in out and "return P * (dP -" in out
    code, out, _ = npattn()
    assert code == 0 and "[x] softmax-backward" in out and "[ ] softmax-jacobian" in out
    assert json.loads((folder / FILE).read_text()) == {
        "softmax-backward": {"solved": True, "checks": 3, "hints": 0}
    }


def test_hints_come_one_by_one_and_end(npattn):
    shown = [npattn("hint", "softmax")[1] for _ in range(4)]
    counts = [len(re.findall(r"^\d\. ", out, re.M)) for out in shown]
    assert counts == [1, 2, 3, 3]
    assert "--reveal" in shown[3] and "--reveal" not in shown[2]
    assert max(map(len, shown[3].splitlines())) <= 100


def test_a_solution_can_be_revealed(npattn):
    code, out, _ = npattn("solution", "softmax", "--reveal")
    assert code == 0 and "def softmax(S):" in out


def test_a_file_is_not_written_over(folder, npattn):
    (folder / NAME).write_text("mine")
    code, _, error = npattn("start", "softmax-backward")
    assert code == 2 and "is there already" in error
    assert (folder / NAME).read_text() == "mine"


@pytest.mark.parametrize("arguments", [("start", "softmax-backward"), ("notebook", "11.3")])
def test_on_a_full_disk_nothing_is_left_behind(arguments, folder, npattn, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        code, out, error = npattn(*arguments)
    assert code == 2 and out == "" and [*folder.iterdir()] == []
    assert re.fullmatch(r"npattn exercise: [\w.-]+: No space left on device\n", error)
    assert npattn(*arguments)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["start", "softmax-bakward"], "did you mean softmax-backward"),
        (["check", "nowhere.py"], "there is no file nowhere.py"),
        (["check", "mine.py"], "there is no exercise 'mine'"),
        (["check", "mine.py", "--seed", "-1"], "--seed must be at least 0, got -1"),
        (["watch", "nowhere"], "there is no folder nowhere"),
        (["hint", "xyz"], "`npattn exercise` lists them"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(arguments, message, folder, npattn):
    (folder / "mine.py").write_text("")
    code, out, error = npattn(*arguments)
    assert (code, out) == (2, "") and len(error.splitlines()) == 1
    assert message in error


def test_a_spoilt_progress_file_is_refused_and_left_alone(folder, npattn):
    fields = ('"solved": "no"', '"solved": 1', '"checks": true', '"hints": 1.5', '"hints": -1')
    records = [f'{{"softmax": {{{field}}}}}' for field in fields]
    for text in ("{", "[1]", '{"softmax": 3}', *records):
        (folder / FILE).write_text(text)
        code, _, error = npattn("hint", "softmax")
        assert code == 2 and f"{FILE} cannot be read" in error
        assert (folder / FILE).read_text() == text


def test_a_right_answer_is_right_where_nothing_can_be_noted(folder, npattn, monkeypatch):
    npattn("start", "softmax-backward")
    fill_in(folder / NAME, RIGHT)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fail(*paths):
        raise PermissionError(13, "a read-only folder")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        code, out, error = npattn("check", NAME)
    assert code == 0 and out.startswith("softmax-backward: right.")
    assert "The progress is not kept" in out + error and "a read-only folder" in out + error
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    (folder / FILE).write_text("{")
    assert npattn("check", NAME)[0] == 0 and (folder / FILE).read_text() == "{"


def test_progress_is_written_in_one_step_and_line_by_line(folder, npattn, monkeypatch):
    note(folder, "softmax", hints=2)
    note(folder, "attention-dk", checks=1)
    assert len((folder / FILE).read_text().splitlines()) == 4
    before = read_progress(folder)

    def fail(*paths):
        raise PermissionError(13, "not yours")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(PermissionError, match="not yours"):
        note(folder, "softmax", solved=True)
    code, _, error = npattn("hint", "softmax")
    assert (code, error) == (2, f"npattn exercise: {FILE}: not yours\n")
    assert read_progress(folder) == before
    assert [path.name for path in folder.iterdir()] == [FILE]


def test_watch_grades_what_is_saved_and_ends_cleanly(folder, npattn, monkeypatch):
    npattn("start", "softmax-backward")
    saves = iter(["    return P * dP\n", None, RIGHT])

    def sleep(seconds):
        try:
            body = next(saves)
        except StopIteration:
            raise KeyboardInterrupt from None
        if body:
            text = (folder / NAME).read_text(encoding="utf-8")
            head = text[: text.rindex('"""') + 3]
            (folder / NAME).write_text(f"{head}\n{body}", encoding="utf-8")
            os.utime(folder / NAME, ns=(time.time_ns(), time.time_ns() + len(body)))

    monkeypatch.setattr(command, "time", SimpleNamespace(sleep=sleep))
    code, out, _ = npattn("watch", ".")
    assert code == 0
    assert out.count(f"── {NAME} ──") == 2
    assert "not yet" in out and "right" in out and out.endswith("no longer watching\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = (\n", r"the file cannot be run: SyntaxError, line 1: `x = \(`"),
        ("import numpy\nnumpy.nothing\n",
         r"the file cannot be run: AttributeError, line 2: `numpy.nothing`"),
        ("raise SystemExit(3)\n", "the file cannot be run: SystemExit, line 1"),
        ("x = 1\n", "the file has no function softmax_backward"),
        ("import os\nos._exit(7)\n", "Python ended with code 7 before there was a verdict"),
        ("def softmax_backward(dP, P):\n    if __name__ == '__main__':\n        x\n    exit()\n",
         r"SystemExit, line 4: `exit\(\)`"),
    ],
)
def test_a_file_that_goes_wrong_is_told_as_such(text, words, folder):
    (folder / NAME).write_text(text)
    verdict = grade_file(folder / NAME, "softmax-backward")
    assert not verdict.ok and re.search(words, str(verdict))


def test_an_endless_loop_is_stopped_and_its_line_named(folder):
    (folder / NAME).write_text("def softmax_backward(dP, P):\n    while True:\n        P + dP\n")
    began = time.monotonic()
    verdict = grade_file(folder / NAME, "softmax-backward", limit=0.5)
    assert time.monotonic() - began < 5
    assert re.search(r"still running after 0.5 s, and stopped at line [23]: `", verdict.trouble)


def test_a_file_may_import_its_neighbours_and_its_folder_does_not_spoil_ours(folder):
    (folder / "mine.py").write_text(f"def f(dP, P):\n{RIGHT}")
    (folder / NAME).write_text("from mine import f as softmax_backward\n")
    (folder / "npattn.py").write_text("raise RuntimeError('not this one')\n")
    assert grade_file(folder / NAME, "softmax-backward").ok


def test_help_shows_the_way():
    code = "import npattn.cli as c; c.COMMANDS = ('exercise',); c.main(['exercise', '--help'])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert "npattn exercise check softmax_backward.py" in shown
