"""A base layer made of what this machine itself runs: Python, PyTorch, CUDA, the driver.

Where no registry can be reached, the machine's own folders are the only CUDA base there is.
Of its Python environment only the named distributions and what they require are taken.
"""

import subprocess
import sysconfig
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

SYSTEM_FOLDERS = ("usr", "opt/gcc", "etc/alternatives", "etc/ssl", "etc/ld.so.conf.d")
SYSTEM_FILES = (
    *("bin", "lib", "lib64", "sbin"),  # links into usr
    *("etc/passwd", "etc/group", "etc/nsswitch.conf", "etc/ld.so.cache", "etc/ld.so.conf"),
)
LEFT_OUT = (
    *("usr/local/cuda*", "usr/share/doc", "usr/share/man", "usr/lib/llvm*", "usr/lib/valgrind"),
    *("usr/share/locale", "usr/lib/gdb", "usr/local/nvidia/firmware", "usr/local/nvidia/modules"),
)


def required_distributions(names: tuple[str, ...]) -> dict[str, metadata.Distribution]:
    """Give the named distributions and all that they require here, by name.

    Extras count: PyTorch asks for its CUDA libraries as extras of one distribution.
    """
    found: dict[str, metadata.Distribution] = {}
    waiting = [(name, frozenset[str]()) for name in names]
    seen = set()
    while waiting:
        asked = name, extras = waiting.pop()
        if asked in seen:
            continue
        seen.add(asked)
        try:
            distribution = found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # an optional requirement that the machine lacks
        for text in distribution.requires or []:
            requirement = Requirement(text)
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": one}) for one in ("", *extras)):
                required = requirement.name.lower().replace("_", "-")
                waiting.append((required, frozenset(requirement.extras)))
    return found


def write_base_layer(layer: Path, distributions: tuple[str, ...]) -> None:
    """Write the layer, an uncompressed tar of paths relative to the root."""
    environment = Path(sysconfig.get_path("data"))
    members = [name for name in (*SYSTEM_FOLDERS, *SYSTEM_FILES) if Path("/", name).exists()]
    members += [str(path.relative_to("/")) for path in _environment_files(environment)]
    for distribution in required_distributions(distributions).values():
        for entry in distribution.files or []:
            path = Path(str(distribution.locate_file(entry)))
            if path.is_file() and path.is_relative_to(environment):
                members.append(str(path.resolve().relative_to("/")))
    listing = layer.with_suffix(".members")
    listing.write_text("\n".join(dict.fromkeys(members)) + "\n")
    subprocess.run(
        [
            *("tar", "--create", "--file", layer, "--directory", "/", "--ignore-failed-read"),
            *(
                "--sort=none",
                "--numeric-owner",
                "--owner=0",
                "--group=0",
                "--warning=no-file-ignored",
            ),
            *(f"--exclude={pattern}" for pattern in LEFT_OUT),
            *("--files-from", listing),
        ],
        check=True,
    )


def _environment_files(environment: Path) -> list[Path]:
    """What makes the environment one, besides its packages."""
    return [environment / "pyvenv.cfg", *sorted((environment / "bin").glob("python*"))]
