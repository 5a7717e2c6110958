import numpy as np

from npattn.checking import Entry, Report, Row, format_table, gradcheck


def row(path="dK", error=2e-16, ok=True, where=None):
    worst = Entry(where or f"{path}[0]", (0,), 1.0, 1.0, error)
    return Row(path, 3, 4, worst, 1.2e-12, ok, np.ones(4), np.ones(4))


def test_an_entry_in_words():
    where = "dK[batch 0, head 2, key 3, dim 1]"
    assert str(Entry(where, (0, 2, 3, 1), 0.7312, 0.36597, 1.0)) == (
        "dK[batch 0, head 2, key 3, dim 1] is 0.731, should be 0.366: ratio 1.998"
    )
    assert str(Entry("db[0]", (0,), 0.5000012, 0.5, 1.0)) == (
        "db[0] is 0.500001, should be 0.5: off by 1.2e-06"
    )
    assert str(Entry("db[0]", (0,), 0.25, 0.0, 1.0)) == "db[0] is 0.25, should be 0: off by 0.25"
    assert str(Entry("db[0]", (0,), 0.0, -0.25, 1.0)).endswith("is 0, should be -0.25: ratio -0")


def test_a_ratio_is_said_where_it_tells_something():
    def words(got, want):
        return str(Entry("dX", (), got, want, 1.0)).split(": ")[1]

    assert words(1.0006, 1.0) == "ratio 1.001" and words(1.0004, 1.0) == "off by 0.0004"
    assert words(9999.0, 1.0) == "ratio 9999" and words(1e4, 1.0) == "off by 1e+04"
    assert words(-1.2e4, 1.0) == "off by -1.2e+04"


def test_a_report_promises_no_more_than_its_weakest_row_and_says_why_it_is_undecided():
    rows = (row(), row("dV")._replace(smallest_fault=0.5), row("dQ"))
    report = Report("f", "complex step", rows, reasons=("dV: a fault below 0.5 would not show",))
    assert report.smallest_fault == 0.5 and report.verdict == "undecided"
    assert str(report).splitlines()[:2] == [
        "f: UNDECIDED, by complex step", "  UNDECIDED  dV: a fault below 0.5 would not show"]


def test_a_report_as_text():
    good = Report("attention", "complex step", (row("dQ"), row("dK", 3e-15)))
    assert str(good) == "\n".join([
        "attention: all gradients right, by complex step",
        "  gradient  entries checked  worst relative error  where  smallest fault  ok",
        "  dQ        3 of 4           2.0e-16               [0]    1.2e-12         yes",
        "  dK        3 of 4           3.0e-15               [0]    1.2e-12         yes",
    ])
    bad = Report("f", "central differences", (row(ok=False),), ("dK[0] is 1",), ("because",))
    lines = str(bad).splitlines()
    assert lines[0] == "f: GRADIENTS WRONG, by central differences"
    assert lines[1] == "  WRONG  dK[0] is 1"
    assert lines[3].endswith("NO") and lines[4] == "  because"
    assert repr(bad) == str(bad)


def test_a_kink_is_neither_right_nor_wrong():
    report = Report("relu", "central differences", (row(),), kinks=("dX[0]: no derivative <here>",))
    assert not report.ok
    assert str(report).splitlines()[:2] == [
        "relu: UNDECIDED AT KINKS, right elsewhere, by central differences",
        "  KINK   dX[0]: no derivative <here>",
    ]
    assert "<li>dX[0]: no derivative &lt;here&gt;</li>" in report._repr_html_()
    both = Report("relu", "central differences", (row(ok=False),), ("dX[1] is 1",), (), ("dX[0]",))
    assert "GRADIENTS WRONG" in str(both) and "KINK   dX[0]" in str(both)


def test_the_worst_is_of_a_failing_array_if_there_is_one():
    report = Report("f", "complex step", (row("dQ", 1e-3), row("dK", 1e-9, ok=False)), ("dK",))
    assert report.worst.where == "dK[0]"
    assert Report("f", "complex step").worst is None
    assert Report("f", "complex step").smallest_fault == np.inf


def test_rows_of_which_nothing_could_be_checked_come_after_the_others():
    rows = [row(f"d{i}", 0.0)._replace(worst=None) for i in range(11)]
    rows += [row("d11", 0.0), row("d12", np.nan), row("d13", 0.5)]
    report = Report("f", "complex step", tuple(rows))
    shown = [line.split()[0] for line in str(report).splitlines()[2:-1]]
    assert len(shown) == 12 and shown[-3:] == ["d11", "d12", "d13"]
    assert report.worst.where == "d12[0]"


def test_a_long_report_shows_the_rows_that_matter_in_their_order():
    rows = [row(f"d{i}", 1e-16 * (i + 1)) for i in range(20)]
    rows[3] = row("d3", 1e-17, ok=False)
    lines = str(Report("f", "complex step", tuple(rows), ("d3[0] is wrong",))).splitlines()
    assert len(lines) == 1 + 1 + 1 + 12 + 1
    assert lines[3].split()[0] == "d3" and lines[-2].split()[0] == "d19"
    assert lines[-1] == "  ... and 8 more gradients, all right and with smaller errors"


def test_a_table_of_reports():
    reports = [Report("attention", "complex step", (row(),)), Report("f", "", (), ("broken",))]
    assert format_table(reports).splitlines() == [
        "pair       entries checked  worst relative error  where  smallest fault  ok",
        "attention  3 of 4           2.0e-16               dK[0]  1.2e-12         yes",
        "f          0 of 0           -                     -      -               NO",
    ]


def test_html_is_escaped_and_complete():
    report = Report("<f>", "complex step", (row(where="d<b>", ok=False),), ("a < b & c",), ("<i>",))
    text = report._repr_html_()
    for raw in ("<f>", "d<b>", "a < b", "<i>"):
        assert raw not in text
    for escaped in ("&lt;f&gt;", "d&lt;b&gt;", "a &lt; b &amp; c", "&lt;i&gt;", "1.2e-12"):
        assert escaped in text
    assert text.count("<tr>") == text.count("</tr>") == 2


def test_the_arrays_compared_are_kept():
    report = gradcheck(lambda X: X**3, lambda dY, Y: dY * 0, np.array([1.0, 2.0]))
    [found] = report.rows
    np.testing.assert_array_equal(found.got, [0, 0])
    assert np.all(np.abs(found.want) > 1)
