{{- define "idp.name" -}}
{{ ternary .Release.Name (printf "%s-idp" .Release.Name) (contains "idp" .Release.Name) | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "idp.selector" -}}
app.kubernetes.io/name: idp
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "idp.labels" -}}
{{ include "idp.selector" . }}
app.kubernetes.io/component: bot
{{- end }}

{{- define "idp.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}{{ with .tag }}:{{ . }}{{ end }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ required "image: set image.digest, or image.tag" .tag }}
{{- end }}
{{- end }}
{{- end }}

{{- define "idp.secret" -}}
{{ .Values.secret.name | default (include "idp.name" .) }}
{{- end }}

{{/* The configuration file: what was given, and what follows from where idp runs. */}}
{{- define "idp.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- range $key := list "github_app_id" "gitops_url" -}}
{{- $_ := required (printf "config.%s is required" $key) (get $config $key) -}}
{{- end -}}
{{- $_ := set $config "listen" ":8080" -}}
{{- $_ := set $config "metrics_listen" ":9090" -}}
{{- $_ := set $config "state_dir" "/var/lib/idp/state" -}}
{{- if eq .Values.database "sqlite" -}}
{{- $_ := set $config "database_url" "sqlite:///var/lib/idp/idp.db" -}}
{{- end -}}
{{- range .Values.secret.files -}}
{{- $_ := set $config . (printf "/etc/idp/secret/%s" .) -}}
{{- end -}}
{{- range .Values.secret.tokens -}}
{{- $_ := set $config .key (append (get $config .key | default list) (printf "%s=/etc/idp/secret/%s" .url .entry)) -}}
{{- end -}}
{{- if .Values.tls -}}
{{- $_ := set $config "tls_cert_file" "/etc/idp/tls/tls.crt" -}}
{{- $_ := set $config "tls_key_file" "/etc/idp/tls/tls.key" -}}
{{- end -}}
{{ toYaml $config }}
{{- end }}

{{/* An environment variable that is an entry of the Secret. */}}
{{- define "idp.secretEnv" -}}
- name: IDP_{{ upper .key }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret }}
      key: {{ .key }}
{{- end }}
