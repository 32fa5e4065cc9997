"""Objects for both architectures, with and without what patchelf does to them."""

import pytest

from tests.support.elf import AARCH64, X86_64, shared_object

SHAPES = {
    "x86_64": {"machine": X86_64},
    "x86_64-plain": {"machine": X86_64, "patchelf": False, "others": False},
    "x86_64-2MiB": {"machine": X86_64, "align": 0x20000},
    "x86_64-empty-load": {"machine": X86_64, "empty_load": True},
    "aarch64": {"machine": AARCH64, "align": 0x10000},
    "aarch64-no-symbols": {"machine": AARCH64, "align": 0x10000, "symbols": 0},
}


@pytest.fixture(params=SHAPES)
def shared(request):
    return shared_object(**SHAPES[request.param])
