"""A run's report as one HTML file: nothing outside it is needed, and no script.

Rules of this folder:

* Whatever comes from elsewhere (names, reasons, paths) passes ``text`` of ``markup`` before it is on the page.
* Pictures hold no words: they are stretched to the page's width, and words stand beside them as HTML, so that they stay
  legible on a phone. Each picture has a title and a description.
* Nothing is told by colour alone: what a key was out for has a line of its own shape, and is named.
"""

from .document import write_page

__all__ = ["write_page"]
