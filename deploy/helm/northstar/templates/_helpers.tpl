{{- define "northstar.name" -}}
{{- default .Release.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "northstar.labels" -}}
app.kubernetes.io/part-of: northstar
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "northstar.image" -}}
{{- $registry := .root.Values.image.registry | trimSuffix "/" -}}
{{- if $registry }}{{ $registry }}/{{ end }}{{ .image }}:{{ default .root.Chart.AppVersion .root.Values.image.tag }}
{{- end -}}

{{/* What every pod is: nobody special, without a way to Kubernetes itself. */}}
{{- define "northstar.pod" -}}
# Else Kubernetes sets variables such as NORTHSTAR_SERVE_PORT for a Service of that name, and to something that is no port.
enableServiceLinks: false
automountServiceAccountToken: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "northstar.container" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Variables of a map, in the order of their names. */}}
{{- define "northstar.env" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}

{{/* What cannot be, said before anything is made. */}}
{{- define "northstar.check" -}}
{{- $v := .Values -}}
{{- if not $v.valkey.existingSecret -}}
{{- fail "valkey.existingSecret must name the Secret with the server's address" -}}
{{- end -}}
{{- if and (not $v.serve.persistence.enabled) (or (not $v.history.existingSecret) (not $v.assets.existingSecret)) -}}
{{- fail "without serve.persistence.enabled, history.existingSecret and assets.existingSecret must say where history and outputs are kept" -}}
{{- end -}}
{{- if and (gt (int $v.serve.replicas) 1) (or (not $v.history.existingSecret) (not $v.assets.existingSecret)) -}}
{{- fail "several brokers need one history and one place for outputs: set history.existingSecret and assets.existingSecret, or serve.replicas to 1" -}}
{{- end -}}
{{- if and (gt (int $v.serve.replicas) 1) $v.serve.persistence.enabled -}}
{{- fail "several brokers cannot share the volume of serve.persistence: switch it off, or set serve.replicas to 1" -}}
{{- end -}}
{{- if and $v.agent.enabled (not $v.agent.invite.existingSecret) -}}
{{- fail "agent.invite.existingSecret must name the Secret with the invite: northstar machines invite --uses N --for 90d" -}}
{{- end -}}
{{- if not (has $v.agent.kind (list "DaemonSet" "Deployment")) -}}
{{- fail "agent.kind is DaemonSet or Deployment" -}}
{{- end -}}
{{- if and $v.agent.models.hostPath $v.agent.models.existingClaim -}}
{{- fail "agent.models is a hostPath or an existingClaim, not both" -}}
{{- end -}}
{{- end -}}
