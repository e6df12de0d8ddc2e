// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"

	"github.com/kuda-io/kuda/scheduler/apis/config"
	"github.com/kuda-io/kuda/scheduler/apis/config/v1alpha1"
)

// Args are those in the configuration, with defaults, converted and validated.
// The configuration's decoder does not know their group, so they come as they
// stand in the file: a runtime.Unknown, or nil where there are none.
func Args(object runtime.Object) (*config.DataLocalityArgs, error) {
	raw := []byte("{}")
	switch o := object.(type) {
	case nil:
	case *runtime.Unknown:
		raw = o.Raw
	default:
		return nil, fmt.Errorf("reading the arguments of DataLocality: they are a %T; write them with apiVersion %s and kind DataLocalityArgs", o,
			v1alpha1.GroupVersion)
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(config.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("building the scheme of the arguments: %w", err)
	}
	codecs := serializer.NewCodecFactory(scheme, serializer.EnableStrict)
	gvk := v1alpha1.GroupVersion.WithKind("DataLocalityArgs")
	decoded, _, err := codecs.UniversalDecoder(config.GroupVersion).Decode(raw, &gvk, nil)
	if err != nil {
		return nil, fmt.Errorf("reading the arguments of DataLocality: %w", err)
	}
	args, ok := decoded.(*config.DataLocalityArgs)
	if !ok {
		return nil, fmt.Errorf("reading the arguments of DataLocality: their kind is %s; it must be DataLocalityArgs",
			decoded.GetObjectKind().GroupVersionKind().Kind)
	}
	if err := config.Validate(args); err != nil {
		return nil, fmt.Errorf("checking the arguments of DataLocality: %w", err)
	}
	return args, nil
}
