"""The evaluation of a codec as lines of text."""

from collections.abc import Iterator
from typing import Any

_HEAD = ("kbit/s", "payload", "PESQ-WB", "ESTOI", "SI-SDR", "mel", "DNSMOS", "kept %", "enc x", "dec x")
_SCORES = (("pesq_wb", 2), ("estoi", 3), ("si_sdr", 2), ("mel_distance", 3), ("dnsmos_ovrl", 2))


def set_lines(name: str, entry: dict[str, Any]) -> Iterator[str]:
    """Title, head and a line for every coder of a set.

    A score is the mean over the clips for which it is defined; the last column counts the others.
    """
    speakers = f"{entry['speakers']} speakers" if entry["speakers"] else "speakers not given"
    of = f" of {entry['clips_available']}" if entry["clips"] < entry["clips_available"] else ""
    yield ""
    yield f"{name}: {entry['clips']}{of} clips, {entry['seconds']:g} s, {speakers}, {entry['speaker_kind']}"
    width = max(len(coder) for coder in entry["coders"])
    kept_width = max(len(_kept(summary)) for summary in entry["coders"].values())
    widths = [max(len(head), kept_width if head == "kept %" else 0, 6) for head in _HEAD]
    yield _row("", width, _HEAD, widths) + "  undefined"
    for coder, summary in entry["coders"].items():
        scores = summary["scores"]
        cells = [_number(summary["kbps_file"], 2), _number(summary["kbps_payload"], 2)]
        cells += [_number(scores.get(key, {}).get("mean"), digits) for key, digits in _SCORES]
        cells += [_kept(summary)]
        cells += [_number(summary[f"{way}_x_real_time"], 0) for way in ("encode", "decode")]
        lost = [
            f"{key} {value['undefined']}"
            for key, value in scores.items()
            if value["undefined"] and (not key.startswith("dnsmos") or key == "dnsmos_ovrl")
        ]
        yield _row(coder, width, cells, widths) + (f"  {', '.join(lost)}" if lost else "")


def _kept(summary: dict[str, Any]) -> str:
    """Percent of the tokens kept, a number for every group of codebooks."""
    kept = summary.get("tokens_kept")
    return "/".join(f"{100 * share:.0f}" for share in kept["groups"].values()) if kept else "-"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _row(first: str, width: int, cells: Any, widths: list[int]) -> str:
    columns = (cell.rjust(size) for cell, size in zip(cells, widths, strict=True))
    return f"{first:<{width}}  {'  '.join(columns)}"
