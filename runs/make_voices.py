"""Make the shipped voices, of speakers that the language model knows by name: python runs/make_voices.py"""

from dataclasses import replace
from pathlib import Path

from mynah.apps import codecs
from mynah.apps.say import MODEL
from mynah.lm import LanguageModel
from mynah.tts.cloning import known_voice

OUT = Path(__file__).parents[1] / "tts" / "voices"
RIGHTS = {
    "kathleen": "CC0: recordings of the dataset voice-kathleen, given for text to speech",
    "lj": "public domain: recordings of LJ Speech, read for LibriVox",
    "p239": "CC BY 4.0: recordings of VCTK, CSTR Edinburgh",
    "philipp": "Apache-2.0: recordings of PhilippMatthes/dc_tts",
}


def main() -> None:
    lm = LanguageModel.from_pretrained(MODEL)
    codec = codecs.load(lm.config.codec)
    for name, rights in RIGHTS.items():
        voice = replace(known_voice(codec, lm, name, name), rights=rights)
        voice.save(OUT / f"{name}.safetensors")


if __name__ == "__main__":
    main()
