"""One entry of the catalogue, and patterns of lines that several pages look for."""

from typing import NamedTuple

from npattn.edits import Edit

SOFTMAX, SCORES = r"softmax|\.exp\(|exp\(", r"@|matmul|einsum|bmm|\.dot\("
MASK = r"masked_fill|where|mask|tril|triu|keep(?!dim)|\binf|finfo|-1\.?0?e"  # not np.sum(keepdims=True)
FUTURE = r"tril|triu|diagonal|" + MASK + "|causal"
BEHIND = r"(mask|keep(?!dim)|valid)\w*\)?\s*\*|\*=?\s*\(?\w*(mask|keep|valid)|where\(.*mask"
HEADS = r"reshape|view|transpose|permute|swapaxes|rearrange|einsum|split"
MERGED = r"contiguous|^(return|o|out\w*|y|z|context\w*)\b.*(reshape|view|flatten)|" + HEADS
NORM = r"mean|var|std|norm"


class Mistake(NamedTuple):
    """An edit of one function of the reference."""

    where: str   # the function
    edit: Edit
    at: str      # pattern of likely lines
    needs: str   # what a case must have for the edit to show: "", mask, causal, heads, …

    @property
    def words(self):
        return self.edit.words


def mistake(where, old, new, words, at, needs=""):
    """An entry: `old` becomes `new` in the function `where` of the reference."""
    return Mistake(where, Edit(old, new, words), at, needs)
