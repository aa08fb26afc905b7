"""Write the chart's README, with a table of its values: `python -m deploy.values_reference`.

The words are the comments of values.yaml, each above the value that it tells of.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[1] / "charts" / "splat-operator"
TARGET = CHART / "README.md"

_INTRODUCTION = """\
# splat-operator

{description}. Generated from `values.yaml` by `python -m deploy.values_reference`.

```
helm install splat-operator charts/splat-operator --namespace splat-system --create-namespace \\
  --set image.repository=REGISTRY/splat-operator \\
  --set trainer.image.repository=REGISTRY/splat-trainer
```

Installing, upgrading and removing are told in `docs/operations.md`, the resource in `docs/api.md`.

| value | default | what it is |
| --- | --- | --- |
"""


@dataclass(frozen=True)
class Value:
    """One value of the chart: its dotted path, its default, and the words above it."""

    path: str
    default: Any
    words: str


def values(text: str) -> Iterator[Value]:
    """Read values.yaml: block mappings whose keys may have comment lines above them."""
    defaults = yaml.safe_load(text)
    parents: list[tuple[int, str]] = []
    words: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            words.append(stripped.removeprefix("#").strip())
            continue
        if stripped:
            depth = len(line) - len(line.lstrip())
            key = stripped.partition(":")[0]
            while parents and parents[-1][0] >= depth:
                parents.pop()
            parents.append((depth, key))
            names = [name for _, name in parents]
            default = defaults
            for name in names:
                default = default[name]
            yield Value(".".join(names), default, " ".join(words))
        words = []


def settable(text: str) -> list[Value]:
    """Give the values that hold no others: those that a user sets."""
    every = list(values(text))
    return [
        value
        for value in every
        if not any(other.path.startswith(f"{value.path}.") for other in every)
    ]


def reference(text: str, description: str) -> str:
    """Give the README: a row for each value that can be set."""
    rows = [f"| `{v.path}` | `{json.dumps(v.default)}` | {v.words} |" for v in settable(text)]
    return _INTRODUCTION.format(description=description) + "\n".join(rows) + "\n"


def render() -> str:
    """Give the README of the chart as it is."""
    description = yaml.safe_load((CHART / "Chart.yaml").read_text())["description"]
    return reference((CHART / "values.yaml").read_text(), description)


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
