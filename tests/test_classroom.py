"""A class is graded at once: who, what, and with which mistakes."""

import csv
import json
import os
import re
import zipfile
from pathlib import Path

import pytest

from npattn import cli
from npattn.exercises import check
from npattn.exercises.classroom import Submission, counts, grade_all, html_text, row_of, table
from npattn.exercises.registry import PATH, headings

RIGHT = "def softmax_backward(dP, P):\n    return P * (dP - (dP * P).sum(-1, keepdims=True))\n"
WRONG = "def softmax_backward(dP, P):\n    return P * dP\n"


@pytest.fixture
def handed_in(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "in"
    (folder / "ann").mkdir(parents=True)
    (folder / "ann" / "old(1).py").write_text(RIGHT)
    os.utime(folder / "ann" / "old(1).py", (1e9, 1e9))
    (folder / "ann" / "hers.py").write_text(WRONG)
    (folder / "bob_123_late.py").write_text('r"""softmax-backward: x\n"""\n' + RIGHT)
    (folder / "carl_1.ipynb").write_text(json.dumps({"cells": [
        {"cell_type": "code", "source": ["%matplotlib inline\n", "import numpy as np"]},
        {"cell_type": "code", "source": RIGHT.splitlines(True)},
        {"cell_type": "code", "source": ["softmax_backward(1, 2)"]}]}))
    (folder / "dora_2.py").write_text("x = 1\n")
    return folder


def test_a_class_is_graded_at_once(handed_in, tmp_path, capsys):
    before = sorted(handed_in.rglob("*"))
    files = {kind: tmp_path / f"grades.{kind}" for kind in ("csv", "json", "html", "gradescope")}
    options = [text for kind, path in files.items() for text in (f"--{kind}", str(path))]
    assert cli.main(["exercise", "grade", str(handed_in), "--jobs", "2", *options]) == 0
    shown = capsys.readouterr().out
    assert "hers.py counts" in shown and "old(1).py is older" in shown
    rows = list(csv.DictReader(files["csv"].read_text(encoding="utf-8").splitlines()))
    assert list(rows[0]) == [
        "student", "exercise", "verdict", "mistakes", "step", "seconds", "file"]
    verdicts = {row["student"]: row["verdict"] for row in rows}
    assert verdicts == {"ann": "wrong", "bob": "right", "carl": "right", "dora": "not run"}
    objects = json.loads(files["json"].read_text(encoding="utf-8"))
    assert [row["verdict"] for row in objects] == [row["verdict"] for row in rows]
    assert objects[0]["mistakes"] and objects[0]["mistakes"] in shown
    results = {path.stem: json.loads(path.read_text())
               for path in files["gradescope"].with_suffix("").glob("*.json")}
    assert sum(found["score"] for found in results.values()) == 2.0 and len(results) > 1
    assert {test["status"] for found in results.values() for test in found["tests"]} == {
        "passed", "failed"}
    assert "<td class=\"wro\">" in files["html"].read_text(encoding="utf-8")
    assert sorted(handed_in.rglob("*")) == before

    again = tmp_path / "again.json"
    assert cli.main(["exercise", "grade", str(handed_in), "--json", str(again)]) == 0
    same = [row["verdict"] for row in json.loads(again.read_text(encoding="utf-8"))]
    assert same == [row["verdict"] for row in objects]


def test_a_mistake_told_in_two_clauses_is_counted_once(tmp_path):
    slip = RIGHT.replace("sum(-1", "sum(0")
    assert slip != RIGHT
    (tmp_path / "softmax_backward.py").write_text(slip)
    row = row_of(Submission("ann", "softmax-backward", tmp_path / "softmax_backward.py"))
    (words, count), = counts([row])["softmax-backward"]
    assert count == 1 and "; it must run over axis -1" in words


def test_a_zip_is_a_folder_and_a_regex_names_students(handed_in, tmp_path):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as file:
        file.write(handed_in / "bob_123_late.py", "bob_123_late.py")
    path = tmp_path / "a.json"
    code = cli.main(["exercise", "grade", str(tmp_path / "all.zip"), "--json", str(path),
                     "--student", r"_(\d+)_"])
    row, = json.loads(path.read_text())
    assert (code, row["student"], row["verdict"]) == (0, "123", "right")
    assert row["file"] == str(tmp_path / "all.zip" / "bob_123_late.py")


def test_the_path_has_twelve_exercises_and_the_list_a_filter(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert len(PATH) == len(set(PATH)) == 12 and set(PATH) <= set(headings())
    assert cli.main(["exercise", "list", "11.3"]) == 0
    shown = capsys.readouterr().out
    assert "softmax" in shown and "d2l 11.3" in shown and "d2l 11.5" not in shown
    assert cli.main(["exercise", "next"]) == 0 and PATH[0] in capsys.readouterr().out
    assert cli.main(["exercise", "show", "softmax"]) == 0
    assert "def softmax" in capsys.readouterr().out
    assert cli.main(["exercise", "list", "99"]) == 2


def test_in_python_the_function_alone_tells_its_exercise():
    space = {}
    exec(RIGHT, space)
    function = space["softmax_backward"]
    assert check(function).ok and check("softmax_backward", function).ok
    with pytest.raises(LookupError, match="there is no exercise"):
        check(len)
    with pytest.raises(TypeError, match="function must be a function"):
        check("softmax")


@pytest.mark.parametrize(("section", "lang"), [("12.10", "en"), ("10.1", "zh")])
def test_a_blank_notebook_of_any_section_runs_and_says_that_nothing_is_written(
    section, lang, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["exercise", "notebook", section, "--lang", lang]) == 0
    path = tmp_path / f"{section}-blank.ipynb"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    space, codes = {}, ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    for code in codes:
        exec(code.replace("check(", "verdict = check(", code.startswith("check")), space)
        assert "verdict" not in space or "nothing is written yet" in str(space.pop("verdict"))
    assert cli.main(["exercise", "notebook", section]) == 2
    assert cli.main(["exercise", "notebook", "77"]) == 2


def test_a_notebook_answers_each_exercise_that_it_defines(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    transposed = "def split_heads(X, H):\n    return X.reshape(*X.shape[:-1], H, -1)\n"
    Path("eve_05.ipynb").write_text(json.dumps({"cells": [
        {"cell_type": "code", "source": [source]} for source in (WRONG, RIGHT, transposed)]}))
    assert cli.main(["exercise", "grade", "eve_05.ipynb", "--json", "grades.json"]) == 0
    rows = json.loads(Path("grades.json").read_text(encoding="utf-8"))
    assert {row["exercise"]: row["verdict"] for row in rows} == {
        "softmax-backward": "right", "split-heads": "wrong"}
    capsys.readouterr()
    assert cli.main(["exercise", "check", "eve_05.ipynb"]) == 1
    said = capsys.readouterr().out
    assert "softmax-backward: right" in said and "split-heads: not yet" in said


def test_a_file_that_kills_its_grader_costs_no_other_its_verdict(tmp_path):
    kills = RIGHT.replace("    return", "    import os; os.kill(os.getppid(), 9)\n    return")
    given = []
    for who, text in (("ann", RIGHT), ("bob", kills), ("carl", WRONG)):
        (tmp_path / f"{who}.py").write_text(text)
        given.append(Submission(who, "softmax-backward", tmp_path / f"{who}.py"))
    rows = grade_all(given)
    assert [row["verdict"] for row in rows] == ["right", "not run", "wrong"]
    assert rows[1]["exercise"] == "softmax-backward" and "ended the process" in rows[1]["mistakes"]


def test_a_file_counts_as_it_was_handed_in(tmp_path):
    path = tmp_path / "ann.py"
    path.write_text(WRONG)  # another file may have written it anew
    row = row_of(Submission("ann", "softmax-backward", path), content=RIGHT.encode())
    assert row["verdict"] == "right" and row["file"] == str(path)


def test_a_file_that_cannot_be_read_has_a_row_and_a_mark(tmp_path):
    gone = Submission("dora", "", tmp_path / "dora.py", "Permission denied")
    also = gone._replace(path=tmp_path / "late.py", trouble="no text")
    (tmp_path / "ann.py").write_text(RIGHT)
    rows = grade_all([Submission("ann", "softmax-backward", tmp_path / "ann.py"), gone, also])
    assert [row["verdict"] for row in rows] == ["right", "not run", "not run"]
    assert re.search(r"^dora +\. +!$", table(rows), re.M) and "(no exercise)" in table(rows)
    assert "dora.py: Permission denied; late.py: no text" in html_text(rows)


def test_parameters_in_another_order_are_told(tmp_path):
    path = tmp_path / "ann.py"
    path.write_text(RIGHT.replace("(dP, P):", "(P, dP):"))
    row = row_of(Submission("ann", "softmax-backward", path))
    assert row["mistakes"] == "its arguments are P, dP; they must be dP, P, in this order"


def test_a_link_to_nothing_is_told_of_and_a_pipe_is_not_waited_for(handed_in, capsys):
    (handed_in / "eve_1.py").symlink_to(handed_in / "gone.py")
    os.mkfifo(handed_in / "fay_1.py")
    assert cli.main(["exercise", "grade", str(handed_in)]) == 0
    shown = capsys.readouterr().out
    assert "eve_1.py: not run: it is a link to nothing" in shown and "fay" not in shown
