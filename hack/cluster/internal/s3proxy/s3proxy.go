// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package s3proxy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kuda-io/kuda/hack/cluster/internal/bucket"
	"github.com/kuda-io/kuda/hack/cluster/internal/build"
	"github.com/kuda-io/kuda/hack/cluster/internal/storage"
)

// Run is a storage.Run. Its settings are accessKey, secretKey and bucket.
func Run(ctx context.Context, o storage.Options, ready func(any) error) error {
	address, err := o.FreeAddress()
	if err != nil {
		return fmt.Errorf("starting S3Proxy: %w", err)
	}
	e, err := bucket.Parse(o.Settings, address)
	if err != nil {
		return err
	}
	cache, err := build.OpenCache()
	if err != nil {
		return err
	}
	jars, err := build.MavenJars(cache, "s3proxy")
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(filepath.Join(o.Dir, "s3proxy"))
	if err != nil {
		return err
	}
	if err := writeConfiguration(dir, e); err != nil {
		return fmt.Errorf("preparing S3Proxy: %w", err)
	}
	return bucket.Serve(ctx, o, e, ready, func(_ context.Context, p *storage.Processes, _ *bucket.Endpoints) error {
		return p.Start("s3proxy", serverCommand(jars, dir))
	})
}

func serverCommand(jars, dir string) *exec.Cmd {
	cmd := exec.Command("java", "-Xmx512m", "-Duser.home="+dir, "-Dlogback.configurationFile="+loggingFile(dir),
		"-cp", filepath.Join(jars, "*"), "org.gaul.s3proxy.Main", "--properties", propertiesFile(dir))
	// Java takes the encoding of file names from the locale. Where there is none, keys
	// that are not ASCII would be left out of listings.
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	return cmd
}

func propertiesFile(dir string) string { return filepath.Join(dir, "s3proxy.properties") }
func loggingFile(dir string) string    { return filepath.Join(dir, "logback.xml") }

// quiet is how S3Proxy logs: without it, each byte of a header.
const quiet = `<configuration>
  <appender name="out" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d %-5level %logger{20}: %msg%n</pattern></encoder>
  </appender>
  <root level="warn"><appender-ref ref="out"/></root>
</configuration>
`

// writeConfiguration makes the directories and files that the program starts from.
func writeConfiguration(dir string, e bucket.Endpoints) error {
	data := filepath.Join(dir, "data")
	var text strings.Builder
	p := map[string]string{
		"s3proxy.endpoint":           e.Endpoint,
		"s3proxy.authorization":      "aws-v2-or-v4",
		"s3proxy.identity":           e.AccessKey,
		"s3proxy.credential":         e.SecretKey,
		"jclouds.provider":           "filesystem-nio2",
		"jclouds.identity":           e.AccessKey,
		"jclouds.credential":         e.SecretKey,
		"jclouds.filesystem.basedir": data,
	}
	escape := strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`)
	for _, name := range slices.Sorted(maps.Keys(p)) {
		fmt.Fprintf(&text, "%s=%s\n", name, escape.Replace(p[name]))
	}
	return errors.Join(
		os.MkdirAll(data, 0o755),
		os.WriteFile(propertiesFile(dir), []byte(text.String()), 0o600),
		os.WriteFile(loggingFile(dir), []byte(quiet), 0o644),
	)
}
