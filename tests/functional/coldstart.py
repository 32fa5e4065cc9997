"""What ``hatch-lambda coldstart --json`` prints, without measuring anything."""

from __future__ import annotations

from hatch_lambda.core.codec import to_json
from hatch_lambda.inspect.run.coldstart import ColdStart, Cost, Start


def cold_start(*imports, zip_bytes=None):
    """Give import times, each a name and milliseconds; of a zip of *zip_bytes*, behind another that has none."""

    def start(name, size, costs):
        return Start(
            name=name,
            init_ms=(100.0,),
            median_init_ms=100.0,
            files_opened=1,
            modules=1,
            modules_without_bytecode=0,
            peak_memory_bytes=None,
            unzipped_bytes=1,
            zip_bytes=size,
            imports=tuple(Cost(owner=owner, self_ms=ms, cumulative_ms=2 * ms) for owner, ms in costs),
        )

    measured = ColdStart(
        runtime="python3.13",
        architecture="x86_64",
        page_cache_dropped=True,
        starts=(
            (start("package", 1, imports),)
            if zip_bytes is None
            else (start("other", 1, ()), start("package", zip_bytes, imports))
        ),
        advice=(),
    )
    return to_json(measured)
