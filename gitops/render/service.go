package render

import (
	"github.com/idp-bot/idp/gitops/spec"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// servicePort is the port that every web service has within its environment:
// others reach it at http://<service>.
const servicePort = 80

func services(e *environment) ([]object, error) {
	var out []object
	for _, svc := range e.services {
		if svc.Kind != spec.Web {
			continue
		}
		out = append(out, object{svc.Name + "-service.yaml", &corev1.Service{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
			ObjectMeta: e.serviceMeta(svc.Name, svc.Name),
			Spec: corev1.ServiceSpec{
				Type:     corev1.ServiceTypeClusterIP,
				Selector: selector(svc.Name, roleApp),
				Ports: []corev1.ServicePort{{
					Name: portName, Port: servicePort, TargetPort: intstr.FromString(portName), Protocol: corev1.ProtocolTCP,
				}},
			},
		}})
	}
	return out, nil
}
