"""Phonemes: the inventory, words in their context, overrides, lexicons, words that no dictionary has."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mynah.data.errors import MynahError
from mynah.data.text import (
    BOUNDARY,
    PAD,
    PUNCTUATION,
    SILENCE,
    SYMBOLS,
    PhonemeError,
    parse_phonemes,
    phonemize,
    phonemize_long,
    read_lexicon,
    to_ids,
    to_symbols,
)
from mynah.data.text.g2p import Model
from mynah.data.text.g2p_train import train

# The order is part of every trained model. New symbols go to the end.
GOLDEN = (
    "_|~| |,|;|:|—|…|.|?|!|p|b|t|d|k|ɡ|f|v|θ|ð|s|z|ʃ|ʒ|h|tʃ|dʒ|m|n|ŋ|l|ɹ|w|j|ɑ|ˈɑ|ˌɑ|æ|ˈæ|ˌæ|ə|ˈʌ|ˌʌ|"
    "ɔ|ˈɔ|ˌɔ|aʊ|ˈaʊ|ˌaʊ|aɪ|ˈaɪ|ˌaɪ|ɛ|ˈɛ|ˌɛ|ɚ|ˈɝ|ˌɝ|eɪ|ˈeɪ|ˌeɪ|ɪ|ˈɪ|ˌɪ|i|ˈi|ˌi|oʊ|ˈoʊ|ˌoʊ|ɔɪ|ˈɔɪ|ˌɔɪ|ʊ|ˈʊ|ˌʊ|u|ˈu|ˌu"
).split("|")


def said(text: str, **options) -> str:
    """The words' sounds, without stress, a word a part."""
    return "|".join(
        "".join(word.phonemes).replace("ˈ", "").replace("ˌ", "") for word in phonemize(text, **options).words
    )


def test_the_inventory_never_changes():
    assert list(SYMBOLS[: len(GOLDEN)]) == GOLDEN
    assert len(set(SYMBOLS)) == len(SYMBOLS)
    assert SYMBOLS[:3] == (PAD, SILENCE, BOUNDARY)
    assert to_symbols(to_ids(SYMBOLS)) == list(SYMBOLS)


def test_symbols_have_one_separator_between_words():
    result = phonemize('Well (really?) "Yes!" she said... no')
    assert result.text == 'Well (really?) "Yes!" she said… no'
    assert result.separators == (",", "?", "!", " ", "…", " ")
    expected = "w ˈɛ l , ɹ ˈɪ l i ? j ˈɛ s ! ʃ ˈi + s ˈɛ d … n ˈoʊ".split()
    assert list(result.symbols) == [BOUNDARY if symbol == "+" else symbol for symbol in expected]
    assert to_symbols(result.ids) == list(result.symbols)


def test_words_know_where_they_stand():
    result = phonemize("Dr. Smith's [tomato](/t ə m ˈɑː t oʊ/) cost $5.")
    assert result.text == "Doctor Smith's [tomato](/t ə m ˈɑ t oʊ/) cost five dollars."
    for word in result.words:
        assert word.text in result.text[word.start : word.end]
    assert result.words[2].source == "override"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I read it yesterday.", "aɪ|ɹɛd|ɪt|jɛstɚdeɪ"),
        ("I will read it.", "aɪ|wɪl|ɹid|ɪt"),
        ("She has read it.", "ʃi|hæz|ɹɛd|ɪt"),
        ("a record", "ə|ɹɛkɚd"),
        ("to record", "tu|ɹəkɔɹd"),
        ("They record the music.", "ðeɪ|ɹəkɔɹd|ðə|mjuzɪk"),
        ("He wound the bandage around the wound.", "hi|waʊnd|ðə|bændɪdʒ|ɚaʊnd|ðə|wund"),
        ("Live music", "laɪv|mjuzɪk"),
        ("They live here.", "ðeɪ|lɪv|hiɹ"),
        ("the use of it", "ðə|jus|ʌv|ɪt"),
        ("to use it", "tu|juz|ɪt"),
        ("Close the door", "kloʊz|ðə|dɔɹ"),
        ("so close to it", "soʊ|kloʊs|tu|ɪt"),
        ("a lead pipe", "ə|lɛd|paɪp"),
        ("to lead", "tu|lid"),
        ("the apple, the hour, the dog, the unit", "ði|æpəl|ði|aʊɚ|ðə|dɔɡ|ðə|junət"),
        ("A dog and plan A", "ə|dɔɡ|ənd|plæn|eɪ"),
        ("the FBI", "ði|ɛf|bi|aɪ"),
        ("CDs", "si|diz"),
        ("a mynah", "ə|maɪnə"),
        ("I object to that object.", "aɪ|əbdʒɛkt|tu|ðæt|ɑbdʒɛkt"),
        ("He lives two lives.", "hi|lɪvz|tu|laɪvz"),
        ("We estimate the estimate.", "wi|ɛstəmeɪt|ði|ɛstəmət"),
        ("The wind will wind up the clock.", "ðə|wɪnd|wɪl|waɪnd|ʌp|ðə|klɑk"),
        ("I refuse the refuse.", "aɪ|ɹəfjuz|ðə|ɹɛfjus"),
        ("the boss's cats' dogs", "ðə|bɔsɪz|kæts|dɑɡz"),
    ],
)
def test_words_in_context(text, words):
    assert said(text) == words


@pytest.mark.parametrize(
    "word", ["reykjavikian", "zygmunt", "blorptastic", "Kubernetes", "unhackable", "googled", "xqzt"]
)
def test_unknown_words_have_a_vowel_and_a_stress(word):
    (result,) = phonemize(f"say {word}").words[1:]
    assert result.source in ("guessed", "derived", "dictionary")
    assert any("ˈ" in sound for sound in result.phonemes) or word == "xqzt"


def test_derived_words():
    assert said("Smith's unhackable retweeted").startswith("smɪθs|ʌnhæ")
    assert phonemize("say birdhouse loudness").words[1].source in ("derived", "dictionary")


@pytest.mark.parametrize(
    ("written", "symbols"),
    [
        ("t ə m ˈɑː t oʊ", "t ə m ˈɑ t oʊ"),
        ("T AH0 M AA1 T OW0", "t ə m ˈɑ t oʊ"),
        ("g r 'eɪ t͡ʃ ˈə ɜ", "ɡ ɹ ˈeɪ tʃ ˈʌ ɚ"),
        (" k  æ . t ", "k æ t"),
    ],
)
def test_pronunciations_that_people_write(written, symbols):
    assert parse_phonemes(written) == tuple(symbols.split())


@pytest.mark.parametrize("written", ["", " ", "k a q", "kæt", "ˈ", "ˈk", "\x00", "AA3"])
def test_wrong_pronunciations_name_the_sound_and_what_is_allowed(written):
    with pytest.raises(PhonemeError, match="allowed"):
        parse_phonemes(written)


def test_ids_and_symbols_out_of_range():
    with pytest.raises(PhonemeError, match="'q' is not"):
        to_ids(["q"])
    with pytest.raises(PhonemeError, match="id -1"):
        to_symbols([-1])


def test_users_lexicon(tmp_path):
    path = tmp_path / "words.tsv"
    path.write_text(
        "\ufeff# mine\n\nmynah\tm ˈaɪ n ə\nTOMATO\tT AH0 M AA1 T OW0\nO’Neil\tˈoʊ n iː l\n", encoding="utf-8"
    )
    lexicon = read_lexicon(path)
    assert said("A mynah, a tomato, O'Neil", user_lexicon=lexicon) == "ə|maɪnə|ə|təmɑtoʊ|oʊnil"
    assert phonemize("mynah", lexicon).words[0].source == "lexicon"


def test_users_lexicon_has_words_in_capitals_and_mixed_case():
    lexicon = {
        "sql": parse_phonemes("s ˈi k w ə l"),
        "nasa": parse_phonemes("n ˈɑ s ə"),
        "openssl": parse_phonemes("ˈoʊ p ə n z"),
    }
    text = "The SQL server, NASA's OpenSSL and IBM."
    result = phonemize(text, lexicon)
    assert result.text == "The SQL server, NASA's OpenSSL and I B M."
    assert [word.source for word in result.words[1:5:2]] == ["lexicon", "lexicon"]
    assert said(text, user_lexicon=lexicon) == "ðə|sikwəl|sɝvɚ|nɑsəz|oʊpənz|ənd|aɪ|bi|ɛm"
    assert [piece.text for piece in phonemize_long(text, lexicon)] == [result.text]
    assert phonemize(text).text == "The S Q L server, NASA's Open S S L and I B M."


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("tomato t ə", "line 2: .*no tab"),
        ("tomato\tt q", "line 2: 'tomato': 'q' is not a phoneme"),
        ("tomato\t", "line 2: 'tomato': no phonemes"),
        ("two words\tt", "line 2: 'two words' is not one word"),
        ("a1\tt", "line 2: 'a1' is not one word"),
        ("first\tt", "line 2: 'first' stands in it twice"),
        (b"\xff\tt", "line 2: not UTF-8"),
    ],
)
def test_wrong_lines_are_named(tmp_path, line, words):
    path = tmp_path / "words.tsv"
    path.write_bytes(b"first\tf\n" + (line if isinstance(line, bytes) else line.encode()) + b"\n")
    with pytest.raises(MynahError, match=words):
        read_lexicon(path)


def test_missing_lexicon(tmp_path):
    with pytest.raises(MynahError, match="No such file"):
        read_lexicon(tmp_path / "none.tsv")
    with pytest.raises(MynahError, match="directory"):
        read_lexicon(tmp_path)


@settings(max_examples=50, deadline=None)
@given(st.text(st.sampled_from("abcxyz AI.,?!'-5$()[]/ éя👍"), max_size=40))
def test_any_text_has_symbols_of_the_inventory(text):
    try:
        result = phonemize(text)
    except MynahError:
        return
    assert set(result.symbols) <= set(SYMBOLS)
    assert all(word.phonemes for word in result.words)
    assert len(result.separators) == len(result.words)
    marks = {BOUNDARY, *PUNCTUATION}
    assert not any(a in marks and b in marks for a, b in zip(result.symbols, result.symbols[1:]))


def test_long_guesses_are_warned_of():
    assert phonemize("say blorptastic " + "a" * 40).warnings == ()
    (warning,) = phonemize(f"say {'a' * 600} and {'a' * 600}").warnings
    assert "has 600 letters and is in no dictionary" in warning and "aaa…" in warning
    assert len(phonemize("un" * 1500).warnings) == 1
    many = " ".join("q" * length for length in range(41, 70))
    assert len(phonemize(many).warnings) == 20


def test_the_model_learns_what_it_is_shown():
    words = {
        "cat": "K AE1 T",
        "cap": "K AE1 P",
        "tap": "T AE1 P",
        "pat": "P AE1 T",
        "pact": "P AE1 K T",
        "act": "AE1 K T",
    }
    model = Model(train(words, order=3, cutoffs={}))
    assert {word: model.pronounce(word) for word in words} == words
    assert model.pronounce("tact") == "T AE1 K T"
    assert model.pronounce("") == ""
