// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"context"
	"fmt"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/dashboard/contract"
	"github.com/kuda-io/kuda/internal/domain/verdict"
	"github.com/kuda-io/kuda/internal/insight/read"
	"github.com/kuda-io/kuda/internal/insight/steer"
)

// fieldOwner is the name under which the dashboard changes objects; the API server notes it
// in their managed fields.
const fieldOwner = "kuda-dashboard"

// sayButton names a verb by its button.
func sayButton(verb string) string {
	return strings.ToUpper(verb[:1]) + verb[1:]
}

// steerRollout changes how a rollout goes on, with the caller's rights.
func steerRollout(ctx context.Context, a ask) (any, error) {
	var wanted contract.SteerRequest
	if err := readBody(a.Request, &wanted); err != nil {
		return nil, err
	}
	d, err := a.dataSet(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkUnchanged(d, wanted); err != nil {
		return nil, err
	}
	options := []client.PatchOption{client.FieldOwner(fieldOwner)}
	if wanted.DryRun {
		options = append(options, client.DryRunAll)
	}
	switch verb := a.PathValue("verb"); verb {
	case steer.VerbPause, steer.VerbResume:
		return setPaused(ctx, a, d, verb == steer.VerbPause, options)
	case steer.VerbPromote, steer.VerbAbort, steer.VerbRetry:
		return sendRequest(ctx, a, d, requestVerb(verb, wanted.Full), options)
	case steer.VerbUndo:
		return undoTemplate(ctx, a, d, wanted.Revision, options)
	}
	return nil, &badRequest{"there is no such change; there are pause, resume, promote, abort, retry and undo"}
}

// checkUnchanged refuses a change of something else than what the user saw.
func checkUnchanged(d *v1alpha1.DataSet, wanted contract.SteerRequest) error {
	switch {
	case wanted.UID == "":
		return &badRequest{"uid is missing: it says which DataSet is meant"}
	case wanted.UID != d.UID:
		return &conflict{"Replaced", fmt.Sprintf("DataSet %s was deleted and made again meanwhile; look at it first", d.Name)}
	case wanted.UpdateRevision != "" && wanted.UpdateRevision != d.Status.UpdateRevision:
		return &conflict{"AnotherRevision", fmt.Sprintf("DataSet %s rolls out another revision by now; look at it first", d.Name)}
	}
	return nil
}

func requestVerb(verb string, full bool) string {
	switch {
	case verb == steer.VerbPromote && full:
		return v1alpha1.RequestPromoteFull
	case verb == steer.VerbPromote:
		return v1alpha1.RequestPromote
	case verb == steer.VerbAbort:
		return v1alpha1.RequestAbort
	}
	return v1alpha1.RequestRetry
}

func setPaused(ctx context.Context, a ask, d *v1alpha1.DataSet, paused bool, options []client.PatchOption) (any, error) {
	if err := steer.CheckPause(d, paused, sayButton); err != nil {
		return nil, err
	}
	if err := steer.SetPaused(ctx, a.caller.Client, d, paused, options...); err != nil {
		return nil, err
	}
	word := "resumed"
	if paused {
		word = "paused"
	}
	return contract.SteerResult{Message: d.Name + " " + word + steer.PauseEffect(d, paused)}, nil
}

func sendRequest(ctx context.Context, a ask, d *v1alpha1.DataSet, verb string, options []client.PatchOption) (any, error) {
	failing, err := steer.FindFailing(ctx, a.caller.Client, d)
	if err != nil {
		return nil, err
	}
	if err := steer.CheckRequest(d, verb, failing, sayButton); err != nil {
		return nil, err
	}
	if _, err := steer.Request(ctx, a.caller.Client, d, verb, options...); err != nil {
		return nil, err
	}
	// What comes of it is seen in the stream.
	return contract.SteerResult{Message: d.Name + ": asked to " + steer.DescribeRequest(verb)}, nil
}

func undoTemplate(ctx context.Context, a ask, d *v1alpha1.DataSet, number int64, options []client.PatchOption) (any, error) {
	revisions, err := read.Revisions(ctx, a.caller.Client, d)
	if err != nil {
		return nil, err
	}
	back, err := steer.TargetRevision(d, revisions, number, sayButton)
	if err != nil {
		return nil, err
	}
	result := contract.SteerResult{Message: fmt.Sprintf("%s: template set back to that of revision %d", d.Name, back.Revision)}
	if !verdict.HasSucceeded(d, back) {
		result.Warnings = append(result.Warnings, fmt.Sprintf("revision %d has not succeeded: no pod ever had all of it, or its rollout failed",
			back.Revision))
	}
	if tool := steer.ManagingTool(d); tool != "" {
		result.Warnings = append(result.Warnings, tool+" keeps this template and may set it forward again; change it at its source too")
	}
	cause := back.Annotations[v1alpha1.AnnotationChangeCause]
	if err := steer.Undo(ctx, a.caller.Client, d, back.Data.Raw, cause, options...); err != nil {
		return nil, err
	}
	return result, nil
}
