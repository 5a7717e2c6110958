"""Attention as pictures: heatmaps, grids of heads, the anatomy of one call.

matplotlib is imported when a function is called, not with this package. No function
shows a window or leaves a setting of matplotlib changed.
"""

from npattn.plots.anatomy import anatomy
from npattn.plots.explorer import explore, explore_layer_norm, explore_softmax
from npattn.plots.heatmaps import head_grid, heatmap
from npattn.plots.page import attention_page, save_page
from npattn.plots.style import house_style, save_figure

__all__ = [
    "anatomy", "attention_page", "explore", "explore_layer_norm", "explore_softmax",
    "head_grid", "heatmap", "house_style", "save_figure", "save_page",
]
