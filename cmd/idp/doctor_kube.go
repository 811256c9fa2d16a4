package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/cluster"
	"github.com/idp-bot/idp/gitops/platform"
)

const checkKinds = "kinds"

// The resources that are read.
var (
	gateways       = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gateways"}
	gatewayClasses = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gatewayclasses"}
	ingressClasses = schema.GroupVersionResource{Group: "networking.k8s.io", Version: "v1", Resource: "ingressclasses"}
	appProjects    = schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "appprojects"}
	kubeNamespaces = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	kubeSecrets    = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	daemonSets     = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "daemonsets"}
)

// previewClass is the class of previews as far as it is known.
func (x *examination) previewClass() platform.Class { return x.declared.OfPreviews(x.cfg.Class()) }

// unseenOf notes what could not be read of the cluster: no verdict about it.
func (x *examination) unseenOf(check string, err error) { x.add(notSeen(check, err)) }

// notSeen is of what could not be read of the cluster.
func notSeen(check string, err error) diagnosis {
	return diagnosis{Check: check, State: verdictWarning, Seen: err.Error(), Fix: "give the kubeconfig's user get and list on it, and see that the cluster answers"}
}

// seesGateway looks whether the Gateway takes routes of previews.
func (x *examination) seesGateway(ctx context.Context) {
	class := x.previewClass()
	if class.Routing.Kind == platform.Ingress {
		x.seesIngress(ctx, class.Routing.IngressClass)
		return
	}
	var gateway gatewayv1.Gateway
	at := fmt.Sprintf("Gateway %s of namespace %s", class.Routing.GatewayName, class.Routing.GatewayNamespace)
	switch err := x.kube.Get(ctx, gateways, class.Routing.GatewayNamespace, class.Routing.GatewayName, &gateway); {
	case errors.Is(err, cluster.ErrNotFound):
		x.fail(checkGateway, at+" is not there", "make it, or name another in gateway_name and gateway_namespace; without the Gateway API set routing to Ingress")
		return
	case err != nil:
		x.unseenOf(checkGateway, err)
		return
	}
	var kind gatewayv1.GatewayClass
	if err := x.kube.Get(ctx, gatewayClasses, "", string(gateway.Spec.GatewayClassName), &kind); err != nil {
		if errors.Is(err, cluster.ErrNotFound) {
			x.fail(checkGateway, fmt.Sprintf("%s is of class %s, which is not there", at, gateway.Spec.GatewayClassName), "install the gateway's controller, or name the class of one that is")
		} else {
			x.unseenOf(checkGateway, err)
		}
		return
	}
	x.add(judgeGateway(gateway, kind, class))
}

// judgeGateway wants the class to be accepted, the Gateway to be programmed, and a listener to
// let routes in from the namespaces of previews.
func judgeGateway(gateway gatewayv1.Gateway, kind gatewayv1.GatewayClass, class platform.Class) diagnosis {
	at := fmt.Sprintf("Gateway %s of namespace %s", gateway.Name, gateway.Namespace)
	f := diagnosis{Check: checkGateway, State: verdictFailure}
	if why := unmet(kind.Status.Conditions, string(gatewayv1.GatewayClassConditionStatusAccepted)); why != "" {
		f.Seen, f.Fix = fmt.Sprintf("class %s of %s: %s", kind.Name, at, why), fmt.Sprintf("see that controller %s runs", kind.Spec.ControllerName)
		return f
	}
	if why := unmet(gateway.Status.Conditions, string(gatewayv1.GatewayConditionProgrammed)); why != "" {
		f.Seen, f.Fix = at+": "+why, fmt.Sprintf("kubectl -n %s describe gateway %s says more", gateway.Namespace, gateway.Name)
		return f
	}
	var whys []string
	for _, listener := range gateway.Spec.Listeners {
		if class.Routing.SectionName != "" && string(listener.Name) != class.Routing.SectionName {
			continue
		}
		why := closedTo(listener, gateway.Namespace, class.Zone)
		if why == "" {
			f.State, f.Seen = verdictOK, fmt.Sprintf("%s is programmed, and its listener %s takes routes of previews", at, listener.Name)
			return f
		}
		whys = append(whys, fmt.Sprintf("listener %s %s", listener.Name, why))
	}
	if len(whys) == 0 {
		f.Seen, f.Fix = fmt.Sprintf("%s has no listener %q", at, class.Routing.SectionName), "name one of its listeners in gateway_section"
		return f
	}
	f.Seen = at + ": " + strings.Join(whys, "; ")
	f.Fix = fmt.Sprintf("give a listener allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {%s: %s}}}} and a hostname that *.%s is in", gitops.LabelManagedBy, gitops.ManagedBy, class.Zone)
	return f
}

// unmet says why a condition is not so, "" where it is.
func unmet(conditions []metav1.Condition, of string) string {
	i := slices.IndexFunc(conditions, func(c metav1.Condition) bool { return c.Type == of })
	switch {
	case i < 0:
		return "nobody has said that it is " + of
	case conditions[i].Status != metav1.ConditionTrue:
		return fmt.Sprintf("it is not %s: %s", of, oneLine(conditions[i].Reason+": "+conditions[i].Message))
	}
	return ""
}

// closedTo says why a listener takes no route of a preview, "" where it does.
func closedTo(listener gatewayv1.Listener, namespace, zone string) string {
	if listener.Protocol != gatewayv1.HTTPProtocolType && listener.Protocol != gatewayv1.HTTPSProtocolType {
		return "speaks " + string(listener.Protocol)
	}
	if host := listener.Hostname; host != nil && !covers(string(*host), zone) {
		return "is for " + string(*host)
	}
	from := gatewayv1.NamespacesFromSame
	var selector *metav1.LabelSelector
	if allowed := listener.AllowedRoutes; allowed != nil {
		if allowed.Namespaces != nil {
			selector = allowed.Namespaces.Selector
			if allowed.Namespaces.From != nil {
				from = *allowed.Namespaces.From
			}
		}
		routes := func(k gatewayv1.RouteGroupKind) bool { return k.Kind == "HTTPRoute" }
		if len(allowed.Kinds) > 0 && !slices.ContainsFunc(allowed.Kinds, routes) {
			return "takes no HTTPRoute"
		}
	}
	switch from {
	case gatewayv1.NamespacesFromAll:
		return ""
	case gatewayv1.NamespacesFromSelector:
		// The labels of every preview's namespace; its own environment's name is not known.
		of := labels.Set{gitops.LabelManagedBy: gitops.ManagedBy}
		if s, err := metav1.LabelSelectorAsSelector(selector); err == nil && s.Matches(of) {
			return ""
		}
		return "selects namespaces by other labels than those of previews"
	}
	return "takes routes of namespace " + namespace + " alone"
}

// covers says whether names below a zone are in a listener's hostname.
func covers(hostname, zone string) bool {
	below, wild := strings.CutPrefix(hostname, "*.")
	return hostname == "" || wild && (zone == below || strings.HasSuffix(zone, "."+below))
}

const defaultIngress = "ingressclass.kubernetes.io/is-default-class"

func (x *examination) seesIngress(ctx context.Context, name string) {
	if name != "" {
		var found networkingv1.IngressClass
		switch err := x.kube.Get(ctx, ingressClasses, "", name, &found); {
		case errors.Is(err, cluster.ErrNotFound):
			x.fail(checkGateway, "IngressClass "+name+" is not there", "install its controller, or name another in ingress_class")
		case err != nil:
			x.unseenOf(checkGateway, err)
		default:
			x.ok(checkGateway, "IngressClass %s is there, of %s", name, found.Spec.Controller)
		}
		return
	}
	all, err := cluster.List[networkingv1.IngressClass](ctx, x.kube, ingressClasses, "")
	if err != nil {
		x.unseenOf(checkGateway, err)
		return
	}
	if i := slices.IndexFunc(all, func(c networkingv1.IngressClass) bool { return c.Annotations[defaultIngress] == "true" }); i >= 0 {
		x.ok(checkGateway, "IngressClass %s is the default", all[i].Name)
		return
	}
	x.fail(checkGateway, "no IngressClass is the default, and ingress_class is not set", "name one in ingress_class")
}

// enforcing are the DaemonSets of networks that enforce NetworkPolicy, by a word of their name.
var enforcing = map[string]string{
	"calico-node": "Calico", "canal": "Canal", "cilium": "Cilium", "kube-router": "kube-router", "weave-net": "Weave Net", "antrea-agent": "Antrea",
	"ovnkube-node": "OVN-Kubernetes", "kube-ovn-cni": "Kube-OVN", "anetd": "GKE Dataplane V2", "aws-eks-nodeagent": "the agent of AWS", "azure-npm": "Azure NPM",
}

func (x *examination) seesNetwork(ctx context.Context) {
	all, err := cluster.List[appsv1.DaemonSet](ctx, x.kube, daemonSets, "")
	if err != nil {
		x.unseenOf(checkNetworks, err)
		return
	}
	if name, of := enforcer(all); name != "" {
		x.ok(checkNetworks, "%s enforces them (DaemonSet %s)", of, name)
		return
	}
	x.warn(checkNetworks, "no network that enforces NetworkPolicy is known among the cluster's DaemonSets: previews may not be fenced",
		"see whether yours does; else install one that does, such as Calico, Cilium or Antrea")
}

// enforcer is the DaemonSet that enforces network policies, and what it is of. AWS has it as a
// container beside others.
func enforcer(all []appsv1.DaemonSet) (name, of string) {
	for _, set := range all {
		names := []string{set.Name}
		for _, c := range set.Spec.Template.Spec.Containers {
			names = append(names, c.Name)
		}
		for _, one := range names {
			if of, ok := enforcing[one]; ok {
				return set.Name, of
			}
		}
	}
	return "", ""
}

// seesKinds looks whether the cluster knows what is rendered for previews.
func (x *examination) seesKinds() {
	class := x.previewClass()
	wanted := append([]string{"v1/Namespace", "v1/ServiceAccount", "v1/Service", "v1/ResourceQuota", "v1/LimitRange", "apps/v1/Deployment", "networking.k8s.io/v1/NetworkPolicy"}, class.ObjectKinds()...)
	if class.Routing.Kind == platform.Ingress {
		wanted = append(wanted, "networking.k8s.io/v1/Ingress")
	} else {
		wanted = append(wanted, "gateway.networking.k8s.io/v1/HTTPRoute")
	}
	switch lacks, err := x.kube.Lacks(wanted); {
	case err != nil:
		x.unseenOf(checkKinds, err)
	case len(lacks) > 0:
		x.fail(checkKinds, "the cluster does not know "+strings.Join(lacks, ", "), "install what brings their definitions (CustomResourceDefinition)")
	default:
		x.ok(checkKinds, "the cluster knows all that previews are made of")
	}
}
