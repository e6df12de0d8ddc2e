// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package fetchcmd

import (
	"os"

	"github.com/spf13/pflag"

	"github.com/kuda-io/kuda/internal/delivery/store"
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
	rate           store.Amount
	progress       bool
	hdfs           hdfsOptions
	platform       string
}

// hdfsOptions are those of HDFS.
type hdfsOptions struct {
	user, principal, keytab, krb5Conf, service, protection string
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
	f.Var(&o.rate, "rate", "bytes per second that are read at most, such as 100Mi; 0: no limit")
	f.StringVar(&o.hdfs.user, "user", os.Getenv("HADOOP_USER_NAME"),
		"HDFS: who reads, where the cluster asks for no proof; without it who runs this")
	f.StringVar(&o.hdfs.principal, "kerberos-principal", "", "HDFS: user@REALM; needs --keytab")
	f.StringVar(&o.hdfs.keytab, "keytab", "", "HDFS: file with the principal's keys")
	f.StringVar(&o.hdfs.krb5Conf, "krb5-conf", "/etc/krb5.conf", "HDFS: file that names the realm's servers")
	f.StringVar(&o.hdfs.service, "service-principal", "nn/_HOST", "HDFS: the namenodes' principal; _HOST stands for a namenode's host")
	f.StringVar(&o.hdfs.protection, "protection", "", "HDFS: the least protection of transfers: authentication, integrity or privacy")
	f.StringVar(&o.platform, "platform", "", "OCI: which image of an index, os/architecture; without it this machine's")
	f.BoolVar(&o.progress, "progress", false, "show the progress on standard error")
}
