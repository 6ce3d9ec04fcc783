"""Other languages: what eSpeak NG says in sounds of the inventory, and one clear line where there is none."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mynah.data.errors import MynahError, TextError
from mynah.data.text import (
    BOUNDARY,
    PUNCTUATION,
    SYMBOLS,
    LanguageError,
    NothingToSay,
    check_language,
    espeak,
    foreign,
    foreign_text,
    phonemize,
    phonemize_long,
    read_lexicon,
    split,
)
from mynah.data.text.espeak import LANGUAGES
from mynah.data.text.ipa import to_inventory

needs_espeak = pytest.mark.skipif(
    find_spec("espeakng_loader") is None,
    reason='needs eSpeak NG: pip install ".[espeak]"',
)

# The first article of the Universal Declaration of Human Rights, and what else has sounds of its own.
TEXTS = {
    "ca": "Tots els éssers humans neixen lliures i iguals en dignitat i en drets.",
    "cs": "Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv. Příliš žluťoučký kůň.",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Köche, Pfützen, 21 Häuser.",
    "el": "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια. Όχι, γιατί;",
    "es": "Todos los seres humanos nacen libres e iguales en dignidad y derechos. ¿Llueve, niño? ¡Qué jarra!",
    "es-419": "Todos los seres humanos nacen libres e iguales en dignidad y derechos.",
    "fi": "Kaikki ihmiset syntyvät vapaina ja tasavertaisina arvoltaan ja oikeuksiltaan. Hyvää yötä.",
    "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits. Un bon vin, la nuit.",
    "hu": "Minden emberi lény szabadon születik és egyenlő méltósága és joga van. Gyönyörű tyúk.",
    "it": "Tutti gli esseri umani nascono liberi ed eguali in dignità e diritti. Gli gnocchi, lo zucchero.",
    "nb": "Alle mennesker er født frie og med samme menneskeverd og rettigheter. Kjøkken, sju, øy.",
    "nl": "Alle mensen worden vrij en gelijk in waardigheid en rechten geboren. Een huis in Scheveningen.",
    "pl": "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności. W Szczebrzeszynie chrząszcz.",
    "pt": "Todos os seres humanos nascem livres e iguais em dignidade e em direitos. Não há pão, mãe.",
    "pt-br": "Todas as pessoas nascem livres e iguais em dignidade e direitos. Rio de Janeiro, coração.",
    "ro": "Toate ființele umane se nasc libere și egale în demnitate și în drepturi. Mâine, țară.",
    "ru": "Все люди рождаются свободными и равными в своём достоинстве и правах. Щука, объём.",
    "sk": "Všetci ľudia sa rodia slobodní a sebe rovní, čo sa týka ich dôstojnosti a práv.",
    "sv": "Alla människor är födda fria och lika i värde och rättigheter. Sju sjösjuka sjömän, tjugo kök.",
    "tr": "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar. Güzel bir dağ, ığdır.",
    "uk": "Всі люди народжуються вільними і рівними у своїй гідності та правах. Їжак, щука.",
}


def said(text: str, language: str) -> str:
    """All symbols, those of a word together."""
    return "".join(phonemize(text, language=language).symbols)


@pytest.mark.parametrize(
    ("language", "word", "sounds"),
    [
        ("de", "ˈɪç", "ˈɪ ʃ"),
        ("de", "bˈax", "b ˈɑ k"),
        ("de", "mˈaxən", "m ˈɑ h ə n"),
        ("de", "hˈøːrən", "h ˈɝ ə n"),
        ("de", "mˈʏlɜ", "m ˈʊ l ɚ"),
        ("de", "mˈeːɾ", "m ˈɛ ɹ"),
        ("de", "ɡˈeːt", "ɡ ˈeɪ t"),
        ("de", "tsvˈaɪ", "t s v ˈaɪ"),
        ("de", "hˈɔøtə", "h ˈɔɪ t ə"),
        ("fr", "vˈɛ̃", "v ˈæ n"),
        ("fr", "ʒɑ̃bˈɔ̃", "ʒ ɑ m b ˈɔ n"),
        ("fr", "le-z", "l eɪ z"),
        ("fr", "nyˈi", "n w ˈi"),
        ("fr", "mɔ̃tˈaɲ", "m ɔ n t ˈɑ n"),
        ("es", "nˈiɲo", "n ˈi n j oʊ"),
        ("es", "xˈɛnte", "h ˈɛ n t eɪ"),
        ("es", "mˈuj", "m ˈu i"),
        ("it", "ɡˈatːo", "ɡ ˈɑ t oʊ"),
        ("pt", "nˌɐ̃ʊ̃", "n ˌaʊ n"),
        ("pt", "mˈɐ̃j", "m ˈaɪ n"),
        ("pl", "mˈaj", "m ˈaɪ"),
        ("pl", "mˈɔja", "m ˈɔ j ɑ"),
        ("pl", "dˈɔbrɨ", "d ˈɔ b ɹ i"),
        ("cs", "tr̝̊ˈi", "t ɹ ʃ ˈi"),
        ("cs", "vˈl̩k", "v ˈʌ l k"),
        ("sv", "sxˈʉ", "ʃ ˈu"),
        ("nl", "sxˈeːvənˌɪŋən", "s h ˈeɪ v ə n ˌɪ ŋ ə n"),
        ("tr", "ɟyzˈæl", "ɡ u z ˈæ l"),
        ("hu", "nˌɑɟ", "n ˌɑ dʒ"),
        ("ru", "prʲivʲˈet", "p ɹ i v j ˈɛ t"),
        ("de", "ˈ", ""),
        ("de", "ʔ-ː", ""),
    ],
)
def test_sounds_of_other_languages(language, word, sounds):
    heard = to_inventory(word, language)
    assert " ".join(heard.phonemes) == sounds
    assert heard.unknown == ()


def test_a_sound_that_no_rule_knows_is_left_out_and_told(monkeypatch):
    assert to_inventory("aʘb").unknown == ("ʘ",)
    monkeypatch.setattr(espeak, "words", lambda text, language: ["aʘb"] * len(text.split()))
    found = phonemize("ab ab.", language="de")
    assert found.symbols == ("ɑ", "b", BOUNDARY, "ɑ", "b", ".")
    assert found.warnings == ("skipped 'ʘ' (2 times): no sound of the voices is near this one of eSpeak NG",)


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("aeiouyøœɐɔəɛɪʊʏɨɯbdfklmnprstxzçɲʎɟʁʲjwˈː\u0303\u0329\u031d-?ʘ"), max_size=12))
def test_any_ipa_is_of_the_inventory(word):
    assert set(to_inventory(word).phonemes) <= set(SYMBOLS)


@needs_espeak
@pytest.mark.parametrize(
    ("language", "text", "sounds"),
    [
        ("de", "Guten Tag, wie geht's dir?", "ɡˈutən tˈɑk,vi ɡˈeɪts dˈɪɹ?"),
        ("de", "Es kostet 3,50 €: zu viel!", "ɛs kˈɔstət dɹˈaɪ kɔmɑ fˈʊnf nˈʊl ˈɔɪɹoʊ:tsu fˈil!"),
        ("fr", "Les enfants — il y a du vin.", "leɪz ɑnfˈɑn—il i ɑ du vˈæn."),
        ("es", "¿Cómo estás? ¡Muy bien!", "kˈoʊmoʊ ɛstˈɑs?mˈui bjˈɛn!"),
        ("it", "Perché no, l'acqua è fredda.", "pɛɹkˌeɪ nˈɔ,lˈɑkwɑ eɪ fɹˈɛdɑ."),
        ("pt", "Não há pão.", "nˌaʊn ə pˈaʊn."),
        ("pl", "W trzcinie (tak).", "ftʃˈinjɛ,tˈɑk."),
        ("nl", "Hoe gaat het?", "hˈu ɡˈɑt hət?"),
        ("sv", "Sju sjömän…", "ʃˈu ʃˈɝmɛn…"),
        ("tr", "Çok güzel bir gün.", "tʃˈɔk ɡuzˈæl bɪɹ ɡˈɝn."),
    ],
)
def test_golden(language, text, sounds):
    assert said(text, language) == sounds


@needs_espeak
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_sounds_of_the_inventory(language):
    assert set(TEXTS) == set(LANGUAGES)
    found = phonemize(TEXTS[language], language=language)
    assert set(found.symbols) <= set(SYMBOLS)
    assert found.warnings == ()
    assert len(found.words) > 10
    assert any(symbol[0] == "ˈ" for symbol in found.symbols)
    marks = {BOUNDARY, *PUNCTUATION}
    assert not any(a in marks and b in marks for a, b in zip(found.symbols, found.symbols[1:]))
    for word in found.words:
        assert found.text[word.start : word.end] == word.text


@needs_espeak
def test_words_that_are_not_as_many_as_they_are_written():
    found = phonemize("W trzcinie 1998.", language="pl")
    assert found.words[0].text == "W trzcinie"
    numbers = [word for word in found.words if word.text == "1998"]
    assert len(numbers) > 1
    assert len({word.start for word in numbers}) == 1


@pytest.mark.parametrize(
    ("written", "counts", "ends"),
    [
        (3, [0, 1, 2, 3], [1, 2, 3]),
        (3, [0, 1, 1, 2], [1, 1, 2]),
        (3, [0, 2, 3, 7], [2, 3, 7]),
        (4, [0, 9, 0, 1, 1], [0, 0, 1, 1]),
        (2, [0, 0, 0], [0, 0]),
    ],
)
def test_spoken_words_find_their_written_ones(written, counts, ends):
    assert foreign._spread(written, counts[-1], counts.__getitem__) == ends


@needs_espeak
def test_what_is_no_text_is_as_in_english():
    text = "Hallo\x01 👍 Москва <b>Welt</b> &auml;hnlich [hier](https://a.de) :-) ~ α!"
    found = phonemize(text, language="de")
    assert [word.text for word in found.words] == ["Hallo", "Welt", "ähnlich", "hier", "alpha"]
    told = "\n".join(found.warnings)
    for skipped in ("'\\x01'", "'👍'", "'Москва'", "'<b>'", "'(https://a.de)'", "':-)'", "'~'"):
        assert f"skipped {skipped}" in told
    with pytest.raises(NothingToSay, match="nothing to say in '👍 ") as error:
        phonemize("👍 ...!", language="de")
    assert error.value.warnings == ("skipped '👍': emoji and symbols are not spoken",)
    with pytest.raises(TextError, match="surrogate"):
        phonemize("a\ud800", language="de")
    with pytest.raises(TextError, match="characters of text at once"):
        phonemize("a" * 1_000_001, language="de")
    with pytest.raises(TextError, match="nothing to say"):
        list(phonemize_long("👍. ... !", language="fr"))
    with pytest.raises(TextError, match="is not a phoneme"):
        phonemize("[a](/qq/)", language="de")
    with pytest.raises(TextError, match="not closed"):
        phonemize("[a](/t ə", language="de")


@needs_espeak
def test_overrides_and_lexicon(tmp_path):
    file = tmp_path / "own.tsv"
    file.write_text("Straße\ts t ˈɑː s\n", encoding="utf-8")
    lexicon = read_lexicon(file, "de")
    found = phonemize("Eine [Tomate](/t ə m ˈɑː t oʊ/), eine Straße.", lexicon, "de")
    assert [word.source for word in found.words] == ["espeak", "override", "espeak", "lexicon"]
    assert [found.words[place].phonemes for place in (1, 3)] == [
        ("t", "ə", "m", "ˈɑ", "t", "oʊ"),
        ("s", "t", "ˈɑ", "s"),
    ]
    assert found.separators == (" ", ",", " ", ".")
    with pytest.raises(TextError, match="letters a-z"):
        read_lexicon(file)
    file.write_text("zwei Wörter\tt ə\n", encoding="utf-8")
    with pytest.raises(TextError, match="not one word of letters"):
        read_lexicon(file, "de")


@needs_espeak
def test_long_text_streamed_is_whole():
    sentences = [f"{TEXTS['de']} Dies ist Satz {number}, z. B. von Dr. Meier." for number in range(20)]
    streamed = list(phonemize_long((part + " " for part in sentences), language="de"))
    assert streamed == list(phonemize_long(" ".join(sentences) + " ", language="de"))
    whole = phonemize(" ".join(sentences), language="de")
    assert tuple(word.phonemes for piece in streamed for word in piece.words) == tuple(
        word.phonemes for word in whole.words
    )
    parts = ["Hallo. 👍👍. ", "\n\n*** 5 Hunde! ", "wort " * 100]
    pieces = list(phonemize_long(parts, longest=60, language="de"))
    assert [piece.words[0].text for piece in pieces][:3] == ["Hallo", "5", "wort"]
    assert sum(len(piece.words) for piece in pieces) == 103
    assert "👍" in " ".join(pieces[1].warnings)


def test_english_abbreviations_are_english():
    """A word such as "no" ends sentences elsewhere."""
    assert [piece.text for piece in split("Dije que no. Luego", language="es")] == ["Dije que no. ", "Luego"]
    assert len(list(split("He saw no. Luego"))) == 1
    assert len(list(split("Der Dr. Meier", language="de"))) == 1


@needs_espeak
def test_the_same_from_threads_and_in_any_order():
    jobs = [(TEXTS[language], language) for language in ("de", "fr", "es", "pl", "tr")] * 8
    alone = {language: said(text, language) for text, language in jobs}
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda job: said(*job), jobs))
    assert found == [alone[language] for _, language in jobs]


@needs_espeak
@settings(max_examples=100, deadline=None)
@given(
    st.text(st.sampled_from("abcxyz AIn.,?!''--5$()[]/ éяßñçø👍\x01\n%&—…"), max_size=40),
    st.sampled_from(sorted(LANGUAGES)),
)
def test_any_text(text, language):
    try:
        found = phonemize(text, language=language)
    except MynahError:
        return
    assert set(found.symbols) <= set(SYMBOLS)
    assert found.words and all(word.phonemes for word in found.words)
    assert len(found.separators) == len(found.words)


@needs_espeak
@pytest.mark.parametrize(
    "text", ["'-A", "-'-A '-ñ", "².-Vz", "' - '", "l'" * 2000, "a" * 3000, "- -5 --'", "''''a", "1 " * 500]
)
def test_hostile_text_reaches_no_fault_of_the_library(text):
    """In Danish, which is left out for it, eSpeak NG 1.52 ends the process at "'-A"."""
    for language in ("de", "fr"):
        try:
            found = phonemize(text, language=language)
        except NothingToSay:
            continue
        assert set(found.symbols) <= set(SYMBOLS)


def test_no_hyphen_or_apostrophe_stands_alone():
    cleaned = foreign_text.normalise("'-A -'-b l'eau po' 'n -5 e-mail a--b ' - '' c-'d", "fr").text
    assert cleaned == "A b l'eau po' 'n -5 e-mail a — b — c 'd"


def test_languages_have_codes(monkeypatch):
    monkeypatch.setattr(espeak, "_library", lambda: None)
    codes = {
        "de": "de",
        "DE": "de",
        "de_AT": "de",
        "sv-SE": "sv",
        "pt-BR": "pt-br",
        "en-US": "en",
        "es_419": "es-419",
    }
    assert {written: check_language(written) for written in codes} == codes
    for wrong in ("", "xx", "deutsch", "x" * 100):
        with pytest.raises(LanguageError, match=r"is not known; there are ca, cs, .*, uk$") as error:
            phonemize("Hallo", language=wrong)
        assert "\n" not in str(error.value) and len(str(error.value)) < 250
    with pytest.raises(LanguageError):
        next(phonemize_long("Hallo", language="xx"))


def test_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    espeak._library.cache_clear()
    try:
        with pytest.raises(LanguageError, match=r"^other languages .* pip install 'mynah\[espeak\]'$"):
            phonemize("Hallo", language="de")
        with pytest.raises(LanguageError, match="mynah"):
            check_language("fr")
        assert check_language("en") == "en"
        assert phonemize("Hello.", language="en") == phonemize("Hello.")
    finally:
        espeak._library.cache_clear()


def test_a_library_that_does_not_load(monkeypatch):
    places = {"get_library_path": lambda: "/nowhere.so", "get_data_path": lambda: "/nowhere"}
    loader = type("Loader", (), places)
    monkeypatch.setitem(sys.modules, "espeakng_loader", loader)
    espeak._library.cache_clear()
    try:
        with pytest.raises(LanguageError, match="does not load"):
            check_language("de")
    finally:
        espeak._library.cache_clear()


def test_english_loads_nothing_of_it():
    program = (
        "import sys; from mynah.data.text import phonemize; phonemize('Hello.'); "
        "print('espeakng_loader' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"


@needs_espeak
@pytest.mark.parametrize(
    ("text", "language", "parts"),
    [
        ("Der 1. Mai ist ein Feiertag. Am 24. Dezember nicht.", "de", 2),
        ("Es sind 3. Das ist 1999. Gut.", "de", 2),  # a figure of one or two digits is taken for an ordinal
        ("A las 3. Luego no.", "es", 2),
    ],
)
def test_an_ordinal_ends_no_sentence(text, language, parts):
    said = list(phonemize_long(text, language=language))
    assert len(said) == parts
    assert said[0].separators[-1] == "."
    assert "." not in said[0].separators[:-1]


@needs_espeak
def test_what_cannot_be_said_is_told_in_its_own_script():
    with pytest.raises(TextError, match="in Cyrillic letters"):
        list(phonemize_long("你好", language="ru"))
