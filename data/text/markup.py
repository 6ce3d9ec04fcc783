"""What is written beside the words and not spoken: tags of HTML and SSML, links and headings of Markdown;
and HTML's entities, which stand for characters."""

import html
import html.entities
import re

from .characters import Plain, Skipped, clean
from .rules import OVERRIDE, Match

LINK = re.compile(r"\[([^\[\]()\n]{1,500})\]\((?:https?:|mailto:|www\.|\.{0,2}/|#)[^()\s]{0,2000}\)")
_TAG = re.compile(
    r"<(?P<slash>/?)(?P<name>[A-Za-z][\w:-]{0,30})(?P<rest>(?:\s[^<>\n]{0,500})?/?)>|<!--[^<>]{0,2000}-->"
    r"|<(?:https?://|mailto:)[^<>\s]{1,500}>|<[^<>\s@]{1,64}@[^<>\s@]{1,200}>"
)
_CLOSING = re.compile(r"</([A-Za-z][\w:-]{0,30})\s?>")
_ATTRIBUTE = re.compile(r"\s+[A-Za-z][\w:-]{0,60}\s?=")
# A heading's signs, and signs in a row: the last of "##5" is still a number's.
_HASHES = re.compile(r"^ {0,3}#{1,6}(?= +[^\d\s])|#{2,}(?![#\d])|#+(?=#\d)", re.MULTILINE)
_OPERAND = re.compile(r"(?:^|\W)(?:[A-Za-z]|\d{1,15})$", re.ASCII)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]\w{1,31});", re.ASCII)

_TAGS = frozenset(
    """a abbr acronym address area article aside audio b base bdi bdo big blockquote body br button canvas
    caption center cite code col colgroup data datalist dd del details dfn dialog div dl dt em embed fieldset
    figcaption figure font footer form frame frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html i iframe
    img input ins kbd label legend li link main map mark math menu meta meter nav nobr noscript object ol
    optgroup option output p param picture pre progress q rp rt ruby s samp script search section select slot
    small source span strike strong style sub summary sup svg table tbody td template textarea tfoot th thead
    time title tr track tt u ul var video wbr
    break desc emphasis lang lexicon lookup phoneme prosody say-as speak token voice w""".split()
)


def plain(text: str, skipped: Skipped, characters: Plain | None = None) -> str:
    """Return cleaned `text` without tags, the targets of links and the signs of headings; entities as
    their characters, of which `characters` says what stands for them, as for `clean`.

    An entity never makes a tag: "&lt;b&gt;" is text about one.
    """
    text = LINK.sub(lambda match: _link(match, skipped), text)
    closed = frozenset(name.lower() for name in _CLOSING.findall(text))
    text = _TAG.sub(lambda match: _note(match, skipped) if _is_tag(match, closed) else match[0], text)
    text = _HASHES.sub(lambda match: _note(match, skipped), text)
    return _ENTITY.sub(lambda match: _character(match, skipped, characters), text)


def _link(match: Match, skipped: Skipped) -> str:
    skipped.note(match[0][len(match[1]) + 2 :], "the target of a link is not spoken")
    return match[1]


def _note(match: Match, skipped: Skipped) -> str:
    skipped.note(match[0].strip(), "markup is not spoken")
    return " "


def _is_tag(match: Match, closed: frozenset[str]) -> bool:
    """Whether it is a tag, a comment or an address, not a comparison such as a<b>c.

    Args:
        match: of `_TAG`.
        closed: the names of all tags that the text closes.
    """
    if match["name"] is None:
        return True
    name, rest = match["name"].lower(), match["rest"]
    if match["slash"] or rest.endswith("/") or _ATTRIBUTE.match(rest) or name in closed:
        return True
    if len(name) == 1 and (
        rest.strip() or _OPERAND.search(match.string[max(0, match.start() - 16) : match.start()])
    ):
        return False
    return name in _TAGS


def _character(match: Match, skipped: Skipped, characters: Plain | None) -> str:
    if match[0][1] != "#" and match[0][1:] not in html.entities.html5:
        return match[0]
    return clean(html.unescape(match[0]).replace(OVERRIDE, " "), skipped, characters)
