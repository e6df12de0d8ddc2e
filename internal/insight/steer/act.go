// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

const (
	tokenLength = 8
	// How long, and how often, the manager's answer is looked for.
	honourPatience = 15 * time.Second
	honourGlance   = 250 * time.Millisecond
)

// ErrUnheard is the error of a request that the manager has not taken up in time.
var ErrUnheard = errors.New("the manager has not taken up the request")

// SetPaused sets or clears spec.paused.
func SetPaused(ctx context.Context, c client.Client, d *v1alpha1.DataSet, paused bool, options ...client.PatchOption) error {
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"paused":%t}}`, paused))
	if err := c.Patch(ctx, d, patch, options...); err != nil {
		return fmt.Errorf("changing DataSet %s: %w", d.Name, err)
	}
	return nil
}

// Request puts a request to the rollout down and returns its text, which
// status.rollout.request repeats once the manager has taken it up.
func Request(ctx context.Context, c client.Client, d *v1alpha1.DataSet, verb string, options ...client.PatchOption) (string, error) {
	request := strings.Join([]string{verb, d.Status.Rollout.Revision, strings.ToLower(rand.Text()[:tokenLength])}, " ")
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"annotations": map[string]string{v1alpha1.AnnotationRolloutRequest: request},
	}})
	if err != nil {
		return "", fmt.Errorf("writing the request: %w", err)
	}
	if err := c.Patch(ctx, d, client.RawPatch(types.MergePatchType, patch), options...); err != nil {
		return "", fmt.Errorf("changing DataSet %s: %w", d.Name, err)
	}
	return request, nil
}

// Await waits for the manager's answer to a request, and leaves it in d. It returns an
// error that is ErrUnheard when none came in time.
func Await(ctx context.Context, c client.Reader, d *v1alpha1.DataSet, request string) error {
	revision := d.Status.Rollout.Revision
	replaced := false
	err := wait.PollUntilContextTimeout(ctx, honourGlance, honourPatience, true, func(ctx context.Context) (bool, error) {
		if err := c.Get(ctx, client.ObjectKeyFromObject(d), d); err != nil {
			return false, fmt.Errorf("reading DataSet %s: %w", d.Name, err)
		}
		r := d.Status.Rollout
		replaced = d.Status.UpdateRevision != revision || r == nil || r.Revision != revision
		return replaced || r.Request == request, nil
	})
	switch {
	case replaced:
		return fmt.Errorf("the template of DataSet %s changed meanwhile, and another rollout began; the request was about revision %s", d.Name,
			revision)
	case wait.Interrupted(err) && ctx.Err() == nil:
		return fmt.Errorf("%w within %s; it will once it runs (kubectl -n kuda-system get pods)", ErrUnheard, honourPatience)
	}
	return err
}

// Undo sets the template to that of a revision, and the change cause with it.
func Undo(ctx context.Context, c client.Client, d *v1alpha1.DataSet, template json.RawMessage, cause string,
	options ...client.PatchOption) error {
	patch, err := undoPatch(d, template, cause)
	if err != nil {
		return err
	}
	if err := c.Patch(ctx, d, client.RawPatch(types.JSONPatchType, patch), options...); err != nil {
		return fmt.Errorf("changing DataSet %s: %w", d.Name, err)
	}
	return nil
}

// SetCause notes why the DataSet was changed, in the object alone.
func SetCause(d *v1alpha1.DataSet, cause string) {
	delete(d.Annotations, v1alpha1.AnnotationChangeCause)
	if cause != "" {
		metav1.SetMetaDataAnnotation(&d.ObjectMeta, v1alpha1.AnnotationChangeCause, cause)
	}
}

type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// undoPatch replaces the template as a whole with what the revision holds,
// byte for byte, and refuses a DataSet that changed since it was read. The
// change cause goes with the template: else the cause of the revision that is
// left would be noted for the one that is gone back to.
func undoPatch(d *v1alpha1.DataSet, template json.RawMessage, cause string) ([]byte, error) {
	operations := []operation{
		{Op: "replace", Path: "/metadata/resourceVersion", Value: d.ResourceVersion},
		{Op: "replace", Path: "/spec/template", Value: template},
	}
	const path = "/metadata/annotations/kubernetes.io~1change-cause"
	_, noted := d.Annotations[v1alpha1.AnnotationChangeCause]
	switch {
	case cause != "" && len(d.Annotations) == 0:
		operations = append(operations, operation{"add", "/metadata/annotations", map[string]string{v1alpha1.AnnotationChangeCause: cause}})
	case cause != "":
		operations = append(operations, operation{"add", path, cause})
	case noted:
		operations = append(operations, operation{Op: "remove", Path: path})
	}
	patch, err := json.Marshal(operations)
	if err != nil {
		return nil, fmt.Errorf("writing the patch: %w", err)
	}
	return patch, nil
}
