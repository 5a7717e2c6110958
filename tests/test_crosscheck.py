"""The cross-check finds nothing where all is right, and names every fault that is planted."""

import functools
import importlib
import inspect
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from npattn.cli import main
from npattn.trees import tree_leaves, tree_unflatten
from npattn.models.config import BlockOptions
from npattn.verification import backends, crosscheck, option_systems, tables, witness
from npattn.verification.case import Case
from npattn.verification.comparison import PRECISIONS, Measured, compare
from npattn.verification.devices import (
    Unavailable,
    describe_device,
    milliseconds,
    require_device,
    without_tf32,
)
from npattn.verification.kernels_in_torch import IN_TORCH
from npattn.verification.option_systems import OPTION_SYSTEMS
from npattn.verification.pairs import find_pairs
from npattn.verification.system import leaves
from npattn.verification.systems import SYSTEMS

torch = pytest.importorskip("torch", reason="torch is not installed")

KERNELS = {
    name: pair for name, pair in find_pairs().items() if pair.module.startswith("npattn.kernels.")
}
DOUBLE = PRECISIONS["float64"]
cuda = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device"),
]


def _name(system):
    return system.name


def _is_second_case(name):
    """Whether it is a kernel with other arguments, "rotary in halves"."""
    return name not in KERNELS and name.split()[0] in KERNELS


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# ---- the table is whole ----


def test_every_kernel_has_a_torch_formulation_and_every_formulation_a_kernel():
    assert IN_TORCH.keys() == KERNELS.keys()


@pytest.mark.parametrize("table", ["IN_TORCH", "CASES"])
def test_a_kernel_that_is_in_no_table_is_a_miss(monkeypatch, table):
    rest = {name: value for name, value in getattr(witness, table).items() if name != "relu"}
    monkeypatch.setattr(witness, table, rest)
    [row] = crosscheck.crosscheck(only="relu")
    assert not row.ok and "npattn.kernels.activations has no" in row.fault


# ---- what is right passes, on each device and in each precision ----


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=cuda)])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
def test_all_kernels_and_systems_agree_with_torch(device, dtype, tolerance):
    rows = crosscheck.crosscheck(device, dtype, seed=3)
    kernels = [*KERNELS, *(name for name in witness.CASES if _is_second_case(name))]
    systems = [system.name for system in (*SYSTEMS, *OPTION_SYSTEMS)]
    assert [row.name for row in rows] == [*kernels, *systems]
    assert all(row.ok for row in rows), tables.format_rows(rows)
    steady = [row for row in rows if "rounding of the arguments" not in row.why]
    assert max(row.error for row in steady) <= tolerance and len(rows) - len(steady) <= 2
    assert min(row.entries for row in rows) > 40


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=cuda)])
def test_every_back_end_is_shown_in_every_precision(device, monkeypatch):
    if device == "cpu":
        monkeypatch.setitem(backends.SHAPES, "cpu", (2, 3, 8, 10, 16))
    rows = backends.attention_backends(device, seed=3)
    assert {(row.backend, row.precision) for row in rows} == {
        (name, precision) for name in backends.BACKENDS for precision in PRECISIONS
    }
    assert all(row.ok for row in rows), tables.format_backends(rows)
    for row in rows:
        if row.backend == "math":
            assert row.found.entries == sum(map(np.size, _example(device)))
            assert row.milliseconds > 0 and row.dead_rows == "zeros / zeros"
        if row.found is None:
            assert row.reason and row.milliseconds is None
            line = tables.format_backends([row]).splitlines()[-2]
            assert line.split()[-5:] == 5 * ["–"]
    text = tables.format_backends(rows)
    if device == "cpu":
        assert "cuDNN      float64    not available" in text
        assert "cuDNN, float64, float32, float16, bfloat16: No viable backend" in text


def _example(device):
    B, H, Tq, Tk, D = backends.SHAPES[device]
    return [np.zeros((B, H, T, D), bool) for T in (Tq, Tq, Tk, Tk)]


def _follows_its_arguments(Y, arguments):
    inputs = [tensor for tensor in tree_leaves(arguments) if torch.is_tensor(tensor)]
    inputs = [tensor for tensor in inputs if tensor.requires_grad]
    outputs = tree_leaves(Y)
    gradients = torch.autograd.grad(outputs, inputs, [Y.new_ones(Y.shape) for Y in outputs])
    return {tensor.device.type for tensor in (*outputs, *gradients)} == {"meta"}


@pytest.mark.parametrize("name", KERNELS)
def test_a_formulation_stays_on_the_device_of_its_arguments(name):
    """On torch's meta device, which computes shapes only and, like CUDA, mixes with no other."""
    case = witness.CASES[name](np.random.default_rng(0))
    tensors = tuple(witness._to_torch(arg, "meta", DOUBLE) for arg in case.args)
    options = {key: witness._to_torch(X, "meta", DOUBLE) for key, X in case.options.items()}
    assert _follows_its_arguments(IN_TORCH[name](torch, *tensors, **options), tensors)


@pytest.mark.parametrize("system", (*SYSTEMS, *OPTION_SYSTEMS), ids=_name)
def test_a_systems_formulation_stays_on_the_device_of_its_arguments(system):
    built = leaves(system.build(np.random.default_rng(0), np.float64))
    tensors = {path: witness._to_torch(X, "meta", DOUBLE) for path, X in built.items()}
    assert _follows_its_arguments(system.torch_run(torch, tensors), tuple(tensors.values()))


# ---- what is wrong is named ----


def _plant(monkeypatch, module, name, slip=1e-6):
    """One entry of one gradient of module.name off by a part in a million. Returns its index."""
    backward, places = getattr(module, name), []

    @functools.wraps(backward)
    def faulty(*args, **options):
        gradients = backward(*args, **options)
        leaves = [np.array(leaf) for leaf in tree_leaves(gradients)]
        victim = max(leaves, key=lambda leaf: np.abs(leaf).max())
        places.append(int(np.abs(victim).argmax()))
        victim.flat[places[-1]] *= 1.0 + slip
        return tree_unflatten(gradients, leaves)

    monkeypatch.setattr(module, name, faulty)
    return places


@pytest.mark.parametrize("name", KERNELS)
def test_a_fault_in_any_backward_is_caught_and_named(monkeypatch, capsys, name):
    pair = KERNELS[name]
    module = importlib.import_module(pair.module)
    _plant(monkeypatch, module, pair.backward.__name__)
    assert main(["crosscheck", "--only", name, "--seed", "4"]) == 1
    printed = capsys.readouterr().out
    [line] = [line for line in printed.splitlines() if line.startswith(f"MISSED  {name}: ")]
    assert line.startswith(f"MISSED  {name}: d") and "should be" in line


def test_every_option_of_a_block_is_cross_checked():
    """All but those that say how, and not what, is computed."""
    written = inspect.getsource(option_systems)
    assert {name for name in BlockOptions.__dataclass_fields__ if f"{name}=" not in written} \
        <= {"kernel", "dropout"}


@pytest.mark.parametrize(
    "system", [s for s in (*SYSTEMS, *OPTION_SYSTEMS) if "time series" not in s.name], ids=_name
)
def test_a_fault_in_the_backward_of_any_system_is_caught(monkeypatch, system):
    @functools.wraps(system.backward)
    def faulty(dY, cache):
        gradients = system.backward(dY, cache)
        leaves = [np.array(leaf) for leaf in tree_leaves(gradients)]
        leaves[0].flat[np.abs(leaves[0]).argmax()] *= 1.0 + 1e-6
        return tree_unflatten(gradients, leaves)

    row = witness.check_system(
        system._replace(backward=faulty), seed=4, device="cpu", precision=DOUBLE
    )
    assert not row.ok and row.fault.startswith("d") and row.error == pytest.approx(1e-6, rel=1e-3)


def test_a_fault_in_a_forward_is_caught(monkeypatch):
    pair = KERNELS["relu"]._replace(forward=lambda X: np.where(X > 0, X, 1e-6 * X))
    row = witness.check_kernel(pair, seed=4, device="cpu", precision=DOUBLE)
    assert not row.ok and row.fault.startswith("Y[")


def test_a_gradient_of_the_wrong_form_is_a_miss():
    pair = KERNELS["linear"]._replace(backward=lambda dY, cache: dY)
    row = witness.check_kernel(pair, seed=4, device="cpu", precision=DOUBLE)
    assert not row.ok and "instead of 2: dX, dparams" in row.fault


def test_what_torch_cannot_compute_is_a_miss_and_the_rest_goes_on(monkeypatch):
    def refuse(torch, X):
        raise RuntimeError("not implemented for 'Double'")

    monkeypatch.setitem(IN_TORCH, "gelu", refuse)
    wrong, *others = crosscheck.crosscheck(only="gelu")
    assert not wrong.ok and all(other.ok for other in others)
    assert wrong.fault == "RuntimeError: not implemented for 'Double'"


def test_a_back_end_that_errs_or_a_missing_formula_is_a_miss(monkeypatch):
    monkeypatch.setitem(backends.SHAPES, "cpu", (1, 1, 5, 6, 8))
    computed = backends._in_torch
    monkeypatch.setattr(backends, "PRECISIONS", {"float64": DOUBLE})
    monkeypatch.setattr(
        backends, "_in_torch",
        lambda *args: tuple(tensor * (1.0 + 1e-6) for tensor in computed(*args)),
    )
    rows = {row.backend: row for row in backends.attention_backends()}
    assert not rows["math"].ok and "should be" in rows["math"].fault
    assert "MISSED  math, float64: " in tables.format_backends([rows["math"]])

    def refuse(*args):
        raise RuntimeError("No available kernel. Aborting execution.")

    monkeypatch.setattr(backends, "_in_torch", refuse)
    rows = {row.backend: row for row in backends.attention_backends()}
    assert rows["cuDNN"].ok and not rows["math"].ok
    assert rows["math"].fault == "No available kernel"


@pytest.mark.parametrize(
    ("value", "words"), [(0.0, "zeros / zeros"), (np.nan, "NaN / NaN"), (1.0, "other numbers / ")]
)
def test_dead_rows_are_described(monkeypatch, value, words):
    tensors = tuple(torch.full((1, 1, 5, 4), value, dtype=torch.float64) for _ in range(4))
    monkeypatch.setattr(backends, "_in_torch", lambda inputs, mask: tensors)
    assert backends._dead_rows("math", "cpu", tensors)[0].startswith(words)
    spoilt = (*(0.0 * tensors[i].nan_to_num() for i in range(3)), tensors[3] * np.nan)
    monkeypatch.setattr(backends, "_in_torch", lambda inputs, mask: spoilt)
    assert backends._dead_rows("math", "cpu", tensors)[0] == "zeros / NaN in dK or dV"


def test_torchs_reason_is_what_it_says_of_the_back_end_that_was_asked():
    warned = [
        "Memory efficient kernel not used because: (Triggered internally at sdp.cpp:1.)",
        "Memory Efficient attention has been runtime disabled. (Triggered internally at b.cpp:2.)",
        "Flash attention kernel not used because: (Triggered internally at sdp.cpp:3.)",
        "Expected query, key and value to be Half or BFloat16. (Triggered internally at c.h:4.)",
    ]
    error = RuntimeError("No available kernel. Aborting execution.")
    reason = "Expected query, key and value to be Half or BFloat16."
    assert backends._reason(error, warned) == reason
    assert backends._reason(error, []) == "No available kernel"


# ---- comparing ----


def _row(here, there, **options):
    arrays = [Measured(*item) for item in zip(["Y", "dX", "db"], here, there, strict=False)]
    return compare("pair", arrays, DOUBLE, **options)


def test_the_worst_entry_is_named_with_its_axes():
    here, there = np.ones((2, 3)), np.ones((2, 3))
    there[1, 2] += 1e-9
    row = compare("pair", [Measured("dX", here, there, ("row", "column"))], DOUBLE)
    assert row.where == "dX[row 1, column 2]" and row.error == pytest.approx(1e-9, rel=1e-6)
    assert row.fault == "dX[row 1, column 2] is 1, should be 1.000000001: off by -1e-09, says torch"
    assert (row.entries, row.tolerance, row.why) == (6, 1e-12, "9007 roundings of 1.1e-16")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_a_number_is_infinitely_far_unless_both_sides_are_infinite(bad):
    assert _row([np.ones(2)], [np.array([1.0, bad])]).error == np.inf
    assert _row([np.array([1.0, bad])], [np.ones(2)]).error == np.inf
    assert _row([np.array([1.0, -np.inf])], [np.array([1.0, -np.inf])]).ok


def test_dust_is_measured_beside_the_other_gradients_and_outputs_by_themselves():
    ones = np.ones(3)
    assert _row([ones, ones, 1e-17 * ones], [ones, ones, -1e-17 * ones]).ok
    assert not _row([ones, ones, 1e-6 * ones], [ones, ones, 1e-6 * ones + 1e-17]).ok
    assert not _row([1e-17 * ones, ones], [-1e-17 * ones, ones]).ok
    assert _row([ones, np.zeros((0, 3))], [ones, np.zeros((0, 3))]).ok


def test_shapes_that_differ_are_an_error():
    with pytest.raises(ValueError, match=r"Y is \(2,\) in npattn and \(3,\) in torch"):
        _row([np.ones(2)], [np.ones(3)])


def test_the_tolerance_grows_with_what_one_rounding_changes_but_not_for_ever():
    here, there = [np.ones(1)], [np.ones(1) + 5e-12]
    assert not _row(here, there).ok
    row = _row(here, there, one_rounding=4e-13)
    assert row.ok and row.tolerance == pytest.approx(8e-12)
    assert row.why == "20 times what one rounding of the arguments changes"
    assert _row(here, there, one_rounding=1.0).tolerance == pytest.approx(1e-11)


def test_a_sharp_softmax_in_single_precision_gets_that_tolerance(monkeypatch):
    def sharp(rng):
        return Case((20.0 * rng.standard_normal((3, 4)),))

    monkeypatch.setitem(witness.CASES, "softmax", sharp)
    single = PRECISIONS["float32"]._replace(tolerance=1e-30)
    row = witness.check_kernel(KERNELS["softmax"], seed=0, device="cpu", precision=single)
    assert row.why.startswith("20 times what one rounding")


# ---- devices ----


class FakeEvent:
    """torch.cuda.Event with a clock that advances 1, 2, 3, ... ms from run to run."""

    clock, log = 0, []

    def __init__(self, enable_timing):
        assert enable_timing

    def record(self):
        self.time = FakeEvent.clock
        FakeEvent.log.append("record")

    def synchronize(self):
        FakeEvent.log.append("wait")

    def elapsed_time(self, stop):
        assert FakeEvent.log[-1] == "wait"  # before that, the time is not known
        return stop.time - self.time


def test_cuda_time_is_taken_by_events_after_a_warm_up():
    def run(value):
        FakeEvent.clock += value
        FakeEvent.log.append("run")

    fake = SimpleNamespace(cuda=SimpleNamespace(Event=FakeEvent))
    assert milliseconds(fake, "cuda", run, [1000, 500, 3, 1, 2], warm_up=2) == 2
    assert FakeEvent.log == ["record", "run", "record", "wait"] * 5


def test_a_device_is_described():
    cuda = SimpleNamespace(get_device_name=lambda: "Some GPU")
    fake = SimpleNamespace(cuda=cuda, version=SimpleNamespace(cuda="13.0"))
    assert describe_device(fake, "cuda") == "Some GPU (CUDA 13.0)"
    assert describe_device(torch, "cpu") == "CPU (1 threads)"


def test_cpu_time_is_taken_by_the_clock():
    assert 0.0 <= milliseconds(torch, "cpu", lambda value: None, range(5)) < 1000.0


@pytest.mark.skipif(
    not hasattr(torch.backends.cuda.matmul, "fp32_precision"), reason="torch is before 2.9"
)
def test_tf32_is_off_meanwhile_and_restored():
    owner = torch.backends.cuda.matmul
    before = owner.fp32_precision
    owner.fp32_precision = "tf32"
    try:
        with pytest.raises(ZeroDivisionError), without_tf32(torch) as words:
            assert owner.fp32_precision == "ieee" and words == "off (found allowed)"
            raise ZeroDivisionError
        assert owner.fp32_precision == "tf32"
    finally:
        owner.fp32_precision = before


def test_tf32_is_off_in_an_older_torch_too():
    matmul, cudnn = SimpleNamespace(allow_tf32=False), SimpleNamespace(allow_tf32=False)
    old = SimpleNamespace(
        backends=SimpleNamespace(cuda=SimpleNamespace(matmul=matmul), cudnn=cudnn)
    )
    with without_tf32(old) as words:
        assert words == "off (found off)"
    cudnn.allow_tf32 = True
    with without_tf32(old) as words:
        assert words == "off (found allowed)" and cudnn.allow_tf32 is False
    assert cudnn.allow_tf32 is True and matmul.allow_tf32 is False


def test_devices_that_are_not_there_are_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(Unavailable, match="finds no CUDA device"):
        require_device(torch, "cuda")
    with pytest.raises(Unavailable, match='must be "cpu" or "cuda", got \'tpu\''):
        crosscheck.crosscheck("tpu")
    with pytest.raises(ValueError, match="float64, float32, got 'bfloat16'"):
        crosscheck.crosscheck(dtype="bfloat16")


# ---- the command ----


def test_the_command_prints_its_tables_and_writes_them(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(backends.SHAPES, "cpu", (1, 1, 5, 6, 8))
    monkeypatch.setattr(backends, "NAME", "relu and others")
    file = tmp_path / "table.json"
    options = ["--json", str(file), "--dtype", "float32", "--seed", "9"]
    assert main(["crosscheck", "--only", "relu", *options]) == 0
    printed = capsys.readouterr().out
    written = json.loads(file.read_text(encoding="utf-8"))
    assert f"--seed {written['seed']}" in printed and "TF32 off" in printed
    assert "1 of 1 agree" in printed and "back end" in printed
    assert written["dtype"] == "float32" and written["tf32"].startswith("off")
    assert [row["name"] for row in written["rows"]] == ["relu"] and written["rows"][0]["ok"]
    assert len(written["backends"]) == 16
    assert written["backends"][0]["found"]["tolerance"] == 1e-12


def test_the_same_seed_gives_the_same_numbers_and_a_fresh_one_others(tmp_path):
    file = tmp_path / "table.json"

    def errors(*options):
        main(["crosscheck", "--only", "layer_norm", "--json", str(file), *options])
        return json.loads(file.read_text(encoding="utf-8"))

    assert errors("--seed", "9") == errors("--seed", "9")
    assert errors()["seed"] != errors()["seed"]


def test_numbers_that_json_lacks_are_null_and_a_crash_leaves_the_old_file(tmp_path, monkeypatch):
    file = tmp_path / "table.json"
    tables.write_json(file, {"rows": [_row([np.ones(1)], [np.full(1, np.nan)])]})
    assert json.loads(file.read_text(encoding="utf-8"))["rows"][0]["error"] is None

    def crash(source, target):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", crash)
    with pytest.raises(OSError, match="disk full"):
        tables.write_json(file, {"rows": []})
    assert json.loads(file.read_text(encoding="utf-8"))["rows"]
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--device", "cuda"], "finds no CUDA device; use --device cpu"),
        (["--only", "nothing like it"], "nothing has 'nothing like it' in its name"),
        (["--json", "/no/such/folder/table.json"], "there is no folder /no/such/folder"),
        (["--json", "/"], "--json / is a folder"),
        (["--seed", "-1"], "--seed must be at least 0, got -1"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_2(monkeypatch, capsys, arguments, words):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["crosscheck", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    assert printed.err.startswith("npattn crosscheck: ") and words in printed.err


def test_without_torch_the_command_says_how_to_install_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "npattn.torch_bridge", raising=False)
    assert main(["crosscheck"]) == 2
    assert "pip install" in capsys.readouterr().err
