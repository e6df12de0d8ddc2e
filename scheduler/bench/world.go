// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/placement"
	"github.com/kuda-io/kuda/scheduler/schedulertest"
)

const (
	schedulerName = "kuda-scheduler"
	gib           = int64(1) << 30
	labelApp      = "app"
)

// world is what the pods of a run meet.
type world struct {
	*options
	server *schedulertest.APIServer
	// holders of each DataSet's data, by the value of its pods' label.
	holders map[string]map[string]bool
}

func (o *options) namespaceName(dataSet int) string {
	return fmt.Sprintf("team-%02d", dataSet%o.Namespaces)
}

func appName(dataSet int) string { return fmt.Sprintf("app-%03d", dataSet) }

func nodeName(i int) string { return fmt.Sprintf("node-%04d", i) }

// createNodes creates what kwok keeps alive: it makes them ready.
func (w *world) createNodes(ctx context.Context) error {
	return w.runParallel(ctx, w.Nodes, func(ctx context.Context, i int) error {
		n := schedulertest.Node(nodeName(i))
		n.Labels[corev1.LabelTopologyZone] = fmt.Sprintf("zone-%d", i%3)
		n.Status.Conditions = nil
		return w.server.Client.Create(ctx, n)
	})
}

// dataSets creates the DataSets, and NodeStores that say who holds their data:
// each on its own nodes as far as there are enough.
func (w *world) dataSets(ctx context.Context) error {
	for i := range w.Namespaces {
		if err := w.server.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespaceName(i)}}); err != nil {
			return fmt.Errorf("creating a namespace: %w", err)
		}
	}
	w.holders = map[string]map[string]bool{}
	stores := make([]map[string]*v1alpha1.NamespaceStore, w.Nodes)
	for i := range w.DataSets {
		d := &v1alpha1.DataSet{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.namespaceName(i), Name: appName(i)},
			Spec: v1alpha1.DataSetSpec{
				WorkloadSelector: map[string]string{labelApp: appName(i)},
				Template: v1alpha1.DataTemplateSpec{
					DataItems: []v1alpha1.DataItem{{Name: "model", Namespace: "default", RemotePath: "/" + appName(i), LocalPath: "/model",
						Version: "v1", DataSourceType: v1alpha1.DataSourceMinIO}},
					DataSources: v1alpha1.DataSources{MinIO: &v1alpha1.S3DataSource{Endpoint: "http://minio:9000", Bucket: "models"}},
				},
			},
		}
		if err := w.server.Client.Create(ctx, d); err != nil {
			return fmt.Errorf("creating DataSet %s: %w", d.Name, err)
		}
		mark := placement.Marks(d.Spec.Template)[0]
		w.holders[appName(i)] = map[string]bool{}
		for j := range w.Holders {
			at := (i*w.Holders + j) % w.Nodes
			w.holders[appName(i)][nodeName(at)] = true
			if stores[at] == nil {
				stores[at] = map[string]*v1alpha1.NamespaceStore{}
			}
			s := stores[at][d.Namespace]
			if s == nil {
				s = &v1alpha1.NamespaceStore{Namespace: d.Namespace, StoreID: nodeName(at), BootID: "boot-" + nodeName(at), AvailableBytes: 1 << 40}
				stores[at][d.Namespace] = s
			}
			s.Snapshots = append(s.Snapshots, v1alpha1.StoredSnapshot{ID: mark, Marks: []string{mark}, Bytes: gib, Phase: v1alpha1.SnapshotComplete})
		}
	}
	return w.runParallel(ctx, w.Nodes, func(ctx context.Context, i int) error {
		if stores[i] == nil {
			return nil
		}
		n := &corev1.Node{}
		if err := w.server.Client.Get(ctx, client.ObjectKey{Name: nodeName(i)}, n); err != nil {
			return fmt.Errorf("reading node %s: %w", nodeName(i), err)
		}
		list := make([]v1alpha1.NamespaceStore, 0, len(stores[i]))
		for _, s := range stores[i] {
			s.ObservedTime = metav1.Now()
			list = append(list, *s)
		}
		return w.server.SetStores(ctx, n, list...)
	})
}

// createPods creates the pods, by clients each of which goes through the DataSets.
func (w *world) createPods(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for c := range w.Clients {
		clients, err := kubernetes.NewForConfig(w.server.Config)
		if err != nil {
			return fmt.Errorf("making a client: %w", err)
		}
		group.Go(func() error {
			for i := c; i < w.Pods; i += w.Clients {
				if _, err := clients.CoreV1().Pods(w.namespaceName(i%w.DataSets)).Create(ctx, podOf(w, i), metav1.CreateOptions{}); err != nil {
					return fmt.Errorf("creating a pod: %w", err)
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func podOf(w *world, i int) *corev1.Pod {
	requests := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("128Mi")}
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespaceName(i % w.DataSets), Name: fmt.Sprintf("pod-%05d", i),
			Labels: map[string]string{labelApp: appName(i % w.DataSets)}},
		Spec: corev1.PodSpec{SchedulerName: schedulerName,
			Containers: []corev1.Container{{Name: "app", Image: "app", Resources: corev1.ResourceRequirements{Requests: requests}}}},
	}
	if w.Rules {
		p.Spec.NodeSelector = map[string]string{corev1.LabelOSStable: "linux"}
	}
	return p
}

// runParallel does something so many times, a few at once.
func (w *world) runParallel(ctx context.Context, n int, do func(context.Context, int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(w.Clients)
	for i := range n {
		group.Go(func() error { return do(ctx, i) })
	}
	return group.Wait()
}
