// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package upgrade

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// appImage reads a tree in a loop and tells what it saw.
const appImage = "kuda-io/e2e-app:v0.1.0"

// Start runs n pods of a DataSet on a node, in a Deployment with a name. They read
// their tree in a loop.
func (l *Load) Start(ctx context.Context, deployment, name, node string, n int32) error {
	labels := map[string]string{"app": name, "deployment": deployment}
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: l.namespace, Name: deployment},
		Spec: appsv1.DeploymentSpec{
			Replicas: &n, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					NodeName: node, TerminationGracePeriodSeconds: ptr.To[int64](1),
					Containers: []corev1.Container{{Name: "app", Image: appImage, Args: []string{"serve", "--watch", "/kuda/data/tree"}}},
				},
			},
		},
	}
	if err := l.kube.Create(ctx, d); err != nil {
		return fmt.Errorf("starting %s: %w", deployment, err)
	}
	return nil
}

// Pods returns the pods of a DataSet that are not being deleted.
func (l *Load) Pods(ctx context.Context, name string) ([]corev1.Pod, error) {
	var list corev1.PodList
	if err := l.kube.List(ctx, &list, client.InNamespace(l.namespace), client.MatchingLabels{"app": name}); err != nil {
		return nil, fmt.Errorf("listing pods: %w", err)
	}
	return slices.DeleteFunc(list.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil }), nil
}

// CheckVersion reports what is wrong with a DataSet's pods, all of which are to
// have a version: its file, read in the application's container, and its hook.
func (l *Load) CheckVersion(ctx context.Context, name, version string) error {
	pods, err := l.Pods(ctx, name)
	if err != nil {
		return err
	}
	if len(pods) == 0 {
		return fmt.Errorf("DataSet %s has no pods", name)
	}
	for _, p := range pods {
		for path, want := range map[string]string{"/kuda/data/tree/a.bin": version + "\n", hooked(version): ""} {
			got, err := kubectl(ctx, nil, "-n", l.namespace, "exec", p.Name, "-c", "app", "--", "/e2e-app", "check", path)
			if err != nil || len(got) < len(want) || got[:len(want)] != want {
				return errors.Join(fmt.Errorf("%s in pod %s begins with %.20q, want %q", path, p.Name, got, want), err)
			}
		}
	}
	return nil
}

// Witness remembers how pods were, to find out what an upgrade did to them.
type Witness struct {
	load *Load
	pods map[types.UID]corev1.Pod
	seen map[types.UID]observed
	// data are the names of the pods' Data, by their UID.
	data map[types.UID]string
}

// observed is what an application has read so far.
type observed struct {
	Reads, Missing, Partial, Mixed int
	First                          string
}

// Watch begins to watch all pods of the load.
func (l *Load) Watch(ctx context.Context) (*Witness, error) {
	data, err := l.dataNames(ctx)
	if err != nil {
		return nil, err
	}
	w := &Witness{load: l, pods: map[types.UID]corev1.Pod{}, seen: map[types.UID]observed{}, data: data}
	for _, name := range []string{Public, Private} {
		pods, err := l.Pods(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, p := range pods {
			if w.seen[p.UID], err = seen(ctx, p); err != nil {
				return nil, err
			}
			w.pods[p.UID] = p
		}
	}
	return w, nil
}

// dataNames returns the names of all Data, by their UID.
func (l *Load) dataNames(ctx context.Context) (map[types.UID]string, error) {
	var list v1alpha1.DataList
	if err := l.kube.List(ctx, &list, client.InNamespace(l.namespace)); err != nil {
		return nil, fmt.Errorf("listing Data: %w", err)
	}
	names := make(map[types.UID]string, len(list.Items))
	for i := range list.Items {
		names[list.Items[i].UID] = list.Items[i].Name
	}
	return names, nil
}

// Check reports what became of the pods: each must still be there, none of its
// containers started again, its Data the same under the same name, and its application
// must have read on without ever missing a file or finding a part of one.
func (w *Witness) Check(ctx context.Context) error {
	var problems []error
	now, err := w.load.dataNames(ctx)
	if err != nil {
		return err
	}
	for uid, name := range w.data {
		if now[uid] != name {
			problems = append(problems, fmt.Errorf("object Data %s was made again, or is gone", name))
		}
	}
	for uid, before := range w.pods {
		var p corev1.Pod
		if err := w.load.kube.Get(ctx, client.ObjectKeyFromObject(&before), &p); err != nil {
			problems = append(problems, fmt.Errorf("looking for pod %s: %w", before.Name, err))
			continue
		}
		if p.UID != uid || p.DeletionTimestamp != nil {
			problems = append(problems, fmt.Errorf("pod %s was replaced", before.Name))
		}
		for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
			if c.RestartCount != 0 {
				problems = append(problems, fmt.Errorf("container %s of pod %s was started again %d times", c.Name, p.Name, c.RestartCount))
			}
		}
		problems = append(problems, w.checkReads(ctx, p))
	}
	return errors.Join(problems...)
}

func (w *Witness) checkReads(ctx context.Context, p corev1.Pod) error {
	var now observed
	err := wait.PollUntilContextTimeout(ctx, glance, 10*time.Second, true, func(ctx context.Context) (bool, error) {
		var err error
		now, err = seen(ctx, p)
		return now.Reads > w.seen[p.UID].Reads, err
	})
	if err != nil {
		return fmt.Errorf("pod %s does not read on: %w", p.Name, err)
	}
	if now.Missing+now.Partial+now.Mixed != 0 {
		return fmt.Errorf("pod %s in %d reads: %d missing, %d partial, %d mixed; first: %s",
			p.Name, now.Reads, now.Missing, now.Partial, now.Mixed, now.First)
	}
	return nil
}

// seen asks an application what it has read.
func seen(ctx context.Context, p corev1.Pod) (observed, error) {
	var o observed
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Status.PodIP+":8080/seen", nil)
	if err != nil {
		return o, fmt.Errorf("asking pod %s what it read: %w", p.Name, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return o, fmt.Errorf("asking pod %s what it read: %w", p.Name, err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&o); err != nil {
		return o, fmt.Errorf("asking pod %s what it read: %w", p.Name, err)
	}
	return o, nil
}
