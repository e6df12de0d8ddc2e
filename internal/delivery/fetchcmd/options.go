// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package fetchcmd

import (
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/all"
	"github.com/kuda-io/kuda/internal/source/http"
	"github.com/kuda-io/kuda/internal/source/s3"
)

// options are the command's arguments and flags.
type options struct {
	source, dir    string
	endpoint       string
	region         string
	pathStyle      bool
	credentialsDir string
	caFile         string
	proxy          string
	digest         string
	include        []string
	exclude        []string
	store          string
	connections    int
	progress       bool
}

func (o *options) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.endpoint, "endpoint", "https://s3.amazonaws.com", "where the S3 service answers: http(s)://host:port")
	f.StringVar(&o.region, "region", "", "region of the bucket; without it what the service says")
	f.BoolVar(&o.pathStyle, "path-style", false, "put the bucket into the path instead of the host name (MinIO, Ceph)")
	f.StringVar(&o.credentialsDir, "credentials-dir", "", "directory with the files of a Secret")
	f.StringVar(&o.caFile, "ca-file", "", "certificates (PEM) that the server's is checked against, instead of the system's")
	f.StringVar(&o.proxy, "proxy", "", "HTTP proxy to go through: http://host:port")
	f.StringVar(&o.digest, "digest", "", "sha256:<hex> that the bytes must have; of a tree, that of its sha256sum listing")
	f.StringSliceVar(&o.include, "include", nil, "deliver only files of a tree that match; * stays within a segment, ** crosses them")
	f.StringSliceVar(&o.exclude, "exclude", nil, "leave out files of a tree that match; wins over --include")
	f.StringVar(&o.store, "store", "", "directory to keep snapshots in, on the file system of <dir>; without it a hidden one beside <dir>")
	f.IntVar(&o.connections, "connections", 0, "how many ranges are read at the same time; 0 for the default")
	f.BoolVar(&o.progress, "progress", false, "show the progress on standard error")
}

// open returns the source's config, and the path on it.
func (o *options) open() (all.Config, string, error) {
	u, err := url.Parse(o.source)
	if err != nil {
		return all.Config{}, "", usagef("the source %q is no URL: %w", o.source, err)
	}
	switch u.Scheme {
	case "s3":
		return o.openS3()
	case "http", "https":
		if u.RawQuery != "" || u.User != nil {
			return all.Config{}, "", usagef("the source must have no query and no password; use --credentials-dir")
		}
		c := &http.Config{URL: u.Scheme + "://" + u.Host, Credentials: o.credentials(), CAFile: o.caFile, CAName: o.caFile, Proxy: o.proxy}
		return all.Config{HTTP: c}, u.Path, nil
	}
	return all.Config{}, "", usagef("the source %q must begin with s3://, http:// or https://", o.source)
}

// openS3 takes the key as it is: it need not be escaped as a URL's path is.
func (o *options) openS3() (all.Config, string, error) {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(o.source, "s3://"), "/")
	if bucket == "" {
		return all.Config{}, "", usagef("the source %q names no bucket", o.source)
	}
	c := &s3.Config{Endpoint: o.endpoint, Bucket: bucket, Region: o.region, PathStyle: o.pathStyle,
		Credentials: o.credentials(), CAFile: o.caFile, CAName: o.caFile, Proxy: o.proxy}
	if access := os.Getenv("AWS_ACCESS_KEY_ID"); access != "" && c.Credentials == nil {
		c.Keys = &s3.Keys{AccessKey: access, SecretKey: source.Secret(os.Getenv("AWS_SECRET_ACCESS_KEY")),
			SessionToken: source.Secret(os.Getenv("AWS_SESSION_TOKEN"))}
	}
	return all.Config{S3: c}, key, nil
}

func (o *options) credentials() *source.Mount {
	if o.credentialsDir == "" {
		return nil
	}
	return &source.Mount{Dir: o.credentialsDir, Name: fmt.Sprintf("the directory %q", o.credentialsDir)}
}
