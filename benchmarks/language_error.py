"""Phone error rate of a shipped voice in other languages: between its text and what the phone head hears.

python benchmarks/language_error.py [--voice kathleen] [--languages en de es]

Both are sounds of the English inventory, and the head has heard English only: the rate tells whether the
voice says what it is told to, not whether a speaker of the language understands it.
"""

import argparse

from mynah.apps.say import Say
from mynah.codec.heads import PhoneHead
from mynah.data.edit_distance import edits
from mynah.data.text import phonemize

TEXTS = {
    "en": [
        "Good morning, how are you today?",
        "The weather in the mountains is often cold and wet.",
        "My sister bought two kilos of potatoes and some bread.",
        "We took the last train back to the city.",
        "Could you tell me where the station is, please?",
    ],
    "de": [
        "Guten Morgen, wie geht es Ihnen heute?",
        "Das Wetter in den Bergen ist oft kalt und nass.",
        "Meine Schwester hat zwei Kilo Kartoffeln und etwas Brot gekauft.",
        "Wir sind mit dem letzten Zug zurück in die Stadt gefahren.",
        "Können Sie mir bitte sagen, wo der Bahnhof ist?",
    ],
    "es": [
        "Buenos días, ¿cómo está usted hoy?",
        "El tiempo en las montañas es a menudo frío y húmedo.",
        "Mi hermana compró dos kilos de patatas y un poco de pan.",
        "Volvimos a la ciudad en el último tren.",
        "¿Me puede decir dónde está la estación, por favor?",
    ],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--voice", default="kathleen")
    parser.add_argument("--languages", nargs="+", default=list(TEXTS), choices=TEXTS)
    options = parser.parse_args()
    synthesizer = Say(voice=options.voice).synthesizer()
    head = PhoneHead.from_pretrained(synthesizer.codec)
    print("language  phones  error rate")
    for language in options.languages:
        wrong = total = 0
        for text in TEXTS[language]:
            said = phonemize(text, language=language)
            ids = head.config.ids(phoneme for word in said.words for phoneme in word.phonemes)
            (heard,) = head.recognise(synthesizer.synthesize(text, language=language))
            wrong += edits([head.config.symbols[i] for i in ids], heard).total
            total += len(ids)
        print(f"{language:8}  {total:6}  {wrong / total:10.1%}", flush=True)


if __name__ == "__main__":
    main()
