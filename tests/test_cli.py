"""The commands as a user types them: exit codes, files, one-line errors."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from npattn.cli import COMMANDS, main
from npattn.commands import demo
from npattn.datasets.dates import FORMATS, held_out_dates
from npattn.experiments import dates


@pytest.fixture
def reads_only(monkeypatch):
    """`npattn demo` without pictures and without the proof of the gradient: both take seconds."""
    monkeypatch.setattr(demo, "_draw", lambda params, reading, path: path.touch())
    monkeypatch.setattr(demo, "_gradient_line", lambda text, report: f"gradient on {text!r} …")
    monkeypatch.setattr(dates, "check_gradient", lambda params, readings: None)


def test_demo_reads_dates_draws_a_figure_each_and_checks_its_gradient(tmp_path, capsys):
    assert main(["demo", "3rd of March 2021", "2021年3月5日", "--out", str(tmp_path / "new")]) == 0
    first, second, gradient = capsys.readouterr().out.splitlines()
    assert first.startswith("2021-03-03  p = 0.99")
    assert second.startswith("2021-03-05  p = 0.99")
    pattern = r"gradient on '2021年3月5日' right by complex step, 89,614 .* dparams\.\w"
    assert re.search(pattern, gradient)
    figures = sorted((tmp_path / "new").iterdir())
    assert [path.name for path in figures] == ["1-2021-03-03.png", "2-2021-03-05.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in figures)


def test_demo_reads_its_own_dates_which_were_not_trained_on(tmp_path, capsys, reads_only):
    assert main(["demo", "--out", str(tmp_path), "--html"]) == 0
    pages = {path.stem for path in tmp_path.glob("*.html")}
    assert pages == {path.stem for path in tmp_path.glob("*.png")} and len(pages) == 3
    answers = [line[:10] for line in capsys.readouterr().out.splitlines()[:3]]
    assert answers == ["2021-11-12", "2024-09-07", "2026-07-04"]
    assert any("年" in text for text in demo.BUILT_IN)
    assert {np.datetime64(answer) for answer in answers} <= set(held_out_dates(3738))


def test_demo_marks_an_answer_that_does_not_fit_its_text(tmp_path, capsys, reads_only):
    texts = ["03/05/2021", "March 5, 3021", "February 30, 2021", "ＭＡＲ． 5, 2021", "20210305"]
    assert main(["demo", *texts, "--out", str(tmp_path)]) == 0
    *answers, learned, _ = capsys.readouterr().out.splitlines()
    marks = [re.search(r"\.png  \((.*)\)|$", line)[1] for line in answers]
    assert marks == ["it has learned no such form of that day"] * 2 + ["no such day", None, None]
    assert learned.startswith("The model has learned the years 1950 to 2049, in forms such as ")
    forms = {"March 5, 2021", "Fri 5 Mar 2021", "5th of March 2021", "2021年3月5日", "2021/3/5"}
    assert forms <= {form for form in FORMATS if form in learned}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "text is empty"),
        ("2021" * 20, "80 characters; a date has at most 38"),
        ("5 März 2021", "character 'ä' .* at position 4 .* accepted are spaces, 0123456789"),
    ],
)
def test_demo_refuses_a_text_in_one_line_and_writes_nothing(text, message, tmp_path, capsys):
    assert main(["demo", "2021-03-05", text, "--out", str(tmp_path / "new")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert re.search(message, captured.err)
    assert not (tmp_path / "new").exists()


def test_demo_refuses_a_file_as_folder(tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    assert main(["demo", "--out", str(tmp_path / "file")]) == 2
    assert "is a file; name a folder" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore:.*tqdm.*")
def test_the_same_seed_trains_the_same_file_also_when_resumed(tmp_path, monkeypatch, capsys):
    one, two, other = (tmp_path / name for name in ("one.npz", "two.npz", "other.npz"))
    train = ["train", "dates", "--steps", "20", "--seed"]
    assert main([*train, "0", "--out", str(one)]) == 0
    assert main([*train, "1", "--out", str(other)]) == 0

    calls, real = iter(range(100)), dates.loss_and_grads

    def interrupted(*arguments):
        if next(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(dates, "loss_and_grads", interrupted)
    capsys.readouterr()
    assert main([*train, "0", "--out", str(two)]) == 130
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("npattn train: stopped after step 3 of 20; saved in ")
    assert last.endswith("two.npz.checkpoint; call again with --resume to go on")
    assert not two.exists()
    monkeypatch.setattr(dates, "loss_and_grads", real)
    before = [path.read_bytes() for path in sorted(tmp_path.iterdir())]
    for changed in (["--seed", "1"], ["--steps", "30"]):
        assert main([*train, "0", *changed, "--out", str(two), "--resume"]) == 2
        message = capsys.readouterr().err
        assert "is of another run: {'seed': 0, 'steps': 20} there, {" in message
    assert [path.read_bytes() for path in sorted(tmp_path.iterdir())] == before
    assert main([*train, "0", "--out", str(two), "--resume"]) == 0
    assert one.read_bytes() == two.read_bytes() != other.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.npz", "other.npz", "two.npz"]


def test_train_does_not_write_over_a_run_that_has_not_ended(tmp_path, capsys):
    checkpoint = tmp_path / "dates.npz.checkpoint"
    checkpoint.write_bytes(b"hours of work")
    assert main(["train", "dates", "--out", str(tmp_path / "dates.npz")]) == 2
    assert "go on with --resume, or remove the file" in capsys.readouterr().err
    assert checkpoint.read_bytes() == b"hours of work"


def test_train_sees_a_folder_in_the_place_of_its_checkpoint_before_it_starts(tmp_path, capsys):
    (tmp_path / "dates.npz.checkpoint").mkdir()
    assert main(["train", "dates", "--out", str(tmp_path / "dates.npz")]) == 2
    assert "dates.npz.checkpoint is a folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "weights.txt"], "must end in .npz"),
        (["--out", "nowhere/weights.npz"], "there is no folder nowhere"),
        (["--out", "weights.npz", "--seed", "-1"], "--seed must be at least 0, got -1"),
        (["--out", "weights.npz", "--steps", "3"], "--steps must be at least 20, got 3"),
        (["--out", "weights.npz", "--resume"], "no weights.npz.checkpoint to go on from"),
    ],
)
def test_train_refuses_what_cannot_be(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "dates", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_check_prints_a_row_for_a_pair_and_ends_well(capsys):
    assert main(["check", "--only", "softmax"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^masked_softmax +120 of 120 .* dS\[batch \d, head \d, .* yes$", out, re.M)
    assert out.endswith("3 of 3 pairs right\n")


def test_check_fails_where_a_backward_is_wrong(monkeypatch, capsys):
    from npattn.kernels import linear

    def wrong(dY, cache):
        dX, dparams = right(dY, cache)
        return dX, dparams._replace(b=dparams.b * (1 + 1e-6))

    right = linear.linear_backward
    wrong.__module__ = right.__module__
    monkeypatch.setattr(linear, "linear_backward", wrong)
    assert main(["check", "relu"]) == 0
    assert "1 of 1 pairs right" in capsys.readouterr().out
    assert main(["check", "linear"]) == 1
    out = capsys.readouterr().out
    assert "0 of 1 pairs right" in out
    assert re.search(r"dparams\.b\[(out )?\d\] is ", out)


def test_check_refuses_a_seed_below_zero(capsys):
    assert main(["check", "--seed", "-1"]) == 2
    assert capsys.readouterr() == ("", "npattn check: --seed must be at least 0, got -1\n")


@pytest.mark.parametrize("arguments", [
    ["train", "dates", "--out", "folder.npz"],
    ["adapt", "--out", "folder.json"],
    ["bench", "--json", "folder.json"],
    ["crosscheck", "--json", "folder.json"],
    ["heatmap", "--weights", "w.npy", "--html", "folder.html"],
])
def test_a_folder_in_place_of_a_file_is_refused_before_any_work(
    arguments, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Path(arguments[-1]).mkdir()
    assert main(arguments) == 2
    option, name = arguments[-2:]
    message = f"npattn {arguments[0]}: {option} {name} is a folder; name a file\n"
    assert capsys.readouterr() == ("", message)


def test_what_the_system_refuses_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    assert main(["demo", "2021年3月5日", "--out", "file/folder"]) == 2
    told = "npattn demo: --out file/folder: file is a file; name a folder\n"
    assert capsys.readouterr() == ("", told)


@pytest.mark.parametrize(("error", "code", "message"), [
    (OSError("no reason"), 2, "no reason"),
    (OSError(28, "No space left on device", "file"), 2, "file: No space left on device"),
    (KeyboardInterrupt(), 130, "interrupted"),
    (KeyboardInterrupt("so far"), 130, "so far"),
    (BrokenPipeError(32, "Broken pipe"), 0, ""),
])
def test_what_ends_a_command_is_told_in_one_line(error, code, message, monkeypatch, capfd):
    def run(options):
        raise error

    monkeypatch.setattr("npattn.commands.check.run", run)
    with monkeypatch.context() as patch:  # the standard output of the tests stays open
        patch.setattr(os, "dup2", lambda *streams: None)
        assert main(["check"]) == code
    assert capfd.readouterr().err == (message and f"npattn check: {message}\n")


def test_one_pair_is_checked_by_its_name(capsys):
    assert main(["check", "attention"]) == 0
    out = capsys.readouterr().out
    assert "attention" in out and "tiled_attention" not in out


def test_a_pair_that_is_not_there_is_told_with_its_neighbours(capsys):
    assert main(["check", "atention"]) == 2
    assert "no pair is called 'atention'; near it are attention" in capsys.readouterr().err


def test_check_of_an_unknown_pair_is_refused(capsys):
    assert main(["check", "--only", "no such pair"]) == 2
    assert "no pair has 'no such pair' in its name" in capsys.readouterr().err


def test_help_lists_the_commands():
    result = subprocess.run(
        [sys.executable, "-m", "npattn", "--help"], capture_output=True, text=True, check=True
    )
    for command in COMMANDS:
        assert re.search(rf"^    {command}\s+\w", result.stdout, re.M)


@pytest.mark.parametrize("encoding", ["cp1252", "gbk", "ascii"])
def test_output_survives_any_locale(encoding, tmp_path, monkeypatch, reads_only):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    assert main(["demo", "2021年3月5日", "--out", str(tmp_path)]) == 0
    stream.flush()
    first = stream.buffer.getvalue().decode(encoding).splitlines()[0]
    assert first.startswith("2021-03-05  p = 0.99")
    assert ("2021年3月5日" in first) == (encoding == "gbk")
    assert ("→" if encoding == "gbk" else "->") in first


@pytest.mark.sampled(4)
@pytest.mark.parametrize("encoding", ["cp1252", "gbk", "ascii"])
@pytest.mark.parametrize("command", [
    "", "exercise", "exercise show softmax-backward --lang zh", "exercise hint softmax-backward",
    "check softmax", "exercise check wrong.py", "figures --list", "gpt break --list",
])
def test_every_kind_of_output_can_be_written_in_any_encoding(
    encoding, command, tmp_path, monkeypatch
):
    (tmp_path / "wrong.py").write_text("def softmax_backward(dP, P):\n    return dP\n")
    monkeypatch.chdir(tmp_path)
    written = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", written)
    assert main(command.split()) in (0, 1)
    written.flush()
    assert len(written.buffer.getvalue().decode(encoding)) > 100


def test_help_and_errors_survive_ascii(tmp_path):
    env = {**os.environ, "PYTHONIOENCODING": "ascii:strict"}
    for arguments, code in ((["demo", "--help"], 0), (["exercise", "hint", "softmax-∂"], 2),
                            (["exercise"], 0)):
        result = subprocess.run(
            [sys.executable, "-m", "npattn", *arguments], capture_output=True, env=env,
            cwd=tmp_path,
        )
        assert result.returncode == code, result.stderr
        assert b"Traceback" not in result.stderr


def test_npattn_alone_greets_with_three_things_to_try(capsys):
    assert main([]) == 0
    out = capsys.readouterr().out
    commands = re.findall(r"^    npattn (\w+)", out, re.M)
    assert len(commands) == 3 and set(commands) <= set(COMMANDS)
