"""The status page: what the keys do, as it changes, and buttons to revive, park and remove them.

Rules of this folder:

* Whatever comes from elsewhere (names, models, reasons) passes ``text`` of ``markup`` before it is on a page. Secrets
  are not even at hand: pages are made of ``pool.status()``, which has masks.
* Pages need nothing outside themselves. Their one style and one script are allowed by their hashes; there is no
  ``style`` and no ``on…`` attribute anywhere.
* The server alone makes HTML. What the script is sent are pieces by the ``id`` of what they replace.
"""

from .routes import STATUS, add_status_page
from .settings import StatusOptions

__all__ = ["STATUS", "StatusOptions", "add_status_page"]
