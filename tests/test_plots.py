"""Heatmaps, head grids and the anatomy: what is drawn, and that none of it collides."""

import contextlib
import re
import subprocess
import sys
import warnings

import matplotlib
import numpy as np
import pytest
from matplotlib import font_manager, pyplot
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from npattn.kernels.attention import attention, attention_backward
from npattn.kernels.masks import causal_mask
from npattn.kernels.softmax import masked_softmax, softmax_backward
from npattn.plots import anatomy, fonts, head_grid, heatmap, house_style, save_figure

ENGLISH = ["<bos>", "an", "unbelievable", "story", "counterintuitively", "."]
CHINESE = ["我们", "喜欢", "深度学习", "和", "注意力机制", "。"]


@pytest.fixture(autouse=True)
def agg():
    """No window, and no figure left open."""
    pyplot.switch_backend("agg")
    yield
    pyplot.close("all")


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def no_cjk_font(monkeypatch):
    """As if no CJK font were installed, and nothing had been said about it yet."""
    monkeypatch.setattr(fonts, "CJK_FAMILIES", ())
    fonts.cjk_family.cache_clear()
    monkeypatch.setattr(fonts, "_warned", set())
    yield
    fonts.cjk_family.cache_clear()


def weights(rng, *shape, mask=None):
    return masked_softmax(2.0 * rng.normal(size=shape), mask)


def tokens(words, count):
    return [words[i % len(words)] for i in range(count)]


def mesh(ax):
    (drawn,) = (c for c in ax.collections if isinstance(c, QuadMesh))
    return drawn


def hatched(ax, i, j):
    """Whether the cell of query i and key j lies under hatching."""
    return any(patch.get_path().contains_point((j, i)) for patch in ax.patches)


def boxes(figure):
    """Each visible text with its (x0, y0, x1, y1) in pixels, after drawing."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    shown = []
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            shown += [axis.label, *(t for tick in ticks for t in (tick.label1, tick.label2))]
        shown += [ax.title, *ax.texts]
    shown += figure.texts
    shown = [text for text in shown if text.get_text() and text.get_visible()]
    return [(text.get_text(), text.get_window_extent(renderer).extents) for text in shown]


def require_tidy(figure):
    """Every text lies in the figure, and no two of them overlap."""
    texts = boxes(figure)
    width, height = figure.canvas.get_width_height()
    names = [name for name, _ in texts]
    x0, y0, x1, y1 = np.array([box for _, box in texts]).T
    inside = (x0 >= 0) & (y0 >= 0) & (x1 <= width) & (y1 <= height)
    assert inside.all(), f"cut off: {[names[i] for i in np.flatnonzero(~inside)]}"
    slack = 0.5  # pixels
    overlap = (
        (x0[:, None] < x1 - slack) & (x0 < x1[:, None] - slack)
        & (y0[:, None] < y1 - slack) & (y0 < y1[:, None] - slack)
    )  # fmt: skip
    pairs = np.argwhere(np.triu(overlap, 1))
    assert not len(pairs), f"overlap: {[(names[i], names[j]) for i, j in pairs[:5]]}"


def chinese_labels_warn():
    """What drawing Chinese does on this machine: nothing with a CJK font, else one warning."""
    fonts._warned.clear()
    if fonts.cjk_family():
        return contextlib.nullcontext()
    return pytest.warns(UserWarning, match="install a CJK font")


# ---------------------------------------------------------------- what is drawn


def test_heatmap_draws_the_weights_with_queries_downwards(rng):
    P = weights(rng, 3, 4)
    ax = heatmap(P, "abc", ["w", "x", "y", "z"], title="one head")
    np.testing.assert_array_equal(mesh(ax).get_array(), P)
    top, left = ax.transData.transform((0, 0)), ax.transData.transform((3, 2))
    assert top[0] < left[0] and top[1] > left[1]  # key 3 lies right of key 0, query 2 below 0
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("keys", "queries", "one head")
    ax.figure.canvas.draw()
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b", "c"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["w", "x", "y", "z"]


def test_the_axes_are_titled_as_told(rng):
    heat = heatmap(weights(rng, 3, 4), xlabel="patch", ylabel=None)
    axes = head_grid(
        weights(rng, 2, 2, 3, 4), row_titles=["a", ""], xlabel=None, ylabel="position"
    )
    assert (heat.get_xlabel(), heat.get_ylabel()) == ("patch", "")
    assert [ax.get_ylabel() for ax in axes[:, 0]] == ["a\nposition", "position"]
    assert [ax.get_xlabel() for ax in axes[1]] == ["", ""]
    require_tidy(heat.figure)
    require_tidy(axes[0, 0].figure)


def test_a_title_less_means_a_page_less_high_or_wide(rng):
    P = weights(rng, 3, 4)
    width, height = heatmap(P).figure.get_size_inches()
    assert heatmap(P, xlabel=None).figure.get_size_inches()[1] < height - 0.1
    assert heatmap(P, ylabel=None).figure.get_size_inches()[0] < width - 0.1


@pytest.mark.thorough
def test_many_cells_become_an_image_and_a_few_vectors(tmp_path):
    M = np.linspace(0.0, 1.0, 40_000).reshape(200, 200)
    many, few = heatmap(M), head_grid(np.stack([M[:30, :30]] * 3))[0, 0]
    [image] = many.images
    np.testing.assert_array_equal(image.get_array(), M)
    assert image.get_extent() == [*many.get_xlim(), *many.get_ylim()] == [-0.5, 199.5, 199.5, -0.5]
    assert save_figure(many.figure, tmp_path / "many.svg").stat().st_size < 100_000
    np.testing.assert_array_equal(mesh(few).get_array(), M[:30, :30])
    assert not few.images
    assert head_grid(np.stack([M[:30, :30]] * 4))[0, 0].images  # 3600 in all


def test_the_panels_of_a_grid_stand_by_themselves(rng):
    # Shared axes would tell each other of every change: a grid of n panels would take n³ steps.
    axes = head_grid(weights(rng, 2, 3, 4, 5))
    assert all(len(ax.get_shared_x_axes().get_siblings(ax)) == 1 for ax in axes.flat)
    assert all(len(ax.get_shared_y_axes().get_siblings(ax)) == 1 for ax in axes.flat)


def test_values_are_written_into_small_matrices_only(rng):
    P = weights(rng, 2, 3)
    assert [t.get_text() for t in heatmap(P).texts] == [f"{p:.2f}" for p in P.ravel()]
    assert len(heatmap(weights(rng, 9, 9)).texts) == 0
    assert len(heatmap(weights(rng, 9, 9), annotate=True).texts) == 81
    assert len(heatmap(P, annotate=False).texts) == 0


def test_a_value_is_white_on_dark_and_dark_on_pale():
    texts = heatmap(np.array([[0.0, 1.0]])).texts
    assert [t.get_color() for t in texts] == ["#262626", "white"]


def test_a_negative_number_that_rounds_to_zero_has_no_sign():
    texts = heatmap(np.array([[-0.001, 1.0]]), vmin=-1.0).texts
    assert [t.get_text() for t in texts] == ["0.00", "1.00"]


def test_only_disallowed_cells_are_hatched(rng):
    mask = rng.random((5, 6)) < 0.6
    ax = heatmap(weights(rng, 5, 6, mask=mask), mask=mask)
    assert [[hatched(ax, i, j) for j in range(6)] for i in range(5)] == (~mask).tolist()
    assert not [t for t in ax.texts if t.get_text() == "∅"]


def test_a_zero_without_a_mask_is_just_a_zero():
    assert not len(heatmap(np.eye(3)).patches)


def test_a_weight_where_none_may_be_stays_visible_under_the_hatching():
    mask = np.array([[True, False, False]])
    ax = heatmap(np.array([[0.5, 0.5, 0.0]]), mask=mask)
    see_through = {patch.get_facecolor()[3] == 0 for patch in ax.patches}
    assert see_through == {True, False}
    leak = next(patch for patch in ax.patches if patch.get_facecolor()[3] == 0)
    assert leak.get_path().contains_point((1, 0)) and not leak.get_path().contains_point((2, 0))


def test_each_run_of_dead_rows_is_marked_once(rng):
    mask = np.ones((9, 4), dtype=bool)
    mask[[1, 2, 6]] = False
    ax = heatmap(weights(rng, 9, 4, mask=mask), mask=mask)
    marks = [t.xy[1] for t in ax.texts if t.get_text() == "∅"]
    assert marks == [1.5, 6.0]
    edges = [line.get_ydata().tolist() for line in ax.lines]
    assert edges == [[0.5, 2.5], [5.5, 6.5]]


def test_head_grid_has_one_scale_one_bar_and_outer_labels(rng):
    P = weights(rng, 2, 3, 4, 5)
    P[1, 2] *= 0.1  # a panel on its own scale would hide this
    axes = head_grid(P, row_titles=["layer 1", "layer 2"])
    figure = axes[0, 0].figure
    assert axes.shape == (2, 3) and axes.dtype == object
    assert len(figure.axes) == 7
    assert {(mesh(ax).norm.vmin, mesh(ax).norm.vmax) for ax in axes.flat} == {(0.0, P.max())}
    for at, ax in np.ndenumerate(axes):
        np.testing.assert_array_equal(mesh(ax).get_array(), P[at])
    assert [ax.get_title() for ax in axes[0]] == ["head 1", "head 2", "head 3"]
    assert [ax.get_ylabel() for ax in axes[:, 0]] == ["layer 1\nqueries", "layer 2\nqueries"]
    figure.canvas.draw()
    left = [[len(ax.get_yticklabels()) for ax in row] for row in axes]
    below = [[len(ax.get_xticklabels()) for ax in row] for row in axes]
    assert left == [[4, 0, 0]] * 2 and below == [[0] * 3, [5] * 3]
    assert [[ax.get_xlabel() for ax in row] for row in axes] == [[""] * 3, ["keys"] * 3]


def test_head_grid_takes_one_row_and_a_mask_for_each_panel(rng):
    mask = np.ones((3, 2, 4), dtype=bool)
    mask[1, :, 2] = False
    axes = head_grid(weights(rng, 3, 2, 4, mask=mask), mask=mask, column_titles="xyz")
    assert axes.shape == (1, 3)
    assert [hatched(ax, 0, 2) for ax in axes[0]] == [False, True, False]


def test_the_bar_points_beyond_the_ends_of_the_scale(rng):
    S = rng.normal(size=(3, 3))
    for limits, extend in [
        ({}, "min"),
        ({"vmin": None}, "neither"),
        ({"vmin": 0.0, "vmax": 0.1}, "both"),
        ({"vmin": None, "vmax": 0.1}, "max"),
    ]:
        figure = heatmap(S, colorbar="score", **limits).figure
        bar = figure.axes[1]._colorbar
        assert bar.extend == extend and bar.ax.get_ylabel() == "score"


def test_no_bar_on_request_and_a_scale_even_for_zeros():
    assert len(heatmap(np.zeros((2, 2)), colorbar=False).figure.axes) == 1


def test_heatmap_draws_in_given_axes_and_leaves_their_figure_alone(rng):
    figure = Figure(figsize=(6, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    right.set_title("mine")
    assert heatmap(weights(rng, 12, 12), tokens(ENGLISH, 12), ax=left) is left
    heatmap(weights(rng, 3, 3), ax=right)
    assert figure.get_size_inches().tolist() == [6, 3] and right.get_title() == "mine"
    assert left.get_aspect() == 1.0
    figure.savefig("/dev/null", format="png")


def test_head_grid_draws_in_given_axes(rng):
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots(2, 4)
    head_grid(weights(rng, 2, 4, 30, 30), tokens(ENGLISH, 30), tokens(ENGLISH, 30), axes=axes)
    assert len(figure.axes) == 9
    require_tidy(figure)


# ---------------------------------------------------------------- tidiness


@pytest.mark.thorough
@pytest.mark.parametrize("words", [ENGLISH, CHINESE, None], ids=["english", "chinese", "numbers"])
@pytest.mark.parametrize("T", [3, 12, 60])
def test_no_text_of_a_heatmap_collides(rng, words, T):
    mask = causal_mask(T)
    mask[T // 2] = False
    labels = words and tokens(words, T)
    with chinese_labels_warn() if words is CHINESE else contextlib.nullcontext():
        ax = heatmap(
            weights(rng, T, T, mask=mask), labels, labels, mask=mask, title="decoder self-attention"
        )
    require_tidy(ax.figure)


@pytest.mark.thorough
@pytest.mark.parametrize("T", [3, 12, 60])
def test_no_text_of_a_head_grid_collides(rng, T):
    mask = causal_mask(T)
    mask[0] = False
    mask[2] = False
    axes = head_grid(
        weights(rng, 2, 4, T, T, mask=mask), tokens(ENGLISH, T), tokens(ENGLISH, T), mask=mask,
        row_titles=["the first layer", "the second layer"], title="a title above it all",
        column_titles=["local", "a head with a long title", "next token", "<bos>"],
    )  # fmt: skip
    require_tidy(axes[0, 0].figure)


def test_small_panels_make_room_for_long_titles(rng):
    rows, columns = ["the first of all layers", "the second layer"], ["a title of many words"] * 3
    axes = head_grid(weights(rng, 2, 3, 1, 2), row_titles=rows, column_titles=columns)
    require_tidy(axes[0, 0].figure)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("shape", [(1, 1), (1, 60), (60, 2), (2, 10), (200, 200)])
def test_no_text_collides_whatever_the_proportions(rng, shape):
    require_tidy(heatmap(weights(rng, *shape), title="an ordinary title").figure)
    require_tidy(heatmap(weights(rng, *shape), colorbar=False).figure)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("sizes", [
    (4, 6, 5, 3), *(pytest.param(sizes, marks=pytest.mark.thorough) for sizes in (
        (3, 3, 2, 2), (60, 60, 32, 8), (2, 60, 1, 1), (1, 1, 1, 1))),
], ids=str)
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_no_text_of_the_anatomy_collides(rng, sizes, dropout):
    Tq, Tk, Dk, Dv = sizes
    mask = np.arange(Tk) <= np.arange(Tq)[:, None]
    mask[Tq // 2] = False
    O, cache = attention(
        rng.normal(size=(Tq, Dk)), rng.normal(size=(Tk, Dk)), rng.normal(size=(Tk, Dv)), mask,
        scale=0.0123, dropout=dropout, rng=rng,
    )  # fmt: skip
    require_tidy(anatomy(cache, title="forward"))
    require_tidy(anatomy(cache, rng.normal(size=O.shape)))


def test_labels_thin_out_anew_when_the_axes_shrink(rng):
    ax = heatmap(weights(rng, 12, 12), tokens(ENGLISH, 12), tokens(ENGLISH, 12))
    assert len(ax.get_yticks()) == 12
    ax.figure.set_size_inches(2, 2)
    assert len(ax.get_yticks()) < 12
    for axis in (ax.xaxis, ax.yaxis):
        ax.figure.canvas.draw()
        labels = [t.get_window_extent() for t in axis.get_ticklabels()]
        assert not any(a.overlaps(b) for a, b in zip(labels, labels[1:], strict=False))


# ---------------------------------------------------------------- text


def test_chinese_labels_are_drawn_or_explained(rng):
    with chinese_labels_warn():
        ax = heatmap(weights(rng, 2, 2), ["注意力", "cat"], ["我", "你"], title="一")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib's own complaints about glyphs
        ax.figure.canvas.draw()
    families = ax.get_yticklabels()[0].get_fontfamily()
    assert families == ["DejaVu Sans", fonts.cjk_family() or fonts.OWN_FAMILY]


@pytest.mark.usefixtures("no_cjk_font")
def test_without_a_cjk_font_one_warning_names_the_characters_and_says_what_to_install(rng):
    with pytest.warns(UserWarning, match="意.*apt install fonts-noto-cjk") as caught:
        ax = heatmap(weights(rng, 2, 2), ["注意力", "cat"], ["我", "你"])
        heatmap(weights(rng, 2, 2), ["力意", "b"]).figure.canvas.draw()
        ax.figure.canvas.draw()
    assert len(caught) == 1
    assert [t.get_text() for t in ax.get_yticklabels()] == ["□□□", "cat"]
    with pytest.warns(UserWarning, match=r"□\": 🦜 \(U\+1F99C\)\.$"):  # no Chinese font would help
        heatmap(weights(rng, 2, 2), ["🦜", "b"])


def test_a_chinese_font_of_one_weight_is_not_complained_of(monkeypatch, caplog):
    """matplotlib would say for each size that the family has no such weight."""
    monkeypatch.setattr(fonts, "CJK_FAMILIES", ("STIXSizeOneSym",))  # comes with matplotlib
    fonts.cjk_family.cache_clear()
    assert fonts.cjk_family() == "STIXSizeOneSym"
    for weight in (100, 900):
        prop = font_manager.FontProperties(family="STIXSizeOneSym", weight=weight)
        font_manager.fontManager.findfont(prop, rebuild_if_missing=False)
    fonts.cjk_family.cache_clear()
    assert not caplog.records


@pytest.mark.usefixtures("no_cjk_font")
def test_dates_are_drawn_without_a_chinese_font(rng):
    from npattn.datasets.dates import source_vocabulary

    characters = [*source_vocabulary().units, *"０１２３４５６７８９，／"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with house_style():
            shown = fonts.drawable(characters)
        ax = heatmap(weights(rng, 3, 3), list("3月5"), list("星期五"), title="2021年３月5日")
        ax.figure.canvas.draw()
    assert "□" not in "".join(shown)
    assert fonts.OWN_FAMILY in ax.title.get_fontfamily()


def test_titles_are_text_and_a_dollar_is_a_dollar(rng, tmp_path):
    for title in ("Ba$$in", r"$\foo$", "from $5 to $6", r"a \$ b"):
        axes = head_grid(weights(rng, 2, 2, 2, 2), title=title, xlabel=title, ylabel=title,
                         row_titles=[title] * 2, column_titles=[title] * 2, colorbar=title)
        save_figure(axes, tmp_path / "a.png")
        (shown,) = axes[0, 0].figure.texts
        assert shown._preprocess_math(shown.get_text()) == (title, False)


def test_tokens_are_shown_as_they_are_spelled(rng):
    ax = heatmap(weights(rng, 8, 1), ["$x$", "a\nb", "x" * 99, 7, " ", "  ", "a b", ""])
    shown = [t.get_text() for t in ax.get_yticklabels()]
    assert shown == [r"\$x\$", r"a\nb", "x" * 23 + "…", "7", "␣", "␣␣", "a b", '""']
    assert ax.yaxis.get_major_formatter()(7.5) == ""  # a pointer on the lower edge
    ax.figure.canvas.draw()


def test_the_middle_of_two_hues_is_zero_unless_an_end_is_given():
    M = np.array([[-1.0, 3.0]])
    for options, ends in (
        (dict(vmin=None), (-3, 3)), (dict(vmin=-2), (-2, 3)), (dict(vmin=None, vmax=2), (-1, 2)),
    ):
        norm = mesh(heatmap(M, cmap="RdBu_r", **options)).norm
        assert (norm.vmin, norm.vmax) == ends
    norm = mesh(heatmap(M, vmin=None)).norm
    assert (norm.vmin, norm.vmax) == (-1, 3)


# ---------------------------------------------------------------- the anatomy


def anatomy_arrays(figure):
    """The matrices of a figure, by the name or the left side of the formula above each."""
    return {
        ax.get_title().split(" =")[0]: mesh(ax).get_array() for ax in figure.axes if ax.get_title()
    }


@pytest.mark.sampled(3)
@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("masked", [False, True])
def test_anatomy_draws_every_matrix_of_the_call(rng, masked, dropout):
    Q, K, V = (rng.normal(size=(2, 3, *s)) for s in [(4, 5), (6, 5), (6, 7)])
    mask = rng.random((3, 4, 6)) < 0.6 if masked else None
    O, cache = attention(Q, K, V, mask, scale=0.3, dropout=dropout, rng=rng)
    dO = rng.normal(size=O.shape)
    dQ, dK, dV = attention_backward(dO, cache)
    at = 1, 2
    drawn = anatomy_arrays(anatomy(cache, dO, index=at))
    dA = dO[at] @ V[at].T
    dP = dA if cache.keep is None else dA * cache.keep[at]
    S = Q[at] @ K[at].T * 0.3
    expected = {
        "Q": Q[at], "Kᵀ": K[at].T, "S": S, "P": cache.P[at], "V": V[at], "O": O[at],
        "dQ": dQ[at], "dKᵀ": dK[at].T, "dS": softmax_backward(dP, cache.P[at]), "dP": dP,
        "dV": dV[at], "dO": dO[at],
    }  # fmt: skip
    if masked:
        expected["masked"] = np.where(mask[2], S, 0.0)
    if dropout:
        expected |= {"A": cache.P[at] * cache.keep[at], "dA": dA}
    assert drawn.keys() == expected.keys()
    for name, matrix in expected.items():
        np.testing.assert_allclose(drawn[name], matrix, rtol=1e-12, atol=1e-14, err_msg=name)


def test_anatomy_shares_scales_and_states_shapes(rng):
    Q, K, V = (rng.normal(size=s) for s in [(4, 5), (6, 5), (6, 3)])
    O, cache = attention(Q, 10 * K, V)
    figure = anatomy(cache, O)
    panels = {ax.get_title().split(" =")[0]: ax for ax in figure.axes if ax.get_title()}
    scales = {mesh(panels[name]).norm for name in ("Q", "Kᵀ", "S", "V", "O")}
    assert len(scales) == 1
    (scale,) = scales
    assert (
        scale.vmax
        == -scale.vmin
        == max(abs(M).max() for M in (Q, 10 * K, V, mesh(panels["S"]).get_array()))
    )
    assert mesh(panels["P"]).norm.vmin == 0.0
    assert panels["Kᵀ"].get_xlabel() == "(5, 6)"
    dV = mesh(panels["dV"]).get_array()
    assert panels["dV"].get_xlabel() == f"(6, 3)\nmax {abs(dV).max():.2g}"


def test_anatomy_asks_for_one_matrix(rng):
    O, cache = attention(*(rng.normal(size=(2, 3, 4, 5)) for _ in range(3)))
    with pytest.raises(ValueError, match=r"index .*\(2, 3, 4, 4\) with 2 integers, got \(\)"):
        anatomy(cache)
    with pytest.raises(ValueError, match="index"):
        anatomy(cache, index=1)
    with pytest.raises(ValueError, match=r"dO must have .*\(2, 3, 4, 5\), got \(4, 5\)"):
        anatomy(cache, O[0, 0], index=(0, 0))


# ---------------------------------------------------------------- files, settings, imports


@pytest.mark.sampled(4)
@pytest.mark.parametrize("suffix", ["png", "svg", "pdf", "PNG"])
def test_a_saved_figure_is_the_same_each_time(tmp_path, rng, suffix):
    P, mask = weights(rng, 3, 3), np.eye(3, dtype=bool)
    paths = [
        save_figure(heatmap(P, mask=mask, title="x").figure, tmp_path / f"{name}.{suffix}")
        for name in "ab"
    ]
    first, second = (path.read_bytes() for path in paths)
    assert first == second and len(first) > 1000
    assert sorted(tmp_path.iterdir()) == sorted(paths)  # nothing unfinished is left behind


def test_saving_replaces_a_file_at_once_or_not_at_all(tmp_path, monkeypatch):
    figure = heatmap(np.eye(2)).figure
    path = tmp_path / "eye.png"
    path.write_bytes(b"old")

    def fail(*_):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", fail)
        with pytest.raises(OSError, match="disk full"):
            save_figure(figure, path)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
    assert save_figure(figure, str(path)) == path
    assert path.read_bytes().startswith(b"\x89PNG")


def test_saving_refuses_other_formats_and_other_things(tmp_path):
    ax = heatmap(np.eye(2))
    with pytest.raises(ValueError, match=r"one of .png, .svg, .pdf .* got 'eye.jpeg'"):
        save_figure(ax.figure, tmp_path / "eye.jpeg")
    with pytest.raises(TypeError, match="figure must be a matplotlib Figure, or Axes, got str"):
        save_figure("ax", tmp_path / "eye.png")


def test_axes_are_saved_as_the_figure_that_they_are_on(tmp_path, rng):
    axes = head_grid(weights(rng, 2, 2, 3, 3))
    saved = [save_figure(each, tmp_path / f"{n}.png").read_bytes()
             for n, each in enumerate((axes[0, 0].figure, axes[0, 0], axes))]
    assert saved[0] == saved[1] == saved[2]


def test_settings_of_matplotlib_neither_change_nor_interfere(tmp_path, rng):
    P = weights(rng, 3, 3)
    plain = save_figure(heatmap(P, "abc").figure, tmp_path / "plain.png").read_bytes()
    with matplotlib.style.context("dark_background"), matplotlib.rc_context({"font.size": 20}):
        before = dict(matplotlib.rcParams)
        figure = heatmap(P, "abc").figure
        _, cache = attention(P, P, P)
        anatomy(cache, P)
        save_figure(figure, tmp_path / "dark.png")
        with house_style():
            assert matplotlib.rcParams["figure.dpi"] == 150
        assert dict(matplotlib.rcParams) == before
    assert (tmp_path / "dark.png").read_bytes() == plain


def test_importing_the_package_leaves_matplotlib_out():
    code = "import sys, npattn.plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"weights": np.ones(3)}, ValueError, r"weights must have 2 axes, got shape \(3,\)"),
        ({"weights": np.ones((2, 3, 4))}, ValueError, r"weights must have 2 axes"),
        ({"weights": np.ones((0, 3))}, ValueError, r"weights is empty: shape \(0, 3\)"),
        (
            {"weights": np.array([["a"]])},
            TypeError,
            "weights must be .* real numbers, got dtype <U1",
        ),
        ({"weights": np.ones((2, 2)) * 1j}, TypeError, "weights .* complex128"),
        ({"weights": np.array([[1, np.nan]])}, ValueError, r"weights\[0, 1\] is nan"),
        ({"weights": np.array([[1], [np.inf]])}, ValueError, r"weights\[1, 0\] is inf"),
        ({"queries": "ab"}, ValueError, "queries must have one label for each of the 3 .* got 2"),
        ({"keys": "abc"}, ValueError, "keys must have one label for each of the 4 keys .* got 3"),
        ({"mask": np.ones((3, 4))}, TypeError, "mask must be a boolean .* float64"),
        ({"mask": np.ones((4, 3), bool)}, ValueError, r"mask \(4, 3\) does not broadcast"),
        ({"vmin": 1.0, "vmax": 1.0}, ValueError, "vmin must be less than vmax, got 1 and 1"),
    ],
)
def test_heatmap_says_what_is_wrong(arguments, error, message):
    with pytest.raises(error, match=message):
        heatmap(**{"weights": np.full((3, 4), 0.25), **arguments})
    assert not pyplot.get_fignums()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": np.ones(4)}, r"weights must have 2 or 3 or 4 axes, got shape \(4,\)"),
        ({"row_titles": ["a"]}, "row_titles must have one title for each of the 2 rows .* got 1"),
        ({"column_titles": "ab"}, "column_titles must have one title for each of the 3 columns"),
        ({"axes": np.empty((3, 2, 1), object)}, r"axes must be 2 × 3 Axes, got shape \(3, 2, 1\)"),
    ],
)
def test_head_grid_says_what_is_wrong(arguments, message):
    with pytest.raises(ValueError, match=message):
        head_grid(**{"weights": np.full((2, 3, 4, 5), 0.2), **arguments})


def test_a_single_matrix_is_a_grid_of_one_panel():
    assert head_grid(np.full((3, 4), 0.25)).shape == (1, 1)


SQUARE = np.full((1, 2, 2), 0.5)


@pytest.mark.parametrize(("options", "words"), [
    *[({name: 3}, f"{name} must be a list of texts, got 3")
      for name in ("queries", "keys", "row_titles", "column_titles")],
    *[({name: value}, f"{name} must be a number, got {value!r}")
      for name in ("vmin", "vmax") for value in ("1", [1.0], np.timedelta64(1))],
    *[({name: 1e308}, f"{name} must fit 32-bit floats, got 1e+308") for name in ("vmin", "vmax")],
    ({"cmap": [1]}, r"cmap must be a colour map or its name, got [1]"),
    ({"annotate": "yes"}, "annotate must be True or False, got 'yes'"),
    ({"colorbar": 3}, "colorbar must be True or False, got 3"),
    ({"axes": [["x"]]}, "axes must be Axes of matplotlib"),
], ids=str)
def test_an_argument_of_a_grid_that_cannot_be_is_named(options, words):
    before = pyplot.get_fignums()
    with pytest.raises((TypeError, ValueError), match=re.escape(words)):
        head_grid(SQUARE, **options)
    assert pyplot.get_fignums() == before


def test_weights_that_no_colour_can_tell_are_named_without_a_warning():
    with pytest.raises(ValueError, match="weights must fit 32-bit floats, got 1e"):
        heatmap(np.full((2, 2), 1e308))


def test_every_text_may_be_any_object():
    ax = heatmap(SQUARE[0], title=3, xlabel=np.array([1, 2]), ylabel=2.5)
    assert (ax.get_title(), ax.get_xlabel(), ax.get_ylabel()) == ("3", "[1 2]", "2.5")
