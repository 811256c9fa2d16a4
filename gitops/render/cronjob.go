package render

import (
	"github.com/idp-bot/idp/gitops/spec"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// cronStartLimit is how many seconds late a run may start; a later one is left
// out, as it would be after the environment was paused.
const cronStartLimit = 300

// cronJobs renders services that run on a schedule, in UTC, one run at a time.
func cronJobs(e *environment) ([]object, error) {
	var out []object
	for _, svc := range e.services {
		if svc.Kind != spec.Cron {
			continue
		}
		template, err := e.podTemplate(svc, roleCron)
		if err != nil {
			return nil, err
		}
		template.Spec.RestartPolicy = corev1.RestartPolicyNever
		out = append(out, object{svc.Name + "-cronjob.yaml", &batchv1.CronJob{
			TypeMeta:   metav1.TypeMeta{APIVersion: "batch/v1", Kind: "CronJob"},
			ObjectMeta: e.serviceMeta(svc.Name, svc.Name),
			Spec: batchv1.CronJobSpec{
				Schedule:                   svc.Schedule,
				TimeZone:                   ptr("Etc/UTC"),
				ConcurrencyPolicy:          batchv1.ForbidConcurrent,
				StartingDeadlineSeconds:    ptr(int64(cronStartLimit)),
				SuccessfulJobsHistoryLimit: ptr(int32(1)),
				FailedJobsHistoryLimit:     ptr(int32(1)),
				JobTemplate: batchv1.JobTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{Labels: e.podLabels(svc.Name, roleCron)},
					Spec:       batchv1.JobSpec{BackoffLimit: ptr(int32(1)), Template: template},
				},
			},
		}})
	}
	return out, nil
}
