"""No secret is shown."""

from __future__ import annotations

import pytest

from hatch_lambda.redact import has_secret, masked


@pytest.mark.parametrize("secret", ["user:secret", "secret", "u:se@cret"])
def test_what_stands_before_the_host_is_masked(secret):
    """Whatever it looks like; what stands behind the host is none."""
    text = f"see https://{secret}@example.invalid/x@y"
    assert has_secret(text)
    assert masked(text) == "see https://***@example.invalid/x@y"
    assert not has_secret("see https://example.invalid/x@y")
