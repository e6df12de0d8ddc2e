// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/revision"
)

// Choice is a change that a user may make of a rollout, and whether it makes sense now.
type Choice struct {
	Verb string `json:"verb"`
	// Sensible: it makes sense now. Whether the user has the right to it is another question.
	Sensible bool `json:"sensible"`
	// Code and Message say why not, and Effect what will happen if it is made.
	Code    Code   `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	Effect  string `json:"effect,omitempty"`
	// Revision that undo goes back to, by number.
	Revision int64 `json:"revision,omitempty"`
}

// Choices returns all changes, in the order in which they are shown. Without the
// revisions, which not all users may read, undo makes no sense.
func Choices(d *v1alpha1.DataSet, data []*v1alpha1.Data, revisions []*appsv1.ControllerRevision, say Say) []Choice {
	failing := CountFailing(d, data)
	choices := []Choice{
		newChoice(VerbPause, CheckPause(d, true, say), "no further pod is moved"+PauseEffect(d, true)),
		newChoice(VerbResume, CheckPause(d, false, say), "the rollout goes on"),
	}
	for _, request := range []struct{ verb, request string }{
		{VerbPromote, v1alpha1.RequestPromote}, {VerbAbort, v1alpha1.RequestAbort}, {VerbRetry, v1alpha1.RequestRetry},
	} {
		choices = append(choices, newChoice(request.verb, CheckRequest(d, request.request, failing, say),
			requestEffect(d, request.request, failing)))
	}
	return append(choices, undoChoice(d, revisions, say))
}

func newChoice(verb string, err error, effect string) Choice {
	c := Choice{Verb: verb, Sensible: err == nil, Effect: effect}
	if err != nil {
		c.Effect, c.Message = "", err.Error()
		if r, ok := errors.AsType[*Refusal](err); ok {
			c.Code = r.Code
		}
	}
	return c
}

func undoChoice(d *v1alpha1.DataSet, revisions []*appsv1.ControllerRevision, say Say) Choice {
	back, err := TargetRevision(d, revisions, 0, say)
	if err != nil {
		return newChoice(VerbUndo, err, "")
	}
	c := newChoice(VerbUndo, nil, fmt.Sprintf("the template is set back to that of revision %d", back.Revision))
	c.Revision = back.Revision
	if template, err := revision.Template(back); err == nil {
		for i, line := range DescribeChanges(d.Spec.Template, template) {
			c.Effect += map[bool]string{true: ": ", false: "; "}[i == 0] + line
		}
	}
	return c
}

// requestEffect says what a request leads to.
func requestEffect(d *v1alpha1.DataSet, request string, f Failing) string {
	r := d.Status.Rollout
	if r == nil {
		return ""
	}
	switch request {
	case v1alpha1.RequestPromote:
		return fmt.Sprintf("step %d of %d ends, and the rollout goes on", r.Step+1, len(d.Spec.UpdateStrategy.Steps))
	case v1alpha1.RequestAbort:
		return fmt.Sprintf("%d of %d pods go back to revision %s, from what is on their nodes", d.Status.UpdatedReplicas, d.Status.Replicas,
			d.Status.CurrentRevision)
	}
	if f.Any() && !RetriesRollout(r) {
		return f.Describe()
	}
	return "the rollout begins again with its first step"
}
