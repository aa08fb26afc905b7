"""Every reason that a status can carry: when it is given, what it means, what to do about it.

docs/decisions.md is made from this table.
"""

from dataclasses import dataclass
from enum import StrEnum

from splat_operator.api import ConditionType, Phase


class Reason(StrEnum):
    """Why a training is where it is."""

    # On the way.
    INVALID_SPEC = "InvalidSpec"
    JOB_REFUSED = "JobRefused"
    INVALID_OVERRIDES = "InvalidPodTemplateOverrides"
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 - a reason
    CLAIM_NOT_FOUND = "ClaimNotFound"
    COMPILING = "Compiling"
    KERNELS_BLOCKED = "KernelsBlocked"
    COMPILE_FAILED = "CompileFailed"
    SUSPENDED = "Suspended"
    SUSPENDED_BY_OTHERS = "SuspendedByOthers"
    STOPPING = "Stopping"
    QUEUED = "Queued"
    JOB_CREATED = "JobCreated"
    POD_NOT_CREATED = "PodNotCreated"
    UNSCHEDULABLE = "Unschedulable"
    STARTING = "Starting"
    IMAGE_PULL_BACK_OFF = "ImagePullBackOff"
    CONTAINER_CONFIG_ERROR = "ContainerConfigError"
    CONTAINER_START_ERROR = "ContainerStartError"
    POD_LOST = "PodLost"
    TRAINING = "Training"
    RETRYING = "Retrying"
    # The good end.
    TRAINED = "Trained"
    # Ends that the trainer itself tells of; the names are its contract's.
    INVALID_CAPTURE = "InvalidCapture"
    CAPTURE_NOT_FOUND = "CaptureNotFound"
    INVALID_CONFIGURATION = "InvalidConfiguration"
    STORAGE_UNAVAILABLE = "StorageUnavailable"
    STORAGE_DENIED = "StorageDenied"
    OUT_OF_GPU_MEMORY = "OutOfGpuMemory"
    OUT_OF_MEMORY = "OutOfMemory"
    NO_GPU = "NoGpu"
    KERNELS_NOT_FOUND = "KernelsNotFound"
    KERNELS_NOT_COMPILED = "KernelsNotCompiled"
    INTERNAL_ERROR = "InternalError"
    INTERRUPTED = "Interrupted"
    # Ends that only the operator sees.
    OOM_KILLED = "OOMKilled"
    EVICTED = "Evicted"
    REFUSED_BY_NODE = "RefusedByNode"
    CRASHED = "TrainerCrashed"
    QUALITY_GATE_FAILED = "QualityGateFailed"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    START_DEADLINE_EXCEEDED = "StartDeadlineExceeded"
    JOB_FAILED = "JobFailed"


@dataclass(frozen=True)
class Meaning:
    """What a reason stands for.

    `holds` is the condition that the training has not passed: those before it are True, it and
    those after it are not. None is for the end: Succeeded is decided.
    """

    phase: Phase
    holds: ConditionType | None
    when: str
    advice: str
    warning: bool = False
    told: bool = True
    """Whether an Event is worth while when it comes."""


def _waits(
    holds: ConditionType, when: str, advice: str, *, phase: Phase = Phase.PENDING, told: bool = True
) -> Meaning:
    return Meaning(phase, holds, when, advice, told=told)


def _blocks(
    holds: ConditionType, when: str, advice: str, *, phase: Phase = Phase.PENDING
) -> Meaning:
    return Meaning(phase, holds, when, advice, warning=True)


def _fails(when: str, advice: str) -> Meaning:
    return Meaning(Phase.FAILED, None, when, advice, warning=True)


MEANINGS: dict[Reason, Meaning] = {
    Reason.INVALID_SPEC: _blocks(
        ConditionType.ACCEPTED,
        "The operator cannot read the spec, though the API server took it. A training that is done "
        "meanwhile is told of once it can.",
        "Correct the field that the message names. If the CRD is newer than the operator, upgrade "
        "the operator.",
    ),
    Reason.JOB_REFUSED: _blocks(
        ConditionType.ACCEPTED,
        "The API server refused the Job, or a change of it: a quota, an admission policy or "
        "webhook, a name that is not valid. It is tried again, at longer and longer intervals; a "
        "Job that runs runs on.",
        "Read the API server's words in the message.",
    ),
    Reason.INVALID_OVERRIDES: _blocks(
        ConditionType.ACCEPTED,
        "spec.podTemplateOverrides asks for what cannot be had: it would loosen the restricted Pod "
        "Security Standard, or change what the operator owns.",
        "Make the SplatTraining anew without the field that the message names.",
    ),
    Reason.SECRET_NOT_FOUND: _blocks(
        ConditionType.ACCEPTED,
        "A Secret that the spec names is not there, or lacks a key. The pod waits and starts as "
        "soon as it is.",
        "Create the Secret in the training's namespace, with the keys AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY.",
    ),
    Reason.CLAIM_NOT_FOUND: _blocks(
        ConditionType.ACCEPTED,
        "A PersistentVolumeClaim that the spec names is not there. The pod waits and starts as "
        "soon as it is.",
        "Create the claim in the training's namespace.",
    ),
    Reason.COMPILING: _waits(
        ConditionType.KERNELS_READY,
        "A Job without a GPU compiles the CUDA kernels into the cache, once for all trainings that "
        "need them; they start together when it is done.",
        "Nothing. `kubectl logs` of the Job that the message names shows the compiler.",
        phase=Phase.PREPARING_KERNELS,
    ),
    Reason.KERNELS_BLOCKED: _blocks(
        ConditionType.KERNELS_READY,
        "The Job that compiles the kernels cannot start: no node, no image, no volume; or somebody "
        "has suspended it, such as Kueue that takes every Job.",
        "Read the scheduler's or the kubelet's words in the message. A Job that is suspended is "
        "for those to let start who suspended it.",
        phase=Phase.PREPARING_KERNELS,
    ),
    Reason.COMPILE_FAILED: _blocks(
        ConditionType.KERNELS_READY,
        "Compiling the kernels failed; the message has the end of the compiler's log. It is tried "
        "again after ten minutes, then after pauses that double up to two hours, or as soon as the "
        "Job is deleted.",
        "Check kernelCache.architectures, the cache's free space and the memory of the Job; or set "
        "kernelCache.onMiss to CompileInPod.",
        phase=Phase.PREPARING_KERNELS,
    ),
    Reason.SUSPENDED: _waits(
        ConditionType.SCHEDULED,
        "spec.suspend is true: there is no pod, and no GPU is held.",
        "Set spec.suspend to false; the training goes on from its last checkpoint.",
        phase=Phase.SUSPENDED,
    ),
    Reason.SUSPENDED_BY_OTHERS: _waits(
        ConditionType.SCHEDULED,
        "spec.suspend is false and the Job is suspended: by a controller that takes every Job, "
        "such as Kueue with manageJobsWithoutQueueName, or by hand. Whoever did so may let it "
        "start.",
        "Ask them: `kubectl get job JOB -o yaml --show-managed-fields` shows who changed it. Where "
        "it is Kueue, make the SplatTraining anew with spec.queueName. `kubectl patch job JOB -p "
        '\'{"spec":{"suspend":false}}\'` lets it start.',
        phase=Phase.SUSPENDED,
    ),
    Reason.STOPPING: _waits(
        ConditionType.SCHEDULED,
        "A pod of an earlier Job of this training, or of an earlier training of its name, has not "
        "ended; no second one is started beside it.",
        "Nothing; it has two minutes to save a checkpoint. Where its node does not say a minute "
        "later that it has ended, the reason is `PodLost`.",
        told=False,
    ),
    Reason.QUEUED: _waits(
        ConditionType.SCHEDULED,
        "The Job is in the queue of spec.queueName, or in the one that Kueue puts every Job into, "
        "and waits to be admitted by Kueue.",
        "`kubectl get workloads` shows Kueue's side.",
        phase=Phase.QUEUED,
    ),
    Reason.JOB_CREATED: _waits(
        ConditionType.SCHEDULED,
        "The Job is made; its pod has no node yet.",
        "Nothing.",
    ),
    Reason.POD_NOT_CREATED: _blocks(
        ConditionType.SCHEDULED,
        "The Job has had no pod for 20 s: a quota or an admission policy refuses it, in the API "
        "server's words in the message. The Job controller tries again.",
        "Make room in the quota, or correct what the policy does not admit.",
    ),
    Reason.UNSCHEDULABLE: _blocks(
        ConditionType.SCHEDULED,
        "No node takes the pod; the message has the scheduler's words.",
        "Wait for a GPU to be free, ask for less in spec.resources, or correct nodeSelector, "
        "tolerations and affinity. spec.startDeadlineSeconds puts an end to waiting.",
        phase=Phase.QUEUED,
    ),
    Reason.STARTING: _waits(
        ConditionType.RUNNING,
        "The pod has a node; volumes are mounted and the image is pulled.",
        "Nothing. If it stays, `kubectl describe pod` shows what is waited for.",
        told=False,
    ),
    Reason.IMAGE_PULL_BACK_OFF: _blocks(
        ConditionType.RUNNING,
        "The image cannot be pulled. It is tried again.",
        "Correct spec.image, or give spec.imagePullSecrets. spec.startDeadlineSeconds puts an end "
        "to waiting.",
    ),
    Reason.CONTAINER_CONFIG_ERROR: _blocks(
        ConditionType.RUNNING,
        "The container cannot be made as asked: a ConfigMap is missing, the image runs as root.",
        "Read the kubelet's words in the message.",
    ),
    Reason.CONTAINER_START_ERROR: _blocks(
        ConditionType.RUNNING,
        "The container was made and cannot be started.",
        "Check that spec.image is a trainer image; read the message.",
    ),
    Reason.POD_LOST: _blocks(
        ConditionType.RUNNING,
        "The pod should have ended and its node has not said so for a minute: it is off, or cut "
        "off. Nothing is started beside a pod that may still be writing.",
        "Bring the node back. If it is surely off, delete the Node, or the pod with `kubectl "
        "delete pod --force`: the training goes on from its last checkpoint.",
    ),
    Reason.TRAINING: _waits(
        ConditionType.SUCCEEDED,
        "The trainer runs.",
        "Nothing; status.progress says where it is.",
        phase=Phase.RUNNING,
    ),
    Reason.RETRYING: _blocks(
        ConditionType.SCHEDULED,
        "A pod failed and another one follows, up to spec.maxRetries times. It goes on from the "
        "last checkpoint.",
        "Read in the message why it failed.",
    ),
    Reason.TRAINED: Meaning(
        Phase.SUCCEEDED,
        None,
        "The training is done; status.outputs lists the files, status.result the figures.",
        "Fetch the splat.",
    ),
    Reason.INVALID_CAPTURE: _fails(
        "The capture is damaged or makes no sense; the message says which file and what in it.",
        "Correct the capture and make a new SplatTraining. It is not tried again.",
    ),
    Reason.CAPTURE_NOT_FOUND: _fails(
        "There is no capture at spec.source, or a file that it names is missing.",
        "Correct spec.source, or complete the capture; training.allowMissingImages goes on "
        "without missing images.",
    ),
    Reason.INVALID_CONFIGURATION: _fails(
        "The trainer refused the configuration.", "Correct the setting that the message names."
    ),
    Reason.STORAGE_UNAVAILABLE: _fails(
        "Reading the capture or writing the output failed, in every attempt.",
        "Check the endpoint or the volume, and whether it is full.",
    ),
    Reason.STORAGE_DENIED: _fails(
        "The object store refused the credentials, or they may not read or write there.",
        "Correct the Secret, or the bucket's policy.",
    ),
    Reason.OUT_OF_GPU_MEMORY: _fails(
        "The GPU's memory was not enough.",
        "Set training.maxGaussians or training.maxSide lower, or take a larger GPU.",
    ),
    Reason.OUT_OF_MEMORY: _fails(
        "The pod's memory was not enough, and the trainer noticed.",
        "Raise resources.memory, or set training.maxSide lower.",
    ),
    Reason.NO_GPU: _fails(
        "The pod has no GPU that the trainer can use.",
        "Set resources.gpus to 1 (more only where whole GPUs are given to one pod), or "
        "training.device to cpu; check the node's driver.",
    ),
    Reason.KERNELS_NOT_FOUND: _fails(
        "The cache has no kernels for the trainer's image and this GPU, or refused a damaged file, "
        "and the trainer was told not to compile.",
        "Have the cache filled (`splat-trainer kernels build`), or let pods compile on a miss.",
    ),
    Reason.KERNELS_NOT_COMPILED: _fails(
        "The CUDA kernels had to be compiled and the compiler failed, or the image has none.",
        "Read the compiler's words in the message; check resources.memory.",
    ),
    Reason.INTERNAL_ERROR: _fails(
        "The trainer itself is at fault, in every attempt.",
        "Report it with the pod's log: `kubectl logs`.",
    ),
    Reason.INTERRUPTED: _fails(
        "The pod was stopped from outside more often than spec.maxRetries allows.",
        "See who stops it, and make the SplatTraining anew with more maxRetries.",
    ),
    Reason.OOM_KILLED: _fails(
        "The kernel killed the trainer: it used more than resources.memory, in every attempt.",
        "Raise resources.memory, or set training.maxSide lower.",
    ),
    Reason.EVICTED: _fails(
        "The node put the pod out: its memory or disk ran short.",
        "Set resources.memory to what the training needs, or free the node's disk.",
    ),
    Reason.REFUSED_BY_NODE: _fails(
        "The node's kubelet did not take the pod, in every attempt: a GPU that it could not hand "
        "out, no room.",
        "Read the kubelet's words in the message; `kubectl describe node` shows what it has.",
    ),
    Reason.CRASHED: _fails(
        "The trainer ended without a result document, in every attempt.",
        "See the pod's log: `kubectl logs`; check that spec.image is a trainer image.",
    ),
    Reason.QUALITY_GATE_FAILED: _fails(
        "The splat is made and is below spec.qualityGate.",
        "Look at the report in status.outputs; take more iterations or a better capture.",
    ),
    Reason.DEADLINE_EXCEEDED: _fails(
        "spec.activeDeadlineSeconds passed before the training was done.",
        "Raise it, or take fewer iterations.",
    ),
    Reason.START_DEADLINE_EXCEEDED: _fails(
        "spec.startDeadlineSeconds passed before the trainer started; the message says what it "
        "was waiting for.",
        "Remove what kept it from starting.",
    ),
    Reason.JOB_FAILED: _fails(
        "The Job failed and no pod is left to say why.",
        "See the Events of the Job: `kubectl describe job`.",
    ),
}
