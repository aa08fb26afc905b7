"""Fresh certificate authorities, certificates and keys for one cluster, by openssl.

The command rather than a library: the cluster also has to start where Python has nothing
but its standard library.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.cluster.layout import API_SERVICE_ADDRESS, DOMAIN, NODE_ADDRESS, Layout

DAYS = "365"


@dataclass(frozen=True)
class Certificate:
    """A certificate to sign: `subject` as openssl writes it, `names` as SAN entries."""

    name: str
    authority: str
    subject: str
    names: tuple[str, ...] = ()


def wanted(layout: Layout) -> list[Certificate]:
    """Every certificate of the cluster. Kubernetes reads users from CN and groups from O."""
    services = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    api_names = [*services, f"kubernetes.default.svc.{DOMAIN}", "localhost"]
    api_addresses = ["127.0.0.1", NODE_ADDRESS, API_SERVICE_ADDRESS]
    return [
        Certificate(
            "apiserver",
            "ca",
            "/CN=kube-apiserver",
            (*(f"DNS:{n}" for n in api_names), *(f"IP:{a}" for a in api_addresses)),
        ),
        Certificate("apiserver-kubelet", "ca", "/O=system:masters/CN=kube-apiserver-kubelet"),
        Certificate(
            "kubelet",
            "ca",
            f"/O=system:nodes/CN=system:node:{layout.node}",
            (f"DNS:{layout.node}", f"IP:{NODE_ADDRESS}"),
        ),
        Certificate("kube-controller-manager", "ca", "/CN=system:kube-controller-manager"),
        Certificate("kube-scheduler", "ca", "/CN=system:kube-scheduler"),
        Certificate("kube-proxy", "ca", "/CN=system:kube-proxy"),
        Certificate("coredns", "ca", "/CN=splat:coredns"),
        Certificate("storage-provisioner", "ca", "/CN=splat:storage-provisioner"),
        Certificate("admin", "ca", "/O=system:masters/CN=splat-admin"),
        Certificate("front-proxy", "front-proxy-ca", "/CN=front-proxy"),
        Certificate("etcd", "etcd-ca", "/CN=etcd", ("IP:127.0.0.1",)),
        Certificate("apiserver-etcd", "etcd-ca", "/CN=kube-apiserver-etcd"),
    ]


def create(layout: Layout) -> None:
    """Write `NAME.crt` and `NAME.key` of all authorities and certificates, and `sa.key`/`sa.pub`.

    Keys are readable by root alone.
    """
    folder = layout.certificates
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    before = os.umask(0o077)
    try:
        for authority in ("ca", "front-proxy-ca", "etcd-ca"):
            _authority(folder, authority)
        for certificate in wanted(layout):
            _signed(folder, certificate)
        _openssl(["genrsa", "-out", str(folder / "sa.key"), "2048"])
        public = ["rsa", "-in", str(folder / "sa.key"), "-pubout", "-out", str(folder / "sa.pub")]
        _openssl(public)
    finally:
        os.umask(before)


def _new_key(path: Path) -> list[str]:
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(path)]


def _authority(folder: Path, name: str) -> None:
    extensions = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign")
    _openssl(
        [
            *("req", "-x509", *_new_key(folder / f"{name}.key"), "-subj", f"/CN=splat-{name}"),
            *("-out", str(folder / f"{name}.crt"), "-days", DAYS),
            *(part for extension in extensions for part in ("-addext", extension)),
        ]
    )


def _signed(folder: Path, certificate: Certificate) -> None:
    request = folder / f"{certificate.name}.csr"
    extensions = folder / f"{certificate.name}.ext"
    lines = [
        "basicConstraints=critical,CA:FALSE",
        "keyUsage=critical,digitalSignature",
        "extendedKeyUsage=serverAuth,clientAuth",
    ]
    if certificate.names:
        lines.append("subjectAltName=" + ",".join(certificate.names))
    extensions.write_text("\n".join(lines) + "\n")
    _openssl(
        [
            *("req", "-new", *_new_key(folder / f"{certificate.name}.key")),
            *("-subj", certificate.subject, "-out", str(request)),
        ]
    )
    _openssl(
        [
            *("x509", "-req", "-in", str(request), "-days", DAYS, "-extfile", str(extensions)),
            *("-CA", str(folder / f"{certificate.authority}.crt")),
            *("-CAkey", str(folder / f"{certificate.authority}.key")),
            *("-CAcreateserial", "-out", str(folder / f"{certificate.name}.crt")),
        ]
    )
    request.unlink()
    extensions.unlink()


def _openssl(arguments: Sequence[str]) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(f"openssl {arguments[0]} failed: {done.stderr.strip()}")
