// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package files

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/domain/podstate"
	"github.com/kuda-io/kuda/internal/insight/podexec"
	"github.com/kuda-io/kuda/internal/inspection"
)

// Where a view comes from.
const (
	FromRuntime = "runtime"
	FromStatus  = "status"
)

// View is what a pod has.
type View struct {
	Namespace string `json:"namespace"`
	Pod       string `json:"pod"`
	// Source is runtime, which looked at the files, or status, which is what the
	// pod reported; then items have no files, and Note says why.
	Source   string    `json:"source"`
	Note     string    `json:"note,omitempty"`
	DataSets []DataSet `json:"dataSets"`
}

// DataSet is what the pod has of one DataSet.
type DataSet struct {
	Name     string `json:"name"`
	Revision string `json:"revision"`
	Items    []Item `json:"items"`
}

// Item is one item.
type Item struct {
	inspection.Item
	// Phase and Reason, where the view is from the status.
	Phase  string `json:"phase,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// ofRuntime is the view that the runtime's answer gives; dataSet, if not empty,
// is the only one wanted.
func ofRuntime(v View, a []inspection.DataSet, dataSet string) View {
	v.Source = FromRuntime
	for _, d := range a {
		if dataSet != "" && d.Name != dataSet {
			continue
		}
		out := DataSet{Name: d.Name, Revision: d.Revision}
		for _, item := range d.Items {
			slices.SortFunc(item.Files, func(a, b inspection.File) int { return cmp.Compare(a.Path, b.Path) })
			out.Items = append(out.Items, Item{Item: item})
		}
		v.DataSets = append(v.DataSets, sortItems(out))
	}
	return sortDataSets(v)
}

// ofStatus is the view that the pod's Data give.
func ofStatus(v View, data []v1alpha1.Data, note string) View {
	v.Source, v.Note = FromStatus, note
	for i := range data {
		d := &data[i]
		out := DataSet{Name: d.Labels[v1alpha1.LabelDataSet], Revision: d.Status.CurrentRevision}
		places := make(map[string]string)
		for j := range d.Spec.DataItems {
			item := &d.Spec.DataItems[j]
			places[item.Namespace+"/"+item.Name] = path.Clean("/" + item.LocalPath)[1:]
		}
		for _, s := range d.Status.DataItemsStatus {
			item := Item{Phase: string(s.Phase), Reason: s.Reason}
			item.Namespace, item.Name, item.Version = s.Namespace, s.Name, s.Version
			item.Files = []inspection.File{}
			item.Path, item.Digest, item.Bytes = places[s.Namespace+"/"+s.Name], s.Digest, s.Bytes
			out.Items = append(out.Items, item)
		}
		v.DataSets = append(v.DataSets, sortItems(out))
	}
	return sortDataSets(v)
}

func sortItems(d DataSet) DataSet {
	slices.SortFunc(d.Items, func(a, b Item) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return d
}

func sortDataSets(v View) View {
	if v.DataSets == nil {
		v.DataSets = []DataSet{}
	}
	slices.SortFunc(v.DataSets, func(a, b DataSet) int { return cmp.Compare(a.Name, b.Name) })
	return v
}

// Read returns what the pod has of its DataSets, or of one of them. The runtime is asked by
// connect; where that is not possible, the view is what the pod reported, with a note.
func Read(ctx context.Context, c client.Reader, connect func() (podexec.Runner, error), key types.NamespacedName,
	dataSet string) (View, error) {
	v := View{Namespace: key.Namespace, Pod: key.Name}
	p, err := readPod(ctx, c, key)
	if err != nil {
		return v, err
	}
	found, err := inspectData(ctx, connect, key)
	switch {
	case ctx.Err() != nil:
		return v, ctx.Err()
	case err == nil:
		v = ofRuntime(v, found, dataSet)
	default:
		data, statusErr := readData(ctx, c, key, p, dataSet)
		if statusErr != nil {
			return v, statusErr
		}
		v = ofStatus(v, data, errorNote(err))
	}
	if dataSet != "" && len(v.DataSets) == 0 {
		return v, fmt.Errorf("pod %s has nothing of a DataSet %s", key.Name, dataSet)
	}
	return v, nil
}

// readPod reads the pod, and nil for one that the user may not read; a pod
// without the runtime has nothing to list.
func readPod(ctx context.Context, c client.Reader, key types.NamespacedName) (*corev1.Pod, error) {
	p := &corev1.Pod{}
	switch err := c.Get(ctx, key, p); {
	case apierrors.IsForbidden(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading pod %s: %w", key.Name, err)
	}
	if !podstate.Injected(p) {
		return nil, fmt.Errorf("pod %s does not carry Kuda's runtime; kubectl kuda doctor NAME says why, for the DataSet that is to "+
			"deliver to it", key.Name)
	}
	return p, nil
}

func inspectData(ctx context.Context, connect func() (podexec.Runner, error), key types.NamespacedName) ([]inspection.DataSet, error) {
	runner, err := connect()
	if err != nil {
		return nil, err
	}
	raw, err := runner.Run(ctx, key, []string{"inspect", "data", "-o", "json"}, nil)
	if err != nil {
		return nil, err
	}
	var found []inspection.DataSet
	if err := json.Unmarshal(raw, &found); err != nil {
		return nil, fmt.Errorf("reading the answer of pod %s: %w", key.Name, err)
	}
	return found, nil
}

// readData reads the Data of the pod as it is now: a predecessor of its name
// may have left one.
func readData(ctx context.Context, c client.Reader, key types.NamespacedName, p *corev1.Pod, dataSet string) ([]v1alpha1.Data, error) {
	namespace, name := key.Namespace, key.Name
	selector := client.MatchingLabels{v1alpha1.LabelPod: assignment.LabelValue(name)}
	if dataSet != "" {
		selector[v1alpha1.LabelDataSet] = dataSet
	}
	var list v1alpha1.DataList
	if err := c.List(ctx, &list, client.InNamespace(namespace), selector); err != nil {
		return nil, fmt.Errorf("reading what pod %s reported: %w", name, err)
	}
	var own []v1alpha1.Data
	for i := range list.Items {
		if d := &list.Items[i]; d.Spec.PodName == name && (p == nil || assignment.PodUID(d) == p.UID) {
			own = append(own, *d)
		}
	}
	return own, nil
}

// errorNote says why there are no files.
func errorNote(err error) string {
	const instead = "; this is what the pod reported"
	if exit, ok := errors.AsType[*podexec.ExitError](err); ok {
		return exit.Error() + instead
	}
	if apierrors.IsForbidden(err) {
		return "you may not exec into the pod (create pods/exec), so its files are not listed" + instead
	}
	return err.Error() + instead
}
