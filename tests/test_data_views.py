"""Views of a recording: their names, and when in them its phonemes are spoken."""

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mynah.data.views import VIEW, part_of, recording_of, seen_durations, view_id


def test_names_tell_recording_and_part():
    assert view_id("a/b", Fraction(0, 4)) == "a/b"
    assert view_id("a/b", Fraction(2, 4)) == view_id("a/b", Fraction(1, 2)) == "a/b@1/2"
    assert (recording_of("a/b@3/4"), part_of("a/b@3/4")) == ("a/b", Fraction(3, 4))
    for name in ("a/b", "me@home", "a@1/2.wav", "a@b/2"):
        assert not VIEW.search(name)
        assert (recording_of(name), part_of(name)) == (name, 0)


def test_phonemes_come_earlier_by_the_nearest_frame():
    durations = np.array([1, 4, 0, 2, 1])
    for part, n_frames, expected in (
        (Fraction(1, 4), 8, [1, 4, 0, 2, 1]),
        (Fraction(1, 4), 7, [1, 4, 0, 2, 0]),
        (Fraction(1, 2), 8, [1, 3, 0, 2, 2]),
        (Fraction(3, 4), 7, [1, 3, 0, 2, 1]),
    ):
        assert seen_durations(durations, part, n_frames).tolist() == expected
    assert durations.tolist() == [1, 4, 0, 2, 1], "the recording's own stay"


@given(
    st.lists(st.integers(0, 9), min_size=1).filter(any),
    st.integers(0, 15),
    st.integers(0, 1),
)
def test_every_view_is_filled(durations, view, shorter):
    n_frames = max(1, sum(durations) - shorter)
    found = seen_durations(np.array(durations), Fraction(view, 16), n_frames)
    assert found.sum() == n_frames
    assert (found >= 0).all()
    assert (abs(np.cumsum(found)[:-1] - np.cumsum(durations)[:-1]) <= 1).all()
