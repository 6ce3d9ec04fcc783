"""What lies below a folder: what is found, and that nothing is left out in silence."""

import os

import pytest

from mynah.data.errors import MynahError
from mynah.data.walking import find

HELD = ("a.wav", "deep/er/b.flac", "deep/BAD.WAV", "deep/c.ogg", "notes.txt", ".hidden.wav", ".cache/d.wav")


@pytest.fixture
def folder(tmp_path):
    for name in HELD:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_what_is_found(folder):
    found = [path.removeprefix(str(folder)) for path in find(str(folder), [".wav", ".ogg"])]
    assert found == ["/a.wav", "/deep/BAD.WAV", "/deep/c.ogg"]


def test_a_folder_that_cannot_be_read(folder, monkeypatch):
    """Permissions do not bind root, who may run this."""
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("er"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(MynahError, match=r"deep/er: cannot be read \(Permission denied\)"):
        find(str(folder), [".wav"])
