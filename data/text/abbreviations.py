"""Abbreviations in context: titles and streets, words that are cut short, dotted initials."""

import re

from .rules import MONEY, OVERRIDE, STARTERS, Match, Rule, Say, ends_sentence, one_of, rule

_TITLES = {
    "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Prof": "Professor", "Gen": "General", "Col": "Colonel",
    "Sgt": "Sergeant", "Capt": "Captain", "Lt": "Lieutenant", "Cmdr": "Commander", "Maj": "Major",
    "Adm": "Admiral",
    "Rev": "Reverend", "Hon": "Honorable", "Gov": "Governor", "Sen": "Senator", "Rep": "Representative",
    "Pres": "President", "Mt": "Mount", "Ft": "Fort", "Fr": "Father", "Messrs": "Messieurs", "Mme": "Madame",
    "Mlle": "Mademoiselle", "Supt": "Superintendent", "Cpl": "Corporal", "Pvt": "Private",
    "Insp": "Inspector",
}  # fmt: skip
_BARE_TITLES = ("Mr", "Mrs", "Ms", "Mme", "Mlle", "Messrs")  # British style writes them without a period
_STREETS = {
    "Ave": "Avenue", "Rd": "Road", "Blvd": "Boulevard", "Ln": "Lane", "Ct": "Court", "Pl": "Place",
    "Sq": "Square",
    "Hwy": "Highway", "Pkwy": "Parkway", "Ter": "Terrace", "Cir": "Circle", "Apt": "Apartment",
    "Ste": "Suite",
}  # fmt: skip
_AFTER_NAME = {"Jr": "Junior", "Sr": "Senior", "Inc": "Incorporated", "Ltd": "Limited", "Corp": "Corporation",
               "Bros": "Brothers", "Co": "Company", "Esq": "Esquire", "Assn": "Association",
               "LLC": "L L C"}  # fmt: skip
_BEFORE_NUMBER = {
    "no": "number", "nos": "numbers", "vol": "volume", "vols": "volumes", "ch": "chapter", "chap": "chapter",
    "fig": "figure", "figs": "figures", "p": "page", "pp": "pages", "sec": "section", "art": "article",
    "ed": "edition",
    "eq": "equation", "ex": "example", "ext": "extension", "tel": "telephone", "para": "paragraph",
    "pt": "part",
    "est": "established", "approx": "approximately", "ca": "circa", "c": "circa", "max": "maximum",
    "min": "minimum",
    "op": "opus", "ver": "version", "art. no": "article number", "lot no": "lot number",
    "temp": "temperature",
}  # fmt: skip
_ALWAYS = {
    "vs": "versus", "etc": "et cetera", "approx": "approximately", "dept": "department", "govt": "government",
    "assoc": "associate", "asst": "assistant", "avg": "average", "doz": "dozen",
    "misc": "miscellaneous", "incl": "including",
    "excl": "excluding", "univ": "university", "intl": "international", "natl": "national",
    "mfg": "manufacturing",
    "cf": "compare", "viz": "namely", "al": "al", "hrs": "hours", "mins": "minutes", "secs": "seconds",
    "yrs": "years",
    "lbs": "pounds", "ca": "circa", "min": "minimum", "max": "maximum", "ext": "extension",
    "appt": "appointment",
    "attn": "attention", "blvd": "boulevard", "ave": "avenue", "tel": "telephone", "dr": "doctor",
    "mr": "mister",
    "mrs": "missus", "prof": "professor", "st": "street", "vol": "volume", "fig": "figure",
    "temp": "temperature", "lt": "lieutenant", "sgt": "sergeant", "capt": "captain", "gov": "governor",
    "jr": "junior",
    "sr": "senior", "bldg": "building",
}  # fmt: skip
_STATES = {
    "Ala": "Alabama", "Ariz": "Arizona", "Ark": "Arkansas", "Calif": "California", "Colo": "Colorado",
    "Conn": "Connecticut", "Del": "Delaware", "Fla": "Florida", "Ga": "Georgia", "Ill": "Illinois",
    "Ind": "Indiana", "Kan": "Kansas", "Ky": "Kentucky", "La": "Louisiana", "Mass": "Massachusetts",
    "Md": "Maryland", "Mich": "Michigan", "Minn": "Minnesota", "Miss": "Mississippi", "Mo": "Missouri",
    "Mont": "Montana", "Neb": "Nebraska", "Nev": "Nevada", "Okla": "Oklahoma", "Ore": "Oregon",
    "Pa": "Pennsylvania", "Tenn": "Tennessee", "Tex": "Texas", "Va": "Virginia", "Vt": "Vermont",
    "Wash": "Washington", "Wis": "Wisconsin", "Wyo": "Wyoming",
}  # fmt: skip
_SAINTS = frozenset(
    """Agnes Albans Andrew Andrews Anne Ann Anthony Augustine Barts Basil Benedict Bernard Catharines
    Catherine Charles Christopher Clair Clare Cloud Croix David Elizabeth Elmo Francis George Helena
    Helens Ives James John Johns Joseph Jude Kitts Lawrence Louis Lucia Lucie Luke Marie Mark Martin
    Mary Matthew Michael Moritz Nicholas Nick Pancras Patrick Paul Peter Petersburg Stephen Teresa
    Theresa Thomas Tropez Valentine Vincent""".split()
)
_INDOORS = frozenset("Suite Ste Apt Apartment Unit Floor Building Room NE NW SE SW".split())
# For the splitter: before a name, so never the last word of a sentence; and others that may be.
NEVER_LAST = frozenset(word.lower() for word in _TITLES) | {"e.g", "i.e", "vs", "cf", "viz"}
SHORTENED = frozenset(
    word.lower()
    for word in (*_STREETS, *_AFTER_NAME, *_BEFORE_NUMBER, *_ALWAYS, "St", "Dr", "Ph.D", "in", "ft", "oz",
                 "lb",
                 "Jan", "Feb", "Mar", "Apr", "Jun", "Jul", "Aug", "Sep", "Sept", "Oct", "Nov", "Dec",
                 "Mon", "Tue", "Tues",
                 "Wed", "Thu", "Thurs", "Fri")
)  # fmt: skip
_DIRECTIONS = {"N": "North", "S": "South", "E": "East", "W": "West"}
_PLACES = one_of(
    [*_STREETS, *_STREETS.values(), "St", "Dr", "Street", "Drive", "Way", "Capitol", "Main", "Broadway"]
)
_WORD_BEFORE = re.compile(r"(?:^|[^\w'])([\w']{1,40})\s+$", re.ASCII)
_FIGURE_BEFORE = re.compile(r"\d ?$", re.ASCII)
# the letters of "I B M", "S and P": the next one is no initial
_SPELLED_BEFORE = re.compile(r"(?<![\w'.])[A-Z](?: and)? $", re.ASCII)
_SENTENCE_BEFORE = re.compile(r"(?:^|[.!?…:]|\n|[\"(])\s*[\w']{1,40}\s+$", re.ASCII)
_NEXT = re.compile(rf"\s+[\"'(]?([A-Za-z{OVERRIDE}][A-Za-z]*)", re.ASCII)


def _saint_or_street(match: Match, front: str, back: str) -> str:
    """St. and Dr.: before a name, or behind one."""
    text, period = match.string, match[0].endswith(".")
    following = _NEXT.match(text, match.end())
    name_follows = following is not None and (following[1][0].isupper() or following[1][0] == OVERRIDE)
    head = text[max(0, match.start() - 60) : match.start()]
    before = _WORD_BEFORE.search(head)
    behind_name = (
        before is not None
        and (before[1][0].isupper() or bool(re.fullmatch(r"\d+(?:st|nd|rd|th)", before[1])))
        and (not _SENTENCE_BEFORE.search(head) or not name_follows)
        and before[1] not in STARTERS
    )
    if following is None or not name_follows:
        street = behind_name
    elif front == "Saint" and following[1] in _SAINTS:
        street = bool(re.search(r"\d[\w.]*\s(?:[A-Z]\w*\.?\s){0,2}$", head))
    elif front == "Saint":
        street = behind_name
    else:
        street = behind_name and (following[1] in STARTERS or following[1] in _INDOORS)
    if not street:
        # "the Dr. was late", "see the Dr." are rare; "St." without a name is a street
        word = front if name_follows or front == "Doctor" else back
        return word + (ends_sentence(match) if period and not name_follows else "")
    if following is not None and following[1] in _INDOORS:
        return f"{back},"
    return back + (ends_sentence(match) if period else "")


def _behind(words: dict[str, str]) -> Say:
    def say(match: Match) -> str:
        return words[match[1]] + (ends_sentence(match) if match[0].endswith(".") else "")

    return say


def _cased(match: Match, word: str) -> str:
    return word[0].upper() + word[1:] if match[1][0].isupper() else word


def _always(match: Match) -> str:
    end = ends_sentence(match, capital_is_enough=match[1].lower() == "etc") if match[0].endswith(".") else ""
    return _cased(match, _ALWAYS[match[1].lower()]) + end


def _dotted(match: Match) -> str | None:
    """U.S., Ph.D., J.R.R.: letters; a period only at the end of a sentence."""
    if re.fullmatch(r"[ap]\.m\.?", match[0], re.IGNORECASE) and _FIGURE_BEFORE.search(
        match.string[max(0, match.start() - 2) : match.start()]
    ):
        return None  # the rules of times read it
    letters = " ".join(match[0].replace(".", "").replace(" ", "").upper())
    return letters + (ends_sentence(match) if match[0].endswith(".") else "")


def _initial(match: Match) -> str | None:
    """J. Smith, George W. Bush: the period of an initial goes."""
    following = _NEXT.match(match.string, match.end())
    if following is None or (not following[1][0].isupper() and following[1][0] != OVERRIDE):
        return None
    before = _WORD_BEFORE.search(match.string[max(0, match.start() - 50) : match.start()])
    named = (
        before is None
        or (before[1][0].isupper() and before[1] not in STARTERS)
        or before[1] in ("by", "and", "of", "with")
    )
    if _SPELLED_BEFORE.search(match.string[max(0, match.start() - 8) : match.start()]):
        return None
    if (match[1] == "I" and before is not None) or (following[1] in STARTERS and len(following[1]) > 1):
        return None
    return match[1] if named else None


RULES: list[Rule] = [
    rule(r"\be\.\s?g\.,?", "for example,", re.IGNORECASE),
    rule(r"\bi\.\s?e\.,?", "that is,", re.IGNORECASE),
    rule(r"\ba\.k\.a\.?|\baka\b", "also known as", re.IGNORECASE),
    rule(r"\bet al\b\.?", lambda m: "et al" + (ends_sentence(m) if m[0][-1] == "." else "")),
    rule(r"\bw/o\b", "without"),
    rule(r"\bRs\.? ?(?=\d)", "₹"),
    rule(rf"(?<!\w)~(?=[\d{MONEY}.])", "about "),
    rule(rf"(?<![\w<>=-])<(?=\.?[\d{MONEY}])", "less than "),
    rule(rf"(?<![\w<>=-])>(?=\.?[\d{MONEY}])", "greater than "),
    rule(r"(?<=\d )st\.(?= \d|,|$)", "stone"),
    rule(r"\bw/(?= ?[A-Za-z\d$])", "with "),
    rule(r"\bn/a\b|\bN/A\b", "not applicable"),
    rule(r"\band/or\b", "and or"),
    rule(r"\bb/c\b", "because"),
    rule(r"\bPh\.D\.'?s\b", "P H D's"),
    rule(r"\bPh\. ?D\b\.?", lambda m: "P H D" + (ends_sentence(m) if m[0][-1] == "." else "")),
    rule(r"\bPh\.?D('?s)?\b", lambda m: "P H D" + ("'s" if m[1] else "")),
    rule(r"\b[Dd]r\.(?=[ ,;:!?)]|\s|$)|\bDr(?= [A-Z])", lambda m: _saint_or_street(m, "Doctor", "Drive")),
    rule(
        r"\bSt\.(?=[ ,;:!?)]|\s|$)|\bSt(?= [A-Z])|(?<=[a-z] )St(?=[,;:]|\s*$)",
        lambda m: _saint_or_street(m, "Saint", "Street"),
    ),
    rule(
        rf"(?<![\w.])([NSEW])\.? (?=(?:[A-Z][a-z]{{1,20}}|\d{{1,3}}"
        rf"(?:st|nd|rd|th)|[a-z-]{{1,24}}(?:st|nd|rd|th)) {_PLACES}\b)",
        lambda m: f"{_DIRECTIONS[m[1]]} ",
    ),
    rule(rf"\b({one_of(_STREETS)})\.(?!\w)", _behind(_STREETS)),
    rule(
        rf"(?<=[a-z] )({one_of(k for k in _STREETS if k not in ('Ct', 'Pl', 'Ter', 'Cir'))})"
        r"(?![\w.']| Maria\b)",
        _behind(_STREETS),
    ),
    rule(rf"\b({one_of(_TITLES)})\.(?=\s+[\"']?[A-Z{OVERRIDE}])", lambda m: _TITLES[m[1]]),
    rule(rf"\b({one_of(_BARE_TITLES)})\b\.?", lambda m: _TITLES[m[1]]),
    rule(rf"(?<=[\w),] )({one_of(_AFTER_NAME)})\.(?!\w)", _behind(_AFTER_NAME)),
    rule(r"(?<=[a-z] )(Jr|Sr|Inc|Ltd|Corp)\b(?!\.)", lambda m: _AFTER_NAME[m[1]]),
    rule(
        rf"(?<![\w.])({one_of(w for n in _BEFORE_NUMBER for w in (n, n.capitalize()))})\. ?"
        rf"(?=[\d#$~]|[IVX]{{2,5}}\b|[VX]\b)",
        lambda m: _cased(m, _BEFORE_NUMBER[m[1].lower()]) + " ",
    ),
    rule(r"\b(No|Nos)(?= \d)", lambda m: "Number" if m[1] == "No" else "Numbers"),
    rule(
        r"(?<![\d.,])(\d{1,4}) in\.(?=[,;:!?]| [a-z\d])",
        lambda m: f"{m[1]} inch{'' if m[1] == '1' else 'es'}",
    ),
    rule(
        r"(?<=\d[ -])(ft|lb|lbs|hrs|mins|secs|yrs|yds|oz|yd|sec|min|hr|mi|gal|"
        r"pt|qt|tsp|tbsp|cm|mm|km|kg|in)"
        r"\.(?=[,;:!?]| [a-z\d])",
        r"\1",
    ),
    rule(r"(?<=\d[ -])(sq|cu)\.? ?(ft|in|yd|mi|m|km|cm)\.?(?=[,;:!?)]| [a-z\d])", r"\1 \2"),
    rule(r"(?<=/)(mo|gal|hr|yr|wk|lb|min|sec|mi|oz)\.(?=[,;:!?]| [a-z\d])", r"\1"),
    rule(
        rf"(?<=[a-z], )({one_of(_STATES)})\.(?!\w)",
        lambda m: _STATES[m[1]] + ends_sentence(m),
    ),
    rule(rf"(?<![\w.])(?<!\d )({one_of(_ALWAYS)})\.(?!\w)", _always, re.IGNORECASE),
    rule(r"\bvs?\b(?= [A-Za-z])", lambda m: "versus" if m[0] == "vs" else None),
    rule(r"\b([MB])\. ?Sc\b\.?", lambda m: f"{m[1]} S C" + (ends_sentence(m) if m[0][-1] == "." else "")),
    rule(r"(?<![\w.])((?:[A-Z]\.){2,6})'?s\b", lambda m: " ".join(m[1].replace(".", "")) + "'s"),
    rule(r"(?<![\w.])(?:[A-Za-z]\.){2,12}(?!\w)", _dotted),
    rule(r"(?<![\w.])(?:[A-Za-z]\.){1,12}[A-Za-z](?![\w.])", _dotted),
    rule(r"(?<![\w.'&])([A-Z])\.(?=\s)", _initial),
]
