// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/yaml"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

var now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func readCRD(t *testing.T, name string) *unstructured.Unstructured {
	t.Helper()
	raw, err := os.ReadFile("../../../deploy/base/crd/data.kuda.io_" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	if raw, err = yaml.YAMLToJSON(raw); err != nil {
		t.Fatal(err)
	}
	crd := &unstructured.Unstructured{}
	if err := json.Unmarshal(raw, &crd.Object); err != nil {
		t.Fatal(err)
	}
	return crd
}

func certificate(t *testing.T, until time.Time) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: until, IsCA: true,
		BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func dataSet(namespace, name string, conditions ...metav1.Condition) *v1alpha1.DataSet {
	for i := range conditions {
		conditions[i].ObservedGeneration = 1
	}
	return &v1alpha1.DataSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Generation: 1, CreationTimestamp: metav1.NewTime(now.Add(-time.Hour))},
		Spec:       v1alpha1.DataSetSpec{WorkloadSelector: map[string]string{"app": name}},
		Status: v1alpha1.DataSetStatus{ObservedGeneration: 1, Conditions: conditions, UpdateRevision: name + "-2",
			CurrentRevision: name + "-1"},
	}
}

func condition(kind, status, reason, message string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: metav1.ConditionStatus(status), Reason: reason, Message: message}
}

func data(set, podName string, conditions ...metav1.Condition) *v1alpha1.Data {
	return &v1alpha1.Data{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: set + "-" + podName, Labels: map[string]string{v1alpha1.LabelDataSet: set},
			CreationTimestamp: metav1.NewTime(now.Add(-time.Hour)),
		},
		Spec: v1alpha1.DataSpec{
			Revision: set + "-2", PodName: podName,
			DataItems: []v1alpha1.DataItem{{Namespace: "default", Name: "weights", Container: "server"}},
		},
		Status: v1alpha1.DataStatus{Conditions: conditions, NodeName: "node-1"},
	}
}

func podOf(name string, age time.Duration, change func(*corev1.Pod)) *corev1.Pod {
	always := corev1.ContainerRestartPolicyAlways
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: name, Labels: map[string]string{"app": "models"}, CreationTimestamp: metav1.NewTime(now.Add(-age)),
			Annotations: map[string]string{v1alpha1.AnnotationInjected: "models"},
		},
		Spec: corev1.PodSpec{InitContainers: []corev1.Container{{Name: sidecar.ContainerName, RestartPolicy: &always}}},
	}
	if change != nil {
		change(p)
	}
	return p
}

func stripped(p *corev1.Pod) { p.Spec.InitContainers, p.Annotations = nil, nil }

func failing(podName, reason, message string) *v1alpha1.Data {
	d := data("models", podName, condition(v1alpha1.ConditionReady, "False", reason, message))
	d.Status.DataItemsStatus = []v1alpha1.DataItemStatus{{Namespace: "default", Name: "weights", Phase: v1alpha1.DataFailed,
		Reason: reason, Message: message}}
	return d
}

func TestTheReasonWhyAPodLacksTheRuntimeIsFound(t *testing.T) {
	s := &subject{dataSet: dataSet("shop", "models"), now: now}
	s.namespace.value = &corev1.Namespace{}
	s.config.value = &corev1.ConfigMap{Data: map[string]string{configKey: "dataPathPrefix: /srv"}}
	disabled := &subject{dataSet: s.dataSet, now: now}
	disabled.namespace.value = &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Labels: map[string]string{v1alpha1.LabelInjection: v1alpha1.InjectionDisabled}}}
	unreadable := &subject{dataSet: s.dataSet, now: now}
	unreadable.namespace.err, unreadable.config.err = errors.New("forbidden"), errors.New("forbidden")
	main := corev1.Container{Name: "main"}
	changed := func(change func(*corev1.Pod)) *corev1.Pod {
		return podOf("p", time.Minute, func(p *corev1.Pod) {
			stripped(p)
			p.Spec.Containers = []corev1.Container{main}
			change(p)
		})
	}
	mounts := func(at string) *corev1.Pod {
		return changed(func(p *corev1.Pod) {
			p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "own", MountPath: at}}
		})
	}
	for name, c := range map[string]struct {
		s       *subject
		pod     *corev1.Pod
		want    string
		restart bool
	}{
		"older":           {s, podOf("p", 2*time.Hour, stripped), "before the DataSet", true},
		"younger":         {s, podOf("p", time.Minute, stripped), "could not be reached", true},
		"opted out":       {disabled, podOf("p", time.Minute, stripped), "opted out", false},
		"no right":        {unreadable, podOf("p", time.Minute, stripped), "could not be reached", true},
		"another webhook": {s, podOf("p", time.Minute, func(p *corev1.Pod) { p.Spec.InitContainers = nil }), "removed it", false},
		"a copy":          {s, podOf("p", time.Minute, func(p *corev1.Pod) { p.Annotations = nil }), "--copy-to", false},
		"host network":    {s, changed(func(p *corev1.Pod) { p.Spec.HostNetwork = true }), "hostNetwork", false},
		"name clash": {s, changed(func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Name: sidecar.ContainerName}}
		}), "choose another name", false},
		"mount":                       {s, mounts("/srv/x"), "mount it elsewhere", false},
		"mount, configuration unread": {unreadable, mounts("/kuda/data"), "mount it elsewhere", false},
		"mount elsewhere":             {s, mounts("/kuda/data"), "could not be reached", true},
	} {
		got := c.s.whyUninjected(c.pod)
		if !strings.Contains(got.Why, c.want) || got.Restart != c.restart || got.Do == "" {
			t.Errorf("%s: %+v, want %s", name, got, c.want)
		}
	}
}

func TestAnUnknownReasonIsAWarning(t *testing.T) {
	d := dataSet("shop", "models", condition(v1alpha1.ConditionReady, "False", "FromTheFuture", "who knows"))
	f := judgeDataSet(d, "")
	if len(f) != 1 || f[0].Severity != "warning" || !strings.Contains(f[0].What, "FromTheFuture: who knows") {
		t.Errorf("%+v", f)
	}
	g := judgePods([]v1alpha1.Data{*failing("p", "FromTheFuture", "who knows")}, now)
	if len(g) != 1 || g[0].Severity != "warning" {
		t.Errorf("%+v", g)
	}
}

func TestTheSchemaOfThisVersionIsComplete(t *testing.T) {
	for _, name := range []string{"datas", "datasets", "nodestores"} {
		crd := readCRD(t, name)
		if f := judgeCRD(crd.GetName(), fact[*unstructured.Unstructured]{value: crd}); f.Severity != "ok" {
			t.Errorf("%s: %s", name, f.What)
		}
	}
}

func TestAnOlderOrNewerSchemaIsFound(t *testing.T) {
	spec := func(crd *unstructured.Unstructured) map[string]any {
		versions := crd.Object["spec"].(map[string]any)["versions"].([]any)
		schema := versions[0].(map[string]any)["schema"].(map[string]any)["openAPIV3Schema"].(map[string]any)
		return schema["properties"].(map[string]any)["spec"].(map[string]any)["properties"].(map[string]any)
	}
	older := readCRD(t, "datasets")
	delete(spec(older)["updateStrategy"].(map[string]any)["properties"].(map[string]any), "steps")
	newer := readCRD(t, "datasets")
	spec(newer)["colour"] = map[string]any{"type": "string"}
	gone := readCRD(t, "datasets")
	gone.Object["spec"].(map[string]any)["versions"].([]any)[0].(map[string]any)["name"] = "v2"
	for want, crd := range map[string]*unstructured.Unstructured{
		"problem lacks .spec.updateStrategy.steps":                   older,
		"warning has .spec.colour, which this program does not know": newer,
		"problem does not serve v1alpha1":                            gone,
	} {
		f := judgeCRD(crd.GetName(), fact[*unstructured.Unstructured]{value: crd})
		if got := fmt.Sprint(f.Severity, " ", f.What); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestABadCABundleIsFound(t *testing.T) {
	in := &installation{now: now, namespace: SystemNamespace}
	good, soon, over := certificate(t, now.Add(time.Hour*24*365)), certificate(t, now.Add(time.Hour*24*10)),
		certificate(t, now.Add(-time.Minute))
	for name, c := range map[string]struct {
		hooks []hook
		want  string
	}{
		"one":      {[]hook{{"a", good}, {"b", good}}, "ok trusts one CA, which is valid until 2027-05-01"},
		"two":      {[]hook{{"a", append(over[:len(over):len(over)], good...)}}, "ok trusts one CA, which is valid until 2027-05-01"},
		"soon":     {[]hook{{"a", soon}}, "warning the CA expires in 10 days"},
		"over":     {[]hook{{"a", over}}, "problem a: the CA expired at 2026-05-01 11:59:00"},
		"none":     {[]hook{{"a", nil}}, "problem a: the caBundle has no certificate"},
		"other":    {[]hook{{"a", good}, {"b", soon}}, "problem a and b trust different CAs"},
		"no hooks": {nil, "problem has no webhook"},
	} {
		f := in.judgeHooks(&Object{}, c.hooks)
		if got := fmt.Sprint(f.Severity, " ", f.What); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestAnExpiredLeaseIsAProblem(t *testing.T) {
	duration, renewed, holder := int32(15), metav1.NewMicroTime(now.Add(-5*time.Second)), "kuda-manager-0"
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: SystemNamespace, Name: leaseName}, Spec: coordinationv1.LeaseSpec{
		HolderIdentity: &holder, RenewTime: &renewed, LeaseDurationSeconds: &duration,
	}}
	in := func(age time.Duration) []Finding {
		i := readInstallation(t.Context(), fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(lease).Build(),
			SystemNamespace, "", "default", now)
		i.now = now.Add(age)
		return checkLease(i)
	}
	if f := in(time.Minute)[0]; f.Severity != "ok" {
		t.Errorf("within the slack: %+v", f)
	}
	if f := in(2 * time.Minute)[0]; f.Severity != "problem" || !strings.Contains(f.What, "2m5s ago by kuda-manager-0") {
		t.Errorf("long after: %+v", f)
	}
}
