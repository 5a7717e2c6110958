"""ONNX's own node tests: attention and its neighbours as that standard defines them."""

from functools import partial

import pytest

pytest.importorskip("onnx", reason="onnx is not installed")

import onnx_adaptor as adaptor  # noqa: E402

pytestmark = pytest.mark.peers

CASES = adaptor.collect()
COUNTS = {
    "Attention": 93, "RMSNormalization": 19, "RotaryEmbedding": 8, "LinearAttention": 14,
    "LayerNormalization": 19, "SoftmaxCrossEntropyLoss": 34,
}


ALL = [case for cases in CASES.values() for case in cases]


def test_all_cases_of_onnx_are_found():
    assert {operator: len(cases) for operator, cases in CASES.items()} == COUNTS


@pytest.mark.parametrize("case", ALL, ids=[case.name for case in ALL])
def test_a_node_test_is_met(case):
    assert adaptor.miss(case, adaptor.run(case)) <= 1.0


def test_the_figures_stand_beside_those_of_onnxruntime(capsys):
    """Only the figures of npattn are asserted; the other's are for the reader."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    onnxruntime.set_default_logger_severity(4)
    lines = [f"{'ONNX node tests met by':<26}npattn  onnxruntime {onnxruntime.__version__}  of"]
    for operator, cases in CASES.items():
        ours = sum(_meets(case, adaptor.run) for case in cases)
        theirs = sum(_meets(case, partial(_by_onnxruntime, onnxruntime)) for case in cases)
        lines.append(f"{operator:<26}{ours:>6}{theirs:>20}{len(cases):>4}")
        assert ours == len(cases)
    with capsys.disabled():
        print("", *lines, sep="\n")


def _meets(case, run):
    try:
        return adaptor.miss(case, run(case)) <= 1.0
    except Exception:
        return False


def _by_onnxruntime(onnxruntime, case):
    session = onnxruntime.InferenceSession(
        case.model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [value.name for value in case.model.graph.input]
    arrays = adaptor.as_arrays(case.data_sets[0][0])
    return session.run(None, dict(zip(names, arrays, strict=True)))
