// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/insight/advice"
	"github.com/kuda-io/kuda/internal/insight/plural"
	"github.com/kuda-io/kuda/internal/shorten"
	"github.com/kuda-io/kuda/internal/version"
)

// What is looked at of an installation.
const (
	checkDeployment = "deployment"
	checkVersion    = "version"
	checkLeader     = "leader"
	checkGateway    = "gateway"
	checkNamespace  = "namespace"
)

// leaseSlack is how far the clocks of this machine and the cluster may be apart
// before a fresh lease looks like an old one.
const leaseSlack = time.Minute

// examineInstallation judges an installation.
func examineInstallation(in *installation) []Finding {
	var findings []Finding
	for _, check := range []func(*installation) []Finding{
		checkCRDs, checkDeployments, checkVersions, checkLease, checkEndpoints, checkWebhooks, checkProbe,
		checkNamespaces, checkHoldings, checkKeepers, checkSchedulers, checkPullSecrets, checkNode, checkHostPath,
		checkDataSets, checkData,
	} {
		findings = append(findings, check(in)...)
	}
	return findings
}

func (in *installation) newObject(kind, name string) *Object {
	return &Object{Kind: kind, Namespace: in.namespace, Name: name}
}

func checkDeployments(in *installation) []Finding {
	consequence := map[string]string{
		managerName: "without it rollouts stand still and pods get no news; what they have stays",
		webhookName: "without it new pods do not get the runtime, or are refused where the namespace asks for it",
	}
	var findings []Finding
	for _, name := range []string{managerName, webhookName} {
		o, d := in.newObject("Deployment", name), in.deployments[name]
		if d.err != nil {
			findings = append(findings, unreadFinding(checkDeployment, o, d.err, &Finding{
				Severity: advice.Problem, Check: checkDeployment, Object: o, What: "is not there", Why: consequence[name],
				Do: []string{"where Kuda is installed in another namespace, name it by --system-namespace; else install it:", install},
			}))
			continue
		}
		findings = append(findings, judgeDeployment(o, d.value, consequence[name]))
	}
	return findings
}

func judgeDeployment(o *Object, d *appsv1.Deployment, consequence string) Finding {
	wanted := int32(1)
	if d.Spec.Replicas != nil {
		wanted = *d.Spec.Replicas
	}
	f := okFinding(checkDeployment, o, "%d of %d replicas are available", d.Status.AvailableReplicas, wanted)
	if d.Status.AvailableReplicas >= wanted && wanted > 0 {
		return f
	}
	f.Severity, f.Why = advice.Warning, "the others do the work, but the loss of one more may stop it"
	if d.Status.AvailableReplicas == 0 {
		f.Severity, f.Why = advice.Problem, consequence
	}
	f.Do = []string{
		"see what keeps its pods from being ready:",
		fmt.Sprintf("kubectl describe pods -n %s -l app.kubernetes.io/name=%s", o.Namespace, o.Name),
		fmt.Sprintf("kubectl logs -n %s deployment/%s --all-pods --tail 50", o.Namespace, o.Name),
	}
	return f
}

// checkVersions compares the versions that the images' tags name, and this
// program's.
func checkVersions(in *installation) []Finding {
	manager, webhook := in.imageTag(managerName), in.imageTag(webhookName)
	switch {
	case manager == "" || webhook == "":
		return nil
	case manager != webhook:
		return []Finding{{
			Severity: advice.Warning, Check: checkVersion, What: fmt.Sprintf("kuda-manager is %s, kuda-webhook %s", manager, webhook),
			Why: "the installation was upgraded in part", Do: []string{"apply one release as a whole:", install},
		}}
	case version.Version != "dev" && manager != version.Version:
		return []Finding{{
			Severity: advice.Warning, Check: checkVersion, What: fmt.Sprintf("the installation is %s, this program %s", manager, version.Version),
			Why: "either may know fields and phases that the other does not", Do: []string{"use the kubectl-kuda of the installed release"},
		}}
	}
	return []Finding{okFinding(checkVersion, nil, "the installation is %s", manager)}
}

// imageTag returns the tag of a deployment's image; empty where it is not known or is a
// digest.
func (in *installation) imageTag(name string) string {
	d := in.deployments[name]
	if d.err != nil || len(d.value.Spec.Template.Spec.Containers) == 0 {
		return ""
	}
	return tagOf(d.value.Spec.Template.Spec.Containers[0].Image)
}

// tagOf returns the tag of an image; empty where it has none.
func tagOf(image string) string {
	image, _, _ = strings.Cut(image, "@")
	_, tag, _ := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	return tag
}

func checkLease(in *installation) []Finding {
	o := in.newObject("Lease", leaseName)
	none := Finding{
		Severity: advice.Problem, Check: checkLeader, Object: o, What: "no replica of kuda-manager leads",
		Why: "the controllers run on the replica that holds the lease; without one no rollout goes on and no status is written",
		Do:  []string{fmt.Sprintf("kubectl logs -n %s deployment/%s --all-pods --tail 50", in.namespace, managerName)},
	}
	if in.lease.err != nil {
		return []Finding{unreadFinding(checkLeader, o, in.lease.err, &none)}
	}
	spec := in.lease.value.Spec
	if spec.HolderIdentity == nil || *spec.HolderIdentity == "" || spec.RenewTime == nil || spec.LeaseDurationSeconds == nil {
		return []Finding{none}
	}
	age := in.now.Sub(spec.RenewTime.Time)
	if limit := time.Duration(*spec.LeaseDurationSeconds)*time.Second + leaseSlack; age > limit {
		none.What = fmt.Sprintf("was last renewed %s ago by %s", age.Round(time.Second), *spec.HolderIdentity)
		none.Do = append(none.Do, "where this machine's clock is ahead of the cluster's by as much, nothing is wrong")
		return []Finding{none}
	}
	return []Finding{okFinding(checkLeader, o, "%s leads", *spec.HolderIdentity)}
}

func checkEndpoints(in *installation) []Finding {
	o := in.newObject("Service", gatewayName)
	if in.slices.err != nil {
		return []Finding{unreadFinding(checkGateway, o, in.slices.err, nil)}
	}
	ready := 0
	for i := range in.slices.value.Items {
		for _, e := range in.slices.value.Items[i].Endpoints {
			if e.Conditions.Ready == nil || *e.Conditions.Ready {
				ready++
			}
		}
	}
	if ready == 0 {
		return []Finding{{
			Severity: advice.Problem, Check: checkGateway, Object: o, What: "has no ready endpoint",
			Why: "runtimes reach the gateway through it; pods keep what they have and get nothing new",
			Do:  []string{fmt.Sprintf("kubectl get pods,services,endpointslices -n %s", in.namespace)},
		}}
	}
	return []Finding{okFinding(checkGateway, o, "has %s", plural.Count(ready, "ready endpoint"))}
}

// checkNamespaces speaks of the namespaces with DataSets whose pods are left
// alone or must be injected.
func checkNamespaces(in *installation) []Finding {
	if in.namespaces.err != nil {
		return []Finding{unreadFinding(checkNamespace, &Object{Kind: "Namespace", Name: cmp.Or(in.scope, "*")}, in.namespaces.err, nil)}
	}
	used := make(map[string]int)
	for i := range in.dataSets.value {
		used[in.dataSets.value[i].Namespace]++
	}
	var required []string
	var findings []Finding
	for i := range in.namespaces.value {
		n := &in.namespaces.value[i]
		label := n.Labels[v1alpha1.LabelInjection]
		if _, labelled := n.Labels[v1alpha1.LabelInjection]; labelled && label != v1alpha1.InjectionDisabled {
			required = append(required, n.Name)
		}
		if f := judgeNamespace(n, label, used[n.Name]); f != nil {
			findings = append(findings, *f)
		}
	}
	slices.Sort(required)
	if len(required) > 0 {
		findings = append(findings, okFinding(checkNamespace, nil,
			"pods are refused while the webhook is away (kuda.io/injection=required) in: %s", shorten.List(required, ", ", shown)))
	}
	return findings
}

func judgeNamespace(n *corev1.Namespace, label string, dataSets int) *Finding {
	o := &Object{Kind: "Namespace", Name: n.Name}
	remove := fmt.Sprintf("kubectl label namespace %s %s-", n.Name, v1alpha1.LabelInjection)
	switch label {
	case "", v1alpha1.InjectionRequired:
		return nil
	case v1alpha1.InjectionDisabled:
		if dataSets == 0 {
			return nil
		}
		return &Finding{
			Severity: advice.Warning, Check: checkNamespace, Object: o,
			What: fmt.Sprintf("has %s, but its pods are left alone (%s=%s)", plural.Count(dataSets, "DataSet"), v1alpha1.LabelInjection, label),
			Why:  "new pods of it do not get the runtime, and so no data",
			Do:   []string{"to change that, remove the label and restart the pods:", remove},
		}
	}
	return &Finding{
		Severity: advice.Warning, Check: checkNamespace, Object: o,
		What: fmt.Sprintf("has the label %s=%s, which is read as %s", v1alpha1.LabelInjection, label, v1alpha1.InjectionRequired),
		Why: "required and disabled are the values that are known; with any other one pods are refused where they cannot be injected, and " +
			"while the webhook is away",
		Do: []string{"correct or remove the label:", remove},
	}
}

// isForbidden reports whether the API server refused by its rules of access, which
// is not what a webhook says.
func isForbidden(err error) bool {
	return apierrors.IsForbidden(err) && !strings.Contains(err.Error(), "admission webhook")
}
