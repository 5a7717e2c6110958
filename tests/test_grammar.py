"""The phrase grammar: each rule of French by examples written by hand and by what never occurs."""

import re

import numpy as np
import pytest

from npattn.datasets import words
from npattn.datasets.grammar import (
    any_sentence,
    as_subject,
    begins_with_vowel,
    being,
    command,
    doing,
    noun_phrase,
    spell,
)
from npattn.datasets.phrases import write_french
from npattn.datasets.words import (
    ADVERBS,
    HAVE,
    INTRANSITIVE,
    MOVING,
    PRONOUNS,
    TALKING,
    TRANSITIVE,
    Phrase,
)

NOUNS = words.THINGS | words.PERSONS
ADJECTIVES = words.BEFORE_NOUNS | words.COLOURS | words.MOODS


def np_(noun, article="the", plural=False, before=None, after=None, owner=None):
    """A noun phrase from English words."""
    before, after = (word and ADJECTIVES[word] for word in (before, after))
    return noun_phrase(
        NOUNS[noun], article, plural=plural, before=before, after=after, owner=owner
    )


def who(word, plural=False, **options):
    if word in PRONOUNS:
        return PRONOUNS[word]
    return as_subject(
        NOUNS[word], plural=plural, **{k: ADJECTIVES[v] for k, v in options.items()}
    )


def written(phrase):
    return " ".join(phrase.english), " ".join(spell(phrase.french))


# ---- words ----


def test_agreement_of_every_adjective_worked_out_by_hand():
    forms = {
        "small": "petit petite petits petites petit",
        "old": "vieux vieille vieux vieilles vieil",
        "beautiful": "beau belle beaux belles bel",
        "new": "nouveau nouvelle nouveaux nouvelles nouvel",
        "young": "jeune jeune jeunes jeunes jeune",
        "red": "rouge rouge rouges rouges rouge",
        "green": "vert verte verts vertes vert",
        "black": "noir noire noirs noires noir",
        "white": "blanc blanche blancs blanches blanc",
        "calm": "calme calme calmes calmes calme",
        "sick": "malade malade malades malades malade",
        "sad": "triste triste tristes tristes triste",
        "tired": "fatigué fatiguée fatigués fatiguées fatigué",
        "happy": "heureux heureuse heureux heureuses heureux",
    }
    assert forms.keys() == ADJECTIVES.keys()
    for word, expected in forms.items():
        adjective = ADJECTIVES[word]
        found = [adjective.agree(gender, plural) for plural in (0, 1) for gender in "mf"]
        assert " ".join([*found, adjective.agree("m", False, vowel=True)]) == expected
        assert adjective.agree("m", True, vowel=True) == adjective.agree("m", True)
        assert adjective.agree("f", False, vowel=True) == adjective.agree("f", False)


@pytest.mark.parametrize("word, forms", [
    ("see", "je vois|il voit|nous voyons|les hommes voient"),
    ("buy", "j' achète|il achète|nous achetons|les hommes achètent"),
    ("sell", "je vends|il vend|nous vendons|les hommes vendent"),
    ("lose", "je perds|il perd|nous perdons|les hommes perdent"),
    ("find", "je trouve|il trouve|nous trouvons|les hommes trouvent"),
    ("draw", "je dessine|il dessine|nous dessinons|les hommes dessinent"),
    ("watch", "j' observe|il observe|nous observons|les hommes observent"),
    ("look", "je cherche|il cherche|nous cherchons|les hommes cherchent"),
    ("have", "j' ai|il a|nous avons|les hommes ont"),
    ("speak", "je parle|il parle|nous parlons|les hommes parlent"),
    ("write", "j' écris|il écrit|nous écrivons|les hommes écrivent"),
    ("sleep", "je dors|il dort|nous dormons|les hommes dorment"),
    ("dance", "je danse|il danse|nous dansons|les hommes dansent"),
    ("sing", "je chante|il chante|nous chantons|les hommes chantent"),
    ("leave", "je pars|il part|nous partons|les hommes partent"),
    ("fall", "je tombe|il tombe|nous tombons|les hommes tombent"),
    ("arrive", "j' arrive|il arrive|nous arrivons|les hommes arrivent"),
])
def test_conjugation(word, forms):
    verb = (TRANSITIVE | TALKING | INTRANSITIVE | MOVING | {"have": HAVE})[word]
    subjects = [who("i"), who("he"), who("we"), who("man", plural=True)]
    assert "|".join(" ".join(doing(s, verb).french[:-1]) for s in subjects) == forms


def test_every_noun_in_both_numbers():
    by_hand = {
        "car": "une voiture, des voitures", "house": "une maison, des maisons",
        "key": "une clé, des clés", "apple": "une pomme, des pommes",
        "picture": "une image, des images", "book": "un livre, des livres",
        "hat": "un chapeau, des chapeaux", "tree": "un arbre, des arbres",
        "dog": "un chien, des chiens", "horse": "un cheval, des chevaux",
        "bird": "un oiseau, des oiseaux", "owl": "un hibou, des hiboux",
        "girl": "une fille, des filles", "woman": "une femme, des femmes",
        "actress": "une actrice, des actrices", "boy": "un garçon, des garçons",
        "man": "un homme, des hommes", "child": "un enfant, des enfants",
    }
    assert {
        word: ", ".join(" ".join(np_(word, "a", plural).french) for plural in (False, True))
        for word in NOUNS
    } == by_hand
    plurals = "cars houses keys apples pictures books hats trees dogs horses birds owls " \
        "girls women actresses boys men children"
    assert " ".join(" ".join(np_(word, "a", True).english) for word in NOUNS) == plurals


# ---- noun phrases ----


@pytest.mark.parametrize("phrase, english, french", [
    # gender and number
    (np_("car"), "the car", "la voiture"),
    (np_("book", plural=True), "the books", "les livres"),
    (np_("horse", "a"), "a horse", "un cheval"),
    (np_("horse", "a", plural=True), "horses", "des chevaux"),
    # adjectives before and behind the noun, both behind an English article that minds the vowel
    (np_("house", after="white"), "the white house", "la maison blanche"),
    (np_("key", "a", before="old"), "an old key", "une vieille clé"),
    (np_("dog", before="small", after="black"), "the small black dog", "le petit chien noir"),
    (np_("hat", "a", True, "new", "green"), "new green hats", "de nouveaux chapeaux verts"),
    (np_("picture", "a", True, "beautiful"), "beautiful pictures", "de belles images"),
    # elision, but not before the h of hibou
    (np_("picture"), "the picture", "l' image"),
    (np_("man", after="happy"), "the happy man", "l' homme heureux"),
    (np_("man", plural=True), "the men", "les hommes"),
    (np_("man", before="young"), "the young man", "le jeune homme"),
    (np_("owl"), "the owl", "le hibou"),
    (np_("owl", "a"), "an owl", "un hibou"),
    # liaison, only of the masculine singular
    (np_("bird", before="new"), "the new bird", "le nouvel oiseau"),
    (np_("tree", "a", before="old"), "an old tree", "un vieil arbre"),
    (np_("child", before="beautiful"), "the beautiful child", "le bel enfant"),
    (np_("owl", before="old"), "the old owl", "le vieux hibou"),
    (np_("tree", plural=True, before="old"), "the old trees", "les vieux arbres"),
    (np_("actress", before="old"), "the old actress", "la vieille actrice"),
    # under negation
    (np_("car", "not a"), "a car", "de voiture"),
    (np_("apple", "not a", True), "apples", "de pommes"),
    (np_("tree", "not a"), "a tree", "d' arbre"),
    (np_("owl", "not a"), "an owl", "de hibou"),
    (np_("apple", "not a", after="red"), "a red apple", "de pomme rouge"),
    # owners, contraction
    (np_("car", owner=np_("boy")), "the boy 's car", "la voiture du garçon"),
    (np_("car", owner=np_("girl")), "the girl 's car", "la voiture de la fille"),
    (np_("car", owner=np_("man")), "the man 's car", "la voiture de l' homme"),
    (np_("car", owner=np_("woman", plural=True)), "the women 's car", "la voiture des femmes"),
    (np_("hat", "not a", True, after="red", owner=np_("child")), "the child 's red hats",
     "les chapeaux rouges de l' enfant"),
])
def test_noun_phrases(phrase, english, french):
    assert written(phrase) == (english, french)


def test_an_article_that_is_none_is_refused():
    with pytest.raises(ValueError, match='article must be "the", "a" or "not a", got \'an\''):
        np_("owl", "an")


def test_spelling():
    assert spell(("je", "ne", "ai", "pas")) == ("je", "n'", "ai", "pas")
    assert spell(("de", "le", "homme")) == ("de", "l'", "homme")  # not du homme
    assert spell(("de", "le", "hibou")) == ("du", "hibou")
    assert spell(("à", "les", "enfants")) == ("aux", "enfants")
    assert spell(("à", "la", "actrice")) == ("à", "l'", "actrice")
    assert spell(("la",)) == ("la",)
    heard = [w for w in ("homme", "hibou", "écrit", "heureux", "la") if begins_with_vowel(w)]
    assert heard == ["homme", "écrit", "heureux"]


# ---- sentences ----


@pytest.mark.parametrize("sentence, english, french", [
    # being
    (being(who("he"), ADJECTIVES["calm"]), "he 's calm .", "il est calme ."),
    (being(who("she"), ADJECTIVES["happy"]), "she 's happy .", "elle est heureuse ."),
    (being(who("we"), ADJECTIVES["sick"], negated=True), "we 're not sick .",
     "nous ne sommes pas malades ."),
    (being(who("actress", plural=True), ADJECTIVES["old"]), "the actresses are old .",
     "les actrices sont vieilles ."),
    (being(who("woman"), ADJECTIVES["tired"], adverb=ADVERBS["often"], negated=True),
     "the woman is not often tired .", "la femme n' est pas souvent fatiguée ."),
    # at home
    (being(who("i")), "i 'm home .", "je suis chez moi ."),
    (being(who("he"), negated=True), "he 's not home .", "il n' est pas chez lui ."),
    (being(who("she")), "she 's home .", "elle est chez elle ."),
    (being(who("we")), "we 're home .", "nous sommes chez nous ."),
    (being(who("girl")), "the girl is home .", "la fille est chez elle ."),
    (being(who("man", plural=True)), "the men are home .", "les hommes sont chez eux ."),
    (being(who("woman", plural=True)), "the women are home .", "les femmes sont chez elles ."),
    # the present
    (doing(who("i"), HAVE, np_("key", "a")), "i have a key .", "j' ai une clé ."),
    (doing(who("i"), HAVE, np_("key", "not a"), negated=True), "i do not have a key .",
     "je n' ai pas de clé ."),
    (doing(who("child"), TRANSITIVE["watch"], np_("bird")), "the child watches the bird .",
     "l' enfant observe l' oiseau ."),
    (doing(who("boy", plural=True), TRANSITIVE["look"], np_("dog"), negated=True),
     "the boys do not look for the dog .", "les garçons ne cherchent pas le chien ."),
    (doing(who("she"), INTRANSITIVE["sleep"], adverb=ADVERBS["always"]), "she always sleeps .",
     "elle dort toujours ."),
    (doing(who("he"), INTRANSITIVE["sing"], adverb=ADVERBS["often"], negated=True),
     "he does not often sing .", "il ne chante pas souvent ."),
    # the past, with have and with be
    (doing(who("i"), INTRANSITIVE["lose"], past=True), "i lost .", "j' ai perdu ."),
    (doing(who("i"), INTRANSITIVE["lose"], past=True, negated=True), "i did not lose .",
     "je n' ai pas perdu ."),
    (doing(who("woman"), TRANSITIVE["see"], np_("key", plural=True), past=True),
     "the woman saw the keys .", "la femme a vu les clés ."),
    (doing(who("we"), INTRANSITIVE["dance"], past=True, adverb=ADVERBS["often"]),
     "we often danced .", "nous avons souvent dansé ."),
    (doing(who("he"), MOVING["leave"], past=True), "he left .", "il est parti ."),
    (doing(who("she"), MOVING["fall"], past=True), "she fell .", "elle est tombée ."),
    (doing(who("man", plural=True), MOVING["fall"], past=True), "the men fell .",
     "les hommes sont tombés ."),
    (doing(who("girl", plural=True), MOVING["arrive"], past=True, negated=True),
     "the girls did not arrive .", "les filles ne sont pas arrivées ."),
    # to somebody
    (doing(who("i"), TALKING["write"], Phrase(np_("boy").english, ("à", *np_("boy").french))),
     "i write to the boy .", "j' écris au garçon ."),
    (doing(who("he"), TALKING["speak"], Phrase(np_("man").english, ("à", *np_("man").french)),
           past=True), "he spoke to the man .", "il a parlé à l' homme ."),
    # orders
    (command(INTRANSITIVE["dance"]), "dance .", "danse !"),
    (command(MOVING["leave"], negated=True), "do not leave .", "ne pars pas !"),
    (command(TRANSITIVE["sell"], np_("house")), "sell the house .", "vends la maison !"),
    (command(TRANSITIVE["buy"], np_("apple", "not a", True), negated=True),
     "do not buy apples .", "n' achète pas de pommes !"),
])
def test_sentences(sentence, english, french):
    assert (" ".join(sentence.english), " ".join(sentence.french)) == (english, french)


# ---- any sentence ----


@pytest.fixture(scope="module")
def sentences():
    raw = np.random.PCG64(7).random_raw
    return [any_sentence(lambda options: options[raw() % len(options)]) for _ in range(8_000)]


def test_a_sentence_has_one_translation_in_either_direction(sentences):
    pairs = set(sentences)
    assert len({pair.english for pair in pairs}) == len(pairs)
    assert len({pair.french for pair in pairs}) == len(pairs)


def test_nothing_is_left_to_be_elided_or_contracted(sentences):
    for pair in sentences:
        assert spell(pair.french) == pair.french
        text = write_french(pair.french)
        assert not re.search(r"\b(je|le|la|ne|de) ([aeioué]|homme)|[jlnd]'(?![aeioué]|homme)", text)
        assert not re.search(r"\b(de|à) les?\b", text)


def test_a_negation_has_two_parts_in_french(sentences):
    for pair in sentences:
        count = pair.english.count("not")
        assert count <= 1
        around = sum(word in ("ne", "n'") for word in pair.french)
        assert pair.french.count("pas") == around == count


def test_no_word_tells_whether_i_am_a_man(sentences):
    either = {"calme", "malade", "triste", "jeune"}
    either |= {f"{word}s" for word in either}
    told = {form for word in ADJECTIVES.values() for form in word.french} - either
    moved = {verb.french[4] for verb in MOVING.values()}
    for pair in sentences:
        if {"suis", "sommes"} & {*pair.french}:
            assert not (told | moved | {f"{word}s" for word in moved}) & {*pair.french}, pair


def test_every_word_of_the_tables_can_occur(sentences):
    english = {word for pair in sentences for word in pair.english}
    french = {word for pair in sentences for word in pair.french}
    verbs = (TRANSITIVE | TALKING | INTRANSITIVE | MOVING).values()
    assert {form for noun in NOUNS.values() for form in noun.french} <= french
    assert {form for verb in verbs for form in verb.french} <= french
    assert {form for word in ADJECTIVES.values() for form in word.french} <= french
    assert {*ADJECTIVES, *PRONOUNS, *ADVERBS, "'m", "'s", "'re", "does", "did", "an"} <= english


def test_an_order_has_no_subject_and_no_full_stop(sentences):
    orders = [pair for pair in sentences if pair.french[-1] == "!"]
    assert orders
    subjects = {"je", "j'", "il", "elle", "nous"}
    assert not any(subjects & {*pair.french} for pair in orders)
    assert all(pair.english[-1] == "." and pair.french[-1] in ".!" for pair in sentences)
