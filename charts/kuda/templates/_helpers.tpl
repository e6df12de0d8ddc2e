{{/*
Labels of each object, beside the name of its component.
*/}}
{{- define "kuda.labels" -}}
app.kubernetes.io/part-of: kuda
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/*
The reference of an image: (dict "root" $ "image" .Values.manager.image). A digest goes before a tag.
*/}}
{{- define "kuda.image" -}}
{{- $registry := .image.registry | default .root.Values.global.imageRegistry -}}
{{- with $registry }}{{ . | trimSuffix "/" }}/{{ end -}}
{{- .image.repository -}}
{{- if .image.digest -}}
@{{ .image.digest }}
{{- else -}}
:{{ .image.tag | default .root.Values.global.imageTag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/*
The image of the runtime that belongs to this release; kuda-config may name another.
*/}}
{{- define "kuda.runtimeImage" -}}
{{- include "kuda.image" (dict "root" . "image" .Values.runtime.image) -}}
{{- end }}

{{/*
Pull secrets of Kuda's own pods, as a field of a pod.
*/}}
{{- define "kuda.imagePullSecrets" -}}
{{- with .Values.global.imagePullSecrets -}}
imagePullSecrets:
{{ toYaml . }}
{{- end }}
{{- end }}

{{/*
Where pods of a Deployment run: (dict "root" $ "component" .Values.manager "name" "kuda-manager").
*/}}
{{- define "kuda.placement" -}}
{{- with include "kuda.imagePullSecrets" .root }}
{{- . }}
{{ end -}}
{{- with .component.priorityClassName -}}
priorityClassName: {{ . }}
{{ end -}}
nodeSelector:
{{ toYaml .component.nodeSelector | indent 2 }}
{{- with .component.tolerations | default .root.Values.global.tolerations }}
tolerations:
{{ toYaml . }}
{{- end }}
topologySpreadConstraints:
{{- if .component.topologySpreadConstraints }}
{{ toYaml .component.topologySpreadConstraints }}
{{- else }}
- maxSkew: 1
  topologyKey: topology.kubernetes.io/zone
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      app.kubernetes.io/name: {{ .name }}
{{- end }}
affinity:
{{- if .component.affinity }}
{{ toYaml .component.affinity | indent 2 }}
{{- else }}
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            app.kubernetes.io/name: {{ .name }}
{{- end }}
{{- end }}

{{/*
Labels and annotations of a component's pods, beside its name.
*/}}
{{- define "kuda.podLabels" -}}
{{- with .podLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/*
Annotations of the objects of the hook that makes the certificate authority, with their
weight. Helm runs the hook before everything else, and again before an upgrade; plain
manifests have no hooks.
*/}}
{{- define "kuda.hook" -}}
{{- if not .root.Values.plainManifests -}}
annotations:
  helm.sh/hook: pre-install,pre-upgrade
  helm.sh/hook-weight: {{ .weight | quote }}
  helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}
{{- end }}

{{/*
The address that runtimes find the gateway at.
*/}}
{{- define "kuda.gatewayAddress" -}}
{{- .Values.config.gatewayAddress | default (printf "kuda-gateway.%s.svc:8443" .Release.Namespace) -}}
{{- end }}

{{/*
What keeps the policy that guards the definitions as long as these: Helm leaves it where it
leaves them; kubectl, which knows no such annotation, is held by a finalizer.
*/}}
{{- define "kuda.guard" -}}
{{- if .Values.plainManifests -}}
finalizers: [kuda.io/guards-crds]
{{- else if .Values.crds.keep -}}
annotations:
  helm.sh/resource-policy: keep
{{- end }}
{{- end }}
