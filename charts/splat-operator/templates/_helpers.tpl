{{- define "splat-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "splat-operator.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "splat-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "splat-operator.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "splat-operator.labels" -}}
{{ include "splat-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "splat-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "splat-operator.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* An image's name from repository, tag and digest: list of the image's values and the chart. */}}
{{- define "splat-operator.image" -}}
{{- $image := index . 0 }}{{ $chart := index . 1 }}
{{- if $image.digest }}
{{- printf "%s@%s" $image.repository $image.digest }}
{{- else }}
{{- printf "%s:%s" $image.repository (default $chart.AppVersion $image.tag) }}
{{- end }}
{{- end }}

{{- define "splat-operator.progressSecret" -}}
{{ include "splat-operator.fullname" . }}-progress
{{- end }}

{{- define "splat-operator.kernelCacheClaim" -}}
{{- if .Values.kernelCache.create }}
{{- default (printf "%s-kernels" (include "splat-operator.fullname" .)) .Values.kernelCache.claimName }}
{{- else }}
{{- .Values.kernelCache.claimName }}
{{- end }}
{{- end }}

{{/* What the operator may do with trainings, in every namespace that it serves. */}}
{{- define "splat-operator.trainingRules" -}}
- apiGroups: [splatting.dev]
  resources: [splattrainings]
  verbs: [get, list, watch]
- apiGroups: [splatting.dev]
  resources: [splattrainings/status]
  verbs: [patch]
- apiGroups: [splatting.dev]
  resources: [splattrainings/finalizers]
  verbs: [update]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, list]
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get]
{{- if include "splat-operator.makesClaims" . }}
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [create]
{{- end }}
{{- end }}

{{/* What it may do that has no namespace; and, where it serves all namespaces, with trainings. */}}
{{- define "splat-operator.clusterRules" -}}
{{- if .Values.progress.enabled }}
- apiGroups: [authentication.k8s.io]
  resources: [tokenreviews]
  verbs: [create]
{{- end }}
{{- if include "splat-operator.watchesNodes" . }}
- apiGroups: [""]
  resources: [nodes]
  verbs: [get, list, watch]
{{- end }}
{{- if not .Values.namespaces }}
{{ include "splat-operator.trainingRules" . }}
{{- end }}
{{- end }}

{{/* Whether the operator makes claims itself: in namespaces that nobody can name beforehand. */}}
{{- define "splat-operator.makesClaims" -}}
{{- if and .Values.kernelCache.create (not .Values.namespaces) }}true{{ end }}
{{- end }}

{{/* Whether nodes tell for which GPUs kernels are compiled, or where. */}}
{{- define "splat-operator.watchesNodes" -}}
{{- $cache := .Values.kernelCache }}
{{- if or $cache.nodePath (and (include "splat-operator.kernelCacheClaim" .) (not $cache.architectures)) }}true{{ end }}
{{- end }}

{{/* Where `helm test` trains: a namespace that the operator serves. */}}
{{- define "splat-operator.testNamespace" -}}
{{- $served := .Values.namespaces }}
{{- with .Values.tests.namespace }}
{{- if and $served (not (has . $served)) }}
{{- fail (printf "tests.namespace %s is none of `namespaces`: no operator would see its training" .) }}
{{- end }}
{{- . }}
{{- else }}
{{- if or (not $served) (has .Release.Namespace $served) }}
{{- .Release.Namespace }}
{{- else }}
{{- first $served }}
{{- end }}
{{- end }}
{{- end }}

{{/* Never the labels that the Service and the disruption budget select by. */}}
{{- define "splat-operator.testLabels" -}}
app.kubernetes.io/name: "{{ include "splat-operator.name" . | trunc 58 }}-test"
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* A hook of `helm test` with this weight, deleted once it has succeeded. */}}
{{- define "splat-operator.testHook" -}}
helm.sh/hook: test
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}

{{- define "splat-operator.testPodSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "splat-operator.testContainerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}
