// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package item

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// WayMark names what the settings say of the way to an item's bytes, beside what is
// part of the mark of the bytes themselves. An item whose mark stays and whose way
// changes is asked for again: by the old way another server may have answered.
// Credentials are not part of it: new ones do not cause another delivery.
func WayMark(s *gatewayv1alpha1.Source) string {
	kind, parts := partsOf(s, gatewayv1alpha1.E_Way)
	if len(parts) == 0 {
		return Digest([]any{"other"})
	}
	return Digest(append([]any{kind}, parts...))
}

// UsesMounts reports whether a source reads data by virtue of what is mounted into
// the runtime.
func UsesMounts(s *gatewayv1alpha1.Source) bool {
	_, settings := settingsOf(s)
	if _, identity := partsOf(s, gatewayv1alpha1.E_Identity); len(identity) == 0 {
		return false
	}
	marked, used := false, false
	eachField(settings.Descriptor(), func(f protoreflect.FieldDescriptor) {
		if needsMount, _ := proto.GetExtension(f.Options(), gatewayv1alpha1.E_Credentials).(bool); needsMount {
			marked, used = true, used || settings.Has(f)
		}
	})
	return used || !marked
}

// sourceIdentity returns the name of the storage system and of what is read of it: the
// source's own name where its kind has no identity.
func sourceIdentity(s *gatewayv1alpha1.Source) string {
	kind, parts := partsOf(s, gatewayv1alpha1.E_Identity)
	if len(parts) == 0 {
		return s.GetName()
	}
	identity := kind
	for _, part := range parts {
		identity += " " + fmt.Sprint(part)
	}
	return identity
}

// settingsOf returns the kind of a source, as the protocol names it, and its settings;
// nil where there are none that this release knows.
func settingsOf(s *gatewayv1alpha1.Source) (string, protoreflect.Message) {
	m := s.ProtoReflect()
	f := m.WhichOneof(m.Descriptor().Oneofs().ByName("config"))
	if f == nil {
		return "", nil
	}
	return string(f.Name()), m.Get(f).Message()
}

// partsOf returns the kind of a source, and the values of the fields that have a place
// by the option, in the order of their places.
func partsOf(s *gatewayv1alpha1.Source, option protoreflect.ExtensionType) (string, []any) {
	kind, settings := settingsOf(s)
	if settings == nil {
		return "", nil
	}
	placed := placedValues(settings, option)
	slices.SortFunc(placed, func(a, b placedValue) int { return cmp.Compare(a.place, b.place) })
	values := make([]any, 0, len(placed))
	for _, p := range placed {
		values = append(values, p.value)
	}
	return kind, values
}

type placedValue struct {
	place int32
	value any
}

// placedValues looks into messages that have no place themselves.
func placedValues(m protoreflect.Message, option protoreflect.ExtensionType) []placedValue {
	var placed []placedValue
	eachField(m.Descriptor(), func(f protoreflect.FieldDescriptor) {
		place, _ := proto.GetExtension(f.Options(), option).(int32)
		switch {
		case place > 0:
			placed = append(placed, placedValue{place, fieldValue(f, m.Get(f))})
		case f.Message() != nil && f.Cardinality() != protoreflect.Repeated:
			placed = append(placed, placedValues(m.Get(f).Message(), option)...)
		}
	})
	return placed
}

func eachField(d protoreflect.MessageDescriptor, visit func(protoreflect.FieldDescriptor)) {
	for i := range d.Fields().Len() {
		visit(d.Fields().Get(i))
	}
}

// fieldValue returns a field's value as marks have it. Marks are kept on disk, so this
// must not change.
func fieldValue(f protoreflect.FieldDescriptor, v protoreflect.Value) any {
	switch {
	case f.IsMap():
		var settings map[string]string
		v.Map().Range(func(key protoreflect.MapKey, value protoreflect.Value) bool {
			if settings == nil {
				settings = map[string]string{}
			}
			settings[key.String()] = value.String()
			return true
		})
		return Digest(settings)
	case f.IsList():
		var words []string
		for i := range v.List().Len() {
			words = append(words, v.List().Get(i).String())
		}
		return strings.Join(words, " ")
	case f.Message() != nil:
		var words []string
		eachField(f.Message(), func(part protoreflect.FieldDescriptor) { words = append(words, v.Message().Get(part).String()) })
		return strings.Join(words, "/")
	}
	return v.Interface()
}
