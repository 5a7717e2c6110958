"""A catalogue of bad command lines: each ends with code 2 and one line that names the argument.

No traceback, no warning, nothing printed, and the folder holds what it held before.
"""

import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from npattn.cli import main

JUNK = bytes(range(256)) * 4
LONG = "x" * 300

# what takes a whole number; {} is its place. The first word of the option's name must be told
WHOLE = [
    "check softmax --seed {}", "gpt --seed {}", "gpt --steps {}", "exercise check file --seed {}",
    "train dates --out x.npz --seed {}", "train dates --out x.npz --steps {}",
    "crosscheck --seed {}", "adapt --out x.json --seeds {}", "doctor few.py:x --heads {}",
    "llm hi --tokens {}", "llm hi --seed {}", "llm hi --top-k {}",
    "exercise grade folder --jobs {}", "explore --gpt emma --block {}",
    "explore --gpt emma --head {}", "explore --gpt emma --steps {}",
    "heatmap --weights w.npy --head {}", "heatmap --weights w.npy --layer {}",
]
NO_WHOLE = ["-1", "1.5", "nan", "two", "''"]
# what takes a number, and what no such number may be
NUMBERS = [
    ("llm hi --temperature {}", ["-1", "nan", "inf", "hot", "''"]),
    ("llm hi --top-p {}", ["-1", "0", "1.5", "nan", "all"]),
    ("heatmap --weights w.npy --vmax {}", ["-1", "0", "nan", "inf", "dark"]),
    ("explore --scale {}", ["nan", "inf", "1e30", "big"]),
    ("doctor few.py:x --limit {}", ["-1", "0", "nan", "1e30", "long"]),
]
# what writes, and how its files end
WRITERS = [
    ("heatmap --weights w.npy --out {}", ".png"), ("heatmap --weights w.npy --html {}", ".html"),
    ("explore --out {}", ".html"), ("train dates --steps 20 --out {}", ".npz"),
    ("gpt break dWo-scaled --out {}", ".py"), ("gpt curves --out {}", ".json"),
    ("adapt --out {}", ".json"), ("bench --json {}", ".json"), ("crosscheck --json {}", ".json"),
    ("llm hi --out {}", ".png"), ("llm hi --html {}", ".html"), ("embed hi --html {}", ".html"),
    ("exercise grade folder --csv {}", ".csv"), ("exercise grade folder --html {}", ".html"),
    ("exercise grade folder --gradescope {}", ".json"),
]
NO_TARGETS = ["folder{0}", "nowhere/x{0}", "file/x{0}", "''", LONG + "{0}", "/proc/x{0}"]
OTHERS = [
    # commands and options that are not there, and what is missing
    ("nothing", "COMMAND.*'nothing'"), ("--nothing", "--nothing"), ("gpt nothing", "ACTION"),
    ("exercise nothing", "ACTION"), ("train nothing --out x.npz", "experiment"),
    ("train dates", "--out"), ("adapt", "--out"), ("gpt curves", "--out"), ("heatmap", "--weights"),
    ("llm", "TEXT"), ("embed", "TEXT"), ("exercise show", "NAME"), ("exercise check", "FILE"),
    ("adapt --out x.json --seeds", "--seeds"), ("adapt --out x.json --seeds 1 1", "--seeds"),
    ("check nothing", "NAME"), ("check ''", "NAME"), ("check --only nothing", "--only"),
    ("bench --only nothing", "--only"), ("crosscheck --device tpu", "--device"),
    ("crosscheck --dtype float8", "--dtype"), ("exercise list --lang xx", "--lang"),
    ("explore --lang fr", "--lang"), ("explore --call nothing", "--call"),
    ("heatmap --weights w.npy --mean nothing", "--mean"),
    # suffixes
    ("heatmap --weights w.npy --out x.txt", "--out x.txt must end in .png"),
    ("heatmap --weights w.npy --html x.txt", "--html x.txt must end in .html"),
    ("explore --out x.txt", "--out x.txt must end in"), ("bench --json x.txt", "--json x.txt"),
    ("train dates --out x.txt", "--out x.txt must end in .npz"),
    ("train lora --out x.npz", "--out x.npz must end in .safetensors|weights|pip install"),
    ("gpt break dWo-scaled --out x.txt", "--out x.txt"), ("gpt curves --out x.txt", "--out x.txt"),
    ("adapt --out x.txt", "--out x.txt"), ("llm hi --out x.txt", "--out x.txt"),
    ("embed hi --out x.txt", "--out x.txt"),
    # texts
    ("demo ''", "text is empty"), (f"demo {LONG}", "300 characters"), ("demo März", "'ä'"),
    ("demo 2021-03-05 --out file", "--out file"), ("demo 2021-03-05 --out file/x", "--out file/x"),
    ("demo 2021-03-05 --out /dev/full", "--out /dev/full"),
    ("figures nothing", "'nothing'"), ("figures --out file", "--out file"),
    ("llm ''", "TEXT"), ("llm hi --lora no.safetensors", "--lora no.safetensors"),
    ("llm hi --lora folder.npz", "--lora folder.npz"),
    ("explore --gpt ''", "--gpt"), ("explore --gpt Ä", "--gpt"), (f"explore --gpt {LONG}", "--gpt"),
    ("explore --gpt emma --head 9", "--head"), ("explore --gpt emma --block 9", "--block"),
    ("explore --gpt emma --arrays few.npz", "--arrays"), ("explore --head 1", "--head"),
    ("explore --gpt emma --call softmax", "--call"), ("explore --block 1", "--block"),
    ("explore --queries ''", "queries"), ("explore --queries 'a b c d e'", "queries"),
    ("explore --keys 'a b'", "keys"), ("explore --call layer_norm --keys a", "--keys"),
    ("explore --call softmax --scale 1", "--scale"),
    # files to read
    *[(f"heatmap --weights {file}", f"--weights|{file}") for file in (
        "no.npy", "folder.npz", "empty.npy", "junk.npy", "nan.npy", "inf.npy", "text.npy",
        "zero.npy", "five.npy", "one.npy", "scalar.npy", "object.npy", "complex.npy", "empty.npz",
        "nothing.npz", "two.npz", "junk.npz", "junk.zip", "''", LONG)],
    *[(f"heatmap --weights w.npy --mask {file}", f"--mask|{file}") for file in (
        "no.npy", "folder.npz", "empty.npy", "junk.npy", "w.npy", "mask5.npy", "text.npy",
        "two.npz", "''")],
    ("heatmap --weights two.npz --array c", "--array c"),
    ("heatmap --weights two.npz --array ''", "--array"),
    ("heatmap --weights w.npy --array a", "--array a"),
    *[(f"heatmap --weights w.npy --{name} {text}", name) for name in ("queries", "keys")
      for text in ("one", "''", "'a b c d e f g'")],
    *[(f"heatmap --weights w.npy --queries {text}", re.escape(text[1:]) + "|queries") for text in (
        "@nowhere", "@folder", "@junk.zip", "@file", "'[1,'", "@deep.json")],
    ("heatmap --weights w.npy --head-names one", "--head-names"),
    ("heatmap --weights w.npy --layer-names 'a b'", "--layer-names"),
    *[(f"explore --arrays {file}", f"--arrays|{file}") for file in (
        "no.npz", "folder.npz", "empty.npz", "junk.npz", "few.npz", "nothing.npz", "w.npy", "''",
        LONG)],
    ("explore --arrays widths.npz", r"\bK\b"), ("explore --arrays nan.npz", r"\bQ\b"),
    ("explore --arrays letters.npz", r"\bQ\b"),
    *[(f"{command} hi --weights {file}", "." if file == "''" else file)
      for command in ("llm", "embed")
      for file in ("no.gguf", "folder", "empty.txt", "junk.zip", "file", "''", LONG)],
    # exercises, the GPT, the doctor
    *[(f"exercise {action} nothing", "'?nothing") for action in (
        "list", "show", "start", "hint", "solution", "notebook", "watch", "check", "grade")],
    *[(f"exercise {action} ''", "''") for action in (
        "show", "start", "hint", "solution", "notebook")],
    ("exercise solution softmax-backward", "softmax-backward"), ("exercise check few.py", "few"),
    ("exercise check folder.py", "folder.py"), ("exercise check empty.py", "empty"),
    ("exercise watch file", "file"), ("exercise grade junk.zip", "junk.zip"),
    ("exercise grade folder --student '('", "--student"),
    ("gpt check no.py", "no.py"), ("gpt check folder.py", "folder.py"),
    ("gpt break nothing", "'nothing'"), ("gpt break dWo-scaled --out few.py", "few.py is there"),
    *[(f"doctor {subject}", "name a file|nothing") for subject in (
        "''", "f", "nothing.py", ":x", "few.py:")],
    ("doctor no.py:f", "no.py"), ("doctor folder.py:f", "folder.py"), ("doctor a:b:c", "a:b"),
    ("doctor empty.py:f", r"\bf\b"), ("doctor junk.py:f", "no Python"), ("doctor", "name a file"),
    ("doctor few.py", "few.py holds"),
    ("doctor nested.py:f", "nested too deeply"), ("doctor nested.py", "name a file"),
    # texts that are none, and names with line breaks, which stay on one line
    *[(f"{command} {option} \udc80", f"{option}.*no text in UTF-8")
      for command in ("heatmap --weights w.npy", "explore")
      for option in ("--title", "--queries", "--keys")],
    ("heatmap --weights 'w\n.npy'", r"w\\n\.npy"), ("doctor 'a\nb'", r"a\\nb"),
    ("train dates --out '\x1b[1m/x.npz'", r"\\x1b\[1m"),
    ("doctor broken.py:f", "line 1"), ("doctor quit.py:f", "SystemExit"), ("doctor few.py:x", "x"),
    *[(f"doctor few.py:x --{option} nonsense", f"{option}=nonsense")
      for option in ("mask", "layout", "causal", "heads")],
    ("train dates --out x.npz --resume", "--resume"),
]


def catalogue():
    """(command line, what its error must hold)."""
    for line in WHOLE:
        for value in NO_WHOLE:
            yield line.format(value), line.split()[-2].lstrip("-")
    for line, values in NUMBERS:
        for value in values:
            yield line.format(value), line.split()[-2].lstrip("-")
    for line, suffix in WRITERS:
        for target in NO_TARGETS:
            yield line.format(target.format(suffix)), line.split()[-2]
    yield from OTHERS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with files that are empty, damaged, of another kind, or folders."""
    place = tmp_path_factory.mktemp("bad")
    W, eye = np.full((2, 3, 4), 0.25), np.eye(2)
    for name, array in {
        "w": W, "nan": W * np.nan, "inf": W + np.inf, "text": np.array(["a"]), "zero": W[:, :0],
        "five": np.zeros((2, 2, 2, 3, 4)), "one": np.ones(3), "scalar": np.float64(1),
        "complex": W + 1j,
        "object": np.array([{}], object), "mask5": np.ones((3, 5), bool),
    }.items():
        np.save(place / f"{name}.npy", array, allow_pickle=True)
    for name, arrays in {
        "two": {"a": W, "b": W}, "few": {"Q": eye},
        "widths": {"Q": eye, "K": np.ones((2, 3)), "V": eye, "dO": eye},
        "nan": {"Q": eye * np.nan, "K": eye, "V": eye, "dO": eye},
        "letters": {"Q": np.array("a"), "K": eye, "V": eye, "dO": eye},
    }.items():
        np.savez(place / f"{name}.npz", **arrays)
    zipfile.ZipFile(place / "nothing.npz", "w").close()
    for suffix in ("npy", "npz", "py", "txt"):
        (place / f"empty.{suffix}").touch()
    for suffix in ("npy", "npz", "py", "zip"):
        (place / f"junk.{suffix}").write_bytes(JUNK)
    for name in ("folder", *{f"folder{suffix}" for _, suffix in WRITERS}):
        (place / name).mkdir()
    (place / "file").write_text("mine")
    (place / "nested.py").write_text("x = " + "-" * 50_000 + "1\n")
    (place / "deep.json").write_text("[" * 100_000)
    (place / "few.py").write_text("x = 1\n")
    (place / "broken.py").write_text("def f(:\n")
    (place / "quit.py").write_text("import sys; sys.exit(3)\n")
    return place


def content(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.sampled(4)
@pytest.mark.parametrize(("line", "words"), [*catalogue()], ids=lambda text: text[:60])
def test_a_bad_command_line_is_told_in_one_line(line, words, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    before = content(folder)
    try:
        code = main(shlex.split(line))
    except SystemExit as exit:  # of argparse
        code = exit.code
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert re.fullmatch(r"npattn[ \w]*: .+\n", err), err
    assert re.search(words, err), err
    assert content(folder) == before


@pytest.mark.parametrize("words", ["gpt check", "exercise check"])
def test_expressions_that_are_nested_too_deeply_are_told_of(words, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    (folder / "softmax.py").write_text((folder / "nested.py").read_text())
    try:
        assert main([*words.split(), "softmax.py"]) == 1
    finally:
        (folder / "softmax.py").unlink()
        (folder / "npattn-exercises.json").unlink(missing_ok=True)
    assert re.search("nested too deeply|too complex|MemoryError", capsys.readouterr().out)


def test_the_catalogue_is_long_and_knows_every_command():
    from npattn.cli import COMMANDS

    lines = [line for line, _ in catalogue()]
    assert len(lines) == len(set(lines)) >= 300
    assert {line.split()[0] for line in lines} >= set(COMMANDS)


@pytest.mark.sampled(3)
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
@pytest.mark.parametrize(("shell", "code", "words"), [
    ("{} > /dev/full", 2, "npattn: .*No space left"),
    ("{} check nothing 2> /dev/full", 2, ""),
    ("{} check nothing 2>&-", 2, ""),
    ("{} >&-", 0, ""),
    ("{} | true", 0, ""),
    ("PYTHONWARNINGS=error {} exercise list", 0, ""),
    ("unset HOME; {} exercise list", 0, ""),
    *[(f"NPATTN_THREADS={count} {{}} check tiled_attention", 2,
       f"^npattn check: NPATTN_THREADS must be a positive integer, got '{count}'; unset it")
      for count in ("0", "-3", "x", "")],
    ("MPLBACKEND=nonsense {} demo 2021-03-05 --out demo", 0, ""),
])
def test_streams_and_variables_that_are_spoilt_give_no_traceback(shell, code, words, tmp_path):
    found = subprocess.run(
        ["bash", "-o", "pipefail", "-c", shell.format(f"{sys.executable} -m npattn")],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
    )
    assert found.returncode == code, found.stderr
    assert "Traceback" not in found.stderr and "Exception ignored" not in found.stderr
    assert re.search(words, found.stderr)
