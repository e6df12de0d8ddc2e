// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package fetchcmd

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/delivery/transfer"
	"github.com/kuda-io/kuda/internal/source/all"
	"github.com/kuda-io/kuda/internal/source/limit"
)

const long = `Fetch delivers one file or directory tree into <dir>, once, without Kubernetes.

<source> is one of
  s3://bucket/key                an object, or else everything below key/
  s3://bucket/prefix/            everything below the prefix
  hdfs://host:port/path          a file, or all files below a directory; several
                                 namenodes of one HDFS are host:port,host:port
  oci://registry/repository:tag  an artifact's or image's files; //path after it
                                 for a part of them; oci+http:// without TLS
  http(s)://host/path            a file
  http(s)://host/path/           the files that SHA256SUMS in it lists, checked

<dir> appears as a whole once every byte is on the disk and verified; a single
file is put into it under its own name. When <dir> exists and was made by fetch,
it is replaced in one step; anything else of that name is left alone and is an
error. A fetch that was cut off goes on where it was when it is run again, and
files that did not change since the last one are not downloaded again.

Credentials of S3 come from --credentials-dir (files accessKey, secretKey and
perhaps sessionToken) or from the variables AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; those of HTTP from
--credentials-dir only (file token, or files username and password), as do those
of a registry (file .dockerconfigjson, or files username and password). Without
any, requests are anonymous.

Exit codes: 0 delivered, 1 another failure, 2 wrong usage or settings, 3 not
found, 4 access denied or credentials missing, 5 source unreachable or failing
(run it again), 6 digest mismatch, 7 no room, 8 a name that cannot be a file.`

const example = `  # an object of a MinIO server, with the progress shown
  kuda-runtime fetch s3://models/bert/v3/ /data/bert --endpoint http://minio:9000 --path-style --progress

  # a directory of a highly available HDFS
  kuda-runtime fetch hdfs://nn1:8020,nn2:8020/dictionaries /data/dictionaries --user reader

  # one file over HTTPS whose bytes must be these
  kuda-runtime fetch https://example.org/words.txt /data/words --digest sha256:…`

// New returns the command "fetch". It carries the exit code of a failure in its
// error, for ExitCode.
func New() *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:           "fetch <source> <dir>",
		Short:         "Deliver one file or tree into a directory, without Kubernetes",
		Long:          long,
		Example:       example,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usageErrorf("fetch takes a source and a directory; see fetch --help")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			o.source, o.dir = args[0], args[1]
			return o.run(ctx, cmd)
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageErrorf("%w", err) })
	o.addFlags(cmd.Flags())
	return cmd
}

// run does one delivery and publishes it.
func (o *options) run(ctx context.Context, cmd *cobra.Command) error {
	// What is delivered is for others too.
	unix.Umask(0o022)
	config, path, err := o.sourceConfig()
	if err != nil {
		return err
	}
	target, err := newTarget(o.dir, o.store)
	if err != nil {
		return err
	}
	target.say = func(text string) { fmt.Fprintln(cmd.ErrOrStderr(), "note: "+text) }
	src, err := all.Open(ctx, config)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	lock, err := target.lockDirectory()
	if err != nil {
		return err
	}
	defer lock.Close()
	s, err := store.Open(target.storeOptions())
	if err != nil {
		return err
	}
	from, err := src.Provenance(ctx)
	if err != nil {
		return err
	}
	principal, err := s.Principal(from.Principal.Reveal())
	if err != nil {
		return err
	}
	key := snapshot.Key{Source: src.Identity(), Way: from.Way, Principal: principal, Path: path, Digest: o.digest,
		Include: o.include, Exclude: o.exclude}
	bar := &progress{out: cmd.ErrOrStderr(), on: o.progress}
	limits := limit.NewGroup(limit.Options{Default: limit.Limits{BytesPerSecond: o.rate.Bytes}})
	engine := transfer.New(transfer.Options{Store: s, Connections: o.connections, Limits: limits})
	request := transfer.NewRequest(src, key, bar.printProgress)
	request.Note = target.say
	var staging string
	request.Flushing = func(dir string, m *snapshot.Manifest) {
		// A failure comes again where it is tried again, after the delivery.
		staging, _ = target.buildTree(dir, m, path)
	}
	lease, err := deliverSnapshot(ctx, s, engine, request)
	bar.endLine()
	if err != nil {
		if staging != "" {
			_ = os.RemoveAll(staging) // the next fetch would
		}
		return err
	}
	defer func() { _ = lease.Close() }()
	return o.publishSnapshot(cmd, target, s, lease, staging, path)
}

// publishSnapshot puts a delivered snapshot at its place. What older fetches left is
// deleted meanwhile: nothing needs it once the snapshot is complete.
func (o *options) publishSnapshot(cmd *cobra.Command, t *target, s *store.Store, lease *store.Lease, staging, path string) (err error) {
	m := lease.Contents()
	if staging == "" {
		if staging, err = t.buildTree(lease.Dir(), m, path); err != nil {
			return fmt.Errorf("publishing %s: %w", o.dir, err)
		}
	}
	tidied := make(chan error, 1)
	go func() { tidied <- t.deleteOldSnapshots(s, lease.ID()) }()
	err = t.publishTree(staging)
	_ = os.RemoveAll(staging) // the tree that was at dir; the next fetch would
	tidyErr := <-tidied
	if err != nil {
		return fmt.Errorf("publishing %s: %w", o.dir, err)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s  %d files  %d bytes  %s\n", m.Digest, m.Packed.Len(), m.Bytes, o.dir)
	return tidyErr
}
