"""Whether a pod keeps to the Pod Security Standard `restricted`.

The controls are those of kubernetes.io, "Pod Security Standards", baseline and restricted, for
pods of Linux. A field that is of the wrong type counts as one that is refused.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from splat_operator.decide.overrides.refusal import OverrideError

Node = Mapping[str, Any]

_VOLUME_KINDS = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral"),
    *("persistentVolumeClaim", "projected", "secret"),
}
_SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
}
_SELINUX_TYPES = {"container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
_PROFILES = {"RuntimeDefault", "Localhost"}
_APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"
_HOST_NAMESPACES = ("hostNetwork", "hostPID", "hostIPC")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def check_restricted(pod: Node, annotations: Node) -> None:
    """Raise OverrideError for the first thing in a pod's spec that `restricted` does not admit."""
    for name in _HOST_NAMESPACES:
        if pod.get(name):
            raise OverrideError(f"spec.{name}", "the host's namespaces are not shared (restricted)")
    for key, value in annotations.items():
        if str(key).startswith(_APPARMOR_ANNOTATION) and not (
            value == "runtime/default" or str(value).startswith("localhost/")
        ):
            raise OverrideError(
                f"metadata.annotations[{key}]", "AppArmor must stay on (restricted)"
            )
    context = _mapping(pod.get("securityContext"), "spec.securityContext")
    _check_context(context, "spec.securityContext")
    for sysctl in context.get("sysctls") or []:
        if sysctl.get("name") not in _SYSCTLS:
            raise OverrideError(
                "spec.securityContext.sysctls", "only safe sysctls are taken (restricted)"
            )
    for volume in pod.get("volumes") or []:
        kinds = set(volume) - {"name"}
        if not kinds or not kinds <= _VOLUME_KINDS:
            wrong = ", ".join(sorted(kinds - _VOLUME_KINDS)) or "none"
            raise OverrideError(
                f"spec.volumes[{volume['name']}]",
                f"{wrong} is no kind of volume that restricted admits",
            )
    for where, container in _containers(pod):
        _check_container(container, context, where)


def _containers(pod: Node) -> Iterator[tuple[str, Node]]:
    for kind in ("initContainers", "containers"):
        for container in pod.get(kind) or []:
            yield f"spec.{kind}[{container['name']}]", container


def _check_container(container: Node, pod_context: Node, where: str) -> None:
    here = f"{where}.securityContext"
    context = _mapping(container.get("securityContext"), here)
    _check_context(context, here)
    if context.get("privileged"):
        raise OverrideError(f"{here}.privileged", "must not be true (restricted)")
    if context.get("allowPrivilegeEscalation") is not False:
        raise OverrideError(f"{here}.allowPrivilegeEscalation", "must be false (restricted)")
    if context.get("procMount", "Default") != "Default":
        raise OverrideError(f"{here}.procMount", "must be Default (restricted)")
    capabilities = _mapping(context.get("capabilities"), f"{here}.capabilities")
    if "ALL" not in (capabilities.get("drop") or []):
        raise OverrideError(f"{here}.capabilities.drop", "must hold ALL (restricted)")
    if set(capabilities.get("add") or []) - {"NET_BIND_SERVICE"}:
        raise OverrideError(
            f"{here}.capabilities.add", "only NET_BIND_SERVICE is taken (restricted)"
        )
    if context.get("runAsNonRoot", pod_context.get("runAsNonRoot")) is not True:
        raise OverrideError(f"{here}.runAsNonRoot", "must be true (restricted)")
    profile = context.get("seccompProfile", pod_context.get("seccompProfile"))
    if _mapping(profile, f"{here}.seccompProfile").get("type") not in _PROFILES:
        raise OverrideError(
            f"{here}.seccompProfile", "must be RuntimeDefault or Localhost (restricted)"
        )
    for port in container.get("ports") or []:
        if port.get("hostPort"):
            raise OverrideError(f"{where}.ports", "hostPort is not taken (restricted)")
    for name in _PROBES:
        _check_probe(container.get(name), f"{where}.{name}")
    lifecycle = _mapping(container.get("lifecycle"), f"{where}.lifecycle")
    for name, hook in lifecycle.items():
        _check_probe(hook, f"{where}.lifecycle.{name}")


def _check_context(context: Node, where: str) -> None:
    """Look at what a pod's and a container's security context have in common."""
    if context.get("runAsUser") == 0:
        raise OverrideError(f"{where}.runAsUser", "must not be 0 (restricted)")
    if context.get("runAsNonRoot") is False:
        raise OverrideError(f"{where}.runAsNonRoot", "must be true (restricted)")
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        raise OverrideError(f"{where}.windowsOptions.hostProcess", "must not be true (restricted)")
    profile = context.get("seccompProfile")
    if profile is not None and _mapping(profile, where).get("type") not in _PROFILES:
        raise OverrideError(
            f"{where}.seccompProfile", "must be RuntimeDefault or Localhost (restricted)"
        )
    apparmor = _mapping(context.get("appArmorProfile"), f"{where}.appArmorProfile")
    if apparmor and apparmor.get("type") not in _PROFILES:
        raise OverrideError(f"{where}.appArmorProfile", "AppArmor must stay on (restricted)")
    selinux = _mapping(context.get("seLinuxOptions"), f"{where}.seLinuxOptions")
    if selinux.get("type", "container_t") not in _SELINUX_TYPES or any(
        selinux.get(name) for name in ("user", "role")
    ):
        raise OverrideError(f"{where}.seLinuxOptions", "only a container's own types (restricted)")


def _check_probe(probe: Any, where: str) -> None:
    probe = _mapping(probe, where)
    for kind in ("httpGet", "tcpSocket"):
        if _mapping(probe.get(kind), f"{where}.{kind}").get("host"):
            raise OverrideError(f"{where}.{kind}.host", "must be left out (restricted)")


def _mapping(value: Any, where: str) -> Node:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise OverrideError(where, "must be an object")
    return value
