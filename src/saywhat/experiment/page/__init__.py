"""The page of the experiment: the results document as sections, in HTML and Markdown."""

from saywhat.experiment.page.whole import figures, html, markdown, sections

__all__ = ["figures", "html", "markdown", "sections"]
