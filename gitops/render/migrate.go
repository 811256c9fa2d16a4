package render

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// migrateLimit is how many seconds a migration may take with its retries. While
	// it runs Argo CD syncs nothing newer.
	migrateLimit   = 600
	migrateRetries = 1
)

// migrateJobs renders the Jobs that must succeed before workloads of this
// revision start. They are plain objects in the first sync wave and not PreSync
// hooks: hooks run before there is a Namespace. A Job cannot be changed, so its
// name carries the revision and a hash of its pod; the one before it is pruned.
// None is given a time to live after it finished, for Argo CD would run it again.
func migrateJobs(e *environment) ([]object, error) {
	var out []object
	for _, svc := range e.services {
		if svc.Migrate == nil {
			continue
		}
		template, err := e.podTemplate(svc, roleMigrate)
		if err != nil {
			return nil, err
		}
		template.Spec.RestartPolicy = corev1.RestartPolicyNever
		template.Spec.Containers[0].Command = svc.Migrate.Command
		template.Spec.Containers[0].Args = nil
		name, err := migrateName(svc.Name, e.SHA, template.Spec)
		if err != nil {
			return nil, err
		}
		m := e.serviceMeta(name, svc.Name)
		m.Annotations = nil // the first wave
		out = append(out, object{svc.Name + "-migrate-job.yaml", &batchv1.Job{
			TypeMeta:   metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"},
			ObjectMeta: m,
			Spec: batchv1.JobSpec{
				BackoffLimit:          ptr(int32(migrateRetries)),
				ActiveDeadlineSeconds: ptr(int64(migrateLimit)),
				Template:              template,
			},
		}})
	}
	return out, nil
}

// migrateName is "<service>-migrate-<7 of the sha>-<6 of the pod's hash>": 63
// characters for the longest service name of 40, and so a valid label.
func migrateName(service, sha string, pod corev1.PodSpec) (string, error) {
	raw, err := json.Marshal(pod)
	if err != nil {
		return "", fmt.Errorf("hash pod of %s: %w", service, err)
	}
	sum := sha256.Sum256(raw)
	return fmt.Sprintf("%s-migrate-%.7s-%s", service, sha, hex.EncodeToString(sum[:])[:6]), nil
}
