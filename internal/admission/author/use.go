// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package author

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/sourcekind"
)

// use is one thing that a DataSet has Kuda do with a right of its author.
type use struct {
	right Right
	field *field.Path
	// block is all that says what is done, and where what comes of it goes: two
	// uses of one right with the same block are the same.
	block string
	// audience of a token, where the right is for one.
	audience string
	// within is the key of the use that this one is a part of, or empty.
	within string
}

func (u use) mapKey() string { return u.right.String() + "\n" + u.block }

// uses collects them.
type uses struct{ all []use }

func (u *uses) add(right Right, at *field.Path, block any) {
	u.all = append(u.all, use{right: right, field: at, block: jsonFingerprint(block)})
}

// jsonFingerprint is the value as JSON. Values of the API's types can always be written so.
func jsonFingerprint(block any) string {
	raw, err := json.Marshal(block)
	if err != nil {
		return fmt.Sprintf("%#v", block)
	}
	return string(raw)
}

// usesOf returns those of a whole spec.
func usesOf(spec *v1alpha1.DataSetSpec) []use {
	u := &uses{all: usesOfTemplate(&spec.Template)}
	if spec.Preheat != nil {
		u.add(createPods, field.NewPath("spec", "preheat"), spec.Preheat)
	}
	return u.all
}

// usesOfTemplate returns those of a template, which is what a revision stores.
func usesOfTemplate(template *v1alpha1.DataTemplateSpec) []use {
	at := field.NewPath("spec", "template")
	u := &uses{}
	u.addLifecycle(template.Lifecycle, "", at.Child("lifecycle"))
	items := at.Child("dataItems")
	for i := range template.DataItems {
		item := &template.DataItems[i]
		u.addLifecycle(item.Lifecycle, item.Container, items.Index(i).Child("lifecycle"))
	}
	for _, s := range sourcekind.Describe(&template.DataSources, at.Child("dataSources")) {
		u.addSource(s, template.DataItems, items)
	}
	return u.all
}

func (u *uses) addLifecycle(lifecycle *v1alpha1.Lifecycle, container string, at *field.Path) {
	if lifecycle == nil {
		return
	}
	u.addHandler("preDownload", lifecycle.PreDownload, container, at)
	u.addHandler("postDownload", lifecycle.PostDownload, container, at)
}

// addHandler goes by when a hook runs, what it does, and in which container. It
// makes no difference of which item it is.
func (u *uses) addHandler(point string, handler *v1alpha1.LifecycleHandler, container string, at *field.Path) {
	if handler == nil {
		return
	}
	at = at.Child(point)
	if handler.Exec != nil {
		u.add(runCommands, at.Child("exec"), []any{point, handler.Exec, container})
	}
	if handler.HTTPGet != nil {
		u.add(callPods, at.Child("httpGet"), []any{point, handler.HTTPGet})
	}
}

// reach is what is read of a source. A user who changes it reads something else
// with the same credentials.
type reach struct {
	Source           string
	RemotePath       string
	Include, Exclude []string
}

// addSource adds the uses of a source, and those of each item that comes from it:
// another path is another use of the credentials.
func (u *uses) addSource(s sourcekind.Source, items []v1alpha1.DataItem, at *field.Path) {
	block := jsonFingerprint([]any{s.Kind, s.Block})
	for _, r := range s.References {
		for _, n := range requirementsOf(r) {
			whole := use{right: n.right, field: r.Field, block: block}
			if r.Kind == sourcekind.Audience {
				whole.audience = r.Name
			}
			u.all = append(u.all, whole)
			if !n.reads {
				continue
			}
			for i := range items {
				if item := &items[i]; item.DataSourceType == s.Kind {
					read := reach{Source: block, RemotePath: item.RemotePath, Include: item.Include, Exclude: item.Exclude}
					u.all = append(u.all, use{
						right: n.right, field: at.Index(i).Child("remotePath"), block: jsonFingerprint(read), within: whole.mapKey(),
					})
				}
			}
		}
	}
}
