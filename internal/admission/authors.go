// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/admission/author"
	"github.com/kuda-io/kuda/internal/admission/intake"
	"github.com/kuda-io/kuda/internal/domain/revision"
	"github.com/kuda-io/kuda/internal/inject"
)

// PathAuthors is the path of the webhook that holds authors to their rights.
const PathAuthors = "/dataset-authors"

// Authors refuses changes of DataSets by which their author would get more than
// the author has. It is an admission.Handler.
//
// Its entry in the webhook configuration fails closed, so it does nothing but this.
type Authors struct {
	// Live reads the revisions of a DataSet.
	Live client.Reader
	// Rights says which rights a user has.
	Rights Rights
	// Mode and Audiences are those in force.
	Mode      func() author.Mode
	Audiences func() inject.Audiences
	// Metrics counts outcomes.
	Metrics *AuthorMetrics
	// Log tells of refusals and failures.
	Log logr.Logger
}

// Rights says which rights a user has.
type Rights interface {
	// Missing returns those of the needs whose right the user lacks in the
	// namespace. With an error, those that were found to be missing until then.
	Missing(ctx context.Context, user authenticationv1.UserInfo, namespace string, needs []author.Need) ([]author.Need, error)
}

// RegisterAuthors puts the webhook on the server, behind the gate of the others.
func RegisterAuthors(server Server, gate *intake.Gate, authors *Authors) {
	server.Register(PathAuthors, gate.Handler(intake.DataSetBounds, authors))
}

// maxRights bounds what one request makes Kuda ask the API server. A template
// names one object of each kind in each of its nine sources.
const maxRights = 64

// authorLimit bounds the whole of a request. It is below the timeoutSeconds of the
// webhook's entry, so that the answer says what was wrong.
const authorLimit = 4 * time.Second

// Handle returns the response to one request.
func (a *Authors) Handle(ctx context.Context, req admission.Request) admission.Response {
	if req.Operation != admissionv1.Create && req.Operation != admissionv1.Update || req.SubResource != "" {
		return admission.Allowed("")
	}
	ctx, cancel := context.WithTimeout(ctx, authorLimit)
	defer cancel()
	change, err := a.readChange(ctx, req)
	if err != nil {
		return a.failedResponse(req, err)
	}
	if refused := forbiddenAudiences(change, a.Audiences()); len(refused) > 0 {
		return a.refusedResponse(req, refused)
	}
	needs := author.Needs(change)
	mode := a.Mode()
	switch {
	case mode == author.Off, len(needs) == 0:
		a.Metrics.countOutcome(authorUnneeded)
		return admission.Allowed("")
	case len(needs) > maxRights:
		return a.refusedResponse(req, []string{fmt.Sprintf("the DataSet refers to %d objects, at most %d can be checked; divide it into "+
			"several DataSets", len(needs), maxRights)})
	}
	missing, err := a.Rights.Missing(ctx, req.UserInfo, req.Namespace, needs)
	if len(missing) == 0 && err != nil {
		return a.failedResponse(req, err)
	}
	if len(missing) == 0 {
		a.Metrics.countOutcome(authorAllowed)
		return admission.Allowed("")
	}
	words := missingRights(missing, req.Namespace)
	if mode == author.Warn {
		a.Metrics.countOutcome(authorWarned)
		return admission.Allowed("").WithWarnings(words...)
	}
	return a.refusedResponse(req, words)
}

// readChange reads the request. The revisions are read only where the DataSet before
// the change does not answer for everything.
func (a *Authors) readChange(ctx context.Context, req admission.Request) (author.Change, error) {
	next, err := decodeDataSet(req.Object.Raw)
	if err != nil {
		return author.Change{}, err
	}
	change := author.Change{New: next}
	if req.Operation == admissionv1.Create {
		return change, nil
	}
	if change.Old, err = decodeDataSet(req.OldObject.Raw); err != nil {
		return author.Change{}, err
	}
	if len(author.Needs(change)) == 0 && !author.SelectsOthers(change) {
		return change, nil
	}
	change.Stored, err = a.storedRevisions(ctx, change.Old)
	return change, err
}

// storedRevisions returns the revisions of this very DataSet: a DataSet that was made
// again under an old name does not have its predecessor's revisions.
func (a *Authors) storedRevisions(ctx context.Context, d *v1alpha1.DataSet) ([]author.Stored, error) {
	list := &appsv1.ControllerRevisionList{}
	if err := a.Live.List(ctx, list, client.InNamespace(d.Namespace), client.MatchingLabels{v1alpha1.LabelDataSet: d.Name}); err != nil {
		return nil, fmt.Errorf("reading the revisions of DataSet %s/%s: %w", d.Namespace, d.Name, err)
	}
	var stored []author.Stored
	for i := range list.Items {
		r := &list.Items[i]
		if !revision.IsOf(r, d) {
			continue
		}
		template, err := revision.Template(r)
		if err != nil {
			continue // It holds nothing that a DataSet could be set back to.
		}
		// Without a selector it counts for no pods, but they may be given it.
		selector, _ := revision.Selector(r)
		given := r.Name == d.Status.CurrentRevision || r.Name == d.Status.UpdateRevision
		stored = append(stored, author.Stored{Selector: selector, Template: template, Given: given})
	}
	return stored, nil
}

func forbiddenAudiences(change author.Change, audiences inject.Audiences) []string {
	var words []string
	for _, wanted := range author.Audiences(change) {
		if err := audiences.Check(wanted.Name); err != nil {
			words = append(words, fmt.Sprintf("%s: %v", wanted.Field, err))
		}
	}
	return words
}

func (a *Authors) refusedResponse(req admission.Request, words []string) admission.Response {
	a.Metrics.countOutcome(authorRefused)
	message := refusalMessage(words)
	a.Log.V(1).Info("refused a DataSet for its author", "namespace", req.Namespace, "name", req.Name, "user",
		req.UserInfo.Username, "why", message)
	return deniedResponse(message)
}

// failedResponse returns the response when the caller's rights could not be determined.
// The request is admitted in the modes Warn and Off only.
func (a *Authors) failedResponse(req admission.Request, err error) admission.Response {
	a.Metrics.countOutcome(authorFailed)
	a.Log.Error(err, "could not check the rights of a DataSet's author", "namespace", req.Namespace, "name", req.Name, "user",
		req.UserInfo.Username)
	if mode := a.Mode(); mode == author.Warn || mode == author.Off {
		return admission.Allowed("").WithWarnings("Kuda could not check the rights of the DataSet's author: " + err.Error())
	}
	code := int32(http.StatusInternalServerError)
	if errors.Is(err, errBusy) {
		code = http.StatusTooManyRequests
	}
	return admission.Errored(code, fmt.Errorf("checking whether you may do what the DataSet has Kuda do: %w; try again", err))
}
