// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"errors"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/kuda-io/kuda/internal/domain/item"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/source"
)

var errNotTold = errors.New("the pod's credentials are used only for sources that its DataSets describe in just this way, because " +
	"whoever asks may not be their author")

// checkTold refuses a source that uses what is mounted into the runtime and that the
// pod was not told of. A user who may run commands in the pod chooses what is asked
// about, and could otherwise have the credentials sent to a server of their own.
func checkTold(told []*gatewayv1alpha1.Source, s *gatewayv1alpha1.Source) error {
	if !item.UsesMounts(s) || slices.ContainsFunc(told,
		func(t *gatewayv1alpha1.Source) bool { return proto.Equal(comparableSource(t), comparableSource(s)) }) {
		return nil
	}
	return &source.Error{Op: "looking for the source among the pod's", Class: source.ErrCredentials, Err: errNotTold}
}

// comparableSource is a source without what changes nothing of where credentials go.
func comparableSource(s *gatewayv1alpha1.Source) *gatewayv1alpha1.Source {
	s = proto.CloneOf(s)
	s.Name, s.Limits = "", nil
	return s
}
