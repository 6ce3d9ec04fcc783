"""Recipes of training runs: JSON files with two sections, the architecture and how it is trained."""

import dataclasses
import math
from pathlib import Path
from typing import Any

from ..data.errors import MynahError
from ..data.json_text import parse_json


def read_sections(path: Path, names: tuple[str, str], overrides: list[str]) -> dict[str, Any]:
    """The two sections of a recipe, empty where it has none; each override is `section.name=value` in JSON.

    Raises:
        MynahError: not a recipe, an unknown section; one line that names it.
    """
    try:
        recipe = parse_json(path.read_text())
    except (OSError, ValueError) as error:
        raise MynahError(f"{path}: not a readable recipe ({error})") from None
    if not isinstance(recipe, dict):
        raise MynahError(f"{path}: not a readable recipe (a JSON object is expected)")
    unknown = set(recipe) - set(names)
    if unknown:
        raise MynahError(f"{path}: unknown sections {sorted(unknown)}; a recipe has {' and '.join(names)}")
    recipe = {name: recipe.get(name, {}) for name in names}
    for override in overrides:
        key, _, value = override.partition("=")
        section, _, name = key.partition(".")
        if section not in names or not name or not value:
            expected = " or ".join(f"{name}.NAME=VALUE" for name in reversed(names))
            raise MynahError(f"--set {override}: expected {expected}")
        try:
            parsed = parse_json(value)
        except ValueError:
            parsed = value
        if isinstance(recipe[section], dict):
            recipe[section][name] = parsed
    return recipe


def schedule(step: int, steps: int, warmup: int, decay: float) -> float:
    """Share of the peak learning rate: warm-up, constant, linear decay over the last `decay` of the steps."""
    left = (steps - step) / max(decay * steps, 1)
    return min(1.0, (step + 1) / max(warmup, 1), max(left, 0.0))


def check_types(options: Any) -> None:
    """MynahError unless every field of a dataclass, read from JSON, is of its type."""
    for field in dataclasses.fields(options):
        _check_type(field.name, getattr(options, field.name), field.type)


def _check_type(name: str, value: Any, expected: Any) -> None:
    """MynahError unless a value read from JSON is of an option's type; whole numbers pass as floats."""
    if expected == tuple[float, ...]:
        good = isinstance(value, list | tuple) and all(_is_number(v) for v in value)
        wanted = "a list of numbers"
    elif expected == tuple[str, ...]:
        good = isinstance(value, list | tuple) and all(isinstance(v, str) for v in value)
        wanted = "a list of texts"
    elif expected == dict[str, float]:
        good = isinstance(value, dict) and all(_is_number(v) for v in value.values())
        wanted = "an object of numbers"
    elif expected is float:
        good, wanted = _is_number(value), "a number"
    else:
        good = type(value) is expected
        wanted = {int: "a whole number", bool: "true or false", str: "a text"}[expected]
    if not good:
        raise MynahError(f"{name}={value!r}: {wanted} is expected")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def known_options(cls: type, values: Any, where: str) -> dict[str, Any]:
    """`values` as an object with fields of the dataclass `cls` only; MynahError names others."""
    if not isinstance(values, dict):
        raise MynahError(f"{where}: a JSON object is expected")
    known = [f.name for f in dataclasses.fields(cls)]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise MynahError(f"{where}: unknown options {', '.join(unknown)}; known are {', '.join(known)}")
    return values
