// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// Look is what the doctor is to look at, and when.
type Look struct {
	// System is the namespace that Kuda is installed in; empty: kuda-system.
	System string
	// Scope is the namespace whose DataSets are looked at; empty: all.
	Scope string
	// Home is the namespace to look at where the user may not look at all, and the one of
	// the probe.
	Home string
	Now  time.Time
	// Config reaches the API server for the logs of containers; without it findings say
	// less.
	Config *rest.Config
}

// Installation looks at the installation. It returns an error where no cluster answers.
func (l Look) Installation(ctx context.Context, c client.Client) (Report, error) {
	in := readInstallation(ctx, c, l.system(), l.Scope, l.Home, l.Now)
	// Without a cluster nothing was looked at, which is not a finding.
	if err := in.unreachableError(); err != nil {
		return Report{}, err
	}
	return NewReport(examineInstallation(in)), nil
}

// DataSet looks at one DataSet in depth.
func (l Look) DataSet(ctx context.Context, c client.Client, d *v1alpha1.DataSet) Report {
	return NewReport(examineDataSet(readSubject(ctx, c, l.logReader(), l.system(), d, l.Now)))
}

func (l Look) system() string {
	if l.System == "" {
		return SystemNamespace
	}
	return l.System
}

// logReader reads logs where that can be done.
func (l Look) logReader() lastWords {
	if l.Config == nil {
		return nil
	}
	logs, err := readLogs(l.Config)
	if err != nil {
		return nil
	}
	return logs
}

// unreachableError returns the error of a cluster that did not answer at all.
func (in *installation) unreachableError() error {
	for _, err := range []error{in.lease.err, in.slices.err, in.mutating.err} {
		if err == nil || apiStatus(err) || meta.IsNoMatchError(err) {
			return nil
		}
	}
	return in.lease.err
}
