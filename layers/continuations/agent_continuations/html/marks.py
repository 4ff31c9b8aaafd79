"""Marks on characters that may be taken for others."""

from markupsafe import Markup, escape

from agent_continuations.look_alikes import look_alikes


def marked(text: str) -> Markup:
    """A text for a page, in which such characters say what they are when they are pointed at."""
    codes = {each.character: each.code for each in look_alikes(text)}
    if not codes:
        return escape(text)
    mark = Markup('<mark title="{}">{}</mark>')
    parts = (mark.format(codes[each], each) if each in codes else escape(each) for each in text)
    return Markup("").join(parts)
