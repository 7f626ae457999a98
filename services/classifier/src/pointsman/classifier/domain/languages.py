"""Which language a text is in: its script, then its frequent words and its letters.

Owns the word lists and the scripts. A short text, or one between two languages, is ``und``.
"""

import re
from collections.abc import Mapping
from typing import Final

UNKNOWN: Final = "und"
_READ_CHARACTERS: Final = 400

# The first script with a letter in it that settles the language by itself. Han alone is Chinese;
# with kana it is Japanese, so kana is asked first.
_SCRIPTS: Final[tuple[tuple[str, str], ...]] = (
    ("ja", "\u3041-\u30ff"),
    ("ko", "\uac00-\ud7a3\u1100-\u11ff"),
    ("zh", "\u4e00-\u9fff\u3400-\u4dbf"),
    ("th", "\u0e01-\u0e5b"),
    ("el", "\u0370-\u03ff"),
    ("he", "\u05d0-\u05ea"),
    ("hi", "\u0900-\u097f"),
    ("bn", "\u0980-\u09ff"),
    ("ta", "\u0b80-\u0bff"),
    ("ka", "\u10a0-\u10ff"),
    ("hy", "\u0531-\u0587"),
)
_OF_SCRIPT: Final = tuple((name, re.compile(f"[{letters}]")) for name, letters in _SCRIPTS)
_DENSE: Final = frozenset({"ja", "ko", "zh"})
"""One of their letters says as much as three of an alphabet's."""

_WORDS: Final[Mapping[str, str]] = {
    "en": "the and of to in is that it for you with are this on be as not have what how my me can "
    "do does did i a an at by from or if which why who when where will would should could please "
    "your was were has had there their they he she we his her its but so than then them these "
    "those into about after before between give make show tell find list write explain need want "
    "help get set new all any some many much there's what's i'm don't let us our am been no yes "
    "up out change play add turn use take go time long tomorrow today name create generate "
    "summarize describe calculate translate define send transfer cancel check using following "
    "each most because over under only work people year other check order account number",
    "de": "der die das und ist nicht ein eine einen einem einer zu den mit auf für sie wie was ich "
    "im in von es dem des mir mich mein meine du dein wir ihr kann können bitte sich auch aber "
    "oder wenn warum wo wer wann wird sind war hat haben habe noch nur nach bei aus um über zum "
    "zur gibt mache schreibe erkläre welche welcher alle keine kein heute morgen",
    "fr": "le la les des et est une un que dans pour pas sur vous qui avec au aux du sont je tu il "
    "elle nous ce cette ces mon ma mes votre vos de en ne se plus ou où comment pourquoi quel "
    "quelle quels quand peux peut pouvez puis être avoir ai avez suis fait faire par moi merci "
    "s'il plaît bonjour écris explique demain aujourd'hui c'est qu'est",
    "es": "el la los las y es una un que en para no con por se su como del más de al lo mi me te "
    "tu qué cómo cuál cuándo dónde quién puedo puede puedes está están ser hay pero sin sobre "
    "este esta esto yo tengo tiene hacer quiero necesito favor escribe explica hoy mañana cuánto "
    "muy también gracias hola son ha",
    "it": "il lo gli le e è una un che di per non con si come della sono nel più la i del dei "
    "delle al alla mi ti mio mia tuo posso puoi può cosa quale quando dove chi perché questo "
    "questa anche ma ho hai ha fare essere c'è scrivi spiega oggi domani vorrei qual da in grazie "
    "ciao quanto molto su se ci",
    "pt": "o os as e é uma um que em para não com por se como do da mais são no na dos das ao de "
    "meu minha eu você me te qual quando onde quem porque posso pode está isso este esta tem "
    "tenho fazer quero preciso favor escreva explique hoje amanhã muito também obrigado olá foi "
    "seu sua nos quanto",
    "nl": "de het een en is niet van dat op te voor met zijn aan ook wat hoe je ik mijn me in er "
    "maar om als dan naar bij uit over kan kunt kun wil waarom waar wie wanneer welke deze dit die "
    "was heb heeft hebben wordt worden geen nog wel moet graag schrijf vandaag morgen u uw jij",
    "pl": "i w na z do nie się jest to że jak co czy mój moja moje mi mnie dla od po o za ale lub "
    "kiedy gdzie kto dlaczego który która które ten ta są był była mam ma może mogę proszę bardzo "
    "tylko przez jaki jaka jakie napisz dziś jutro ile ze",
    "cs": "a v na je se že to s z do o k pro jak co ne jsem jsou by ale nebo kde kdy kdo proč "
    "který která které můj moje mi mě být má mám může mohu prosím už jen po za od při také dnes "
    "zítra ve jaký jaké kolik napiš není si",
    "sv": "och i att det som en på är av för med till den har de inte om ett jag du min mitt mig "
    "kan hur vad var när vem varför vilken vill ska skulle från eller men så vi ni här där alla "
    "också bara skriv idag imorgon tack hej finns",
    "da": "og i at det som en på er af for med til den har de ikke om et jeg du min mit mig kan "
    "hvordan hvad hvor hvornår hvem hvorfor hvilken vil skal skulle fra eller men så vi her der "
    "også kun skriv dag morgen tak hej blev",
    "no": "og i å det som en på er av for med til den har de ikke om et jeg du min mitt meg kan "
    "hvordan hva hvor når hvem hvorfor hvilken vil skal skulle fra eller men så vi dere her der "
    "også bare skriv dag morgen takk hei ble noe",
    "fi": "ja on ei se että en minun minä sinä mitä miten missä milloin kuka miksi mikä voi voin "
    "voit olen ovat oli ole tämä tämän mutta tai kun jos niin myös kuin hän me te he minulle "
    "kiitos hei kirjoita tänään huomenna paljon kanssa joka kuinka",
    "hu": "a az és nem is hogy egy van ez azt ezt meg de ha mint mi mit hol mikor ki miért melyik "
    "hogyan az én te ő lehet kell csak már még volt vagy nekem köszönöm kérem írj ma holnap sok "
    "milyen mennyi el le fel",
    "ro": "și în de la cu nu este o un pe că să se ce care din pentru mai sunt am ai are a al ale "
    "cum unde când cine cât mă îmi te eu tu meu mea dar sau după fost poate pot vreau scrie azi "
    "mâine mulțumesc vă rog lui despre",
    "tr": "ve bir bu da de için ile ne mi mı mu mü nasıl neden nerede kim hangi ben sen benim bana "
    "var yok çok daha ama veya gibi olan olarak değil ki o en kadar sonra bugün yarın lütfen "
    "merhaba teşekkürler nedir yaz istiyorum",
    "id": "yang dan di ke dari ini itu untuk dengan tidak adalah saya anda kamu apa bagaimana "
    "mengapa kapan siapa bisa akan ada pada dalam atau juga sudah lebih kami kita mereka tolong "
    "buat jelaskan hari besok berapa karena oleh sebuah cara",
    "vi": "là của và có không cho một các được tôi bạn này đó với trong để những người như thế nào "
    "gì khi ở đâu ai tại sao hãy viết làm từ đến rất cũng sẽ đã bao nhiêu hôm nay mai xin",
    "ru": "и в не на что я с как это по но он она мы вы ты его ее из за от у для мне мой моя меня "
    "можно можете где когда кто почему какой какая какие есть был была быть или если все так "
    "пожалуйста сегодня завтра напиши объясни сколько до о же бы к нет",
    "uk": "і в не на що я з як це по але він вона ми ви ти його її за від у для мені мій моя мене "
    "можна можете де коли хто чому який яка які є був була бути або якщо все так будь ласка "
    "сьогодні завтра напиши поясни скільки до про та й",
    "bg": "и в не на че аз с как това по но той тя ние вие ти го от за у ми ме може къде кога кой "
    "защо какво каква са съм е беше или ако всичко така моля днес утре напиши колко до се да ще",
    "ar": "في من على إلى عن أن هذا هذه التي الذي ما هو هي كيف لماذا متى أين هل لا مع كان أو ثم كل "
    "لي أنا يمكن يمكنني اكتب اشرح اليوم غدا كم و بعد قبل غير",
    "fa": "در از به که این را با است برای آن یک می من شما چه چگونه چرا کجا کی آیا هم تا یا اما "
    "بود شود کنم کنید لطفا امروز فردا چند و بر است؟ چیست",
    "ur": "میں کے کی کا ہے سے کو اور یہ نے پر ہیں کیا کہ جو نہیں ایک مجھے آپ کیسے کیوں کہاں کب کون "
    "بھی تھا تو اس ہو لیے",
}  # fmt: skip

# Letters that few languages have, each as good as a frequent word.
_LETTERS: Final[Mapping[str, str]] = {
    "ß": "de", "ä": "de sv fi", "ö": "de sv fi hu tr", "ü": "de tr hu", "ñ": "es", "¿": "es",
    "¡": "es", "ã": "pt vi", "õ": "pt vi", "ç": "fr pt tr", "œ": "fr", "ê": "fr pt vi",
    "û": "fr", "ù": "fr it vi", "ò": "it vi", "ì": "it vi", "å": "sv da no", "æ": "da no",
    "ø": "da no", "ł": "pl", "ą": "pl", "ę": "pl", "ż": "pl", "ź": "pl", "ś": "pl", "ć": "pl",
    "ě": "cs", "ř": "cs", "ů": "cs", "č": "cs", "š": "cs", "ž": "cs", "ő": "hu", "ű": "hu",
    "ă": "ro vi", "ș": "ro", "ț": "ro", "ş": "tr ro", "ğ": "tr", "ı": "tr", "đ": "vi", "ơ": "vi",
    "ư": "vi", "ế": "vi", "ạ": "vi", "ộ": "vi", "ọ": "vi", "ấ": "vi", "ệ": "vi", "ờ": "vi",
    "ы": "ru", "э": "ru", "ё": "ru", "і": "uk", "ї": "uk", "є": "uk", "ґ": "uk", "ъ": "bg",
    "پ": "fa ur", "چ": "fa ur", "گ": "fa ur", "ژ": "fa", "ٹ": "ur", "ڈ": "ur", "ں": "ur",
    "ے": "ur", "ہ": "ur", "ة": "ar", "ي": "ar", "ك": "ar", "أ": "ar", "إ": "ar",
}  # fmt: skip

# How words end in few languages: worth half a word, for texts that are names of things.
_ENDINGS: Final[Mapping[str, str]] = {
    "ing": "en", "ght": "en", "ity": "en", "ted": "en", "ess": "en", "ers": "en nl", "ble": "en fr",
    "ung": "de", "ich": "de", "cht": "de nl", "eit": "de", "ten": "de nl", "eux": "fr", "ère": "fr",
    "ait": "fr", "ité": "fr", "aux": "fr", "ent": "en fr", "ión": "es", "dad": "es", "ado": "es pt",
    "cia": "es pt", "nes": "es", "ção": "pt", "ões": "pt", "nto": "it pt", "zia": "it", "tto": "it",
    "gli": "it", "one": "it", "are": "it ro", "ijk": "nl", "aan": "nl", "ość": "pl", "ych": "pl cs",
    "ego": "pl", "ost": "cs", "ení": "cs", "ning": "sv da no", "ssa": "fi", "sta": "fi",
    "nen": "fi", "ág": "hu", "nak": "hu", "ban": "hu", "ului": "ro", "lar": "tr", "ler": "tr",
    "yor": "tr", "kan": "id", "nya": "id", "ого": "ru", "ать": "ru", "ете": "bg", "ите": "bg",
    "ння": "uk", "ити": "uk", "ості": "uk", "های": "fa", "ست": "fa",
}  # fmt: skip

_WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_FEWEST: Final = 0.9
"""One word that a language has for itself; ``no`` is English, Spanish and Italian."""
_LETTER_WEIGHT: Final = 0.4
"""A word of one letter may be a formula's."""
_ENDING_WEIGHT: Final = 0.5


def _speakers(lists: Mapping[str, str]) -> Mapping[str, tuple[str, ...]]:
    """Return which languages have each word."""
    found: dict[str, tuple[str, ...]] = {}
    for language, words in lists.items():
        for word in dict.fromkeys(words.split()):
            found[word] = (*found.get(word, ()), language)
    return found


_SPEAKERS: Final = _speakers(_WORDS)
_WRITERS: Final = {letter: tuple(names.split()) for letter, names in _LETTERS.items()}
_ENDED: Final = {ending: tuple(names.split()) for ending, names in _ENDINGS.items()}


def language(text: str) -> tuple[str, float]:
    """Return the language, ISO 639-1 or ``und``, and how sure that is (0..1)."""
    head = text[:_READ_CHARACTERS].lower()
    said = _WORD.findall(head)
    if not head.isascii() and (found := _by_script(head, sum(map(len, said)))) is not None:
        return found
    votes: dict[str, float] = {}
    for word in dict.fromkeys(said):
        if names := _SPEAKERS.get(word.replace("’", "'")):
            _vote(votes, names, _LETTER_WEIGHT if len(word) == 1 else 1.0)
        elif len(word) > 4:
            ending = _ENDED.get(word[-3:]) or _ENDED.get(word[-4:]) or _ENDED.get(word[-2:], ())
            _vote(votes, ending, _ENDING_WEIGHT)
    if not head.isascii():
        for letter in set(head):
            _vote(votes, _WRITERS.get(letter, ()), 1.0)
    return _settled(votes)


def _vote(votes: dict[str, float], names: tuple[str, ...], weight: float) -> None:
    # A word of many languages says little of each.
    for name in names:
        votes[name] = votes.get(name, 0.0) + weight * 2.0 / (1 + len(names))


def _by_script(head: str, letters: int) -> tuple[str, float] | None:
    for name, pattern in _OF_SCRIPT:
        ours = len(pattern.findall(head)) * (3 if name in _DENSE else 1)
        if ours >= 2 and ours > 0.5 * letters:
            return name, min(1.0, 0.5 + 0.05 * ours)
    return None


def _settled(votes: Mapping[str, float]) -> tuple[str, float]:
    ranked = sorted(votes.items(), key=lambda vote: -vote[1])
    if not ranked or ranked[0][1] < _FEWEST:
        return UNKNOWN, 0.0
    name, most = ranked[0]
    second = ranked[1][1] if len(ranked) > 1 else 0.0
    lead = (most - second) / most
    if lead <= 0.0:
        return UNKNOWN, 0.0
    return name, round(min(1.0, lead * min(1.0, most / 4) + 0.1), 4)
