"""The words of the phrase grammar, English and French, with all their forms.

A table row holds the English forms, then the French ones, in the order that the class above it
tells. Words with two meanings are left out, and so are nouns such as "teacher", whose French
counterpart tells a man from a woman.
"""

from typing import NamedTuple


class Noun(NamedTuple):
    """A noun, one and several; `gender` is that of the French word, "m" or "f"."""

    gender: str
    english: tuple[str, str]
    french: tuple[str, str]


class Adjective(NamedTuple):
    """English has one form. French: m, f, m plural, f plural, and m singular before a vowel."""

    english: str
    french: tuple[str, str, str, str, str]

    def agree(self, gender, plural, vowel=False):
        """The French form; `vowel` says that a vowel follows."""
        if vowel and gender == "m" and not plural:
            return self.french[4]
        return self.french[2 * plural + (gender == "f")]


class Verb(NamedTuple):
    """English: see, sees, saw, each in words. French: je, il, nous, ils, and the participle."""

    english: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
    french: tuple[str, str, str, str, str]
    past_with_be: bool = False  # elle est partie, but elle a dormi


class Phrase(NamedTuple):
    """The same in both languages, word by word."""

    english: tuple[str, ...]
    french: tuple[str, ...]


class Subject(NamedTuple):
    """Who is or does something, and what the verb and the adjective have to know of them."""

    english: tuple[str, ...]
    french: tuple[str, ...]
    be: str      # am, are or is, as it is written behind these words
    home: str    # at whose place they are when at home: moi, lui, …
    person: int  # je 0, il 1, nous 2, ils 3
    gender: str


def _rows(table):
    return (line.split() for line in table.strip().splitlines())


def _nouns(table):
    rows = _rows(table)
    return {one: Noun(gender, (one, more), (un, des)) for gender, one, more, un, des in rows}


def _adjectives(table):
    return {word: Adjective(word, (*forms, forms[0])[:5]) for word, *forms in _rows(table)}


def _verbs(table, **options):
    """A fourth English word follows each form: look for, looks for, looked for."""
    cells = ([cell.split() for cell in line.split("|")] for line in table.strip().splitlines())
    return {
        english[0]: Verb(
            tuple((form, *english[3:]) for form in english[:3]), tuple(french), **options
        )
        for english, french in cells
    }


THINGS = _nouns("""
    f  car      cars      voiture  voitures
    f  house    houses    maison   maisons
    f  key      keys      clé      clés
    f  apple    apples    pomme    pommes
    f  picture  pictures  image    images
    m  book     books     livre    livres
    m  hat      hats      chapeau  chapeaux
    m  tree     trees     arbre    arbres
    m  dog      dogs      chien    chiens
    m  horse    horses    cheval   chevaux
    m  bird     birds     oiseau   oiseaux
    m  owl      owls      hibou    hiboux
""")
PERSONS = _nouns("""
    f  girl     girls      fille    filles
    f  woman    women      femme    femmes
    f  actress  actresses  actrice  actrices
    m  boy      boys       garçon   garçons
    m  man      men        homme    hommes
    m  child    children   enfant   enfants
""")

BEFORE_NOUNS = _adjectives("""
    small      petit    petite    petits    petites
    old        vieux    vieille   vieux     vieilles   vieil
    beautiful  beau     belle     beaux     belles     bel
    new        nouveau  nouvelle  nouveaux  nouvelles  nouvel
    young      jeune    jeune     jeunes    jeunes
""")
COLOURS = _adjectives("""
    red    rouge  rouge    rouges  rouges
    green  vert   verte    verts   vertes
    black  noir   noire    noirs   noires
    white  blanc  blanche  blancs  blanches
""")
MOODS = _adjectives("""
    calm   calme    calme     calmes    calmes
    sick   malade   malade    malades   malades
    sad    triste   triste    tristes   tristes
    tired  fatigué  fatiguée  fatigués  fatiguées
    happy  heureux  heureuse  heureux   heureuses
""")

BE = "suis", "est", "sommes", "sont"
HAVE = _verbs("have has had | ai a avons ont eu")["have"]
TRANSITIVE = _verbs("""
    see sees saw             | vois voit voyons voient vu
    buy buys bought          | achète achète achetons achètent acheté
    sell sells sold          | vends vend vendons vendent vendu
    lose loses lost          | perds perd perdons perdent perdu
    find finds found         | trouve trouve trouvons trouvent trouvé
    draw draws drew          | dessine dessine dessinons dessinent dessiné
    watch watches watched    | observe observe observons observent observé
    look looks looked for    | cherche cherche cherchons cherchent cherché
""")
TALKING = _verbs("""
    speak speaks spoke to    | parle parle parlons parlent parlé
    write writes wrote to    | écris écrit écrivons écrivent écrit
""")
INTRANSITIVE = {"lose": TRANSITIVE["lose"]} | _verbs("""
    sleep sleeps slept       | dors dort dormons dorment dormi
    dance dances danced      | danse danse dansons dansent dansé
    sing sings sang          | chante chante chantons chantent chanté
""")
MOVING = _verbs("""
    leave leaves left        | pars part partons partent parti
    fall falls fell          | tombe tombe tombons tombent tombé
    arrive arrives arrived   | arrive arrive arrivons arrivent arrivé
""", past_with_be=True)

ADVERBS = {
    "often": Phrase(("often",), ("souvent",)),
    "always": Phrase(("always",), ("toujours",)),
}
PRONOUNS = {
    "i": Subject(("i",), ("je",), "'m", "moi", 0, "m"),
    "he": Subject(("he",), ("il",), "'s", "lui", 1, "m"),
    "she": Subject(("she",), ("elle",), "'s", "elle", 1, "f"),
    "we": Subject(("we",), ("nous",), "'re", "nous", 2, "m"),
}
