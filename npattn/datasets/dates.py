"""Dates as people write them, in English and Chinese, paired with their ISO 8601 form.

    "Friday, the 5th of March, 2021"   ->   "2021-03-05"
    "二〇二一年三月五日"                 ->   "2021-03-05"

A translation task that is small, endless and exact: each character of the target has its cause in
a few characters of the source, so one can tell by eye whether the cross-attention of a trained
model looks where it should.

No text is ever written for two different days. Dates in digits alone are therefore year first:
3/5/2021, 3.5.2021 and 3-5-2021 are left out, because half of their readers see March and the other
half May. Years have four digits and run from FIRST_YEAR to LAST_YEAR.

Shapes: B texts, padded with <pad> to the longest of them, Ts characters; a mask (B, Ts) is True
where a character stands. Every target has 10 characters, so Tt = 11 with <bos> in front or <eos>
behind, and needs no mask.
"""

import itertools
import unicodedata
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from npattn.datasets.texts import BOS, EOS, PAD, Batch, Vocabulary, require_texts

FIRST_YEAR, LAST_YEAR = 1950, 2049
MAX_SOURCE = 38  # the longest text: "Wednesday, the 22nd of September, 2021"

# ---- ways to write a day ----

_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)
_DOTTED_MONTHS = (
    "Jan.", "Feb.", "Mar.", "Apr.", "May", "June", "July", "Aug.", "Sept.", "Oct.", "Nov.", "Dec.",
)
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_ENDINGS = {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd", 31: "st"}
_NUMERALS = ("〇", "一", "二", "三", "四", "五", "六", "七", "八", "九")


def _month(d):
    return _MONTHS[d.month - 1]


def _mon(d):
    return _month(d)[:3]


def _dotted(d):
    return _DOTTED_MONTHS[d.month - 1]


def _weekday(d):
    return _WEEKDAYS[d.weekday()]


def _wkd(d):
    return _weekday(d)[:3]


def _nth(d):
    return f"{d.day}{_ENDINGS.get(d.day, 'th')}"


def _zh_weekday(d):
    return "一二三四五六日"[d.weekday()]


def _zh_year(d):
    return "".join(_NUMERALS[int(digit)] for digit in str(d.year))


def _zh_count(n):
    """A month or day as it is spoken: 3 三, 10 十, 13 十三, 20 二十, 31 三十一."""
    return ("", "十", "二十", "三十")[n // 10] + ("", *_NUMERALS[1:])[n % 10]


def _zh(d, zero="〇", day="日"):
    return f"{_zh_year(d).replace('〇', zero)}年{_zh_count(d.month)}月{_zh_count(d.day)}{day}"


class Format(NamedTuple):
    """One way to write a day; `language` is "en", "zh", or "digits" for what both use."""

    language: str
    write: Callable  # datetime.date -> str


# Each is named by what it makes of 5 March 2021, a Friday.
FORMATS = {
    # English, month first
    "March 5, 2021": Format("en", lambda d: f"{_month(d)} {d.day}, {d.year}"),
    "March 5 2021": Format("en", lambda d: f"{_month(d)} {d.day} {d.year}"),
    "March 5th, 2021": Format("en", lambda d: f"{_month(d)} {_nth(d)}, {d.year}"),
    "Mar 5, 2021": Format("en", lambda d: f"{_mon(d)} {d.day}, {d.year}"),
    "Mar. 5, 2021": Format("en", lambda d: f"{_dotted(d)} {d.day}, {d.year}"),
    "Friday, March 5, 2021": Format(
        "en", lambda d: f"{_weekday(d)}, {_month(d)} {d.day}, {d.year}"),
    "Fri, Mar 5, 2021": Format("en", lambda d: f"{_wkd(d)}, {_mon(d)} {d.day}, {d.year}"),
    # English, day first
    "5 March 2021": Format("en", lambda d: f"{d.day} {_month(d)} {d.year}"),
    "5th March 2021": Format("en", lambda d: f"{_nth(d)} {_month(d)} {d.year}"),
    "5th of March 2021": Format("en", lambda d: f"{_nth(d)} of {_month(d)} {d.year}"),
    "the 5th of March, 2021": Format("en", lambda d: f"the {_nth(d)} of {_month(d)}, {d.year}"),
    "Friday, the 5th of March, 2021": Format(
        "en", lambda d: f"{_weekday(d)}, the {_nth(d)} of {_month(d)}, {d.year}"),
    "Friday 5 March 2021": Format("en", lambda d: f"{_weekday(d)} {d.day} {_month(d)} {d.year}"),
    "5 Mar 2021": Format("en", lambda d: f"{d.day} {_mon(d)} {d.year}"),
    "Fri 5 Mar 2021": Format("en", lambda d: f"{_wkd(d)} {d.day} {_mon(d)} {d.year}"),
    "05-Mar-2021": Format("en", lambda d: f"{d.day:02}-{_mon(d)}-{d.year}"),
    # digits, year first
    "2021-03-05": Format("digits", lambda d: f"{d.year}-{d.month:02}-{d.day:02}"),
    "2021-3-5": Format("digits", lambda d: f"{d.year}-{d.month}-{d.day}"),
    "2021/03/05": Format("digits", lambda d: f"{d.year}/{d.month:02}/{d.day:02}"),
    "2021/3/5": Format("digits", lambda d: f"{d.year}/{d.month}/{d.day}"),
    "2021.03.05": Format("digits", lambda d: f"{d.year}.{d.month:02}.{d.day:02}"),
    "2021.3.5": Format("digits", lambda d: f"{d.year}.{d.month}.{d.day}"),
    "20210305": Format("digits", lambda d: f"{d.year}{d.month:02}{d.day:02}"),
    # Chinese
    "2021年3月5日": Format("zh", lambda d: f"{d.year}年{d.month}月{d.day}日"),
    "2021年03月05日": Format("zh", lambda d: f"{d.year}年{d.month:02}月{d.day:02}日"),
    "2021 年 3 月 5 日": Format("zh", lambda d: f"{d.year} 年 {d.month} 月 {d.day} 日"),
    "2021年3月5号": Format("zh", lambda d: f"{d.year}年{d.month}月{d.day}号"),
    "2021年3月5日 星期五": Format(
        "zh", lambda d: f"{d.year}年{d.month}月{d.day}日 星期{_zh_weekday(d)}"),
    "2021年3月5日周五": Format("zh", lambda d: f"{d.year}年{d.month}月{d.day}日周{_zh_weekday(d)}"),
    "2021年3月5号星期五": Format(  # Sunday here is 星期天, the spoken form
        "zh", lambda d: f"{d.year}年{d.month}月{d.day}号星期{_zh_weekday(d).replace('日', '天')}"),
    "2021/3/5 周五": Format("zh", lambda d: f"{d.year}/{d.month}/{d.day} 周{_zh_weekday(d)}"),
    "二〇二一年三月五日": Format("zh", _zh),
    "二〇二一年三月五日 星期五": Format("zh", lambda d: f"{_zh(d)} 星期{_zh_weekday(d)}"),
    "二零二一年三月五日": Format("zh", lambda d: _zh(d, zero="零")),  # and 二零零零, never 〇
    "二零二一年三月五号": Format("zh", lambda d: _zh(d, zero="零", day="号")),
}


def format_names(formats=None):
    """The names in FORMATS that `formats` selects, in the order of that table.

    formats  None for all; or a name, a language ("en", "zh", "digits"), or a sequence of those

    Raises ValueError if something in it is neither, or if nothing is selected.
    """
    languages = {form.language for form in FORMATS.values()}
    several = languages if formats is None else formats
    wanted = {several} if isinstance(several, str) else set(several)
    unknown = wanted - languages - FORMATS.keys()
    if unknown or not wanted:
        raise ValueError(
            f"formats must hold names from FORMATS or languages {sorted(languages)}, "
            f"got {formats!r}"
        )
    return [name for name, form in FORMATS.items() if not wanted.isdisjoint((name, form.language))]


def write_dates(rng, dates, formats=None):
    """Write each day in a format drawn at random, all selected formats being equally likely.

    rng      numpy.random.Generator
    dates    (B,)  datetime64[D], datetime.date or ISO strings
    formats  as in `format_names`

    Returns texts and isos, two lists of B strings.
    Raises ValueError as `format_names` does, and if a date lies outside the years covered.
    """
    writers = [FORMATS[name].write for name in format_names(formats)]
    days = _as_days(dates)
    choices = rng.integers(len(writers), size=days.size).tolist()
    texts = [writers[choice](day) for choice, day in zip(choices, days.tolist(), strict=True)]
    return texts, np.datetime_as_string(days).tolist()


def spellings(day):
    """All that FORMATS make of a datetime.date, as the model reads it: a set of texts."""
    return {normalise(form.write(day)) for form in FORMATS.values()}


# ---- which days, and the split ----

_FIRST_DAY, _LAST_DAY = np.datetime64(f"{FIRST_YEAR}-01-01"), np.datetime64(f"{LAST_YEAR}-12-31")


def _as_days(dates):
    days = np.asarray(dates, dtype="datetime64[D]")
    if days.ndim != 1 or days.size == 0:
        raise ValueError(f"dates must be a list of one date or more, got shape {days.shape}")
    outside = days[~((days >= _FIRST_DAY) & (days <= _LAST_DAY))]  # NaT is outside too
    if outside.size:
        raise ValueError(f"dates must lie from {_FIRST_DAY} to {_LAST_DAY}, got {outside[0]}")
    return days


@cache
def _split():
    """Every day, as (training, reserved): about one in ten is reserved, the same ones for ever.

    Weights saved years ago must still find their held-out days unseen, and across its versions
    NumPy keeps only the raw stream of a bit generator, not what a Generator draws from it.
    """
    days = np.arange(_FIRST_DAY, _LAST_DAY + np.timedelta64(1, "D"))
    is_reserved = np.random.PCG64(0).random_raw(days.size) < 2**64 // 10
    training, reserved = days[~is_reserved], days[is_reserved]
    training.flags.writeable = reserved.flags.writeable = False  # shared by every caller
    return training, reserved


def training_dates():
    """The days to train on, about nine in ten: datetime64[D], shape (N,), sorted, read-only."""
    return _split()[0]


def held_out_dates(n=1000, seed=0):
    """A sample of n different days that `training_dates` never holds: datetime64[D], shape (n,).

    The reserved days are the same for every n and every seed, so no choice of them leaks.
    Raises ValueError if fewer than n days are reserved.
    """
    reserved = _split()[1]
    if not 1 <= n <= reserved.size:
        raise ValueError(f"n must lie from 1 to {reserved.size}, the days reserved, got {n}")
    return np.random.default_rng(seed).choice(reserved, n, replace=False)


# ---- characters and ids ----

_LETTERS = "abcdefghijlmnoprstuvwy"
_DIGITS = "0123456789"
_MARKS = ",-./"
_CHINESE = "年月日号星期周天〇零一二三四五六七八九十"


@cache
def source_vocabulary():
    """The characters that dates are written with, both languages, after `normalise`."""
    return Vocabulary(" " + _MARKS + _DIGITS + _LETTERS + _CHINESE)


@cache
def target_vocabulary():
    """The characters of an ISO date."""
    return Vocabulary(_DIGITS + "-")


def normalise(text):
    """What the model reads of a text: lower case, full-width forms as plain ones, single spaces.

    It cannot tell "２０２１年３月５日" from "2021年3月5日", or "5 MAR  2021" from "5 mar 2021".
    """
    plain = (unicodedata.normalize("NFKC", character).lower() for character in text)
    return " ".join("".join(plain).split())


def _named(character):
    """How an error speaks of a character, even of one that cannot be seen."""
    return f"character {character!r} ({unicodedata.name(character, 'no Unicode name')})"


def _readable(text):
    """`text` normalised, or the error that tells its writer what to change."""
    if not isinstance(text, str):
        raise TypeError(f"text must be a str, got {type(text).__name__}")
    plain = normalise(text)
    if not plain:
        raise ValueError("text is empty; write a date, for example 'March 5, 2021'")
    if len(plain) > MAX_SOURCE:
        raise ValueError(f"text has {len(plain)} characters; a date has at most {MAX_SOURCE}")
    accepted = set(source_vocabulary().units)
    for position, character in enumerate(text, 1):
        if not accepted.issuperset(normalise(character)):
            raise ValueError(
                f"{_named(character)} at position {position} does not occur in dates; accepted are "
                f"spaces, {_DIGITS} {_MARKS} {_CHINESE} and, in either case, {_LETTERS}"
            )
    return plain


def encode_source(text):
    """Ids (T,) of a date as somebody typed it, `normalise`d, int64.

    Any case and full-width forms are welcome; the text need not follow one of FORMATS.
    Raises ValueError, in one line that may be shown to the writer, if the text is empty, longer
    than MAX_SOURCE, or holds a character that occurs in no date; TypeError if it is no str.
    """
    return source_vocabulary().encode(_readable(text))


def encode_sources(texts):
    """Ids (B, T) of B texts, padded with <pad>, int64, and a mask (B, T), True on characters.

    Raises ValueError as `encode_source` does, or if there is no text; TypeError for a lone str.
    """
    require_texts(texts)
    return _encode_padded([_readable(text) for text in texts])


def _encode_padded(texts):
    lengths = np.array([len(text) for text in texts])
    mask = np.arange(lengths.max()) < lengths[:, None]
    ids = np.full(mask.shape, PAD, dtype=np.int64)
    ids[mask] = source_vocabulary().encode("".join(texts))  # row by row, as the mask is read
    return ids, mask


def decode_target(ids):
    """The text that target ids (T,) spell up to the first <eos>. Raises as `Vocabulary.decode`."""
    return target_vocabulary().decode(ids)


# ---- batches ----


def date_batch(rng, dates, formats=None):
    """One Batch of B given days, each in a format drawn at random. Arguments as `write_dates`."""
    texts, isos = write_dates(rng, dates, formats)
    source, source_mask = _encode_padded([text.lower() for text in texts])
    iso_ids = target_vocabulary().encode("".join(isos)).reshape(len(isos), -1)
    target = np.pad(iso_ids, ((0, 0), (1, 1)), constant_values=(BOS, EOS))
    return Batch(source, source_mask, target[:, :-1], target[:, 1:])


def batches(rng, batch_size, dates=None, *, formats=None, count=None):
    """Iterate over batches of days and formats drawn uniformly, with replacement.

    rng         numpy.random.Generator
    batch_size  B, at least 1
    dates       the days to draw from, as in `write_dates`; None means `training_dates()`
    formats     as in `format_names`
    count       how many batches; None means without end

    Returns an iterator of Batch. Raises ValueError at once, not at the first batch.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    names = format_names(formats)
    days = training_dates() if dates is None else _as_days(dates)
    steps = itertools.count() if count is None else range(count)
    return (date_batch(rng, rng.choice(days, batch_size), names) for _ in steps)
