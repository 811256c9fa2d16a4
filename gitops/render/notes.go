package render

import (
	"fmt"

	"github.com/idp-bot/idp/gitops/spec"
)

// Notes returns what the spec asks for in a declared environment and does not get
// there, one sentence for each, for people to hear before they count on it. It needs
// no more of in than Ref, Environment, Spec and Class, and says nothing of previews.
func Notes(in Input) []string {
	if in.Environment == "" || in.Spec == nil {
		return nil
	}
	var out []string
	for _, svc := range in.Spec.Services {
		if in.Ref.Service != "" && in.Ref.Service != svc.Name || svc.Rollback.OnErrorRate == 0 || svc.Kind == spec.Cron {
			continue
		}
		switch {
		case strategyOf(service{Service: svc}, in.Environment) == spec.Rolling:
			out = append(out, fmt.Sprintf("rollback.on_error_rate of %s has no effect: with strategy rolling no revision is watched, with canary or blueGreen it is", svc.Name))
		case in.Class.PrometheusAddress == "":
			out = append(out, fmt.Sprintf("rollback.on_error_rate of %s has no effect in %s: class %s has no prometheus_address", svc.Name, in.Environment, in.Class.Name))
		case in.Class.ErrorRateQuery == "":
			out = append(out, fmt.Sprintf("rollback.on_error_rate of %s has no effect in %s: class %s has no error_rate_query", svc.Name, in.Environment, in.Class.Name))
		}
	}
	return out
}
