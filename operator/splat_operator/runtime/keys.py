"""What the operator looks things up by."""

from typing import NamedTuple


class Key(NamedTuple):
    """A SplatTraining's namespace and name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class WarmUpKey(NamedTuple):
    """The namespace and name of a Job that fills a kernel cache."""

    namespace: str
    name: str
