// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli/clitest"
	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/cli/golden"
	"github.com/kuda-io/kuda/internal/domain/revision"
	"github.com/kuda-io/kuda/internal/insight/nodes"
	"github.com/kuda-io/kuda/internal/placement"
)

const gib = int64(1) << 30

var now = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }

func template(item, version string) v1alpha1.DataTemplateSpec {
	return v1alpha1.DataTemplateSpec{
		DataItems: []v1alpha1.DataItem{{
			Name: item, Namespace: "default", RemotePath: item + "/" + version, LocalPath: item, Version: version,
			DataSourceType: v1alpha1.DataSourceMinIO,
		}},
		DataSources: v1alpha1.DataSources{MinIO: &v1alpha1.S3DataSource{Endpoint: "http://minio:9000", Bucket: "models"}},
	}
}

func dataSet(namespace, name, item, version string) *v1alpha1.DataSet {
	return &v1alpha1.DataSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.DataSetSpec{WorkloadSelector: map[string]string{"app": name}, Template: template(item, version)},
	}
}

func node(name string, change ...func(*corev1.Node)) *corev1.Node {
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name)},
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

// snapshot is one with the mark of the item at that version; without a version
// it has none.
func snapshot(id, item, version string, change ...func(*v1alpha1.StoredSnapshot)) v1alpha1.StoredSnapshot {
	used := ago(90 * time.Minute)
	s := v1alpha1.StoredSnapshot{
		ID: id, Source: "s3://minio:9000/models", Path: item, Version: version, Bytes: gib, Phase: v1alpha1.SnapshotComplete, LastUsedTime: &used,
	}
	if version != "" {
		s.Marks = placement.Marks(template(item, version))
	}
	for _, c := range change {
		c(&s)
	}
	return s
}

func entry(node, namespace string, snapshots ...v1alpha1.StoredSnapshot) v1alpha1.NamespaceStore {
	e := v1alpha1.NamespaceStore{
		Namespace: namespace, StoreID: "store", BootID: "boot-" + node, ObservedTime: ago(2 * time.Minute),
		CapacityBytes: 100 * gib, FreeBytes: 40 * gib, AvailableBytes: 42 * gib, Snapshots: snapshots,
	}
	for _, s := range snapshots {
		if s.Phase == v1alpha1.SnapshotComplete {
			e.UsedBytes += s.Bytes
		}
	}
	return e
}

func store(name string, entries ...v1alpha1.NamespaceStore) *v1alpha1.NodeStore {
	return &v1alpha1.NodeStore{
		ObjectMeta: metav1.ObjectMeta{Name: name,
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: name, UID: types.UID("uid-" + name)}}},
		Status: v1alpha1.NodeStoreStatus{Stores: entries},
	}
}

// fleet is a cluster of five nodes, three of which hold something.
func fleet() []client.Object {
	pinned := func(s *v1alpha1.StoredSnapshot) { s.Pods = 2 }
	preheated := func(s *v1alpha1.StoredSnapshot) { s.Preheated, s.LastUsedTime = true, nil }
	coming := func(s *v1alpha1.StoredSnapshot) {
		s.Phase, s.LastUsedTime, s.Bytes = v1alpha1.SnapshotDownloading, nil, gib/2
	}
	large := entry("n1", "shop", snapshot("0123456789abcdef", "weights", "v2", pinned), snapshot("old", "weights", "v1"),
		snapshot("ancient", "words", ""))
	large.QuotaBytes, large.OmittedSnapshots, large.OmittedBytes = 50*gib, 3, 2*gib
	away := entry("n3", "shop", snapshot("w2", "weights", "v2"))
	away.BootID = "an earlier one"
	return []client.Object{
		dataSet("shop", "models", "weights", "v2"), dataSet("shop", "words", "words", "7"), dataSet("lab", "trial", "trial", "v1"),
		node("n1"), node("n2"), node("n3"), node("n4"), node("n5"),
		store("n1", large, entry("n1", "lab", snapshot("t1", "trial", "v1"))),
		store("n2", entry("n2", "shop", snapshot("w2", "weights", "v2", coming), snapshot("v7", "words", "7", preheated))),
		store("n3", away),
	}
}

// run runs the command in the namespace shop.
func run(t *testing.T, objects []client.Object, hooks interceptor.Funcs, args ...string) (out, errOut string, err error) {
	t.Helper()
	p, err := clitest.New(now, hooks, objects...).Run(t, Command, args...)
	return p.Out.String(), p.ErrOut.String(), err
}

func TestWhatNodesHoldIsShown(t *testing.T) {
	for name, args := range map[string][]string{
		"matrix.txt":     nil,
		"one.txt":        {"words"},
		"wide.txt":       {"-o", "wide"},
		"everywhere.txt": {"-A"},
		"all.txt":        {"--all"},
		"matrix.yaml":    {"models", "-o", "yaml"},
		"all.yaml":       {"--all", "-o", "yaml"},
	} {
		out, errOut, err := run(t, fleet(), interceptor.Funcs{}, args...)
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		golden.Compare(t, name, out+errOut)
	}
}

func TestADataSetIsShownAtTheStableRevisionDuringARollout(t *testing.T) {
	d := dataSet("shop", "models", "weights", "v1")
	stable, err := revision.New(d, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	d.Spec.Template = template("weights", "v2")
	d.Status.CurrentRevision, d.Status.UpdateRevision = stable.Name, "models-other"
	out, _, err := run(t, []client.Object{d, stable, node("n1"),
		store("n1", entry("n1", "shop", snapshot("a", "weights", "v1"), snapshot("b", "weights", "v2")))}, interceptor.Funcs{})
	if err != nil || !strings.Contains(out, "default/weights v1") || !strings.Contains(out, "1, 1.0 GiB") {
		t.Errorf("%v, got\n%s", err, out)
	}
}

func TestItemsThatDoNotFitInColumnsAreListedInRows(t *testing.T) {
	d := dataSet("shop", "models", "weights", "v2")
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		d.Spec.Template.DataItems = append(d.Spec.Template.DataItems, template(name, "v1").DataItems[0])
	}
	out, _, err := run(t, []client.Object{d, node("n1"), store("n1", entry("n1", "shop"))}, interceptor.Funcs{})
	if err != nil || strings.Count(out, "absent") != 7 {
		t.Errorf("%v, got\n%s", err, out)
	}
	v := nodes.BuildView(nodes.NewCluster(nil, nil), "shop", nil, false)
	v.Items = []nodes.Item{{DataSet: "models", Name: "default/weights", Version: "v2"}}
	v.Stores = []nodes.Store{{Node: "n1", Namespace: "shop",
		Items: []nodes.Held{{DataSet: "models", Name: "default/weights", Version: "v2", State: nodes.Absent}}}}
	for width, want := range map[int]string{80: "default/weights v2", 55: "absent"} {
		if got := strings.Join(renderView(&v, look{Screen: frame.Screen{Width: width}}), "\n"); !strings.Contains(got, want) {
			t.Errorf("width %d: no %q in\n%s", width, want, got)
		}
	}
}

func TestItemsOfOneNameAreShownWithTheirDataSets(t *testing.T) {
	other := dataSet("shop", "others", "weights", "v2")
	other.Spec.Template.DataSources.MinIO.Bucket = "elsewhere"
	out, _, err := run(t, append(fleet(), other), interceptor.Funcs{}, "models", "others")
	for _, want := range []string{"models: default/weights v2", "others: default/weights v2"} {
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("%v, no %q in\n%s", err, want, out)
		}
	}
}

func TestAnEmptyClusterIsExplained(t *testing.T) {
	for name, c := range map[string]struct {
		objects []client.Object
		args    []string
		out     string
		says    []string
	}{
		"nothing at all": {nil, nil, "", []string{"no node has a store of namespace shop yet", "there are no DataSets in namespace shop"}},
		"no store": {[]client.Object{dataSet("shop", "models", "weights", "v2"), node("n1")}, nil, "",
			[]string{"no node has a store of namespace shop yet"}},
		"no DataSet": {[]client.Object{node("n1"), store("n1", entry("n1", "shop", snapshot("a", "x", "v1")))}, nil, "1, 1.0 GiB",
			[]string{"there are no DataSets in namespace shop"}},
		"elsewhere": {[]client.Object{node("n1"), store("n1", entry("n1", "lab"))}, []string{"-A"}, "lab",
			[]string{"there are no DataSets in any namespace"}},
		"nothing for programs": {nil, []string{"-o", "json"}, `"stores": []`, nil},
	} {
		out, errOut, err := run(t, c.objects, interceptor.Funcs{}, c.args...)
		if err != nil || !strings.Contains(out, c.out) || c.out == "" && out != "" {
			t.Errorf("%s: %v, printed\n%s", name, err, out)
		}
		for _, says := range c.says {
			if !strings.Contains(errOut, says) {
				t.Errorf("%s: no %q in %q", name, says, errOut)
			}
		}
	}
}

func TestEntriesOfAChangedNodeAreStale(t *testing.T) {
	e := entry("n1", "shop")
	s := store("n1", e)
	for name, c := range map[string]struct {
		node *corev1.Node
		want string
	}{
		"as it was":     {node("n1"), ""},
		"gone":          {nil, "there is no such node"},
		"another":       {node("n1", func(n *corev1.Node) { n.UID = "other" }), "it is of an earlier node of that name"},
		"not Ready":     {node("n1", func(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionUnknown }), "the node is not Ready"},
		"never Ready":   {node("n1", func(n *corev1.Node) { n.Status.Conditions = nil }), "the node is not Ready"},
		"started again": {node("n1", func(n *corev1.Node) { n.Status.NodeInfo.BootID = "next" }), "the node was started again since"},
		"was away": {node("n1", func(n *corev1.Node) { n.Status.Conditions[0].LastTransitionTime = ago(time.Minute) }),
			"the node was away since"},
		"same second": {node("n1", func(n *corev1.Node) { n.Status.Conditions[0].LastTransitionTime = e.ObservedTime }), ""},
	} {
		if got := nodes.Stale(c.node, s, &e); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestControlCharactersAreNotPrinted(t *testing.T) {
	hostile := snapshot("\x1b[2Jid", "weights", "v1", func(s *v1alpha1.StoredSnapshot) {
		s.Source, s.Path, s.Version = "s3://x\nn9   shop", "\x1b]0;title\x07", "v1\u202e"
	})
	out, _, err := run(t, []client.Object{node("n1"), store("n1", entry("n1", "shop", hostile))}, interceptor.Funcs{}, "--all", "-o", "wide")
	if err != nil || strings.ContainsAny(out, "\x1b\x07\u202e") || strings.Contains(out, "\nn9") {
		t.Errorf("%v, printed %q", err, out)
	}
}

func TestAMissingRightSaysWhatToDo(t *testing.T) {
	for _, resource := range []string{"nodestores", "nodes"} {
		hooks := interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, list client.ObjectList,
			options ...client.ListOption) error {
			_, stores := list.(*v1alpha1.NodeStoreList)
			_, nodes := list.(*corev1.NodeList)
			if stores && resource == "nodestores" || nodes && resource == "nodes" {
				return apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "", errors.New("no right"))
			}
			return c.List(ctx, list, options...)
		}}
		_, _, err := run(t, fleet(), hooks)
		want := "error: you may not list " + resource +
			", which are of the whole cluster; ask an administrator for the ClusterRole kuda-nodes-view: " +
			"kubectl create clusterrolebinding kuda-nodes-view-USER --clusterrole kuda-nodes-view --user USER"
		if got := "error: " + frame.Line(err); frame.Code(err) != frame.ExitError || got != want {
			t.Errorf("exit code %d, %s", frame.Code(err), got)
		}
	}
}

func TestAnOlderInstallationIsReported(t *testing.T) {
	hooks := interceptor.Funcs{List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error {
		return &meta.NoKindMatchError{GroupKind: v1alpha1.GroupVersion.WithKind("NodeStore").GroupKind(), SearchedVersions: []string{"v1alpha1"}}
	}}
	if _, _, err := run(t, nil, hooks); !strings.Contains(frame.Line(err), "is older than this program") {
		t.Errorf("%v", err)
	}
}

func TestContradictingArgumentsAreRefused(t *testing.T) {
	for _, args := range [][]string{{"models", "-A"}, {"models", "--all"}, {"none"}, {"-o", "name"}} {
		if out, _, err := run(t, fleet(), interceptor.Funcs{}, args...); frame.Code(err) != frame.ExitError {
			t.Errorf("%v: %v, printed\n%s", args, err, out)
		}
	}
}

func TestTheJSONStructureIsStable(t *testing.T) {
	out, _, err := run(t, fleet(), interceptor.Funcs{}, "-o", "json")
	var v nodes.View
	if jsonErr := json.Unmarshal([]byte(out), &v); err != nil || jsonErr != nil {
		t.Fatalf("%v, %v", err, jsonErr)
	}
	if len(v.Items) != 2 || v.Items[0].Nodes != 1 || v.Items[0].Bytes != gib || v.OtherNodes != 2 || len(v.Stores) != 3 {
		t.Errorf("%+v", v)
	}
	if s := v.Stores[0]; s.Other != (nodes.Other{Snapshots: 5, Bytes: 4 * gib}) || s.Items[0].State != nodes.Complete ||
		s.Items[0].Pods != 2 ||
		v.Stores[2].Stale == "" {
		t.Errorf("%+v", s)
	}
}

func TestTheJSONHasTheKeeperAndWhatItFound(t *testing.T) {
	e := entry("n1", "shop")
	at := ago(time.Hour)
	e.Unreadable, e.VerifiedTime = "the marks", &at
	e.Damaged = []v1alpha1.SnapshotDamage{{ID: "old", Path: "weights", FoundTime: at}}
	held := store("n1", e)
	held.Status.Keeper = &v1alpha1.KeeperStatus{PodName: "kuda-node-x", ObservedTime: at, UsedBytes: gib}
	out, _, err := run(t, []client.Object{node("n1"), held}, interceptor.Funcs{}, "-o", "json")
	var v nodes.View
	if jsonErr := json.Unmarshal([]byte(out), &v); err != nil || jsonErr != nil || len(v.Stores) != 1 {
		t.Fatalf("%v, %v, printed\n%s", err, jsonErr, out)
	}
	s := v.Stores[0]
	if s.Keeper == nil || s.Keeper.PodName != "kuda-node-x" || s.Keeper.UsedBytes != gib || s.Unreadable != "the marks" ||
		s.VerifiedTime == nil || len(s.Damaged) != 1 || s.Damaged[0].ID != "old" {
		t.Errorf("printed\n%s", out)
	}
}

func TestTheNoteSaysWhatTheKeeperFound(t *testing.T) {
	found := []v1alpha1.SnapshotDamage{{Path: "models/m", Version: "v2", FoundTime: metav1.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}}
	for want, s := range map[string]nodes.Store{
		"":                                      {},
		"stale: away":                           {Stale: "away", Unreadable: "x", Damaged: found},
		"unreadable: the marks":                 {Unreadable: "the marks", Damaged: found},
		"found damaged 2026-01-02: models/m v2": {Damaged: found},
	} {
		if got := noteCell(&s); got.Text != want {
			t.Errorf("the note is %q, want %q", got.Text, want)
		}
	}
}
