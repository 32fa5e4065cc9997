"""No secret is shown."""

from __future__ import annotations

import time

import pytest

from hatch_lambda.core.model import Finding, Severity
from hatch_lambda.errors import HatchLambdaError
from hatch_lambda.errors import secrets as redact
from hatch_lambda.errors.secrets import has_secret, hide, hide_environment, hide_settings, masked, public


@pytest.fixture(autouse=True)
def forgetful(monkeypatch):
    monkeypatch.setattr(redact, "_hidden", set())


@pytest.mark.parametrize("secret", ["user:secret", "secret", "u:se@cret", "u:s?e#c"])
def test_what_stands_before_the_host_is_masked(secret):
    """Whatever it looks like; what stands behind the host is none."""
    text = f"see https://{secret}@example.invalid/x@y"
    assert has_secret(text)
    assert masked(text) == "see https://***@example.invalid/x@y"
    assert not has_secret("see https://example.invalid/x@y")


@pytest.mark.parametrize(
    "parameters",
    [
        "?sig=s3cret%2B",
        "?sv=2024&sig=s3cret",
        "?X-Amz-Credential=s3cret&X-Amz-Signature=s3cret",
        "?Expires=1&Signature=s3cret&Key-Pair-Id=s3cret",
        "?s3cret",
        "?a=b#token=s3cret",
        "#s3cret",
        "?sha256=1&x=s3cret",
    ],
)
@pytest.mark.parametrize("user", ["", "s3cret@", "u:s3cret@"])
@pytest.mark.parametrize("around", ["{}", 'url = "{}"', "({})", "error: {}: 403", "<{}>"])
def test_the_parameters_of_an_address_are_masked(parameters, user, around):
    """A presigned one is a key to the file; where the file is stays to be read."""
    text = around.format(f"https://{user}bucket.invalid/files/x.whl{parameters}")
    assert has_secret(text)
    assert "s3cret" not in masked(text)
    assert "bucket.invalid/files/x.whl" in masked(text)
    assert masked(masked(text)) == masked(text)


@pytest.mark.parametrize(
    "text",
    [
        "git+https://example.invalid/x.git?subdirectory=a/b&rev=v1#0123456789012345678901234567890123456789",
        "https://example.invalid/x.whl#sha256=00ff",
        "https://example.invalid/x.git@v1#egg=x",
        "unexpected token: a = b, key=value, 'https' and 'http'",
        "x==1; python_version >= '3.9'",
    ],
)
def test_what_tools_of_packaging_write_stays(text):
    """Else no error would say what was wanted."""
    assert masked(text) == text
    assert public(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "--config-setting=token=s3cret",
        "UV_INDEX_PRIVATE_PASSWORD=s3cret",
        "--api-key=s3cret",
        "token=s3cret==",
        "Authorization: Basic s3cret",
        "{'authorization': 'Bearer s3cret'}",
        "Proxy-Authorization: s3cret",
        "https://h.invalid/ token=s3cret",
    ],
)
def test_the_value_of_a_telling_name_is_masked(text):
    """In whatever a tool prints."""
    assert "s3cret" not in masked(text)


def test_values_that_are_known_are_masked_wherever_they_come_up():
    """Also in their form for addresses; but not what is found in many a word."""
    hide(["hunter/2 x", "1", "true", "prod", "2026"])
    hide_environment({"DB_PASSWORD": "correct horse", "TOKEN_FILE": "/run/secrets/a-token", "HOME": "somewhere"})
    assert masked("KeyError: 'hunter/2 x' correct horse hunter%2F2%20x") == "KeyError: '***' *** ***"
    for text in ("1 true prod 2026", "/run/secrets/a-token", "somewhere"):
        assert masked(text) == text


def test_no_error_and_no_finding_holds_a_secret():
    """Whoever makes one need not think of that."""
    hide(["hunter2"])
    error = HatchLambdaError("https://u:hunter3@h.invalid/: hunter2", hint="mend https://h.invalid/?sig=hunter3")
    finding = Finding(code="HL001", severity=Severity.NOTE, message="KeyError: hunter2", hint="not hunter2")
    assert "hunter" not in f"{error}{error.args}{error.message}{error.hint}"
    assert "hunter" not in str(finding)


def test_what_others_get_of_an_address_works_without_the_secret():
    assert public("https://u:p@h.invalid/x?sig=1&subdirectory=a#sha256=0") == (
        "https://h.invalid/x?subdirectory=a#sha256=0"
    )
    assert public("ssh://git@h.invalid/x") == "ssh://git@h.invalid/x"


@pytest.mark.parametrize(
    "part", ["a", "://", "a://", "=", "a=", "@", "://a@", "?", "&", "token", "authorization:", "-"]
)
def test_masking_takes_no_longer_for_each_character_of_a_long_text(part):
    """Programs print what they like."""

    def seconds(size):
        text = part * size
        began = time.perf_counter()
        masked(text)
        masked(f"https://{text}")
        return time.perf_counter() - began

    small, large = (min(seconds(size) for _ in range(3)) for size in (20_000, 80_000))
    assert large < 10 * small + 0.5


@pytest.mark.parametrize(
    "text", ["tokenizers==0.19.1", "SecretStorage===3.3", "aws-secretsmanager-caching==1.1 is required"]
)
def test_the_version_of_a_distribution_whose_name_tells_of_secrets_is_none(text):
    assert masked(text) == text


def test_a_short_setting_whose_name_tells_nothing_is_left_in_the_words_of_a_message():
    hide_settings({"STAGE": "main", "API_TOKEN": "tok3", "TABLE": "orders-table-1"})
    assert masked("main.py: tok3 and orders-table-1") == "main.py: *** and ***"
