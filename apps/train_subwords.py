"""Words as they are spelled in place of phonemes: `mynah train subwords`, and alignments in its pieces."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..data.errors import MynahError, TextError
from ..data.replacing import replacing
from ..data.shards import Alignment, TokenCorpus
from ..data.text import ENGLISH, phonemize
from ..data.text.subwords import Subwords, train_subwords
from ..data.views import recording_of


def fit_subwords(data: Path, out: Path, size: int, force: bool) -> str:
    """Learn pieces from the texts of a folder of tokens that are to train on; returns a line about them.

    Args:
        data: the folder.
        out: the SentencePiece model's file.
        size: pieces.
        force: whether a file that is there is replaced.

    Raises:
        MynahError: no tokens or no texts, a size that does not fit, a file that is there.
    """
    if not out.absolute().parent.is_dir():
        raise MynahError(f"{out}: there is no folder {out.absolute().parent}")
    if out.exists() and not force:
        raise MynahError(f"{out}: exists; --force replaces it")
    corpus = TokenCorpus(data)
    labels = {
        recording_of(label.id): label for label in corpus.labels if label.split == "train" and label.text
    }
    if not labels:
        raise MynahError(f"{data}: no texts to train on")
    texts = [" ".join(found) for label in labels.values() if (found := _words(label.text, label.language))]
    subwords = train_subwords(texts, size)
    with replacing(out) as temporary:
        temporary.write_bytes(subwords.model)
    letters = sum(len(word) for text in texts for word in text.split())
    pieces = sum(len(subwords.spell(word)) for text in texts for word in text.split())
    symbols = len(subwords.symbols)
    return f"{out}: {symbols} symbols from {len(texts)} texts, {letters / pieces:.2f} letters a piece"


def spelled_alignments(
    corpus: TokenCorpus, subwords: Subwords, say: Callable[[str], None]
) -> dict[str, Alignment]:
    """The alignments of a corpus, told in pieces, but those whose words are not those of their text.

    Raises:
        MynahError: none is left.
    """
    labels = {label.id: label for label in corpus.labels}
    found: dict[str, Alignment] = {}
    for id_, alignment in corpus.alignments.items():
        label = labels[id_]
        try:
            told = subwords.spelled(
                alignment.phonemes, alignment.durations, _words(label.text, label.language)
            )
        except ValueError:
            continue
        found[id_] = Alignment(told.symbols, np.array(told.durations, np.int64))
    if corpus.alignments and not found:
        raise MynahError(f"{corpus.folder}: no alignment has the words of its recording's text")
    if len(found) < len(corpus.alignments):
        out = len(corpus.alignments) - len(found)
        say(f"left out, not English or aligned with other words than their text: {out}")
    return found


@lru_cache(maxsize=1 << 16)  # views have the same text
def _words(text: str | None, language: str | None) -> tuple[str, ...]:
    """The words of an English text as normalised text spells them; none where it cannot be spoken."""
    if (language or ENGLISH).lower().partition("-")[0] != ENGLISH:
        return ()  # whose figures are read, not spelled
    try:
        return tuple(word.text for word in phonemize(text or "").words)
    except TextError:
        return ()
