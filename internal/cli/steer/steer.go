// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli/frame"
)

// Commands are pause, resume, promote, abort, retry and undo.
func Commands(f *frame.Frame) []*cobra.Command {
	commands := []*cobra.Command{pauseCommand(f), resumeCommand(f)}
	for _, c := range commands {
		c.GroupID = frame.GroupSteer
		c.Args = cobra.ExactArgs(1)
		c.ValidArgsFunction = f.CompleteDataSets
	}
	return commands
}

// read answers the client and the DataSet of that name.
func read(ctx context.Context, f *frame.Frame, name string) (client.WithWatch, *v1alpha1.DataSet, error) {
	namespace, err := f.Namespace()
	if err != nil {
		return nil, nil, err
	}
	c, err := f.Client()
	if err != nil {
		return nil, nil, err
	}
	d := &v1alpha1.DataSet{}
	switch err := c.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, d); {
	case apierrors.IsNotFound(err):
		return nil, nil, fmt.Errorf("there is no DataSet %s in namespace %s; choose another namespace by -n, or list all by: %s status -A", name, namespace, f.Program)
	case err != nil:
		return nil, nil, fmt.Errorf("reading DataSet %s: %w", name, err)
	}
	return c, d, nil
}
