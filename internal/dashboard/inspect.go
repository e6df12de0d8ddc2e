// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/dashboard/contract"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/domain/revision"
	"github.com/kuda-io/kuda/internal/insight/diff"
	"github.com/kuda-io/kuda/internal/insight/doctor"
	"github.com/kuda-io/kuda/internal/insight/files"
	"github.com/kuda-io/kuda/internal/insight/history"
	"github.com/kuda-io/kuda/internal/insight/nodes"
	"github.com/kuda-io/kuda/internal/insight/read"
	"github.com/kuda-io/kuda/internal/insight/status"
	"github.com/kuda-io/kuda/internal/insight/why"
	"github.com/kuda-io/kuda/internal/placement/index"
)

// revisions reads the DataSet of the path, with its revisions.
func (a ask) revisions(ctx context.Context) (*v1alpha1.DataSet, []*appsv1.ControllerRevision, error) {
	d, err := a.dataSet(ctx)
	if err != nil {
		return nil, nil, err
	}
	revisions, err := read.Revisions(ctx, a.caller.Client, d)
	return d, revisions, err
}

func readHistory(ctx context.Context, a ask) (any, error) {
	d, revisions, err := a.revisions(ctx)
	known := !apierrors.IsForbidden(err)
	if err != nil && known {
		return nil, err
	}
	entries := history.Entries(d, revisions, known)
	return append([]history.Entry{}, entries...), nil
}

// readTemplate returns what a revision holds.
func readTemplate(ctx context.Context, a ask) (any, error) {
	d, revisions, err := a.revisions(ctx)
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseInt(a.PathValue("n"), 10, 64)
	if err != nil {
		return nil, &badRequest{"a revision is named by its number"}
	}
	r := revision.Numbered(revisions, d, n)
	if r == nil {
		return nil, &conflict{"NoSuchRevision", fmt.Sprintf("DataSet %s has no revision %d (any more)", d.Name, n)}
	}
	template, err := revision.Template(r)
	if err != nil {
		return nil, err
	}
	return marshalYAML(r.Name, template)
}

// compareRevisions compares two revisions; with files=1 the nodes are asked, with the caller's rights.
func compareRevisions(ctx context.Context, a ask) (any, error) {
	d, revisions, err := a.revisions(ctx)
	if err != nil {
		return nil, err
	}
	pair, err := diff.Revisions(d, revisions, a.FormValue("from"), a.FormValue("to"))
	if err != nil {
		return nil, &badRequest{err.Error()}
	}
	var o diff.Options
	if a.FormValue("files") == "1" {
		o.Connect = a.connect
	}
	return diff.Compare(ctx, a.caller.Client, pair, o)
}

func (s *Server) doctorDataSet(ctx context.Context, a ask) (any, error) {
	d, err := a.dataSet(ctx)
	if err != nil {
		return nil, err
	}
	return s.look(a).DataSet(ctx, a.caller.Client, d), nil
}

func (s *Server) doctor(ctx context.Context, a ask) (any, error) {
	look := s.look(a)
	look.Scope = a.FormValue("namespace")
	return look.Installation(ctx, a.caller.Client)
}

func (s *Server) look(a ask) doctor.Look {
	return doctor.Look{System: s.options.System, Home: a.caller.Namespace, Now: s.options.Now(), Config: a.caller.Config}
}

// pod returns what a pod has of each DataSet.
func (s *Server) pod(ctx context.Context, a ask) (any, error) {
	result := contract.Pod{Namespace: a.PathValue("namespace"), Name: a.PathValue("name"), DataSets: []contract.PodData{}}
	var list v1alpha1.DataList
	err := a.caller.Client.List(ctx, &list, client.InNamespace(result.Namespace),
		client.MatchingLabels{v1alpha1.LabelPod: assignment.LabelValue(result.Name)})
	if err != nil {
		return nil, err
	}
	for i := range list.Items {
		data := &list.Items[i]
		if data.Spec.PodName != result.Name {
			continue
		}
		d := &v1alpha1.DataSet{}
		key := types.NamespacedName{Namespace: result.Namespace, Name: assignment.DataSet(data)}
		if err := a.caller.Client.Get(ctx, key, d); apierrors.IsNotFound(err) {
			continue // it is being deleted, and its Data with it
		} else if err != nil {
			return nil, err
		}
		view := status.Build(status.Input{DataSet: d, Data: []*v1alpha1.Data{data}, Now: s.options.Now(), Program: program,
			Numbers: status.RevisionNumbers(ctx, a.caller.Client, d)})
		result.DataSets = append(result.DataSets, contract.PodData{DataSet: d.Name, Pod: view.Pods[0]})
	}
	slices.SortFunc(result.DataSets, func(x, y contract.PodData) int { return strings.Compare(x.DataSet, y.DataSet) })
	return result, nil
}

func (s *Server) why(ctx context.Context, a ask) (any, error) {
	in, err := why.ReadInput(ctx, a.caller.Client, types.NamespacedName{Namespace: a.PathValue("namespace"), Name: a.PathValue("name")})
	if err != nil {
		return nil, err
	}
	in.Weights, in.Now, in.Program = index.DefaultWeights(), s.options.Now(), program
	in.Weights.Rack = 0 // no label that names racks is known here
	return why.Build(in), nil
}

func listFiles(ctx context.Context, a ask) (any, error) {
	key := types.NamespacedName{Namespace: a.PathValue("namespace"), Name: a.PathValue("name")}
	return files.Read(ctx, a.caller.Client, a.connect, key, a.FormValue("dataset"))
}

// readNodes returns what nodes hold of the items of a namespace's DataSets, or of all.
func readNodes(ctx context.Context, a ask) (any, error) {
	namespace := a.FormValue("namespace")
	cluster, err := nodes.ReadCluster(ctx, a.caller.Client)
	if err != nil {
		return nil, err
	}
	var list v1alpha1.DataSetList
	if err := a.caller.Client.List(ctx, &list, client.InNamespace(namespace)); err != nil && !apierrors.IsForbidden(err) {
		return nil, err
	}
	sets, _, err := nodes.ReadWanted(ctx, a.caller.Client, list.Items)
	if err != nil {
		return nil, err
	}
	return nodes.BuildView(cluster, namespace, sets, a.FormValue("all") == "1"), nil
}
