"""Evaluations as lines of text."""

from collections.abc import Iterator
from typing import Any

_HEAD = ("kbit/s", "payload", "PESQ-WB", "ESTOI", "SI-SDR", "mel", "DNSMOS", "kept %", "enc x", "dec x")
_SPOKEN = ("utterances", "PER %", "words", "skipped", "repeated", "ms/phone", "WER %", "DNSMOS", "likeness")
_CONTINUED = ("seconds", "silence %", "DNSMOS", "likeness", "to others")
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


def voice_lines(name: str, entry: dict[str, Any], kbps: float) -> Iterator[str]:
    """Title, a line for every set of sentences and for real recordings, what both come to, and which words
    were skipped or repeated. Each figure that has to meet a bar is followed by it."""
    rows = dict(entry["sets"])
    if "real" in entry:
        rows |= {"real": entry["real"]["plain"], f"real, {kbps:g} kbit/s": entry["real"]["coded"]}
    yield ""
    yield f"{name}: {entry['sets']['all']['utterances']} sentences, {entry['seconds']:g} s"
    width, widths = max(map(len, rows)), [max(len(head), 6) for head in _SPOKEN]
    yield _row("", width, _SPOKEN, widths)
    for title, summary in rows.items():
        scores, alike = (summary[key] or {"mean": None} for key in ("dnsmos_ovrl", "likeness"))
        cells = [str(summary["utterances"]), _number(100 * summary["phone_error_rate"], 1)]
        cells += [str(summary[key]) for key in ("words", "skipped", "repeated")]
        wrong = summary["word_error_rate"]
        cells += [_number(1000 * summary["seconds_per_phone"], 1)]
        cells += [_number(wrong if wrong is None else 100 * wrong, 1), _number(scores["mean"], 2)]
        cells += [_number(alike["mean"], 2)]
        yield _row(title, width, cells, widths)
    if "real" in entry:
        ratios = entry["ratios"]
        yield f"PER, plain to real: {_number(ratios['phone_error_rate'], 2)} (bar: at most 1.5)"
        yield f"PER, plain to real at {kbps:g} kbit/s: {_number(ratios['phone_error_rate_coded'], 2)}"
        yield f"duration of a phone, plain to real: {_number(ratios['seconds_per_phone'], 2)}"
        if "dnsmos_above_coded" in entry:
            above = _number(entry["dnsmos_above_coded"], 2)
            yield f"DNSMOS, all less real at {kbps:g} kbit/s: {above} (bar: at least -0.3)"
    yield f"real-time factor: {entry['real_time_factor']:.2f} (bar: at most 0.3)"
    yield f"first sound: {entry['first_sound_ms']:.0f} ms, median (bar: at most 300)"
    if entry["said_again"]:
        yield f"said again: {entry['said_again']} pieces"
    for key in ("skipped", "repeated"):
        for one in entry["utterances"]:
            if one[key]:
                yield f"{key} in {one['id']}: {', '.join(one[key])}"


def continuation_lines(report: dict[str, Any]) -> Iterator[str]:
    """Title, a line for what the model said and one for what was really said, and bits."""
    yield ""
    yield (
        f"{report['prompts']} prompts of {report['prompt_seconds']:g} s, "
        f"{report['seconds']:g} s to go on, {report['ended']} ended before"
    )
    widths = [max(len(head), 6) for head in _CONTINUED]
    titles = {"continued": "continued", "spoken": "as spoken"}
    yield _row("", 9, _CONTINUED, widths)
    for key, title in titles.items():
        summary = report[key]
        silence = summary["silence"]["mean"]
        cells = [_number(summary["seconds"], 2), _number(silence if silence is None else 100 * silence, 1)]
        for name in ("dnsmos_ovrl", "likeness", "likeness_to_others"):
            cells.append(_number((summary[name] or {"mean": None})["mean"], 2))
        yield _row(title, 9, cells, widths)
    each = ", ".join(f"{bits:.2f}" for bits in report["bits"])
    yield f"bits per frame: {report['bits_per_frame']:.2f} ({each}), {report['kbps']:.2f} kbit/s"


def _kept(summary: dict[str, Any]) -> str:
    """Percent of the tokens kept, a number for every group of codebooks."""
    kept = summary.get("tokens_kept")
    return "/".join(f"{100 * share:.0f}" for share in kept["groups"].values()) if kept else "-"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _row(first: str, width: int, cells: Any, widths: list[int]) -> str:
    columns = (cell.rjust(size) for cell, size in zip(cells, widths, strict=True))
    return f"{first:<{width}}  {'  '.join(columns)}"
