{{- define "tapgate.name" -}}
{{- printf "%s" .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "tapgate.labels" -}}
app.kubernetes.io/name: tapgate
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "tapgate.selector" -}}
app.kubernetes.io/name: tapgate
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}
