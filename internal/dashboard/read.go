// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"cmp"
	"context"
	"slices"

	"golang.org/x/sync/errgroup"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/dashboard/contract"
	"github.com/kuda-io/kuda/internal/dashboard/live"
	"github.com/kuda-io/kuda/internal/insight/status"
	"github.com/kuda-io/kuda/internal/version"
)

// program is how hints call the command line.
const program = "kubectl kuda"

// me returns who looks.
func (s *Server) me(ctx context.Context, a ask) (any, error) {
	review := &authenticationv1.SelfSubjectReview{}
	if err := a.caller.Client.Create(ctx, review); err != nil {
		// Clusters before 1.28 do not say who one is; a token that is not valid is told apart.
		if apierrors.IsUnauthorized(err) {
			return nil, err
		}
	}
	me := contract.Me{Mode: s.options.Door.Mode(), User: review.Status.UserInfo.Username, Cluster: a.caller.Cluster,
		Namespace: a.caller.Namespace, Version: version.Version, Installed: true}
	var list v1alpha1.DataSetList
	err := a.caller.Client.List(ctx, &list, client.InNamespace(a.caller.Namespace), client.Limit(1))
	switch {
	case meta.IsNoMatchError(err), apierrors.IsNotFound(err):
		me.Installed = false
	case err != nil && !apierrors.IsForbidden(err):
		return nil, err
	}
	return me, nil
}

// asked are the questions behind each right.
var asked = map[contract.Right]authorizationv1.ResourceAttributes{
	contract.RightSteer:  {Verb: "patch", Group: v1alpha1.GroupVersion.Group, Resource: "datasets"},
	contract.RightExec:   {Verb: "create", Resource: "pods", Subresource: "exec"},
	contract.RightNodes:  {Verb: "list", Group: v1alpha1.GroupVersion.Group, Resource: "nodestores"},
	contract.RightEvents: {Verb: "list", Resource: "events"},
}

// readAccess asks the API server what the caller may do in a namespace.
func readAccess(ctx context.Context, a ask) (any, error) {
	result := contract.Access{Namespace: cmp.Or(a.FormValue("namespace"), a.caller.Namespace), Rights: map[contract.Right]bool{}}
	rights := []contract.Right{contract.RightSteer, contract.RightExec, contract.RightNodes, contract.RightEvents}
	allowed := make([]bool, len(rights))
	group, ctx := errgroup.WithContext(ctx)
	for i, right := range rights {
		attributes := asked[right]
		if right != contract.RightNodes {
			attributes.Namespace = result.Namespace
		}
		group.Go(func() error {
			review := &authorizationv1.SelfSubjectAccessReview{
				Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &attributes}}
			err := a.caller.Client.Create(ctx, review)
			allowed[i] = review.Status.Allowed
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for i, right := range rights {
		result.Rights[right] = allowed[i]
	}
	return result, nil
}

// dataSets returns all DataSets; where the caller may not read all, those of a namespace.
func (s *Server) dataSets(ctx context.Context, a ask) (any, error) {
	result := contract.DataSets{Namespace: a.FormValue("namespace")}
	var list v1alpha1.DataSetList
	err := a.caller.Client.List(ctx, &list, client.InNamespace(result.Namespace))
	if apierrors.IsForbidden(err) && result.Namespace == "" {
		result.Namespace, result.Narrowed = a.caller.Namespace, true
		err = a.caller.Client.List(ctx, &list, client.InNamespace(result.Namespace))
	}
	if err != nil {
		return nil, err
	}
	result.Items = status.Summaries(list.Items, s.options.Now(), program)
	return result, nil
}

// dataSet reads the DataSet that the path names.
func (a ask) dataSet(ctx context.Context) (*v1alpha1.DataSet, error) {
	d := &v1alpha1.DataSet{}
	key := types.NamespacedName{Namespace: a.PathValue("namespace"), Name: a.PathValue("name")}
	if err := a.caller.Client.Get(ctx, key, d); err != nil {
		return nil, err
	}
	return d, nil
}

// scene returns what a stream sends, once: for pages that cannot hold a stream.
func (s *Server) scene(ctx context.Context, a ask) (any, error) {
	d, err := a.dataSet(ctx)
	if err != nil {
		return nil, err
	}
	look := s.hub.Subscribe(a.caller.Client, live.Key{Credentials: a.caller.Digest, Namespace: d.Namespace, Name: d.Name}, d)
	defer look.Close()
	for {
		picture, fresh := look.Latest()
		switch {
		case picture != nil && picture.Err != nil:
			return nil, picture.Err
		case picture != nil:
			return live.BuildScene(picture, a.query(), sayButton), nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-fresh:
		}
	}
}

// query returns the window of pods that is asked for.
func (a ask) query() live.Query {
	return live.Query{State: status.State(a.FormValue("state")), Text: a.FormValue("q"), Sort: a.FormValue("sort"),
		Offset: a.number("offset"), Limit: cmp.Or(a.number("limit"), 50)}
}

// listEvents returns those of the DataSet, the newest first.
func listEvents(ctx context.Context, a ask) (any, error) {
	var list corev1.EventList
	err := a.caller.Client.List(ctx, &list, client.InNamespace(a.PathValue("namespace")),
		client.MatchingFields{"involvedObject.name": a.PathValue("name")})
	if err != nil {
		return nil, err
	}
	events := make([]contract.Event, 0, len(list.Items))
	for i := range list.Items {
		if e := &list.Items[i]; e.InvolvedObject.Kind == "DataSet" {
			events = append(events, contract.Event{Type: e.Type, Reason: e.Reason, Message: e.Message,
				Object: e.InvolvedObject.Kind + "/" + e.InvolvedObject.Name, Count: e.Count, Time: eventTime(e)})
		}
	}
	slices.SortStableFunc(events, func(x, y contract.Event) int { return y.Time.Compare(x.Time.Time) })
	return events, nil
}

func eventTime(e *corev1.Event) metav1.Time {
	switch {
	case e.Series != nil:
		return metav1.NewTime(e.Series.LastObservedTime.Time)
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp
	case !e.EventTime.IsZero():
		return metav1.NewTime(e.EventTime.Time)
	}
	return e.CreationTimestamp
}

// readYAML returns the DataSet as it is stored, without managed fields.
func readYAML(ctx context.Context, a ask) (any, error) {
	d, err := a.dataSet(ctx)
	if err != nil {
		return nil, err
	}
	d.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("DataSet"))
	d.ManagedFields = nil
	return marshalYAML(d.Name, d)
}

func marshalYAML(name string, value any) (any, error) {
	raw, err := yaml.Marshal(value)
	if err != nil {
		return nil, err
	}
	return contract.Text{Name: name, YAML: string(raw)}, nil
}
