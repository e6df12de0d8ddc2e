// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package hdfs

import (
	"io"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/kuda-io/kuda/internal/source/hdfs/hdfstest"
)

// The benchmarks read one large file of blocks of 128 MiB, as the delivery engine
// does: in ranges, several at once. They report processor seconds for each GiB.

const (
	benchBytes = 512 << 20
	rangeBytes = 16 << 20
	readBytes  = 1 << 20
)

func benchmark(b *testing.B, run func(b *testing.B)) {
	var before, after syscall.Rusage
	b.SetBytes(benchBytes)
	b.ResetTimer()
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	run(b)
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	user, system := seconds(after.Utime)-seconds(before.Utime), seconds(after.Stime)-seconds(before.Stime)
	gib := float64(benchBytes) * float64(b.N) / (1 << 30)
	b.ReportMetric(user/gib, "user-s/GiB")
	b.ReportMetric(system/gib, "sys-s/GiB")
}

func seconds(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }

func benchFile(b *testing.B, settings ...string) *hdfstest.Server {
	b.Helper()
	server := hdfstest.Shared(b, settings...)
	if server.Size("bench/file") != benchBytes {
		server.PutReplicated(b, "bench/file", random(benchBytes), 1)
	}
	return server
}

func BenchmarkKuda(b *testing.B)        { benchKuda(b, benchFile(b, "replication=2")) }
func BenchmarkKudaPrivacy(b *testing.B) { benchKuda(b, benchFile(b, secure...)) }

var secure = []string{"replication=2", "kerberos=true", "protection=privacy", "rpc-protection=privacy"}

func benchKuda(b *testing.B, server *hdfstest.Server) {
	s := open(b, ownersConfig(server))
	e := one(b, s, "bench/file")
	buffers := make([][]byte, 8)
	for i := range buffers {
		buffers[i] = make([]byte, readBytes)
	}
	benchmark(b, func(b *testing.B) {
		for range b.N {
			var next atomic.Int64
			failed := make(chan error)
			for _, buffer := range buffers {
				go func() {
					for {
						offset := (next.Add(1) - 1) * rangeBytes
						if offset >= e.Size {
							failed <- nil
							return
						}
						body, err := s.Open(b.Context(), e, offset, min(rangeBytes, e.Size-offset))
						for err == nil {
							_, err = io.ReadFull(body, buffer)
						}
						if err != io.EOF { //nolint:errorlint // io.ReadFull returns it as it is
							failed <- err
							return
						}
						body.Close()
					}
				}()
			}
			for range buffers {
				if err := <-failed; err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
