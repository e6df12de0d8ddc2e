// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/sourcekind"
)

// warnDataSet says what is allowed but hardly meant; last is nil at creation.
func warnDataSet(last, next *v1alpha1.DataSet) []string {
	warnings := append(warnSources(last, next), warnMode(last, next)...)
	if last == nil {
		return warnings
	}
	return append(warnings, warnSameVersion(&last.Spec.Template, &next.Spec.Template)...)
}

// warnRequire warns a DataSet with placement Require that no scheduler of the
// installation supports it. Pods may still name such a scheduler themselves.
func warnRequire(last, next *v1alpha1.DataSet, scheduler string) []string {
	asked := last != nil && last.Spec.Placement == v1alpha1.PlacementRequire
	if scheduler != "" || asked || next.Spec.Placement != v1alpha1.PlacementRequire {
		return nil
	}
	return []string{"spec.placement: Require needs kuda-scheduler, and no scheduler is configured: pods are placed as with Prefer. " +
		"Install kuda-scheduler and set schedulerName in the ConfigMap kuda-config, or spec.schedulerName in the pods"}
}

// warnSources warns of sources that are new or others than before, and of those that
// items newly come from.
func warnSources(last, next *v1alpha1.DataSet) []string {
	path := field.NewPath("spec", "template", "dataSources")
	before := map[v1alpha1.DataSourceType]sourcekind.Source{}
	if last != nil {
		for _, s := range sourcekind.Describe(&last.Spec.Template.DataSources, path) {
			before[s.Kind] = s
		}
	}
	var warnings []string
	for _, s := range sourcekind.Describe(&next.Spec.Template.DataSources, path) {
		if old, had := before[s.Kind]; !had || !reflect.DeepEqual(old.Block, s.Block) {
			warnings = append(warnings, warnPlainCredentials(&s)...)
		}
	}
	return warnings
}

func warnPlainCredentials(s *sourcekind.Source) []string {
	var warnings []string
	for _, server := range s.ReferencesTo(sourcekind.HTTPServer) {
		if !server.WarnPlain || !strings.HasPrefix(server.Name, "http://") {
			continue
		}
		for _, secret := range s.ReferencesTo(sourcekind.Secret) {
			warnings = append(warnings, fmt.Sprintf("%s: the credentials of Secret %s are used over http://, which anyone on the way can read; "+
				"use https://", server.Field, secret.Name))
		}
	}
	return warnings
}

// warnMode tells of files that an application whose user is another than the runtime's
// cannot read. It is said when such a mode is set, not at each change.
func warnMode(last, next *v1alpha1.DataSet) []string {
	const read = 0o004
	var warnings []string
	for i := range next.Spec.Template.DataItems {
		item := &next.Spec.Template.DataItems[i]
		if item.Mode == nil || *item.Mode&read != 0 {
			continue
		}
		said := last != nil && slices.ContainsFunc(last.Spec.Template.DataItems, func(o v1alpha1.DataItem) bool {
			return o.Name == item.Name && o.Namespace == item.Namespace && o.Mode != nil && *o.Mode == *item.Mode
		})
		if said {
			continue
		}
		who := "only root, or where the pod has a store of its own only user 65532, can read these files"
		switch *item.Mode & 0o440 {
		case 0:
			who = "only root can read these files"
		case 0o040, 0o440:
			who = "only root and the group of the runtime can read these files: 0, or where the pod has a store of its own its fsGroup"
		}
		warnings = append(warnings, fmt.Sprintf("spec.template.dataItems[%d].mode: with mode %04o %s; use %04o for an application that "+
			"runs as another user",
			i, *item.Mode, who, *item.Mode|0o444))
	}
	return warnings
}

// warnSameVersion tells of items that come from elsewhere under an unchanged
// version: pods that have the version already do not download it again.
func warnSameVersion(last, next *v1alpha1.DataTemplateSpec) []string {
	lastOrigins, nextOrigins := sourceOrigins(&last.DataSources), sourceOrigins(&next.DataSources)
	var warnings []string
	for i := range next.DataItems {
		item := &next.DataItems[i]
		at := slices.IndexFunc(last.DataItems, func(o v1alpha1.DataItem) bool {
			return o.Name == item.Name && o.Namespace == item.Namespace
		})
		if at < 0 || last.DataItems[at].Version != item.Version {
			continue
		}
		before := &last.DataItems[at]
		var changed string
		switch {
		case before.RemotePath != item.RemotePath:
			changed = "remotePath"
		case before.DataSourceType != item.DataSourceType:
			changed = "dataSourceType"
		case !slices.Equal(lastOrigins[item.DataSourceType], nextOrigins[item.DataSourceType]):
			changed = "its data source"
		default:
			continue
		}
		warnings = append(warnings, fmt.Sprintf("spec.template.dataItems[%d]: %s changed but version is still %q; give it another version if "+
			"the data is another", i, changed, item.Version))
	}
	return warnings
}

// sourceOrigins returns where the bytes of each source come from, credentials and the
// like apart.
func sourceOrigins(sources *v1alpha1.DataSources) map[v1alpha1.DataSourceType][]string {
	origins := map[v1alpha1.DataSourceType][]string{}
	for _, s := range sourcekind.Describe(sources, nil) {
		origins[s.Kind] = s.Origin
	}
	return origins
}
