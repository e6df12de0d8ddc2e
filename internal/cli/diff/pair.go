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

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/insight/diff"
)

func (o *options) readPairs(ctx context.Context, name string) ([]diff.Pair, error) {
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
	p, err := diff.Revisions(d, history, o.from, o.to)
	return []diff.Pair{p}, err
}

// filePairs compares each DataSet of the file with the one of the cluster.
func (o *options) filePairs(ctx context.Context, name string) ([]diff.Pair, error) {
	namespace, err := o.frame.Namespace()
	if err != nil {
		return nil, err
	}
	sets, err := o.readFile()
	if err != nil {
		return nil, err
	}
	var pairs []diff.Pair
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
func (o *options) filePair(ctx context.Context, wanted *v1alpha1.DataSet) (diff.Pair, error) {
	c, err := o.frame.Client()
	if err != nil {
		return diff.Pair{}, err
	}
	p := diff.Pair{Namespace: wanted.Namespace, Name: wanted.Name, Selector: wanted.Spec.WorkloadSelector, ToName: o.file}
	if o.file == "-" {
		p.ToName = "standard input"
	}
	var have v1alpha1.DataSet
	switch err := c.Get(ctx, client.ObjectKeyFromObject(wanted), &have); {
	case apierrors.IsNotFound(err):
		p.FromName = "not in the cluster"
		err = c.Create(ctx, wanted, client.DryRunAll)
		if err != nil {
			return diff.Pair{}, fmt.Errorf("checking DataSet %s (dry run): %w", wanted.Name, err)
		}
		p.To = &wanted.Spec.Template
		return p, nil
	case err != nil:
		return diff.Pair{}, fmt.Errorf("reading DataSet %s: %w", wanted.Name, err)
	}
	next := have.DeepCopy()
	next.Spec = wanted.Spec
	if err := c.Update(ctx, next, client.DryRunAll); err != nil {
		return diff.Pair{}, fmt.Errorf("checking DataSet %s (dry run): %w", wanted.Name, err)
	}
	p.FromName = "the cluster"
	p.From, p.To = &have.Spec.Template, &next.Spec.Template
	a, b := have.Spec, next.Spec
	a.Template, b.Template = v1alpha1.DataTemplateSpec{}, v1alpha1.DataTemplateSpec{}
	p.Spec, err = diff.CompareParts(a, b)
	return p, err
}
