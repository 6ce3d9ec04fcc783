"""Errors whose message is one clear line for the user: the `mynah` command prints it and exits with 2."""


class MynahError(Exception):
    """Base of all errors that are the input's fault, never the program's."""


class AudioError(MynahError, ValueError):
    """An audio file or waveform that cannot be read, written or coded."""


class BitstreamError(MynahError, ValueError):
    """A `.mynah` file that is damaged, hostile or of another codec."""


class CheckpointError(MynahError, ValueError):
    """A model folder that is missing, incomplete or not what its name says."""


class TextError(MynahError, ValueError):
    """Text, a pronunciation or a lexicon that cannot be spoken."""
