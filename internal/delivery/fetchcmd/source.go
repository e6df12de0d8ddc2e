// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package fetchcmd

import (
	"fmt"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/all"
	"github.com/kuda-io/kuda/internal/source/hdfs"
	"github.com/kuda-io/kuda/internal/source/http"
	"github.com/kuda-io/kuda/internal/source/oci"
	"github.com/kuda-io/kuda/internal/source/s3"
)

// sourceConfig returns the source's config, and the path on it. Only the addresses of web
// servers are URLs: in the others every character after the host stands for
// itself.
func (o *options) sourceConfig() (all.Config, string, error) {
	scheme, rest, _ := strings.Cut(o.source, "://")
	switch strings.ToLower(scheme) {
	case "s3":
		return o.openS3(rest)
	case "hdfs":
		return o.openHDFS(rest)
	case "oci", "oci+http":
		return o.openOCI(strings.ToLower(scheme), rest)
	case "http", "https":
		return o.openHTTP()
	}
	return all.Config{}, "", usageErrorf("the source %q must begin with s3://, hdfs://, oci://, http:// or https://", source.Redact(o.source))
}

// openHTTP takes a URL.
func (o *options) openHTTP() (all.Config, string, error) {
	u, err := url.Parse(o.source)
	switch {
	case err != nil:
		// Its error quotes the URL, which may carry a password.
		return all.Config{}, "", usageErrorf("the source is no URL: escape a %% in it as %%25, a space as %%20")
	case u.RawQuery != "" || u.ForceQuery || u.User != nil:
		return all.Config{}, "", usageErrorf("the source must have no query and no password; use --credentials-dir")
	case u.Fragment != "" || strings.Contains(o.source, "#"):
		return all.Config{}, "", usageErrorf("the source has a #, which no server is told; escape it as %%23 if it is part of the name")
	case u.Host == "":
		return all.Config{}, "", usageErrorf("the source names no host")
	}
	c := &http.Config{URL: u.Scheme + "://" + u.Host, Credentials: o.credentialsMount(), CAFile: o.caFile, CAName: o.caFile, Proxy: o.proxy}
	return all.Config{HTTP: c}, u.Path, nil
}

// openS3 takes bucket/key.
func (o *options) openS3(rest string) (all.Config, string, error) {
	bucket, key, _ := strings.Cut(rest, "/")
	switch {
	case bucket == "":
		return all.Config{}, "", usageErrorf("the source %q names no bucket", o.source)
	case strings.Contains(bucket, "@") || strings.Contains(bucket, ":"):
		return all.Config{}, "", usageErrorf("the bucket has a user or a port; keys go into --credentials-dir, and where the service " +
			"answers into --endpoint")
	case strings.HasPrefix(key, "/"):
		key = "/" + key // the driver takes one slash for the root
	}
	c := &s3.Config{Endpoint: o.endpoint, Bucket: bucket, Region: o.region, PathStyle: o.pathStyle,
		Credentials: o.credentialsMount(), CAFile: o.caFile, CAName: o.caFile, Proxy: o.proxy}
	if access := os.Getenv("AWS_ACCESS_KEY_ID"); access != "" && c.Credentials == nil {
		c.Keys = &s3.Keys{AccessKey: access, SecretKey: source.Secret(os.Getenv("AWS_SECRET_ACCESS_KEY")),
			SessionToken: source.Secret(os.Getenv("AWS_SESSION_TOKEN"))}
	}
	return all.Config{S3: c}, key, nil
}

// openHDFS takes host:port[,host:port]/path.
func (o *options) openHDFS(rest string) (all.Config, string, error) {
	hosts, path, _ := strings.Cut(rest, "/")
	if hosts == "" {
		return all.Config{}, "", usageErrorf("the source %q names no namenode", o.source)
	}
	c := &hdfs.Config{Addresses: strings.Split(hosts, ","), DataTransferProtection: o.hdfs.protection}
	switch {
	case o.hdfs.principal == "" && o.hdfs.keytab == "":
		if c.UserName = o.hdfs.user; c.UserName == "" {
			who, err := user.Current()
			if err != nil {
				return all.Config{}, "", usageErrorf("--user is missing: %w", err)
			}
			c.UserName = who.Username
		}
	case o.hdfs.principal == "" || o.hdfs.keytab == "":
		return all.Config{}, "", usageErrorf("--kerberos-principal and --keytab go together")
	default:
		c.Kerberos = &hdfs.Kerberos{Principal: o.hdfs.principal, ServicePrincipalName: o.hdfs.service,
			Keytab: hdfsFile(o.hdfs.keytab), Krb5Conf: hdfsFile(o.hdfs.krb5Conf)}
	}
	return all.Config{HDFS: c}, "/" + path, nil
}

func hdfsFile(path string) hdfs.File {
	dir, name := filepath.Split(path)
	return hdfs.File{Mount: source.Mount{Dir: filepath.Clean(dir), Name: fmt.Sprintf("the directory %q", dir)}, Key: name}
}

// openOCI takes registry/repository:tag[//path], of a registry with TLS (oci)
// or without (oci+http).
func (o *options) openOCI(scheme, rest string) (all.Config, string, error) {
	registry, reference, _ := strings.Cut(rest, "/")
	if registry == "" || reference == "" {
		return all.Config{}, "", usageErrorf("the source %q is not oci://registry/repository:tag", o.source)
	}
	if scheme == "oci+http" {
		registry = "http://" + registry
	}
	return all.Config{OCI: &oci.Config{Registry: registry, Credentials: o.credentialsMount(), CAFile: o.caFile, CAName: o.caFile,
		Proxy: o.proxy, Platform: o.platform}}, reference, nil
}

func (o *options) credentialsMount() *source.Mount {
	if o.credentialsDir == "" {
		return nil
	}
	return &source.Mount{Dir: o.credentialsDir, Name: fmt.Sprintf("the directory %q", o.credentialsDir)}
}
