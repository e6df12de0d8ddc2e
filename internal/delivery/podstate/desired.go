// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package podstate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/kuda-io/kuda/internal/delivery/atomicfile"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// LoadDesired reads what was last asked for; nil when nothing was.
func (d Dir) LoadDesired() (*gatewayv1alpha1.WatchResponse, error) {
	text, err := os.ReadFile(d.path(desiredFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	m := &gatewayv1alpha1.WatchResponse{}
	if err == nil {
		err = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(text, m)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the remembered desired state: %w", err)
	}
	return m, nil
}

// SaveDesired remembers what was last asked for, without the certificates.
func (d Dir) SaveDesired(m *gatewayv1alpha1.WatchResponse) error {
	c := proto.CloneOf(m)
	c.CaBundle = nil
	text, err := protojson.Marshal(c)
	if err != nil {
		return fmt.Errorf("writing the desired state: %w", err)
	}
	return atomicfile.Write(d.path(desiredFile), text, 0o600)
}

// Sources returns the sources that the gateway has told the pod of.
func (d Dir) Sources() ([]*gatewayv1alpha1.Source, error) {
	desired, err := d.LoadDesired()
	if err != nil {
		return nil, err
	}
	var told []*gatewayv1alpha1.Source
	for _, a := range desired.GetAssignments() {
		told = append(append(told, a.GetSources()...), a.GetPrefetch().GetSources()...)
	}
	return told, nil
}
