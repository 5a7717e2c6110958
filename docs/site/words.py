"""The words of the search: English ones, and of Chinese text every piece of one to four signs.

Chinese is written without spaces. With all short pieces in the index a word is found wherever it
stands, by the same search and without a dictionary.
"""

import re

from sphinx.search.en import SearchEnglish

CHINESE = re.compile(r"[\u3400-\u9fff]+")
LONGEST = 4


class BothLanguages(SearchEnglish):
    """English, and Chinese in pieces."""

    def split(self, text):
        runs = CHINESE.findall(text)
        pieces = {
            run[start : start + length]
            for run in runs
            for length in range(1, LONGEST + 1)
            for start in range(len(run) - length + 1)
        }
        return [*super().split(CHINESE.sub(" ", text)), *sorted(pieces)]
