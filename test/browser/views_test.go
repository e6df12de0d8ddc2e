// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/placement"
)

// views are all views, by name.
var views = []struct{ name, path, english, chinese string }{
	{"overview", "/", "Waiting for a user", "等待用户"},
	{"rollout", "/datasets/shop/models", "Pause until promoted", "暂停，等待推进"},
	{"pods", "/datasets/shop/models/pods", "web-11", "12 个 Pod"},
	{"history", "/datasets/shop/models/history", "Compare revisions", "比较修订版本"},
	{"health", "/datasets/shop/models/health", "Findings", "检查结果"},
	{"events", "/datasets/shop/models/events", "RolloutPaused", "RolloutPaused"},
	{"yaml", "/datasets/shop/models/yaml", "workloadSelector", "workloadSelector"},
	{"pod", "/pods/shop/web-5", "Why it is here", "为何在此节点"},
	{"nodes", "/nodes", "node-4", "不可信"},
	{"doctor", "/doctor", "Doctor", "诊断"},
}

func TestEachViewIsWholeInBothLanguagesAndThemes(t *testing.T) {
	b := newWorld(t, shop()...).open(t)
	for _, language := range []string{"en", "zh"} {
		for _, theme := range []string{"light", "dark"} {
			b.say(t, language, theme)
			for _, v := range views {
				t.Run(strings.Join([]string{v.name, language, theme}, "/"), func(t *testing.T) {
					b.visit(t, v.path)
					want := v.english
					if language == "zh" {
						want = v.chinese
					}
					if text := b.text(t); !strings.Contains(text, want) {
						t.Errorf("no %q in:\n%s", want, text)
					}
					b.check(t)
					b.shoot(t, fmt.Sprintf("%s-%s-%s", v.name, language, theme))
				})
			}
		}
	}
}

func TestEachViewFitsAPhone(t *testing.T) {
	b := newWorld(t, shop()...).open(t)
	b.do(t, chromedp.EmulateViewport(360, 740))
	for _, v := range views {
		t.Run(v.name, func(t *testing.T) {
			b.visit(t, v.path)
			b.check(t)
			b.shoot(t, v.name+"-360")
		})
	}
}

func (w *world) models(t *testing.T) *v1alpha1.DataSet {
	t.Helper()
	d := &v1alpha1.DataSet{}
	if err := w.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "models"}, d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestARolloutIsFollowedAndSteeredByClicks(t *testing.T) {
	w := newWorld(t, shop()...)
	b := w.open(t)
	b.visit(t, "/datasets/shop/models")
	b.click(t, "Pause")
	b.until(t, `document.querySelector('h1').innerText.includes('Paused')`)
	if !w.models(t).Spec.Paused {
		t.Error("it is not paused")
	}
	b.click(t, "Resume")
	b.until(t, `!document.querySelector('h1').innerText.includes('Paused')`)
	b.click(t, "Promote")
	b.until(t, `document.querySelector('.said').innerText.includes('end the present step')`)
	if r := w.models(t).Annotations[v1alpha1.AnnotationRolloutRequest]; !strings.HasPrefix(r, v1alpha1.RequestPromote+" ") {
		t.Errorf("request %q", r)
	}
	b.click(t, "Abort")
	b.until(t, `!!document.querySelector('dialog[open]')`)
	b.check(t)
	b.shoot(t, "dialog")
	b.do(t, chromedp.Evaluate(`document.querySelector('dialog[open] .primary').click()`, nil))
	b.until(t, `document.querySelector('.said').innerText.includes('move its pods back')`)
	if r := w.models(t).Annotations[v1alpha1.AnnotationRolloutRequest]; !strings.HasPrefix(r, v1alpha1.RequestAbort+" ") {
		t.Errorf("request %q", r)
	}
	b.click(t, "Undo")
	b.until(t, `document.querySelector('dialog[open]')?.innerText.includes('version v3 → v2')`)
	b.do(t, chromedp.Evaluate(`document.querySelector('dialog[open] .primary').click()`, nil))
	b.until(t, `document.querySelector('.said').innerText.includes('that of revision 2')`)
	if v := w.models(t).Spec.Template.DataItems[0].Version; v != "v2" {
		t.Errorf("version %s", v)
	}
	d := w.models(t)
	d.Status.UpdatedReplicas = 9
	if err := w.Status().Update(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	b.until(t, `document.querySelector('main').innerText.includes('9 / 12')`)
	b.check(t)
}

func TestAViewersButtonsAreOffWithTheReason(t *testing.T) {
	w := newWorld(t, shop()...)
	w.mayNot.Store(true)
	b := w.open(t)
	b.visit(t, "/datasets/shop/models")
	b.until(t, `document.querySelector('.steer').innerText.includes('You may not change DataSets')`)
	b.until(t, `[...document.querySelectorAll('.steer button')].every((x) => x.getAttribute('aria-disabled') === 'true')`)
	b.do(t, chromedp.Evaluate(`document.querySelector('.steer button').click()`, nil))
	b.until(t, `document.querySelector('.said').innerText.includes('You may not change')`)
	if w.models(t).Spec.Paused {
		t.Error("a viewer paused it")
	}
	b.check(t)
	b.shoot(t, "viewer")
}

func TestAnEmptyClusterShowsAFirstDataSet(t *testing.T) {
	b := newWorld(t).open(t)
	b.until(t, `document.body.innerText.includes('kind: DataSet')`)
	b.check(t)
	b.shoot(t, "empty")
}

func TestTheLastPictureStaysWhileTheServerIsAway(t *testing.T) {
	w := newWorld(t, shop()...)
	b := w.open(t)
	b.visit(t, "/datasets/shop/models")
	address := strings.TrimPrefix(w.base, "http://")
	w.stop()
	b.until(t, `document.body.innerText.includes('Not up to date') && document.body.innerText.includes('Pause until promoted')`)
	b.shoot(t, "stale")
	w.serve(t, listen(t, address))
	b.until(t, `!document.body.innerText.includes('Not up to date')`)
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

func TestTheAddressIsGoodForOneBrowser(t *testing.T) {
	w := newWorld(t, shop()...)
	secret := w.door.Secret()
	w.open(t).visit(t, "/")
	resp, err := http.Post(w.base+"/api/v1/session", "application/json", strings.NewReader(`{"secret":"`+secret+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("%d", resp.StatusCode)
	}
}

// fleet is models with that many pods of its update revision.
func fleet(n int) []client.Object {
	objects := models()
	var d *v1alpha1.DataSet
	kept := objects[:0]
	for _, o := range objects {
		if set, ok := o.(*v1alpha1.DataSet); ok {
			d = set
		}
		if _, ok := o.(*v1alpha1.Data); !ok {
			kept = append(kept, o)
		}
	}
	d.Status.Replicas, d.Status.UpdatedReplicas, d.Status.Ready = int32(n), int32(n/2), fmt.Sprintf("%d/%d", n, n)
	for i := range n {
		p := pod{set: "models", name: fmt.Sprintf("fleet-%05d", i), node: fmt.Sprintf("node-%d", i%100), told: d.Status.CurrentRevision,
			sees: d.Status.CurrentRevision, phase: v1alpha1.DataSuccess, bytes: 4 * gib, done: 26 * time.Hour}
		if i < n/2 {
			p.told, p.sees, p.moved, p.done = d.Status.UpdateRevision, d.Status.UpdateRevision, true, time.Duration(230-i*200/n)*time.Second
		}
		kept = append(kept, p.objects()[0])
	}
	return kept
}

func TestTenThousandPodsAreScrolledWithoutBlankRows(t *testing.T) {
	const n = 10000
	b := newWorld(t, fleet(n)...).open(t)
	began := time.Now()
	b.visit(t, "/datasets/shop/models/pods?sort=name")
	b.until(t, `document.body.innerText.includes('fleet-00000')`)
	t.Logf("%d pods were shown after %s", n, time.Since(began).Round(time.Millisecond))
	var rows int
	b.do(t, chromedp.Evaluate(`document.querySelectorAll('tbody tr:not(.gap)').length`, &rows))
	if rows > 200 {
		t.Errorf("%d rows are in the page", rows)
	}
	for _, share := range []float64{0.5, 0.99, 0.1} {
		first := int(share * n)
		b.do(t, chromedp.Evaluate(fmt.Sprintf(`document.querySelector('.tall').scrollTop = %d * 36`, first), nil))
		b.until(t, fmt.Sprintf(`document.body.innerText.includes('fleet-%05d')`, first+3))
	}
	b.check(t)
}

// wide is a cluster of so many nodes that hold so many items each.
func wide(nodes, items int) []client.Object {
	template := v1alpha1.DataTemplateSpec{DataSources: v1alpha1.DataSources{HTTP: &v1alpha1.HTTPDataSource{URL: "https://files.example.com"}}}
	for i := range items {
		name := fmt.Sprintf("item-%02d", i)
		template.DataItems = append(template.DataItems, v1alpha1.DataItem{Namespace: "default", Name: name, RemotePath: name, LocalPath: name,
			Version: "v1", DataSourceType: v1alpha1.DataSourceHTTP})
	}
	d := &v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "models", UID: "uid-models", Generation: 1}}
	d.Spec.Template = template
	objects := []client.Object{d}
	for i := range nodes {
		name := fmt.Sprintf("node-%04d", i)
		e := v1alpha1.NamespaceStore{Namespace: "shop", StoreID: name, BootID: "boot", ObservedTime: ago(time.Minute), UsedBytes: gib,
			CapacityBytes: 100 * gib, FreeBytes: 50 * gib, AvailableBytes: 50 * gib}
		for j, mark := range placement.Marks(template) {
			e.Snapshots = append(e.Snapshots, v1alpha1.StoredSnapshot{ID: fmt.Sprint(j), Marks: []string{mark}, Bytes: gib,
				Phase: v1alpha1.SnapshotComplete})
		}
		objects = append(objects, readyNode(name), &v1alpha1.NodeStore{ObjectMeta: metav1.ObjectMeta{Name: name,
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: name, UID: types.UID("uid-" + name)}}},
			Status: v1alpha1.NodeStoreStatus{Stores: []v1alpha1.NamespaceStore{e}}})
	}
	return objects
}

func TestAThousandNodesOfFiftyItemsAreScrolledWithoutBlankRows(t *testing.T) {
	b := newWorld(t, wide(1000, 50)...).open(t)
	began := time.Now()
	b.visit(t, "/nodes")
	b.until(t, `document.body.innerText.includes('node-0000')`)
	t.Logf("1000 nodes of 50 items were shown after %s", time.Since(began).Round(time.Millisecond))
	for _, first := range []int{500, 975, 20} {
		b.do(t, chromedp.Evaluate(fmt.Sprintf(`document.querySelector('.tall').scrollTop = %d * 40`, first), nil))
		b.until(t, fmt.Sprintf(`document.body.innerText.includes('node-%04d')`, first+3))
	}
	var rows int
	b.do(t, chromedp.Evaluate(`document.querySelectorAll('tbody tr:not(.gap)').length`, &rows))
	if rows > 100 {
		t.Errorf("%d rows are in the page", rows)
	}
}
