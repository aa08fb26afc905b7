"""What is told of compiled kernels: by the command that builds them, and by a run that uses them.

`splat-trainer kernels build` writes a `KernelsDocument` to standard output and, in a pod, to its
termination message, which Kubernetes cuts at 4096 bytes.
"""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from splat_trainer.contract.model import Document
from splat_trainer.contract.result import RESULT_LIMIT_BYTES, Reason

OnMiss = Literal["compile", "fail"]
"""What a run does whose kernels are not in the cache or are refused; the values of
`SPLAT_KERNELS_ON_MISS`. compile: into private scratch, and says so. fail: KernelsNotFound."""

KEY_DIGITS = 32
"""Of a digest's 64, in a key: 128 bits are as good as all for telling builds apart."""

KEY_PATTERN = rf"^[a-z0-9][a-z0-9.+-]{{0,94}}-[0-9a-f]{{{KEY_DIGITS}}}$"
"""A key names a folder of the cache: of one path segment, never hidden, never "..".

It ends in a digest: whatever else people keep beside builds is never taken for one of them.
"""

ARCHITECTURE_PATTERN = r"^[1-9][0-9]?\.[0-9][af]?(\+PTX)?$"
"""A compute capability as TORCH_CUDA_ARCH_LIST takes it, such as 8.6 or 9.0+PTX."""


class KernelsOutcome(StrEnum):
    """What `kernels build` did."""

    BUILT = "Built"
    HIT = "Hit"  # another build of the same key was there already, whole
    FAILED = "Failed"


class KernelsDocument(Document):
    """How a build of kernels ended, and what the cache holds after it."""

    outcome: KernelsOutcome
    key: str | None = Field(None, description="Absent where it failed before it was known.")
    architectures: tuple[str, ...] = ()
    bytes: int | None = Field(None, ge=0, description="Size of this key's files.")
    build_seconds: float | None = Field(
        None, ge=0, description="That the compiler took; for Hit, that it took back then."
    )
    cache_bytes: int | None = Field(None, ge=0, description="Size of all keys' files.")
    removed: tuple[str, ...] = Field((), description="Keys deleted to keep the cache's size.")
    reason: Reason | None = Field(None, description="Why it failed; else absent.")
    message: str = Field(
        "", description="One line; where the compiler failed, the end of its log in further lines."
    )

    def to_json(self, limit: int = RESULT_LIMIT_BYTES) -> str:
        """Serialise within `limit` bytes.

        The log's end is kept and its beginning goes, then the list of removed keys, then the end
        of the first line.
        """
        document = self
        while True:
            text = document.model_dump_json(exclude_none=True)
            over = len(text.encode()) - limit
            if over <= 0:
                return text
            first, _, log = document.message.partition("\n")
            if log:
                # A character takes a byte or more: what is beyond the limit cannot stay.
                kept = log[-limit:].partition("\n")[2]
                message = f"{first}\n{kept}" if kept else first
                document = document.model_copy(update={"message": message})
            elif document.removed:
                document = document.model_copy(update={"removed": ()})
            elif len(first) > 1:
                message = first[: max(0, len(first) - over - 3)] + "…"
                document = document.model_copy(update={"message": message})
            else:
                raise ValueError(f"a kernels document cannot be made to fit in {limit} bytes")
