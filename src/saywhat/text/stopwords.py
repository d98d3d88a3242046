"""Function words and the small change of talk: what says nothing of what a sentence is about."""

from collections.abc import Iterable
from typing import Final

from saywhat.text.normalise import normalise

# all as `normalise` leaves them: lower-case, without apostrophes
_FUNCTION: Final = """
i me my mine myself you your yours yourself u ur he him his himself she her hers herself it its
itself we us our ours ourselves they them their theirs themselves one ones
a an the this that these those there here
am is are was were be been being do does did done doing have has had having can could will would
shall should may might must ought
im ive id ill youre youve youd youll hes shes its theyre theyve were weve thats theres heres lets
s m d ll re ve gonna wanna gotta
and or but nor so yet if then than because cause as while though although unless until since
of in on at to from for with by about into onto over under up down out off through between
after before again during against around along across near
too also just really quite only even still very
"""
_OTHER: Final = """
dont doesnt didnt cant cannot couldnt wont wouldnt shouldnt isnt arent wasnt werent havent hasnt
hadnt aint t nt not no nope nah without never
what which who whom whose when where why how whats hows wheres whos
yes yeah yep yup ok okay oh ah um uh hmm hm wow well hi hello hey bye haha hahaha lol please thanks
thank more most less least much many some any all both each every other another such same own few
lot lots bit kind sort now ever always often
get gets got go goes going went gone know think mean say says said like want
good nice great cool true right sure
thing things something anything nothing everything someone anyone everyone
"""
FUNCTION_WORDS: Final = frozenset(_FUNCTION.split())
STOPWORDS: Final = FUNCTION_WORDS | frozenset(_OTHER.split())
_SHORTEST: Final = 3


def is_content_word(word: str) -> bool:
    """Whether a normalised word says what a sentence is about: no stop word, letters, at least 3.

    Example:
        >>> [is_content_word(word) for word in ("coffee", "dont", "42", "tv")]
        [True, False, False, False]
    """
    return word.isalpha() and len(word) >= _SHORTEST and word not in STOPWORDS


def content_words(texts: Iterable[str]) -> list[str]:
    """Give the distinct content words of texts, normalised, in the order in which they first come.

    Example:
        >>> content_words(["I like coffee!", "Coffee and a movie?"])
        ['coffee', 'movie']
    """
    words = (word for text in texts for word in normalise(text).split())
    return list(dict.fromkeys(word for word in words if is_content_word(word)))
