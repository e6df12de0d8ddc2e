// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// retryAfter is how long a table that could not be replaced is left as it is.
const retryAfter = time.Second

// Options say where policies are enforced.
type Options struct {
	// Kubeconfig is the path of a file that names the API server and a user who
	// may list and watch policies, namespaces and pods.
	Kubeconfig string
	// Node is the node's name in Kubernetes; the process runs in its network.
	Node string
	// PodCIDR covers the addresses of all pods.
	PodCIDR string
	// Log gets a line for each table that was put in force, and for each failure.
	Log io.Writer
}

// Enforce keeps the node's table as the policies say until the context ends. The
// last table stays in force after that.
func Enforce(ctx context.Context, o Options) error {
	config, err := clientcmd.BuildConfigFromFlags("", o.Kubeconfig)
	if err != nil {
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}
	w, err := newWatcher(config)
	if err != nil {
		return err
	}
	if err := w.start(ctx); err != nil {
		return err
	}
	var inForce string
	for {
		again := (<-chan time.Time)(nil)
		rules, err := Rules(w.cluster(o.PodCIDR), o.Node)
		if err == nil && rules != inForce {
			if err = apply(ctx, rules); err == nil {
				inForce = rules
				fmt.Fprintf(o.Log, "%s put in force: %d chains\n", time.Now().UTC().Format(time.RFC3339Nano), strings.Count(rules, "\tchain "))
			}
		}
		if err != nil {
			fmt.Fprintf(o.Log, "%s %v\n", time.Now().UTC().Format(time.RFC3339Nano), err)
			again = time.After(retryAfter)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-w.changed:
		case <-again:
		}
	}
}

// apply replaces the table in one transaction.
func apply(ctx context.Context, rules string) error {
	cmd := exec.CommandContext(ctx, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("replacing the table: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// watcher knows the objects that rules are made of.
type watcher struct {
	policies, namespaces, pods cache.SharedInformer
	// changed holds one element when anything has changed.
	changed chan struct{}
}

func newWatcher(config *rest.Config) (*watcher, error) {
	core, err := restClient(config, corev1.SchemeGroupVersion, "/api", corev1.AddToScheme)
	if err != nil {
		return nil, err
	}
	networking, err := restClient(config, networkingv1.SchemeGroupVersion, "/apis", networkingv1.AddToScheme)
	if err != nil {
		return nil, err
	}
	inform := func(c rest.Interface, resource string, of runtime.Object) cache.SharedInformer {
		return cache.NewSharedInformer(cache.NewListWatchFromClient(c, resource, metav1.NamespaceAll, fields.Everything()), of, 0)
	}
	w := &watcher{
		policies:   inform(networking, "networkpolicies", &networkingv1.NetworkPolicy{}),
		namespaces: inform(core, "namespaces", &corev1.Namespace{}),
		pods:       inform(core, "pods", &corev1.Pod{}),
		changed:    make(chan struct{}, 1),
	}
	notify := func() {
		select {
		case w.changed <- struct{}{}:
		default: // it is known already
		}
	}
	for _, i := range []cache.SharedInformer{w.policies, w.namespaces, w.pods} {
		err := i.SetTransform(trim)
		if err == nil {
			_, err = i.AddEventHandler(cache.ResourceEventHandlerFuncs{
				AddFunc: func(any) { notify() }, UpdateFunc: func(_, _ any) { notify() }, DeleteFunc: func(any) { notify() },
			})
		}
		if err != nil {
			return nil, fmt.Errorf("preparing to watch: %w", err)
		}
	}
	return w, nil
}

// restClient knows one group of the API only, so that this program need not link
// all of them.
func restClient(config *rest.Config, version schema.GroupVersion, path string, add func(*runtime.Scheme) error) (rest.Interface, error) {
	scheme := runtime.NewScheme()
	if err := add(scheme); err != nil {
		return nil, fmt.Errorf("preparing a client: %w", err)
	}
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	c := rest.CopyConfig(config)
	c.GroupVersion, c.APIPath = &version, path
	c.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	client, err := rest.RESTClientFor(c)
	if err != nil {
		return nil, fmt.Errorf("preparing a client: %w", err)
	}
	return client, nil
}

// trim drops what rules never look at, which is most of an object.
func trim(object any) (any, error) {
	if o, err := meta.Accessor(object); err == nil {
		o.SetManagedFields(nil)
		o.SetAnnotations(nil)
	}
	if p, ok := object.(*corev1.Pod); ok {
		p.Spec.Volumes = nil
		for _, list := range [][]corev1.Container{p.Spec.Containers, p.Spec.InitContainers} {
			for i, c := range list {
				list[i] = corev1.Container{Name: c.Name, Ports: c.Ports}
			}
		}
		p.Status = corev1.PodStatus{Phase: p.Status.Phase, PodIP: p.Status.PodIP}
	}
	return object, nil
}

var errNotSynced = errors.New("stopped before the first answer of the API server")

// start returns when everything was seen once.
func (w *watcher) start(ctx context.Context) error {
	synced := []cache.InformerSynced{}
	for _, i := range []cache.SharedInformer{w.policies, w.namespaces, w.pods} {
		go i.RunWithContext(ctx)
		synced = append(synced, i.HasSynced)
	}
	if !cache.WaitForCacheSync(ctx.Done(), synced...) {
		return errNotSynced
	}
	return nil
}

func (w *watcher) cluster(podCIDR string) Cluster {
	return Cluster{
		Policies: list[*networkingv1.NetworkPolicy](w.policies), Namespaces: list[*corev1.Namespace](w.namespaces),
		Pods: list[*corev1.Pod](w.pods), PodCIDR: podCIDR,
	}
}

func list[T any](i cache.SharedInformer) []T {
	var all []T
	for _, object := range i.GetStore().List() {
		if o, ok := object.(T); ok {
			all = append(all, o)
		}
	}
	return all
}
