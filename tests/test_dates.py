"""Dates: what each format writes, that no text means two days, the split, ids, errors, batches."""

import datetime
import itertools
import re

import numpy as np
import pytest

from npattn.datasets.dates import (
    BOS,
    EOS,
    FORMATS,
    MAX_SOURCE,
    PAD,
    batches,
    date_batch,
    decode_target,
    encode_source,
    encode_sources,
    format_names,
    held_out_dates,
    normalise,
    source_vocabulary,
    spellings,
    target_vocabulary,
    training_dates,
    write_dates,
)

# name: what it makes of Sunday 22 September 2030, and of Saturday 1 January 2000
BY_HAND = {
    "March 5, 2021": ("September 22, 2030", "January 1, 2000"),
    "March 5 2021": ("September 22 2030", "January 1 2000"),
    "March 5th, 2021": ("September 22nd, 2030", "January 1st, 2000"),
    "Mar 5, 2021": ("Sep 22, 2030", "Jan 1, 2000"),
    "Mar. 5, 2021": ("Sept. 22, 2030", "Jan. 1, 2000"),
    "Friday, March 5, 2021": ("Sunday, September 22, 2030", "Saturday, January 1, 2000"),
    "Fri, Mar 5, 2021": ("Sun, Sep 22, 2030", "Sat, Jan 1, 2000"),
    "5 March 2021": ("22 September 2030", "1 January 2000"),
    "5th March 2021": ("22nd September 2030", "1st January 2000"),
    "5th of March 2021": ("22nd of September 2030", "1st of January 2000"),
    "the 5th of March, 2021": ("the 22nd of September, 2030", "the 1st of January, 2000"),
    "Friday, the 5th of March, 2021": (
        "Sunday, the 22nd of September, 2030", "Saturday, the 1st of January, 2000"),
    "Friday 5 March 2021": ("Sunday 22 September 2030", "Saturday 1 January 2000"),
    "5 Mar 2021": ("22 Sep 2030", "1 Jan 2000"),
    "Fri 5 Mar 2021": ("Sun 22 Sep 2030", "Sat 1 Jan 2000"),
    "05-Mar-2021": ("22-Sep-2030", "01-Jan-2000"),
    "2021-03-05": ("2030-09-22", "2000-01-01"),
    "2021-3-5": ("2030-9-22", "2000-1-1"),
    "2021/03/05": ("2030/09/22", "2000/01/01"),
    "2021/3/5": ("2030/9/22", "2000/1/1"),
    "2021.03.05": ("2030.09.22", "2000.01.01"),
    "2021.3.5": ("2030.9.22", "2000.1.1"),
    "20210305": ("20300922", "20000101"),
    "2021年3月5日": ("2030年9月22日", "2000年1月1日"),
    "2021年03月05日": ("2030年09月22日", "2000年01月01日"),
    "2021 年 3 月 5 日": ("2030 年 9 月 22 日", "2000 年 1 月 1 日"),
    "2021年3月5号": ("2030年9月22号", "2000年1月1号"),
    "2021年3月5日 星期五": ("2030年9月22日 星期日", "2000年1月1日 星期六"),
    "2021年3月5日周五": ("2030年9月22日周日", "2000年1月1日周六"),
    "2021年3月5号星期五": ("2030年9月22号星期天", "2000年1月1号星期六"),
    "2021/3/5 周五": ("2030/9/22 周日", "2000/1/1 周六"),
    "二〇二一年三月五日": ("二〇三〇年九月二十二日", "二〇〇〇年一月一日"),
    "二〇二一年三月五日 星期五": ("二〇三〇年九月二十二日 星期日", "二〇〇〇年一月一日 星期六"),
    "二零二一年三月五日": ("二零三零年九月二十二日", "二零零零年一月一日"),
    "二零二一年三月五号": ("二零三零年九月二十二号", "二零零零年一月一号"),
}


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def every_day():
    return np.arange(np.datetime64("1950-01-01"), np.datetime64("2050-01-01")).tolist()


# ---- formats ----


def test_every_format_is_worked_out_by_hand():
    assert BY_HAND.keys() == FORMATS.keys()


@pytest.mark.parametrize("name", FORMATS)
def test_format_writes_what_a_hand_would_write(name):
    write = FORMATS[name].write
    assert write(datetime.date(2021, 3, 5)) == name
    assert (write(datetime.date(2030, 9, 22)), write(datetime.date(2000, 1, 1))) == BY_HAND[name]


def test_ordinals_and_spoken_numbers_of_every_day_of_a_month():
    days = [datetime.date(2021, 12, day) for day in range(1, 32)]
    ordinals = [FORMATS["5th March 2021"].write(day).split()[0] for day in days]
    assert " ".join(ordinals) == (
        "1st 2nd 3rd 4th 5th 6th 7th 8th 9th 10th 11th 12th 13th 14th 15th 16th "
        "17th 18th 19th 20th 21st 22nd 23rd 24th 25th 26th 27th 28th 29th 30th 31st"
    )
    spoken = [FORMATS["二〇二一年三月五日"].write(day) for day in days]
    assert all(text.startswith("二〇二一年十二月") and text[-1] == "日" for text in spoken)
    assert " ".join(text[8:-1] for text in spoken) == (
        "一 二 三 四 五 六 七 八 九 十 十一 十二 十三 十四 十五 十六 十七 十八 十九 二十 "
        "二十一 二十二 二十三 二十四 二十五 二十六 二十七 二十八 二十九 三十 三十一"
    )


@pytest.mark.parametrize("name, months", [
    ("March 5, 2021", "January February March April May June "
                      "July August September October November December"),
    ("Mar 5, 2021", "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"),
    ("Mar. 5, 2021", "Jan. Feb. Mar. Apr. May June July Aug. Sept. Oct. Nov. Dec."),
])
def test_months_in_their_three_spellings(name, months):
    days = (datetime.date(2021, month, 9) for month in range(1, 13))
    assert " ".join(FORMATS[name].write(day).split()[0] for day in days) == months


def test_weekdays_are_those_of_the_calendar(rng, every_day):
    chinese = dict(zip("一二三四五六日天", (1, 2, 3, 4, 5, 6, 7, 7), strict=True))
    english = dict(zip(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), range(1, 8), strict=True))
    checked = 0
    for name, form in FORMATS.items():
        if "fri" not in name.lower() and "五" not in name[-1]:
            continue
        checked += 1
        for day in rng.choice(every_day, 300):
            text = form.write(day)
            found = chinese[text[-1]] if form.language == "zh" else english[text[:3].lower()]
            assert found == day.isoweekday(), text
    assert checked == 10


@pytest.mark.thorough
def test_no_text_means_two_days_and_every_text_is_readable(every_day):
    known, longest = set(source_vocabulary().units), 0
    meaning, used = {}, set()
    for form in FORMATS.values():
        for day in every_day:
            text = form.write(day).lower()
            assert meaning.setdefault(text, day) == day, text
            longest = max(longest, len(text))
            used.update(text)
    assert used == known  # no character untrained, none missing
    assert longest == MAX_SOURCE


def test_spellings_are_all_the_texts_of_a_day():
    texts = spellings(datetime.date(2021, 3, 5))
    assert texts == {name.lower() for name in FORMATS}
    assert texts.isdisjoint(spellings(datetime.date(2021, 5, 3)))


def test_formats_are_selected_by_name_and_language():
    assert format_names() == format_names(["en", "digits", "zh"]) == list(FORMATS)
    assert format_names("5 Mar 2021") == ["5 Mar 2021"]
    assert format_names(("2021-3-5", "zh"))[:2] == ["2021-3-5", "2021年3月5日"]
    assert [len(format_names(language)) for language in ("en", "digits", "zh")] == [16, 7, 12]
    for wrong in ("fr", [], ["en", "3/5/2021"]):
        with pytest.raises(ValueError, match=re.escape(f"formats must hold names from FORMATS or "
                           f"languages ['digits', 'en', 'zh'], got {wrong!r}")):
            format_names(wrong)


def test_formats_are_equally_likely_and_iso_is_right(rng):
    texts, isos = write_dates(rng, ["2021-03-05"] * 35_000)
    assert set(isos) == {"2021-03-05"}
    counts = np.unique(texts, return_counts=True)[1]
    assert counts.size == len(FORMATS)
    assert abs(counts - 1000).max() < 160  # five standard deviations


def test_write_dates_accepts_every_kind_of_date(rng):
    day = datetime.date(2049, 12, 31)
    for dates in ([day], ["2049-12-31"], np.array([day], dtype="datetime64[D]")):
        assert write_dates(rng, dates, "2021/3/5") == (["2049/12/31"], ["2049-12-31"])


@pytest.mark.parametrize("date", ["1949-12-31", "2050-01-01", "NaT"])
def test_dates_outside_the_years_are_refused(rng, date):
    message = f"dates must lie from 1950-01-01 to 2049-12-31, got {date}"
    with pytest.raises(ValueError, match=message):
        write_dates(rng, ["2000-01-01", date])


def test_shapeless_dates_are_refused(rng):
    with pytest.raises(ValueError, match=re.escape("got shape (0,)")):
        write_dates(rng, [])
    with pytest.raises(ValueError, match=re.escape("got shape ()")):
        write_dates(rng, "2021-03-05")


# ---- the split ----


def test_split_is_disjoint_for_every_seed_and_covers_the_calendar(every_day):
    training = set(training_dates().tolist())
    for n, seed in ((1000, 0), (1000, 1), (3000, 2), (1, 3)):
        held_out = held_out_dates(n, seed).tolist()
        assert len(set(held_out)) == n
        assert training.isdisjoint(held_out)
    reserved = len(every_day) - len(training)
    assert 0.095 < reserved / len(every_day) < 0.105
    assert training.union(held_out_dates(reserved).tolist()) == set(every_day)
    with pytest.raises(ValueError, match=f"n must lie from 1 to {reserved}, .* got {reserved + 1}"):
        held_out_dates(reserved + 1)
    with pytest.raises(ValueError, match="got 0"):
        held_out_dates(0)


def test_split_stays_what_it_was():
    january = np.arange(np.datetime64("1950-01-01"), np.datetime64("1950-02-01"))
    reserved = january[~np.isin(january, training_dates())]
    assert [day.day for day in reserved.tolist()] == [3, 4, 12, 14, 21]
    assert training_dates().size == 36_525 - 3_738


def test_split_is_deterministic_and_cannot_be_damaged():
    np.testing.assert_array_equal(held_out_dates(50, seed=4), held_out_dates(50, seed=4))
    assert (held_out_dates(50, seed=4) != held_out_dates(50, seed=5)).any()
    with pytest.raises(ValueError, match="read-only"):
        training_dates()[0] = training_dates()[1]


# ---- characters and ids ----


def test_vocabularies():
    assert (PAD, BOS, EOS) == (0, 1, 2)
    assert target_vocabulary().symbols == ("<pad>", "<bos>", "<eos>", *"0123456789-")
    for vocabulary in (source_vocabulary(), target_vocabulary()):
        assert len(vocabulary) == len(vocabulary.symbols) == len(vocabulary.units) + 3
        assert vocabulary.decode(vocabulary.encode(vocabulary.units)) == vocabulary.units


@pytest.mark.parametrize("typed, read", [
    ("MARCH 5, 2021", "march 5, 2021"),
    ("  5 Mar\u00a0\t2021\n", "5 mar 2021"),
    ("２０２１年３月５日", "2021年3月5日"),
    ("Ｍarch\u3000５，２０２１", "march 5,2021"),
    ("5ᵗʰ March 2021", "5th march 2021"),
])
def test_normalise_and_round_trip(typed, read):
    assert normalise(typed) == normalise(read) == read
    ids = encode_source(typed)
    assert ids.dtype == np.int64 and ids.shape == (len(read),)
    assert source_vocabulary().decode(ids) == read


@pytest.mark.parametrize("text, start", [
    ("", "text is empty; write a date"),
    (" \n\u3000", "text is empty; write a date"),
    ("1" * (MAX_SOURCE + 1), "text has 39 characters; a date has at most 38"),
    ("5 März 2021", "character 'ä' (LATIN SMALL LETTER A WITH DIAERESIS) at position 4 does not"),
    ("  5   MÄR", "character 'Ä' (LATIN CAPITAL LETTER A WITH DIAERESIS) at position 8 does not"),
    ("Mae\u0308rz", "character '\u0308' (COMBINING DIAERESIS) at position 4 does not"),
    ("5 mar\u200b", r"character '\u200b' (ZERO WIDTH SPACE) at position 6 does not"),
    ("\ud800", r"character '\ud800' (no Unicode name) at position 1 does not"),
    ("next weekend", "character 'x' (LATIN SMALL LETTER X) at position 3 does not"),
])
def test_unreadable_text_is_refused_in_one_line(text, start):
    for refuse in (lambda: encode_source(text), lambda: encode_sources(["5 Mar 2021", text])):
        with pytest.raises(ValueError) as error:
            refuse()
        message = str(error.value)
        assert message.startswith(start)
        assert len(message.splitlines()) == 1
        if "position" in message:
            accepted = message.split("accepted are spaces, ")[1]
            assert all(character in accepted for character in "09,-./年〇零十ajwy")


def test_any_character_is_accepted_or_refused_cleanly():
    refused = 0
    for code in itertools.chain(range(0x3100), range(0x4E00, 0x4F00), range(0xFE00, 0x10000)):
        try:
            ids = encode_source("5" + chr(code))
        except ValueError as error:
            refused += 1
            assert " at position 2 does not occur in dates" in str(error)
        else:
            assert source_vocabulary().decode(ids) == normalise("5" + chr(code))
    assert 12_000 < refused < 13_312


def test_encode_sources_pads_and_masks():
    ids, mask = encode_sources(["5 Mar 2021", "2021年3月5日", "20210305"])
    assert ids.shape == mask.shape == (3, 10)
    assert (ids.dtype, mask.dtype) == (np.int64, bool)
    assert mask.sum(axis=1).tolist() == [10, 9, 8]
    assert (np.diff(mask.astype(int)) <= 0).all()  # characters first, padding after
    assert (ids[~mask] == PAD).all() and (ids[mask] > EOS).all()
    for row, text in zip(ids, ("5 mar 2021", "2021年3月5日", "20210305"), strict=True):
        assert source_vocabulary().decode(row) == text


def test_arguments_of_the_wrong_kind_are_refused():
    with pytest.raises(TypeError, match="text must be a str, got int"):
        encode_source(2021)
    with pytest.raises(TypeError, match="texts must be a list of str, got the str '5 Mar 2021'"):
        encode_sources("5 Mar 2021")
    with pytest.raises(ValueError, match="texts must hold one text or more, got none"):
        encode_sources([])


def test_decode_target():
    iso = target_vocabulary().encode("2021-03-05").tolist()
    assert decode_target([BOS, *iso, EOS, 3, PAD]) == "2021-03-05"
    assert decode_target(np.array(iso[:4])) == "2021"
    with pytest.raises(ValueError, match="ids must lie from 0 to 13"):
        decode_target([14])


# ---- batches ----


def test_batch_holds_the_pairs_that_write_dates_draws():
    dates = held_out_dates(20)
    texts, isos = write_dates(np.random.default_rng(7), dates)
    batch = date_batch(np.random.default_rng(7), dates)
    assert isos == dates.astype(str).tolist()
    source, source_mask = encode_sources(texts)
    np.testing.assert_array_equal(batch.source, source)
    np.testing.assert_array_equal(batch.source_mask, source_mask)
    assert [decode_target(row) for row in batch.target_in] == isos
    assert [decode_target(row) for row in batch.target_out] == isos


def test_batch_shapes_and_shift(rng):
    for batch in batches(rng, 7, count=20):
        length = batch.source_mask.sum(axis=1).max()
        assert batch.source.shape == batch.source_mask.shape == (7, length)
        assert batch.target_in.shape == batch.target_out.shape == (7, 11)
        assert {ids.dtype for ids in batch} == {np.dtype(np.int64), np.dtype(bool)}
        assert batch.source_mask.dtype == bool
        assert (batch.target_in[:, 0] == BOS).all() and (batch.target_out[:, -1] == EOS).all()
        np.testing.assert_array_equal(batch.target_in[:, 1:], batch.target_out[:, :-1])
        assert (batch.target_out[:, :-1] > EOS).all()


def test_batches_keep_to_their_days_and_formats(rng):
    chinese = set("年月日号星期周〇零一二三四五六七八九十")
    training, some = set(training_dates().astype(str)), ["2021-03-05", "1999-12-31"]
    for formats, is_chinese in (("zh", True), ("en", False)):
        for batch in batches(rng, 32, formats=formats, count=5):
            assert training.issuperset(map(decode_target, batch.target_out))
            for row in batch.source:
                assert chinese.isdisjoint(source_vocabulary().decode(row)) != is_chinese
    (batch,) = batches(rng, 64, some, count=1)
    assert {decode_target(row) for row in batch.target_out} == set(some)


def test_batches_are_endless_and_deterministic():
    first, again, other = (batches(np.random.default_rng(seed), 4) for seed in (0, 0, 1))
    differs = False
    for one, two, three in itertools.islice(zip(first, again, other, strict=True), 50):
        for left, right in zip(one, two, strict=True):
            np.testing.assert_array_equal(left, right)
        differs |= not np.array_equal(one.target_out, three.target_out)
    assert differs


def test_batches_refuse_at_once(rng):
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        batches(rng, 0)
    with pytest.raises(ValueError, match="formats must hold"):
        batches(rng, 4, formats="fr")
    with pytest.raises(ValueError, match="dates must lie from"):
        batches(rng, 4, ["1066-10-14"])
