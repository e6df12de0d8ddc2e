// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/analysis"
	"github.com/kuda-io/kuda/internal/domain/schedule"
	"github.com/kuda-io/kuda/internal/domain/sourcekind"
)

// checkDataSet says what is wrong with a DataSet beyond what its schema checks.
func checkDataSet(ds *v1alpha1.DataSet) field.ErrorList {
	spec := field.NewPath("spec")
	template := spec.Child("template")
	errs := metav1validation.ValidateLabels(ds.Spec.WorkloadSelector, spec.Child("workloadSelector"))
	errs = append(errs, checkLocalPaths(ds.Spec.Template.DataItems, template.Child("dataItems"))...)
	for i := range ds.Spec.Template.DataItems {
		errs = append(errs, checkItem(&ds.Spec.Template.DataItems[i], template.Child("dataItems").Index(i))...)
	}
	errs = append(errs, checkLifecycle(ds.Spec.Template.Lifecycle, template.Child("lifecycle"))...)
	errs = append(errs, checkStrategy(&ds.Spec.UpdateStrategy, spec.Child("updateStrategy"))...)
	errs = append(errs, checkPreheat(&ds.Spec, spec.Child("preheat"))...)
	return append(errs, checkSources(&ds.Spec.Template.DataSources, template.Child("dataSources"))...)
}

// place is where an item goes: its cleaned local path.
type place struct {
	path  string
	index int
}

// checkLocalPaths refuses two items in one place, and one inside another: each
// item is switched and removed as a whole.
func checkLocalPaths(items []v1alpha1.DataItem, at *field.Path) field.ErrorList {
	places := make([]place, 0, len(items))
	for i := range items {
		places = append(places, place{path: cleanLocal(items[i].LocalPath), index: i})
	}
	// Sorted by segments, a place is followed at once by what lies inside it.
	slices.SortStableFunc(places, func(a, b place) int {
		return slices.Compare(strings.Split(a.path, "/"), strings.Split(b.path, "/"))
	})
	var errs field.ErrorList
	outer := 0
	for i := 1; i < len(places); i++ {
		p, o := places[i], places[outer]
		other := at.Index(o.index).Child("localPath")
		switch {
		case p.path == o.path:
			errs = append(errs, field.Invalid(at.Index(p.index).Child("localPath"), items[p.index].LocalPath,
				fmt.Sprintf("is the same place as %s; give each item its own", other)))
		case strings.HasPrefix(p.path, o.path+"/"):
			errs = append(errs, field.Invalid(at.Index(p.index).Child("localPath"), items[p.index].LocalPath,
				fmt.Sprintf("lies inside %s (%s); put the items beside each other", other, items[o.index].LocalPath)))
		default:
			outer = i
		}
	}
	return errs
}

func cleanLocal(local string) string {
	return strings.TrimPrefix(path.Clean("/"+local), "/")
}

func checkItem(item *v1alpha1.DataItem, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if strings.ContainsRune(item.LocalPath, 0) || strings.ContainsRune(item.RemotePath, 0) {
		errs = append(errs, field.Invalid(at, item.Name, "localPath and remotePath must not contain a NUL character"))
	}
	for _, segment := range strings.Split(item.LocalPath, "/") {
		if len(segment) > 255 {
			errs = append(errs, field.Invalid(at.Child("localPath"), item.LocalPath,
				"each segment must have at most 255 bytes, the limit of a file name"))
			break
		}
	}
	for i, pattern := range item.Include {
		errs = append(errs, checkPattern(pattern, at.Child("include").Index(i))...)
	}
	for i, pattern := range item.Exclude {
		errs = append(errs, checkPattern(pattern, at.Child("exclude").Index(i))...)
	}
	if item.Container != "" {
		for _, problem := range validation.IsDNS1123Label(item.Container) {
			errs = append(errs, field.Invalid(at.Child("container"), item.Container, problem))
		}
	}
	return append(errs, checkLifecycle(item.Lifecycle, at.Child("lifecycle"))...)
}

func checkPattern(pattern string, at *field.Path) field.ErrorList {
	switch {
	case pattern == "":
		return field.ErrorList{field.Required(at, "a pattern such as **/*.bin")}
	case strings.HasPrefix(pattern, "/"):
		return field.ErrorList{field.Invalid(at, pattern, "must not begin with a slash: patterns are matched against paths below remotePath")}
	case !doublestar.ValidatePattern(pattern):
		return field.ErrorList{field.Invalid(at, pattern, "is not a pattern; brackets and braces must be closed, as in {a,b}/[0-9]*.bin")}
	}
	return nil
}

func checkLifecycle(lifecycle *v1alpha1.Lifecycle, at *field.Path) field.ErrorList {
	if lifecycle == nil {
		return nil
	}
	errs := checkHandler(lifecycle.PreDownload, at.Child("preDownload"))
	return append(errs, checkHandler(lifecycle.PostDownload, at.Child("postDownload"))...)
}

func checkHandler(handler *v1alpha1.LifecycleHandler, at *field.Path) field.ErrorList {
	if handler == nil {
		return nil
	}
	var errs field.ErrorList
	if handler.Exec != nil && len(handler.Exec.Command) > 0 && handler.Exec.Command[0] == "" {
		errs = append(errs, field.Required(at.Child("exec", "command").Index(0), "the program to run"))
	}
	get := handler.HTTPGet
	if get == nil {
		return errs
	}
	if port := get.Port.IntValue(); port < 1 || port > 65535 {
		errs = append(errs, field.Invalid(at.Child("httpGet", "port"), get.Port.String(), "must be from 1 to 65535"))
	}
	if get.Path != "" && !strings.HasPrefix(get.Path, "/") {
		errs = append(errs, field.Invalid(at.Child("httpGet", "path"), get.Path, "must begin with a slash"))
	}
	switch get.Scheme {
	case "", "HTTP", "HTTPS":
	default:
		errs = append(errs, field.NotSupported(at.Child("httpGet", "scheme"), get.Scheme, []string{"HTTP", "HTTPS"}))
	}
	return errs
}

func checkStrategy(strategy *v1alpha1.UpdateStrategy, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if u := strategy.RollingUpdate; u != nil {
		errs = checkPartition(u.Partition, at.Child("rollingUpdate", "partition"))
	}
	return append(errs, checkSteps(strategy.Steps, at.Child("steps"))...)
}

// checkPartition refuses fewer than no pods, which the schema of a step cannot:
// its pattern says nothing about numbers.
func checkPartition(partition *intstr.IntOrString, at *field.Path) field.ErrorList {
	if partition == nil || partition.Type != intstr.Int || partition.IntVal >= 0 {
		return nil
	}
	return field.ErrorList{field.Invalid(at, partition.IntVal, "must be a number of at least 0, or a percentage from 0% to 100%")}
}

// checkSteps refuses also an analysis that could only fail the rollout when its
// turn comes.
func checkSteps(steps []v1alpha1.RolloutStep, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, step := range steps {
		errs = append(errs, checkPartition(step.Partition, at.Index(i).Child("partition"))...)
		if step.Analysis == nil {
			continue
		}
		for _, p := range analysis.Problems(*step.Analysis) {
			errs = append(errs, field.Invalid(at.Index(i).Child("analysis", strings.Split(p.Field, ".")...), p.Value, p.Detail))
		}
	}
	return errs
}

func checkPreheat(spec *v1alpha1.DataSetSpec, at *field.Path) field.ErrorList {
	preheat := spec.Preheat
	if preheat == nil {
		return nil
	}
	errs := metav1validation.ValidateLabels(preheat.NodeSelector, at.Child("nodeSelector"))
	sources := sourcekind.Describe(&spec.Template.DataSources, nil)
	if preheat.Cache && !slices.ContainsFunc(sources, func(s sourcekind.Source) bool { return s.Cache != nil }) {
		errs = append(errs, field.Invalid(at.Child("cache"), true, "no source has a cache to fill; add one to a source, or leave this out"))
	}
	if preheat.Schedule == "" {
		return errs
	}
	if _, err := schedule.Parse(preheat.Schedule); err != nil {
		errs = append(errs, field.Invalid(at.Child("schedule"), preheat.Schedule, err.Error()))
	}
	return errs
}

// minBytesPerSecond keeps a single read buffer from taking longer than what
// counts as a stall.
const minBytesPerSecond = 64 << 10

func checkSources(sources *v1alpha1.DataSources, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, s := range sourcekind.Describe(sources, at) {
		errs = append(errs, s.Problems...)
		for _, r := range s.References {
			errs = append(errs, checkReference(r)...)
		}
		if l := s.Limits; l != nil && l.BytesPerSecond != nil && l.BytesPerSecond.Value() < minBytesPerSecond {
			errs = append(errs, field.Invalid(s.Field.Child("limits", "bytesPerSecond"), l.BytesPerSecond.String(),
				"must be at least 64Ki; less would time requests out"))
		}
	}
	return errs
}

// checkReference keeps names that no object can have from making every pod that the
// DataSet selects invalid.
func checkReference(r sourcekind.Reference) field.ErrorList {
	switch r.Kind {
	case sourcekind.Secret, sourcekind.ConfigMap:
		return append(checkObjectName(r.Name, r.Field.Child("name")), checkKey(r.Key, r.Field.Child("key"))...)
	case sourcekind.Claim:
		return checkObjectName(r.Name, r.Field)
	}
	return nil
}

func checkObjectName(name string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, problem := range validation.IsDNS1123Subdomain(name) {
		errs = append(errs, field.Invalid(at, name, problem))
	}
	return errs
}

// checkKey checks a key of a Secret or ConfigMap; none is the default.
func checkKey(key string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if key == "" {
		return nil
	}
	for _, problem := range validation.IsConfigMapKey(key) {
		errs = append(errs, field.Invalid(at, key, problem))
	}
	return errs
}
