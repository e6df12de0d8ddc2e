// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/revision"
)

// pair is two templates to compare, of one DataSet.
type pair struct {
	namespace, name  string
	selector         map[string]string
	fromName, toName string
	// from is nil where there was nothing.
	from, to *v1alpha1.DataTemplateSpec
	// spec is what differs outside of the template.
	spec []Change
}

func (o *options) readPairs(ctx context.Context, name string) ([]pair, error) {
	if o.file != "" {
		return o.filePairs(ctx, name)
	}
	d, err := o.frame.DataSet(ctx, name)
	if err != nil {
		return nil, err
	}
	history, err := o.frame.Revisions(ctx, d)
	if err != nil {
		return nil, err
	}
	from, to, err := chooseRevisions(d, history, o.from, o.to)
	if err != nil {
		return nil, err
	}
	p := pair{namespace: d.Namespace, name: d.Name, selector: d.Spec.WorkloadSelector, fromName: revisionTitle(from),
		toName: revisionTitle(to)}
	if p.from, err = revisionTemplate(from); err != nil {
		return nil, err
	}
	p.to, err = revisionTemplate(to)
	return []pair{p}, err
}

func revisionTitle(r *appsv1.ControllerRevision) string {
	return fmt.Sprintf("%s (revision %d)", r.Name, r.Revision)
}

func revisionTemplate(r *appsv1.ControllerRevision) (*v1alpha1.DataTemplateSpec, error) {
	t, err := revision.Template(r)
	if err != nil {
		return nil, err
	}
	return &t, nil
}

// chooseRevisions returns the revisions to compare. Without names they are the stable one
// and the one that is rolled out; where these are one, or only the second is
// named, the first is the one before the second.
func chooseRevisions(d *v1alpha1.DataSet, history []*appsv1.ControllerRevision,
	fromName, toName string) (from, to *appsv1.ControllerRevision, err error) {
	if len(history) == 0 {
		return nil, nil, fmt.Errorf("DataSet %s has no revision yet; is kuda-manager running? See: kubectl kuda doctor", d.Name)
	}
	if toName == "" {
		toName = d.Status.UpdateRevision
	}
	if to, err = findRevision(history, toName); err != nil {
		return nil, nil, err
	}
	if fromName == "" && toName == d.Status.UpdateRevision && d.Status.CurrentRevision != toName {
		fromName = d.Status.CurrentRevision
	}
	if fromName != "" {
		from, err = findRevision(history, fromName)
		return from, to, err
	}
	for _, r := range history {
		if r.Revision < to.Revision && (from == nil || r.Revision > from.Revision) {
			from = r
		}
	}
	if from == nil {
		return to, to, nil // the first revision has none before it
	}
	return from, to, nil
}

// findRevision returns the revision of a number or a name.
func findRevision(history []*appsv1.ControllerRevision, name string) (*appsv1.ControllerRevision, error) {
	number, err := strconv.ParseInt(name, 10, 64)
	byNumber := err == nil
	i := slices.IndexFunc(history, func(r *appsv1.ControllerRevision) bool {
		return r.Name == name || byNumber && r.Revision == number
	})
	if i < 0 {
		return nil, fmt.Errorf("there is no revision %q; those that are kept are listed by: kubectl kuda history", name)
	}
	return history[i], nil
}

// filePairs compares each DataSet of the file with the one of the cluster.
func (o *options) filePairs(ctx context.Context, name string) ([]pair, error) {
	namespace, err := o.frame.Namespace()
	if err != nil {
		return nil, err
	}
	sets, err := o.readFile()
	if err != nil {
		return nil, err
	}
	var pairs []pair
	for i := range sets {
		d := &sets[i]
		if name != "" && d.Name != name {
			continue
		}
		if d.Namespace == "" {
			d.Namespace = namespace
		}
		p, err := o.filePair(ctx, d)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, p)
	}
	if len(pairs) == 0 {
		return nil, fmt.Errorf("%s has no such DataSet", o.file)
	}
	return pairs, nil
}

func (o *options) readFile() ([]v1alpha1.DataSet, error) {
	in := o.frame.In
	if o.file != "-" {
		file, err := os.Open(o.file)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	return parseDataSets(in, o.file)
}

// parseDataSets reads the DataSets of a file of YAML or JSON documents. What is of
// another kind is left out; a field that DataSets have not is an error.
func parseDataSets(in io.Reader, name string) ([]v1alpha1.DataSet, error) {
	var sets []v1alpha1.DataSet
	documents := yaml.NewYAMLReader(bufio.NewReader(in))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return sets, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		var kind struct {
			Kind string `json:"kind"`
		}
		if err := sigsyaml.Unmarshal(document, &kind); err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		if kind.Kind != "DataSet" {
			continue
		}
		var d v1alpha1.DataSet
		if err := sigsyaml.UnmarshalStrict(document, &d); err != nil {
			return nil, fmt.Errorf("reading DataSet %s of %s: %w", d.Name, name, err)
		}
		sets = append(sets, d)
	}
}

// filePair has the API server fill in and check what the file says, by a dry
// run, and compares it with what is there.
func (o *options) filePair(ctx context.Context, wanted *v1alpha1.DataSet) (pair, error) {
	c, err := o.frame.Client()
	if err != nil {
		return pair{}, err
	}
	p := pair{namespace: wanted.Namespace, name: wanted.Name, selector: wanted.Spec.WorkloadSelector, toName: o.file}
	if o.file == "-" {
		p.toName = "standard input"
	}
	var have v1alpha1.DataSet
	switch err := c.Get(ctx, client.ObjectKeyFromObject(wanted), &have); {
	case apierrors.IsNotFound(err):
		p.fromName = "not in the cluster"
		err = c.Create(ctx, wanted, client.DryRunAll)
		if err != nil {
			return pair{}, fmt.Errorf("checking DataSet %s (dry run): %w", wanted.Name, err)
		}
		p.to = &wanted.Spec.Template
		return p, nil
	case err != nil:
		return pair{}, fmt.Errorf("reading DataSet %s: %w", wanted.Name, err)
	}
	next := have.DeepCopy()
	next.Spec = wanted.Spec
	if err := c.Update(ctx, next, client.DryRunAll); err != nil {
		return pair{}, fmt.Errorf("checking DataSet %s (dry run): %w", wanted.Name, err)
	}
	p.fromName = "the cluster"
	p.from, p.to = &have.Spec.Template, &next.Spec.Template
	a, b := have.Spec, next.Spec
	a.Template, b.Template = v1alpha1.DataTemplateSpec{}, v1alpha1.DataTemplateSpec{}
	p.spec, err = compareParts(a, b)
	return p, err
}
