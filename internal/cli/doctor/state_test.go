// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// Every state that keeps pods from their data is found, with what to do about it.
func TestDoctorFindsEachState(t *testing.T) {
	delivered := condition(v1alpha1.ConditionReady, "True", v1alpha1.ReasonDelivered, "1/1 pods have their data")
	pods := func(status, reason, message string) []client.Object {
		return []client.Object{
			dataSet("shop", "models", delivered), podOf("web-1", time.Hour, nil),
			data("models", "web-1", condition(v1alpha1.ConditionReady, status, reason, message)),
		}
	}
	changedPod := func(change func(*corev1.Pod)) []client.Object {
		return []client.Object{dataSet("shop", "models", delivered), podOf("web-1", time.Minute, func(p *corev1.Pod) {
			stripped(p)
			p.Spec.Containers = []corev1.Container{{Name: "main"}}
			change(p)
		})}
	}
	set := func(change func(*v1alpha1.DataSet)) []client.Object {
		d := dataSet("shop", "models", delivered)
		change(d)
		return []client.Object{d, podOf("web-1", time.Hour, nil), data("models", "web-1", delivered)}
	}
	leaving := data("models", "gone", delivered)
	leaving.Spec.Withdraw = true
	const quota = `pod web-1: creating Data models-web-1: datas.data.kuda.io is forbidden: exceeded quota: q`
	for name, c := range map[string]struct {
		objects []client.Object
		want    []string
		without string
		code    int
	}{
		"hostNetwork": {changedPod(func(p *corev1.Pod) { p.Spec.HostNetwork = true }),
			[]string{"hostNetwork", "does not help"}, "delete it and create it again", frame.ExitNegative},
		"a name clash": {changedPod(func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Name: sidecar.ContainerName}}
		}), []string{"choose another name", "does not help"}, "delete it and create it again", frame.ExitNegative},
		"a mount of its own": {changedPod(func(p *corev1.Pod) {
			p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "v", MountPath: "/kuda/data"}}
		}), []string{"mounts volume v", "does not help"}, "delete it and create it again", frame.ExitNegative},
		"a missed webhook": {changedPod(func(*corev1.Pod) {}),
			[]string{"could not be reached", "delete it and create it again"}, "does not help", frame.ExitNegative},
		"a refused write": {append(set(func(d *v1alpha1.DataSet) {
			d.Status.Conditions = []metav1.Condition{condition(v1alpha1.ConditionProgressing, "False", v1alpha1.ReasonWriteRefused, quota)}
		}), podOf("web-2", time.Hour, nil)),
			[]string{"exceeded quota: q", "kubectl describe resourcequota -n shop", "Pod shop/web-2: has the runtime and no Data"}, "", frame.ExitNegative},
		"a silent runtime": {pods("Unknown", v1alpha1.ReasonRuntimeNotConnected, "the pod's runtime has not acknowledged revision models-2"),
			[]string{"has not acknowledged", "no longer does", "kubectl logs web-1 -n shop -c kuda-runtime"}, "", frame.ExitNegative},
		"a pod without a node": {pods("False", v1alpha1.ReasonRuntimeNotConnected, `the pod has no node yet, so its runtime does not run: persistentvolumeclaim "dsk" not found`),
			[]string{`persistentvolumeclaim "dsk" not found`, "kubectl describe pod web-1 -n shop"}, "", frame.ExitNegative},
		"a pod that leaves": {[]client.Object{dataSet("shop", "models", delivered), leaving},
			[]string{"pod gone is asked to take the items out", "kubectl delete pod gone -n shop", `"deletionPolicy":"Retain"`}, "", frame.ExitDone},
		"one place": {pods("False", v1alpha1.ReasonPathConflict, `"conf" conflicts with "conf" of DataSet zz, which was created first and has the place in every pod`),
			[]string{"of DataSet zz", "created first", "another localPath"}, "", frame.ExitNegative},
		"too large": {set(func(d *v1alpha1.DataSet) {
			d.Spec.Template.DataItems = []v1alpha1.DataItem{{Include: []string{strings.Repeat("a", 1<<20)}}}
		}), []string{"bytes as JSON, more than 1048576", "split the items"}, "", frame.ExitNegative},
		"a Secret of another name": {pods("False", v1alpha1.ReasonCredentialsMissing, `Secret "new" is not mounted into this pod: restart the pod's workload`),
			[]string{"is not mounted into this pod", "kubectl rollout restart"}, "", frame.ExitNegative},
		"a mistyped claim": {set(func(d *v1alpha1.DataSet) {
			d.Spec.Template.DataSources.PVC = &v1alpha1.PVCDataSource{ClaimName: "dsk"}
		}), []string{"PersistentVolumeClaim shop/dsk: is not there", "correct claimName"}, "CredentialsMissing", frame.ExitNegative},
		"nothing": {set(func(*v1alpha1.DataSet) {}), []string{"0 problems, 0 warnings"}, "", frame.ExitDone},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := cluster{objects: c.objects}.run(t, "models", "-n", "shop")
			wantExit(t, err, c.code)
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
			if c.without != "" && strings.Contains(out, c.without) {
				t.Errorf("%q in\n%s", c.without, out)
			}
		})
	}
}
