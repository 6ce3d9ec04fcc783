"""Configurations that are stored as `config.json` beside a model's weights."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Self

from .errors import CheckpointError
from .json_text import parse_json
from .replacing import replace_text


class StoredConfig:
    """Base of the frozen dataclasses that describe a model; the file holds exactly the dataclass' fields.

    Attributes:
        kind: what it configures, for messages.
        may_be_zero: whole-number fields that may be 0; all others start at 1.
        at_most: the largest value of whole-number fields that have one.
    """

    kind: ClassVar[str]
    may_be_zero: ClassVar[frozenset[str]] = frozenset()
    at_most: ClassVar[Mapping[str, int]] = MappingProxyType({})

    def check_whole_numbers(self) -> None:
        """CheckpointError for an `int` field that holds something else, too little or too much."""
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if field.type is int:
                least = 0 if field.name in self.may_be_zero else 1
                if not isinstance(value, int) or isinstance(value, bool) or value < least:
                    raise CheckpointError(f"{field.name}={value!r}: a whole number from {least} is expected")
                if value > self.at_most.get(field.name, value):
                    most = self.at_most[field.name]
                    raise CheckpointError(f"{field.name}={value}: a whole number up to {most} is expected")

    def save(self, folder: Path) -> None:
        """Write `config.json`, to a temporary name first."""
        text = json.dumps(dataclasses.asdict(self), indent=2) + "\n"  # type: ignore[call-overload]
        replace_text(folder / "config.json", text)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read `config.json`; a missing file or an unknown key is a CheckpointError."""
        path = folder / "config.json"
        try:
            values = parse_json(path.read_text())
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{path}: not a readable {cls.kind} config ({error})") from None
        if not isinstance(values, dict):
            raise CheckpointError(f"{path}: not a readable {cls.kind} config (a JSON object is expected)")
        unknown = set(values) - {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
        if unknown:
            raise CheckpointError(f"{path}: unknown keys {sorted(unknown)}")
        return cls(**values)
