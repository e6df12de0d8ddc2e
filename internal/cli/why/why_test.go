// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package why

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli/clitest"
	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/cli/golden"
	"github.com/kuda-io/kuda/internal/insight/why"
	"github.com/kuda-io/kuda/internal/placement"
)

const gib = int64(1) << 30

var now = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }

func template(item, version string) v1alpha1.DataTemplateSpec {
	return v1alpha1.DataTemplateSpec{
		DataItems: []v1alpha1.DataItem{{
			Name: item, Namespace: "default", RemotePath: item, LocalPath: item, Version: version, DataSourceType: v1alpha1.DataSourceMinIO,
		}},
		DataSources: v1alpha1.DataSources{MinIO: &v1alpha1.S3DataSource{Endpoint: "http://minio:9000", Bucket: "models"}},
	}
}

// models selects the pods of the application web.
func models(change ...func(*v1alpha1.DataSet)) *v1alpha1.DataSet {
	d := &v1alpha1.DataSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "models"},
		Spec:       v1alpha1.DataSetSpec{WorkloadSelector: map[string]string{"app": "web"}, Template: template("model", "v3")},
	}
	for _, c := range change {
		c(d)
	}
	return d
}

func policy(p v1alpha1.PlacementPolicy) func(*v1alpha1.DataSet) {
	return func(d *v1alpha1.DataSet) { d.Spec.Placement = p }
}

func node(name string, change ...func(*corev1.Node)) *corev1.Node {
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name), Labels: map[string]string{corev1.LabelTopologyZone: "east"}},
		Status: corev1.NodeStatus{
			NodeInfo:   corev1.NodeSystemInfo{BootID: "boot-" + name},
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastTransitionTime: ago(24 * time.Hour)}},
		},
	}
	for _, c := range change {
		c(n)
	}
	return n
}

func cordoned(n *corev1.Node) { n.Spec.Unschedulable = true }

// holding is a NodeStore of a node that has these versions of the item complete.
func holding(name string, versions ...string) *v1alpha1.NodeStore {
	e := v1alpha1.NamespaceStore{Namespace: "shop", StoreID: "store", BootID: "boot-" + name, ObservedTime: ago(time.Minute),
		AvailableBytes: 10 * gib}
	for _, version := range versions {
		e.Snapshots = append(e.Snapshots, v1alpha1.StoredSnapshot{
			ID: version, Marks: placement.Marks(template("model", version)), Version: version, Bytes: gib, Phase: v1alpha1.SnapshotComplete,
		})
	}
	return &v1alpha1.NodeStore{
		ObjectMeta: metav1.ObjectMeta{Name: name,
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: name, UID: types.UID("uid-" + name)}}},
		Status: v1alpha1.NodeStoreStatus{Stores: []v1alpha1.NamespaceStore{e}},
	}
}

func downloading(s *v1alpha1.NodeStore) *v1alpha1.NodeStore {
	s.Status.Stores[0].Snapshots[0].Phase = v1alpha1.SnapshotDownloading
	return s
}

func aPod(name string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("uid-" + name), Labels: map[string]string{"app": "web"},
			Annotations: map[string]string{}},
		Spec:   corev1.PodSpec{SchedulerName: corev1.DefaultSchedulerName},
		Status: corev1.PodStatus{Phase: corev1.PodPending},
	}
	for _, c := range change {
		c(p)
	}
	return p
}

func on(node string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.NodeName, p.Status.Phase = node, corev1.PodRunning
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue,
			LastTransitionTime: ago(2 * time.Hour)}}
	}
}

func by(scheduler string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.SchedulerName = scheduler }
}

func waits(message string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse,
			Reason: corev1.PodReasonUnschedulable, Message: message}}
	}
}

// preferring puts preferences into a pod as the webhook does, after one of its own.
func preferring(p *corev1.Pod) {
	term := func(node string, weight int32) corev1.PreferredSchedulingTerm {
		return corev1.PreferredSchedulingTerm{Weight: weight, Preference: corev1.NodeSelectorTerm{
			MatchFields: []corev1.NodeSelectorRequirement{{Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{node}}},
		}}
	}
	p.Annotations[v1alpha1.AnnotationPlacement] = "n1=40,n2=80"
	p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{term("n3", 90), term("n1", 40), term("n2", 80)},
	}}
}

func event(name, pod, message string, at time.Duration) *corev1.Event {
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: "shop", Name: name},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: "shop", Name: pod, UID: types.UID("uid-" + pod)},
		Reason:         "FailedScheduling", Message: message, EventTime: metav1.NewMicroTime(now.Add(-at)), ReportingController: why.Scheduler,
	}
}

// run runs the command in the namespace shop.
func run(t *testing.T, objects []client.Object, hooks interceptor.Funcs, args ...string) (string, error) {
	t.Helper()
	w := clitest.New(now, hooks, objects...)
	w.Program = "kubectl kuda"
	p, err := w.Run(t, Command, args...)
	return p.Both.String(), err
}

// fleet is three nodes, two of which hold the data.
func fleet() []client.Object {
	return []client.Object{
		node("n1"), node("n2"), node("n3", func(n *corev1.Node) { n.Labels[corev1.LabelTopologyZone] = "west" }),
		holding("n1", "v3"), holding("n2", "v3", "v2"),
	}
}

func TestAPlacementIsExplained(t *testing.T) {
	data := &v1alpha1.Data{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "d",
			Labels: map[string]string{v1alpha1.LabelPodUID: "uid-web-0", v1alpha1.LabelDataSet: "models"}},
		Status: v1alpha1.DataStatus{DataItemsStatus: []v1alpha1.DataItemStatus{{
			Namespace: "default", Name: "model", Version: "v3", Phase: v1alpha1.DataSuccess, Origin: v1alpha1.OriginNode,
		}}},
	}
	brought := data.DeepCopy()
	brought.Status.DataItemsStatus[0].Origin = v1alpha1.OriginSource
	unschedulable := "0/2 nodes are available: 2 node(s) lack default/model v3."
	for name, c := range map[string]struct {
		objects []client.Object
		args    []string
	}{
		"running.txt": {append(fleet(), models(), data, aPod("web-0", on("n2"), preferring), aPod("web-1", on("n1")),
			aPod("web-2", on("n1"))), nil},
		"running.yaml":  {append(fleet(), models(), data, aPod("web-0", on("n2"), preferring), aPod("web-1", on("n1"))), []string{"-o", "yaml"}},
		"elsewhere.txt": {append(fleet(), models(), brought, aPod("web-0", on("n3"), preferring)), nil},
		"weights.txt":   {append(fleet(), models(), aPod("web-0", on("n3"))), []string{"--weights", "node=10,zone=90", "--nodes", "1"}},
		"pending.txt":   {append(fleet(), models(), aPod("web-0", waits("0/3 nodes are available: 3 Insufficient cpu."))), nil},
		"no-holder.txt": {[]client.Object{node("n1"), node("n2"), holding("n1", "v2"), models(), aPod("web-0")}, nil},
		"require.txt": {[]client.Object{
			node("n1"), node("n2"), holding("n1", "v2"), downloading(holding("n2", "v3")), models(policy(v1alpha1.PlacementRequire)),
			aPod("web-0", by(why.Scheduler), waits(unschedulable)),
			event("e1", "web-0", unschedulable, time.Minute), event("e2", "web-0", "an earlier one", time.Hour),
			event("e3", "web-1", "of another pod", 0),
		}, nil},
		"require-cordoned.txt": {append(fleet()[2:], node("n1", cordoned), node("n2", cordoned), models(policy(v1alpha1.PlacementRequire)),
			aPod("web-0", by(why.Scheduler))), nil},
	} {
		out, err := run(t, c.objects, interceptor.Funcs{}, append([]string{"web-0"}, c.args...)...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		golden.Compare(t, name, out)
	}
}

func TestTheEffectOfThePlacementPolicyIsExplained(t *testing.T) {
	for name, c := range map[string]struct {
		dataSet *v1alpha1.DataSet
		pod     *corev1.Pod
		want    string
		scores  bool
	}{
		"ignored": {models(policy(v1alpha1.PlacementIgnore)), aPod("web-0"),
			"placement of DataSet models is Ignore, so its data has no part", false},
		"a third scheduler": {models(policy(v1alpha1.PlacementRequire)), aPod("web-0", by("batch")),
			"whether batch does is not known here", true},
		"another scheduler": {models(policy(v1alpha1.PlacementRequire)), aPod("web-0", on("n1")),
			"the pod asks for default-scheduler, for which it is Prefer", true},
		"a store of its own": {models(), aPod("web-0", on("n1"),
			func(p *corev1.Pod) { p.Annotations[v1alpha1.AnnotationStore] = v1alpha1.StorePod }),
			"the pod has a store of its own", false},
		"of a DaemonSet": {models(), aPod("web-0", on("n1"), func(p *corev1.Pod) { pinned(p, "n1") }), "the pod names its nodes itself", false},
		"for preheating": {models(), aPod("web-0", func(p *corev1.Pod) { p.Labels = map[string]string{v1alpha1.LabelPreheat: "models"} }),
			"Kuda made the pod to preheat a node", false},
		"preheats already": {models(func(d *v1alpha1.DataSet) {
			d.Spec.Template, d.Spec.Preheat = template("model", "v9"), &v1alpha1.Preheat{}
		}), aPod("web-0"), "kubectl kuda status models -n shop", true},
		"no longer there": {models(), aPod("web-0", on("n9")), "the node n9 is not there any more", true},
	} {
		out, err := run(t, append(fleet(), c.dataSet, c.pod), interceptor.Funcs{}, "web-0")
		if err != nil || !strings.Contains(out, c.want) || strings.Contains(out, "SCORE") != c.scores {
			t.Errorf("%s: %v, no %q in\n%s", name, err, c.want, out)
		}
	}
}

func pinned(p *corev1.Pod, node string) {
	p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
		NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchFields: []corev1.NodeSelectorRequirement{{
			Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{node},
		}}}},
	}}}
}

func TestMissingRoomAndStaleEntriesAreListedAgainstANode(t *testing.T) {
	full, away := holding("n1"), holding("n2", "v3")
	full.Status.Stores[0].AvailableBytes = gib / 2
	away.Status.Stores[0].BootID = "an earlier one"
	out, err := run(t, []client.Object{node("n1"), node("n2"), full, away, models(), aPod("web-0")}, interceptor.Funcs{},
		"web-0", "-o", "json")
	var v why.View
	if jsonErr := json.Unmarshal([]byte(out), &v); err != nil || jsonErr != nil || len(v.Nodes) != 2 {
		t.Fatalf("%v, %v in\n%s", err, jsonErr, out)
	}
	for i, want := range []string{"no room for 1.0 GiB", "what it held is not believed: the node was started again since"} {
		if n := v.Nodes[i]; strings.Join(n.Against, "; ") != want || n.HeldBytes != 0 {
			t.Errorf("%+v, want %s", n, want)
		}
	}
	if v.Nodes[1].RoomBytes != nil {
		t.Error("room of a store that is not believed")
	}
}

func TestAnErrorSaysWhatToDo(t *testing.T) {
	stranger := aPod("web-0", func(p *corev1.Pod) { p.Labels = nil })
	for name, c := range map[string]struct {
		pod   *corev1.Pod
		hooks interceptor.Funcs
		args  []string
		want  string
	}{
		"no such pod": {aPod("web-0"), interceptor.Funcs{}, []string{"elsewhere"},
			"there is no pod elsewhere in namespace shop; choose another namespace by -n"},
		"a mistyped pod": {aPod("web-0"), interceptor.Funcs{}, []string{"wbe-0"}, "there is no pod wbe-0 in namespace shop; did you mean web-0?"},
		"no DataSet":     {stranger, interceptor.Funcs{}, []string{"web-0"}, "no DataSet of namespace shop selects pod web-0"},
		"no weight": {aPod("web-0"), interceptor.Funcs{}, []string{"web-0", "--weights", "node=0,zone=0,downloads=0,spread=0"},
			"at least one must be more than 0"},
		"a bad weight": {aPod("web-0"), interceptor.Funcs{}, []string{"web-0", "--weights", "node=101"}, "node=101 is not from 0 to 100"},
		"no such weight": {aPod("web-0"), interceptor.Funcs{}, []string{"web-0", "--weights", "moon=1"},
			`there is no "moon"; it takes node, rack, zone`},
		"a bad number": {aPod("web-0"), interceptor.Funcs{}, []string{"web-0", "--nodes", "-1"}, "--nodes must not be negative"},
	} {
		_, err := run(t, append(fleet(), models(), c.pod), c.hooks, c.args...)
		if line := frame.Line(err); !strings.Contains(line, c.want) || (c.want == "") != (err == nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// without is a user who may not read these lists and revisions.
func without(resources ...string) interceptor.Funcs {
	refused := func(object any) error {
		what := ""
		switch object.(type) {
		case *corev1.EventList:
			what = "events"
		case *corev1.NodeList:
			what = "nodes"
		case *corev1.PodList:
			what = "pods"
		case *v1alpha1.NodeStoreList:
			what = "nodestores"
		case *v1alpha1.DataSetList:
			what = "datasets"
		case *v1alpha1.DataList:
			what = "datas"
		case *appsv1.ControllerRevision:
			what = "controllerrevisions"
		}
		if slices.Contains(resources, what) {
			return apierrors.NewForbidden(schema.GroupResource{Resource: what}, "", errors.New("no right"))
		}
		return nil
	}
	return interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			if err := refused(list); err != nil {
				return err
			}
			return c.List(ctx, list, options...)
		},
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			if err := refused(object); err != nil {
				return err
			}
			return c.Get(ctx, key, object, options...)
		},
	}
}

func TestWhatMayNotBeReadIsLeftOutAndNamed(t *testing.T) {
	data := &v1alpha1.Data{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "models-web-0", Labels: map[string]string{
		v1alpha1.LabelDataSet: "models", v1alpha1.LabelPodUID: "uid-web-0"}}}
	data.Status.DataItemsStatus = []v1alpha1.DataItemStatus{{Namespace: "default", Name: "model", Version: "v3", Phase: v1alpha1.DataFailed,
		Reason: v1alpha1.ReasonNotFound, Message: "nothing is there"}}
	stable := models(func(d *v1alpha1.DataSet) {
		d.Generation, d.Status.ObservedGeneration, d.Status.CurrentRevision, d.Status.UpdateRevision = 2, 2, "models-1", "models-2"
	})
	for name, c := range map[string]struct {
		hooks   interceptor.Funcs
		dataSet *v1alpha1.DataSet
		pod     *corev1.Pod
		says    []string
		not     string
	}{
		"the nodes, of a pod with one": {without("nodestores"), models(), aPod("web-0", on("n2")), []string{
			"Placed      on n2", "default/model v3; failed: NotFound: nothing is there", "Scheduled", "Left out    the nodes", "kuda-nodes-view",
		}, "no node holds"},
		"the nodes, of one without": {without("nodes"), models(), aPod("web-0", waits("0/3 nodes are available")), []string{
			"Waits       ", "0/3 nodes are available", "Left out    the nodes",
		}, "no node holds"},
		"all but the pod": {without("nodes", "nodestores", "datasets", "datas", "pods", "events"), models(), aPod("web-0", on("n2")), []string{
			"Placed      on n2", "you may not list datasets", "you may not list datas", "you may not list events",
		}, "SCORE"},
		"events":        {without("events"), models(), aPod("web-0"), []string{"you may not list events", "SCORE"}, ""},
		"pods":          {without("pods"), models(), aPod("web-0", on("n2")), []string{"you may not list pods", "SCORE"}, ""},
		"the revisions": {without("controllerrevisions"), stable, aPod("web-0", on("n2")), []string{"controllerrevisions", "SCORE"}, ""},
	} {
		out, err := run(t, append(fleet(), c.dataSet, c.pod, data, event("e", "web-0", "Scheduled to n2", time.Minute)), c.hooks, "web-0")
		for _, want := range c.says {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in\n%s", name, want, out)
			}
		}
		if err != nil || c.not != "" && strings.Contains(out, c.not) {
			t.Errorf("%s: %v, printed\n%s", name, err, out)
		}
	}
}

func TestControlCharactersAreNotPrinted(t *testing.T) {
	hostile := "\x1b[2J\nPlaced on n9\u202e"
	out, err := run(t, append(fleet(), models(), aPod("web-0", waits(hostile)), event("e", "web-0", "x"+hostile, 0)),
		interceptor.Funcs{}, "web-0")
	if err != nil || strings.ContainsAny(out, "\x1b\u202e") || strings.Contains(out, "\nPlaced on") {
		t.Errorf("%v, printed %q", err, out)
	}
}
