"""What the cluster is configured to be, checked without starting it."""

from __future__ import annotations

import ipaddress
import json
import subprocess
from pathlib import Path

import pytest

from tests.cluster import addons, certificates, kubeconfigs, layout
from tests.cluster.archive import write_image
from tests.cluster.building import SOURCE, fingerprint, pinned, version_flags
from tests.cluster.cgroups import hierarchies
from tests.cluster.components import Component, components
from tests.cluster.configuration import files
from tests.cluster.errors import ClusterError
from tests.cluster.layout import Layout
from tests.cluster.tools import KUBE_NAMES, Tools
from tests.cluster.waiting import wait_for


@pytest.fixture
def here(tmp_path: Path) -> Layout:
    return Layout("some", tmp_path / "some")


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    """Tools that are only names of files."""
    programs = tmp_path / "tools" / "bin"
    programs.mkdir(parents=True)
    for name in (*KUBE_NAMES, "containerd", "ctr", "runc", "ip"):
        (programs / name).touch(mode=0o755)
    return Tools(own=tmp_path / "tools", cni=tmp_path / "tools" / "cni")


@pytest.mark.parametrize("name", ["", "Upper", "a" * 21, "with space", "../up", "-a", "a-", "9"])
def test_a_cluster_name_that_cannot_be_a_folder_and_a_host_is_refused(name: str) -> None:
    with pytest.raises(ClusterError, match="cluster name"):
        Layout.of(name)


def test_the_cluster_lives_in_addresses_that_belong_to_nobody() -> None:
    nobodys = ipaddress.IPv4Network("198.18.0.0/15")
    pods = ipaddress.IPv4Network(layout.POD_RANGE)
    services = ipaddress.IPv4Network(layout.SERVICE_RANGE)

    assert pods.subnet_of(nobodys)
    assert services.subnet_of(nobodys)
    assert not pods.overlaps(services)
    assert ipaddress.IPv4Address(layout.NODE_ADDRESS) in nobodys
    assert ipaddress.IPv4Address(layout.DNS_SERVICE_ADDRESS) in services
    assert ipaddress.IPv4Address(layout.API_SERVICE_ADDRESS) == services[1]


def test_every_component_waits_only_for_ones_named_before_it(here: Layout, tools: Tools) -> None:
    known: set[str] = set()
    for component in components(here, tools, gpus=2):
        assert set(component.after) <= known
        known.add(component.name)


def test_a_component_survives_the_way_through_the_plan(here: Layout, tools: Tools) -> None:
    for component in components(here, tools, gpus=2):
        written = json.loads(json.dumps(component.as_json()))
        assert Component.from_json(written) == component


def test_nothing_listens_outside_loopback_and_the_clusters_network(
    here: Layout, tools: Tools
) -> None:
    written = "\n".join(files(here, tools, "overlayfs").values())
    commands = " ".join(part for c in components(here, tools, 2) for part in c.command)

    assert "0.0.0.0:" not in written + commands
    assert "--bind-address=198.18.0.2" in commands


def test_two_clusters_share_no_path_and_no_cgroup(tmp_path: Path, tools: Tools) -> None:
    one, two = (Layout(name, tmp_path / name) for name in ("one", "two"))

    kubelets = [json.loads(files(each, tools, "native")["kubelet.json"]) for each in (one, two)]

    assert [kubelet["cgroupRoot"] for kubelet in kubelets] == ["/splat-one", "/splat-two"]
    assert str(two.root) not in "".join(files(one, tools, "native").values())


def test_the_default_storage_class_waits_for_the_first_consumer() -> None:
    items = json.loads(addons.manifest())["items"]
    (storage,) = [item for item in items if item["kind"] == "StorageClass"]

    assert storage["volumeBindingMode"] == "WaitForFirstConsumer"
    assert storage["metadata"]["annotations"] == {
        "storageclass.kubernetes.io/is-default-class": "true"
    }


def test_certificates_are_fresh_signed_and_private(tmp_path: Path) -> None:
    one, two = (Layout(name, tmp_path / name) for name in ("one", "two"))
    for each in (one, two):
        each.configuration.mkdir(parents=True)
        certificates.create(each)

    for certificate in certificates.wanted(one):
        path = one.certificates / f"{certificate.name}.crt"
        authority = one.certificates / f"{certificate.authority}.crt"
        foreign = two.certificates / f"{certificate.authority}.crt"
        assert _verified(path, authority)
        assert not _verified(path, foreign)
    shown = subprocess.run(
        [
            *("openssl", "x509", "-noout", "-ext", "subjectAltName"),
            *("-in", str(one.certificates / "apiserver.crt")),
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in ("127.0.0.1", "198.19.0.1", "DNS:kubernetes.default.svc"):
        assert name in shown

    kubeconfigs.write(one, port=12345)
    document = json.loads(one.kubeconfig.read_text())
    assert document["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:12345"
    assert one.kubeconfig.stat().st_mode & 0o077 == 0


def _verified(certificate: Path, authority: Path) -> bool:
    command = ["openssl", "verify", "-CAfile", str(authority), str(certificate)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_cgroup_hierarchies_are_found_on_both_versions() -> None:
    hybrid = (
        "30 29 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n"
        "31 30 0:27 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n"
        "32 30 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
    )
    unified = "25 20 0:22 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"

    root = Path("/sys/fs/cgroup")
    assert hierarchies(hybrid) == [(root / "memory", "cgroup"), (root / "unified", "cgroup2")]
    assert hierarchies(unified) == [(root, "cgroup2")]


def test_the_binaries_say_the_versions_that_go_mod_pins() -> None:
    go_mod = (SOURCE / "go.mod").read_text()

    flags = version_flags(go_mod)

    version = pinned("k8s.io/kubernetes", go_mod)
    assert f"-X k8s.io/component-base/version.gitVersion={version}" in flags
    with pytest.raises(ClusterError, match="pins no"):
        pinned("example.com/nothing", go_mod)


def test_another_source_has_another_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "main.go").write_text("package main")
    before = fingerprint(tmp_path)
    assert fingerprint(tmp_path) == before

    (tmp_path / "main.go").write_text("package other")
    assert fingerprint(tmp_path) != before


def test_an_image_archive_is_the_same_each_time(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF")
    for name in ("one", "two"):
        write_image(
            tmp_path / name, "test/image:1", {"/bin/program": program}, {"/bin/x": "program"}
        )

    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_wait_that_fails_says_for_what_and_what_was_there() -> None:
    with pytest.raises(AssertionError, match=r"waited 0 s for the moon; last saw: 'clouds'"):
        wait_for("the moon", lambda: "clouds", timeout=0, until=lambda seen: seen == "moon")
