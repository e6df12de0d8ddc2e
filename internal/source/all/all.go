// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package all

import (
	"context"
	"errors"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/alluxio"
	"github.com/kuda-io/kuda/internal/source/hdfs"
	"github.com/kuda-io/kuda/internal/source/http"
	"github.com/kuda-io/kuda/internal/source/oci"
	"github.com/kuda-io/kuda/internal/source/plugin"
	"github.com/kuda-io/kuda/internal/source/pvc"
	"github.com/kuda-io/kuda/internal/source/s3"
)

// Config describes a source; exactly one field is set.
type Config struct {
	// S3 is for everything that speaks the S3 protocol: minio, ceph, s3.
	S3 *s3.Config
	// HTTP is for HTTP servers.
	HTTP *http.Config
	// HDFS is for HDFS clusters.
	HDFS *hdfs.Config
	// Alluxio is for Alluxio clusters.
	Alluxio *alluxio.Config
	// OCI is for registries of artifacts and images.
	OCI *oci.Config
	// PVC is for volumes that are mounted.
	PVC *pvc.Config
	// Plugin is for everything that a plugin reads.
	Plugin *plugin.Config
}

// Open returns the source that a config describes. It reads the certificates
// and checks the settings, and does not connect yet, but to a plugin.
func Open(ctx context.Context, c Config) (source.Driver, error) {
	var open []func() (source.Driver, error)
	if c.S3 != nil {
		open = append(open, func() (source.Driver, error) { return s3.New(*c.S3) })
	}
	if c.HTTP != nil {
		open = append(open, func() (source.Driver, error) { return http.New(*c.HTTP) })
	}
	if c.HDFS != nil {
		open = append(open, func() (source.Driver, error) { return hdfs.New(*c.HDFS) })
	}
	if c.Alluxio != nil {
		open = append(open, func() (source.Driver, error) { return alluxio.New(*c.Alluxio) })
	}
	if c.OCI != nil {
		open = append(open, func() (source.Driver, error) { return oci.New(*c.OCI) })
	}
	if c.PVC != nil {
		open = append(open, func() (source.Driver, error) { return pvc.New(*c.PVC) })
	}
	if c.Plugin != nil {
		open = append(open, func() (source.Driver, error) { return plugin.New(ctx, *c.Plugin) })
	}
	if len(open) != 1 {
		return nil, &source.Error{Op: "opening a source", Class: source.ErrMisconfigured,
			Err: errors.New("set exactly one kind of source")}
	}
	return open[0]()
}
