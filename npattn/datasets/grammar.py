"""A small grammar that writes one sentence in English and in French.

    the boy 's red car is not old .      la voiture rouge du garçon n' est pas vieille .

Both are made from the same choices, so the translation is right by construction. What French
does differently is a rule here:

    agreement     articles, adjectives and participles have gender and number: vieux, vieilles
    order         a colour follows its noun, and so does an owner; an adverb follows its verb
    liaison       vieux, nouveau, beau are vieil, nouvel, bel before a vowel
    negation      ne … pas around the verb; un, une, des become de in the object
    elision       je, le, la, ne, de end in an apostrophe before a vowel
    contraction   de le → du, de les → des, à le → au, à les → aux

The last two are spelling: a sentence is put together in full words and spelled as a whole.
A sentence has one translation. What English leaves open is therefore left out: "they" (ils or
elles), "you" (tu or vous), and "i" and "we" with a word that would tell men from women.

An English apostrophe begins a word of its own ('s, 'm, 're), a French one ends it (l', n', j').
"""

from npattn.datasets.words import (
    ADVERBS,
    BE,
    BEFORE_NOUNS,
    COLOURS,
    HAVE,
    INTRANSITIVE,
    MOODS,
    MOVING,
    PERSONS,
    PRONOUNS,
    TALKING,
    THINGS,
    TRANSITIVE,
    Phrase,
    Subject,
)

NOTHING = Phrase((), ())

# ---- spelling ----

_VOWELS = tuple("aeioué")
_SILENT_H = "homme", "heureu"  # the h of hibou is not: le hibou
_ELIDED = "je", "le", "la", "ne", "de"
_CONTRACTED = {
    ("de", "le"): "du", ("de", "les"): "des", ("à", "le"): "au", ("à", "les"): "aux",
}


def begins_with_vowel(word):
    """Whether a French word begins with a vowel for the ear, as "homme" does."""
    return word.startswith((*_VOWELS, *_SILENT_H))


def spell(words):
    """French words as they are written one after the other: elided, then contracted."""
    spelled = []
    for word, following in zip(words, (*words[1:], ""), strict=True):
        if word in _ELIDED and begins_with_vowel(following):
            word = word[:-1] + "'"
        if spelled and (spelled[-1], word) in _CONTRACTED:
            word = _CONTRACTED[spelled.pop(), word]
        spelled.append(word)
    return tuple(spelled)


# ---- parts of a sentence ----


def noun_phrase(noun, article="the", *, plural=False, before=None, after=None, owner=None):
    """A noun with what depends on it, not spelled yet.

    noun           Noun
    article        "the", "a", or "not a" in the object of a negated verb; an owner replaces it
    before, after  Adjectives that French puts before and after the noun, or None
    owner          Phrase, in English "the boy" of "the boy's car"; or None

    Returns Phrase. Raises ValueError for another article.
    """
    if article not in ("the", "a", "not a"):
        raise ValueError(f'article must be "the", "a" or "not a", got {article!r}')
    english = (*(word.english for word in (before, after) if word), noun.english[plural])
    french = (noun.french[plural],)
    if before:
        french = (before.agree(noun.gender, plural, begins_with_vowel(french[0])), *french)
    if after:
        french = (*french, after.agree(noun.gender, plural))
    if owner:
        article, english = "the", (*owner.english, "'s", *english)
        french = (*french, "de", *owner.french)
    elif article == "the":
        english = ("the", *english)
    elif not plural:
        english = ("an" if english[0].startswith(_VOWELS) else "a", *english)
    return Phrase(english, (_french_article(article, noun.gender, plural, before), *french))


def _french_article(article, gender, plural, before):
    if article == "not a" or article == "a" and plural and before:
        return "de"  # pas de voiture; de vieilles voitures
    forms = {"the": ("le", "la", "les"), "a": ("un", "une", "des")}[article]
    return forms[2 if plural else gender == "f"]


def as_subject(noun, article="the", *, plural=False, **options):
    """The Subject made of a noun; arguments as in `noun_phrase`."""
    phrase = noun_phrase(noun, article, plural=plural, **options)
    homes = ("lui", "eux") if noun.gender == "m" else ("elle", "elles")
    return Subject(
        *phrase, "are" if plural else "is", homes[plural], 3 if plural else 1, noun.gender
    )


# ---- sentences ----


def being(subject, adjective=None, *, adverb=NOTHING, negated=False):
    """Somebody or something is …, or without an adjective, is at home."""
    if adjective:
        english = (adjective.english,)
        french = (adjective.agree(subject.gender, subject.person > 1),)
    else:
        english, french = ("home",), ("chez", subject.home)
    return _sentence(
        (*subject.english, subject.be, *["not"] * negated, *adverb.english, *english),
        (*subject.french, *_around(BE[subject.person], negated), *adverb.french, *french),
    )


def doing(subject, verb, object=NOTHING, *, past=False, adverb=NOTHING, negated=False):
    """Somebody does something, to an object or to none, now or in the past."""
    third = subject.person == 1
    if negated:
        auxiliary = "did" if past else "does" if third else "do"
        english = (auxiliary, "not", *adverb.english, *verb.english[0])
    else:
        english = (*adverb.english, *verb.english[2 if past else third])
    if past:
        helper = BE if verb.past_with_be else HAVE.french
        french = (
            *_around(helper[subject.person], negated), *adverb.french, _participle(subject, verb),
        )
    else:
        french = (*_around(verb.french[subject.person], negated), *adverb.french)
    return _sentence(
        (*subject.english, *english, *object.english),
        (*subject.french, *french, *object.french),
    )


def command(verb, object=NOTHING, *, negated=False):
    """What one person is told to do. The French form is that of je, for all of these verbs."""
    return _sentence(
        (*["do", "not"] * negated, *verb.english[0], *object.english),
        (*_around(verb.french[0], negated), *object.french),
        end="!",
    )


def _around(verb, negated):
    return ("ne", verb, "pas") if negated else (verb,)


def _participle(subject, verb):
    ending = "e" * (subject.gender == "f") + "s" * (subject.person > 1)
    return verb.french[4] + ending * verb.past_with_be


def _sentence(english, french, end="."):
    return Phrase((*english, "."), spell((*french, end)))


# ---- any sentence ----

_ATTRIBUTES = [BEFORE_NOUNS[word] for word in ("small", "old", "beautiful", "new")]  # of things
_TRAITS = [BEFORE_NOUNS[word] for word in ("small", "old", "beautiful", "young")]    # of persons
_NOW_OR_THEN, _ONE_OR_MORE, _AT_TIMES = (False, True), (False, True), (False, False, True)


def any_sentence(pick):
    """A sentence of the grammar, as a Phrase.

    pick  function that chooses one item of a sequence; the sentence follows from its choices
    """
    kinds = _thing_is, _person_is, _person_does, _person_does, _talk, _act, _act, _order
    return pick(kinds)(pick)


def _thing_is(pick):
    options = _thing(pick)
    said = options["before"], options["after"]
    adjectives = [word for word in (*COLOURS.values(), *_ATTRIBUTES[:3]) if word not in said]
    return being(as_subject(**options), pick(adjectives), negated=pick(_AT_TIMES))


def _person_is(pick):
    subject = _somebody(pick)
    adjectives = [*MOODS.values(), *_TRAITS]
    if subject.person in (0, 2):  # fatigué, or fatiguée?
        adjectives = [word for word in adjectives if word.french[0] == word.french[1]]
    return being(
        subject, pick([*adjectives, None]), adverb=_adverb(pick), negated=pick(_AT_TIMES)
    )


def _person_does(pick):
    verb, negated = pick([*TRANSITIVE.values(), HAVE]), pick(_AT_TIMES)
    past = pick(_NOW_OR_THEN) and verb is not HAVE
    return doing(
        _somebody(pick), verb, _object(pick, negated),
        past=past, adverb=_adverb(pick), negated=negated,
    )


def _talk(pick):
    person = _person(pick, pick(("the", "the", "a")))
    return doing(
        _somebody(pick), pick([*TALKING.values()]), Phrase(person.english, ("à", *person.french)),
        past=pick(_NOW_OR_THEN), adverb=_adverb(pick), negated=pick(_AT_TIMES),
    )


def _act(pick):
    verb, past = pick([*INTRANSITIVE.values(), *MOVING.values()]), pick(_NOW_OR_THEN)
    subject = _somebody(pick)
    while subject.person in (0, 2) and past and verb.past_with_be:  # parti, or partie?
        subject = _somebody(pick)
    return doing(subject, verb, past=past, adverb=_adverb(pick), negated=pick(_AT_TIMES))


def _order(pick):
    negated = pick(_AT_TIMES)
    if pick(_AT_TIMES):
        return command(pick([*INTRANSITIVE.values(), *MOVING.values()]), negated=negated)
    return command(pick([*TRANSITIVE.values()]), _object(pick, negated), negated=negated)


def _somebody(pick):
    return pick((pick([*PRONOUNS.values()]), _person(pick)))


def _person(pick, article="the"):
    """A man, a sick man, a young man: as a Subject."""
    before, after = pick(((None, None), (pick(_TRAITS), None), (None, pick([*MOODS.values()]))))
    return as_subject(
        pick([*PERSONS.values()]), article, plural=pick(_ONE_OR_MORE), before=before, after=after
    )


def _owner(pick):
    """Several owners only where "'s" follows: the men's, not the boys'."""
    noun = pick([*PERSONS.values()])
    return noun_phrase(noun, plural=pick(_ONE_OR_MORE) and not noun.english[1].endswith("s"))


def _thing(pick):
    """A car, an old car, somebody's red car: what `noun_phrase` has to know, but the article."""
    return dict(
        noun=pick([*THINGS.values()]), plural=pick(_ONE_OR_MORE),
        before=pick((None, None, pick(_ATTRIBUTES))),
        after=pick((None, pick([*COLOURS.values()]))), owner=pick((None, None, _owner(pick))),
    )


def _object(pick, negated):
    return noun_phrase(article=pick(("the", "not a" if negated else "a")), **_thing(pick))


def _adverb(pick):
    return pick((NOTHING, NOTHING, pick([*ADVERBS.values()])))
