"""Keep what may be a secret out of everything that is shown or kept."""

from __future__ import annotations

import re

_USER_INFO = re.compile(r"(?<=://)[^/\s]*@")


def masked(text: str) -> str:
    """Replace what stands before the ``@`` of every URL (RFC 3986, userinfo), which may be a secret."""
    return _USER_INFO.sub("***@", text)


def has_secret(text: str) -> bool:
    """Tell whether an URL in *text* has something before its ``@``."""
    return _USER_INFO.search(text) is not None
