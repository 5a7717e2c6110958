"""One call, forward above backward, as a web page in which every number can be followed.

`explore` shows an attention call, `explore_softmax` and `explore_layer_norm` the two kernels alone.
The page is a single file that never uses a network: page.html with page.css and the scripts of
`page.SCRIPTS`. Its formulas stand in formulas.js; the source lines beside them are taken from the
kernels' files when the page is made; its words are those of words.json, in English or Chinese.
"""

from npattn.plots.explorer.calls import explore, explore_layer_norm, explore_softmax

__all__ = ["explore", "explore_layer_norm", "explore_softmax"]
