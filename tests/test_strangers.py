"""A stranger's file cannot write its verdict, and ends with all that it started."""

import subprocess
import sys
import time

import pytest

from npattn.exercises.sandbox import grade_file
from npattn.exercises.submissions import exercises_of

RIGHT = "def softmax_backward(dP, P):\n    return P * (dP - (dP * P).sum(-1, keepdims=True))\n"
NAME = "softmax-backward"


def grade(folder, text, **options):
    path = folder / "a.py"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return grade_file(path, NAME, **options)


@pytest.mark.parametrize("line", [
    "from npattn import softmax_backward",
    "from npattn.exercises.tasks.softmax_backward import softmax_backward",
    "try:\n    import npattn.kernels.softmax\nexcept ImportError:\n    pass\n" + RIGHT,
    "def softmax_backward(dP, P):\n    import npattn\n    return npattn.softmax_backward(dP, P)",
])
def test_an_answer_that_imports_the_package_is_refused_with_that_reason(line, tmp_path):
    verdict = grade(tmp_path, line)
    assert not verdict.ok and "it imports npattn" in verdict.trouble


@pytest.mark.parametrize("text", [
    "import os\nfor fd in range(3, 9):\n    try:\n        os.write(fd, b'x' * 64)\n"
    "    except OSError:\n        pass\nos._exit(0)\n",
    "class R:\n    def __array__(self, *_, **__):\n        return self\n    ok = True\n"
    "    __eq__ = lambda *_: True\nsoftmax_backward = lambda dP, P: R()\n",
    "import numpy as np\nsoftmax_backward = lambda dP, P: np.array([[print]], dtype=object)\n",
    "import sys\nsys.modules['numpy'].lib.format.write_array = lambda f, X, **_: f.write(b'{}')\n"
    + RIGHT,
])
def test_a_verdict_cannot_be_forged(text, tmp_path):
    assert not grade(tmp_path, text).ok


def test_children_of_a_file_end_at_the_limit(tmp_path):
    mark = tmp_path / "mark"
    began = time.monotonic()
    verdict = grade(tmp_path, (
        "import subprocess, sys\n"
        f"late = \"import time; time.sleep(2.5); open({str(mark)!r}, 'w')\"\n"
        "subprocess.Popen([sys.executable, '-c', late])\nwhile True:\n    pass\n"), limit=0.5)
    assert "still running after 0.5 s" in verdict.trouble and time.monotonic() - began < 2.4
    time.sleep(max(0.0, began + 3.2 - time.monotonic()))
    assert not mark.exists()


def test_memory_and_output_are_limited(tmp_path):
    verdict = grade(tmp_path, "import numpy as np\nX = np.ones((1 << 32,))\n" + RIGHT)
    assert "MemoryError" in verdict.trouble
    shown = []
    assert grade(tmp_path, "print('x' * 10_000_000)\n" + RIGHT, echo=shown.append).ok
    assert len(shown[0]) < 5000 and "more bytes" in shown[0]


def test_files_that_are_no_utf8_are_told_what_to_do(tmp_path):
    assert "UTF-16; save it as UTF-8" in grade(tmp_path, RIGHT.encode("utf-16")).trouble
    assert "save it as UTF-8" in grade(tmp_path, b"a\0b").trouble
    assert grade(tmp_path, b"\xef\xbb\xbf" + RIGHT.encode()).ok


def test_the_file_itself_tells_its_exercise(tmp_path):
    path = tmp_path / "2023_name(1).py"
    path.write_text('r"""softmax-jacobian: anything\n"""\n' + RIGHT)
    assert exercises_of(path) == ["softmax-jacobian"]
    path.write_text("def softmax(S):\n    return S\n\n\n" + RIGHT)
    assert exercises_of(path) == [NAME]
    path.write_text("x = 1\n")
    assert exercises_of(path) == []


def test_a_check_works_without_docstrings(tmp_path):
    (tmp_path / "a.py").write_text(RIGHT)
    run = subprocess.run([sys.executable, "-OO", "-m", "npattn", "exercise", "check", "a.py"],
                         cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0 and not run.stderr, run.stderr


@pytest.mark.thorough
def test_a_verdict_outlives_its_reader_and_a_broken_progress_file(tmp_path):
    (tmp_path / "softmax_backward.py").write_text(RIGHT.replace("dP - (", "dP + ("))
    check = f"{sys.executable} -m npattn exercise check softmax_backward.py"
    run = subprocess.run(["bash", "-c", f"set -o pipefail; {check} | true"], cwd=tmp_path)
    assert run.returncode == 1
    (tmp_path / "npattn-exercises.json").write_text("{")
    (tmp_path / "softmax_backward.py").write_text(RIGHT)
    run = subprocess.run(check.split(), cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0 and "The progress is not kept" in run.stdout
    assert (tmp_path / "npattn-exercises.json").read_text() == "{"
