// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sourcekind

import (
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/kuda-io/kuda/api/v1alpha1"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// Source is a storage system that a DataSet describes.
type Source struct {
	Kind v1alpha1.DataSourceType
	// Field is the place of the description.
	Field *field.Path
	// Block is the description without its limits, which change nothing of what is
	// read nor of where credentials go.
	Block  any
	Limits *v1alpha1.SourceLimits
	// References are what the source refers to, in the order of its fields.
	References []Reference
	// Origin is where the bytes come from. Users are warned when it changes and the
	// version of an item does not; without an origin they are not.
	Origin []string
	// Problems are what the schema and the references do not show.
	Problems field.ErrorList
	// Cache is the cache in front of the source; nil for none.
	Cache *gatewayv1alpha1.SourceCache
	// Message tells a runtime of the source.
	Message *gatewayv1alpha1.Source
}

// ReferenceKind is what kind of thing a source refers to: of an object, its kind in
// Kubernetes.
type ReferenceKind string

// The kinds of references.
const (
	// Secret has credentials.
	Secret ReferenceKind = "Secret"
	// ConfigMap has certificates or settings, which only protect the reading.
	ConfigMap ReferenceKind = "ConfigMap"
	// Claim is read.
	Claim ReferenceKind = "PersistentVolumeClaim"
	// Audience is that of a token of the pod's service account.
	Audience ReferenceKind = "Audience"
	// Instance stands for the credentials of the node's cloud instance.
	Instance ReferenceKind = "Instance"
	// Plugin reads the source. The source's objects are mounted into its container only.
	Plugin ReferenceKind = "Plugin"
	// HTTPServer is the address of a server or a proxy through which data comes by HTTP.
	HTTPServer ReferenceKind = "HTTPServer"
	// OtherServer is the address of a server of another protocol.
	OtherServer ReferenceKind = "OtherServer"
	// TokenServer is the address of a server that gives credentials by HTTP.
	TokenServer ReferenceKind = "TokenServer"
)

// Reference is one thing that a source refers to.
type Reference struct {
	Kind ReferenceKind
	// Name of the object, the audience or the plugin; of a server its address.
	Name string
	// Key in the object; empty: the default.
	Key string
	// Field names the thing.
	Field *field.Path
	// WarnPlain is set for servers where users are warned of a Secret that is used over
	// http://.
	WarnPlain bool
}

// Describe returns the sources that are described, in the order of the API. The path is
// that of the descriptions; nil if it does not matter.
func Describe(sources *v1alpha1.DataSources, at *field.Path) []Source {
	var described []Source
	for _, d := range kinds {
		if s := d.describe(sources, at); s != nil {
			described = append(described, *s)
		}
	}
	return described
}

// ReferencesTo returns the references of the kinds.
func (s *Source) ReferencesTo(kinds ...ReferenceKind) []Reference {
	return slices.DeleteFunc(slices.Clone(s.References), func(r Reference) bool { return !slices.Contains(kinds, r.Kind) })
}

// describer describes the sources of one kind.
type describer struct {
	kind v1alpha1.DataSourceType
	// describe returns the source; nil if there is none.
	describe func(sources *v1alpha1.DataSources, at *field.Path) *Source
}

// describerOf returns the describer of a kind, whose settings are picked from the
// API and described by the functions.
func describerOf[T any](kind v1alpha1.DataSourceType, pick func(*v1alpha1.DataSources) *T, describe func(T, *field.Path) Source) describer {
	return describer{kind: kind, describe: func(sources *v1alpha1.DataSources, at *field.Path) *Source {
		settings := pick(sources)
		if settings == nil {
			return nil
		}
		at = at.Child(string(kind))
		s := describe(*settings, at)
		s.Kind, s.Field = kind, at
		block := *settings
		if limits := reflect.ValueOf(&block).Elem().FieldByName("Limits"); limits.IsValid() {
			s.Limits, _ = limits.Interface().(*v1alpha1.SourceLimits)
			limits.SetZero()
		}
		s.Block = block
		s.Message.Name, s.Message.Limits = string(kind), limitsMessage(s.Limits)
		return &s
	}}
}

func limitsMessage(l *v1alpha1.SourceLimits) *gatewayv1alpha1.SourceLimits {
	if l == nil {
		return nil
	}
	limits := &gatewayv1alpha1.SourceLimits{Connections: uint32(max(0, l.Connections))}
	if l.BytesPerSecond != nil {
		limits.BytesPerSecond = uint64(max(0, l.BytesPerSecond.Value()))
	}
	return limits
}
