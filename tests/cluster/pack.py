"""One archive with everything that a cluster needs on a machine that has none of it.

Such a machine needs a kernel with overlayfs, bridges and nf_tables, a glibc as new as this
one's, util-linux, openssl and Python. `up --tools FOLDER` uses an unpacked archive.
"""

from __future__ import annotations

import lzma
import os
import platform
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tests.cluster.building import built
from tests.cluster.errors import ClusterError
from tests.cluster.packages import CLUSTER, ensure
from tests.cluster.stages import stage
from tests.cluster.tools import CNI_PLUGINS, KUBE_NAMES, Tools, on_this_machine

OPTIONAL = ("helm", "versitygw")
# Static, or linked with nothing that a Debian or Ubuntu lacks.
AS_THEY_ARE = ("containerd", "containerd-shim-runc-v2", "ctr", "runc")
IPTABLES = tuple(
    f"{family}{action}"
    for family in ("iptables", "ip6tables")
    for action in ("", "-save", "-restore")
)
# Part of glibc, which has to be the machine's own.
GLIBC = re.compile(r"(ld-linux|lib(c|m|dl|rt|pthread|resolv))[-.]")
DICTIONARY = 256 << 20


def pack(archive: Path, extras: Iterable[str] = ()) -> None:
    """Write the archive; `extras` are names of OPTIONAL programs to put into it too."""
    ensure(CLUSTER)
    tools = on_this_machine(built())
    with tempfile.TemporaryDirectory(prefix="splat-pack-") as scratch:
        folder = Path(scratch)
        with stage("collecting the tools"):
            collect(tools, folder, extras)
        with stage(f"compressing {_megabytes(folder)} MB into {archive}"):
            _compress(folder, archive)


def collect(tools: Tools, folder: Path, extras: Iterable[str] = ()) -> None:
    """Lay out in `folder` what `tools.unpacked` expects."""
    for name in ("bin", "cni", "lib", "libexec"):
        (folder / name).mkdir()
    programs = folder / "bin"
    for name in ("kube", *AS_THEY_ARE, *extras):
        shutil.copy2(tools.program(name), programs / name)
    for name in KUBE_NAMES:
        (programs / name).symlink_to("kube")
    for name in CNI_PLUGINS:
        shutil.copy2(tools.cni / name, folder / "cni" / name)
    shutil.copy2(tools.pause_image, folder / "pause.tar")
    iptables = Path(tools.program("xtables-nft-multi"))
    ip = Path(tools.program("ip")).resolve()
    for program in (iptables, ip):
        shutil.copy2(program, folder / "libexec" / program.name)
        for library in libraries(program):
            shutil.copy2(library, folder / "lib" / library.name)
    extensions = next(Path("/usr/lib").glob("*/xtables"), None)
    if extensions is None:
        raise ClusterError("no folder xtables in /usr/lib/*: is Debian's iptables installed?")
    shutil.copytree(extensions, folder / "lib" / "xtables")
    _wrapper(programs / "ip", "ip")
    for name in IPTABLES:
        _wrapper(programs / name, iptables.name, name)


def libraries(program: Path) -> list[Path]:
    """The shared libraries that `program` loads, without those of glibc."""
    shown = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    found = re.findall(r"^\s*(\S+) => (/\S+)", shown, re.MULTILINE)
    return [Path(path) for name, path in found if not GLIBC.match(name)]


def _wrapper(path: Path, program: str, *arguments: str) -> None:
    """A script that runs libexec/PROGRAM with the libraries beside it, wherever that is."""
    path.write_text(
        "#!/bin/sh\n"
        "here=${0%/*}/..\n"
        'LD_LIBRARY_PATH="$here/lib" XTABLES_LIBDIR="$here/lib/xtables" \\\n'
        f'exec "$here/libexec/{program}" {" ".join([*arguments, ""])}"$@"\n'
    )
    path.chmod(0o755)


def _compress(folder: Path, archive: Path) -> None:
    """A .tar.xz with a window over all of it: Go programs have much in common."""
    filters: list[dict[str, int]] = [
        {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": DICTIONARY}
    ]
    if platform.machine() == "x86_64":
        filters.insert(0, {"id": lzma.FILTER_X86})
    scratch = archive.with_name(f"{archive.name}.part")
    with (
        lzma.open(scratch, "wb", format=lzma.FORMAT_XZ, filters=filters) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.GNU_FORMAT) as tar,
    ):
        for path in sorted(folder.rglob("*"), key=_order):
            tar.add(path, str(path.relative_to(folder)), recursive=False, filter=_anonymous)
    scratch.replace(archive)


def _order(path: Path) -> tuple[bool, int, str]:
    """The largest first: the small ones repeat parts of them."""
    return path.is_dir(), -os.lstat(path).st_size, str(path)


def _anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    info.mtime = 0
    return info


def _megabytes(folder: Path) -> int:
    return sum(os.lstat(p).st_size for p in folder.rglob("*") if p.is_file()) >> 20
