"""Pages that hold everything they show: one frame, pictures, heat maps, stories of queries.

What ``crossrank demo``, ``ablate`` and ``knowledge show`` are made with, and any page of a plugin::

    from crossrank.report import page_template

    template = page_template("my_package", "page.html", extra="mine", purpose="my page")
    html = template.render(title="What was found")  # page.html extends "frame.html"
"""

from crossrank._items.provenance import may_show
from crossrank.report._boxes import draw_boxes
from crossrank.report._explanation import Explanation
from crossrank.report._heat import Box, WordMaps, colours, gradient, to_png, word_maps
from crossrank.report._page import check_jinja, page_template
from crossrank.report._pictures import Picture, data_uri, embed
from crossrank.report._prompts import Hint, Hints, hints_of, prompt
from crossrank.report._stories import Card, Said, Story, Word, nested, overlays, scale

__all__ = [
    "Box",
    "Card",
    "Explanation",
    "Hint",
    "Hints",
    "Picture",
    "Said",
    "Story",
    "Word",
    "WordMaps",
    "check_jinja",
    "colours",
    "data_uri",
    "draw_boxes",
    "embed",
    "gradient",
    "hints_of",
    "may_show",
    "nested",
    "overlays",
    "page_template",
    "prompt",
    "scale",
    "to_png",
    "word_maps",
]
