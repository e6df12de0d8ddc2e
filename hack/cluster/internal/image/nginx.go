// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kuda-io/kuda/hack/cluster/internal/process"
)

const nginxSite = `server {
    listen       80;
    server_name  localhost;
    location / {
        root   /usr/share/nginx/html;
        index  index.html index.htm;
    }
}
`

// rootfsFlags make a Debian root filesystem that has what a person expects of
// an nginx image, and no more.
var rootfsFlags = []string{
	"--variant=minbase",
	"--include=nginx-light,bash,curl",
	"--dpkgopt=path-exclude=/usr/share/doc/*",
	"--dpkgopt=path-exclude=/usr/share/man/*",
	"--dpkgopt=path-exclude=/usr/share/info/*",
	"--dpkgopt=path-exclude=/usr/share/locale/*",
	`--aptopt=Acquire::Languages "none"`,
	`--aptopt=Apt::Install-Recommends "false"`,
}

// NginxKey names the root filesystem NginxRootfs would make here.
func NginxKey() (string, error) {
	release, err := debianRelease()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(strings.Join(rootfsFlags, "\n") + "\n2"))
	return "nginx-rootfs-" + release + "-" + hex.EncodeToString(sum[:])[:12], nil
}

func debianRelease() (string, error) {
	body, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "", fmt.Errorf("finding the Debian release: %w", err)
	}
	for _, line := range strings.Split(string(body), "\n") {
		if v, ok := strings.CutPrefix(line, "VERSION_CODENAME="); ok {
			return strings.Trim(v, `"`), nil
		}
	}
	return "", errors.New("finding the Debian release: /etc/os-release names none; the nginx image is made of Debian packages and " +
		"needs a Debian machine")
}

// NginxRootfs writes the root filesystem to the archive at path. Packages come
// from where the machine's own apt takes them.
func NginxRootfs(ctx context.Context, path string) error {
	release, err := debianRelease()
	if err != nil {
		return err
	}
	sources, err := aptSources()
	if err != nil {
		return err
	}
	out, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("making the root filesystem: %w", err)
	}
	defer out.Close()
	args := append([]string{"--quiet", "--format=tar"}, rootfsFlags...)
	cmd := process.Helper(ctx, "mmdebstrap", append(append(args, release, "-"), sources...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("making the root filesystem: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("making the root filesystem: %w", err)
	}
	cleanErr := clean(stdout, out)
	if cleanErr != nil {
		// Else mmdebstrap would wait for ever to be read.
		io.Copy(io.Discard, stdout) //nolint:errcheck // the first error is the one to tell
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("making the root filesystem: mmdebstrap: %w: %s", err, tail(stderr.String(), 5))
	}
	if cleanErr != nil {
		return fmt.Errorf("making the root filesystem: %w", cleanErr)
	}
	return out.Close()
}

// aptSources are the machine's own lists; naming them keeps mirrors and proxies
// the user has set up.
func aptSources() ([]string, error) {
	var sources []string
	for _, pattern := range []string{"/etc/apt/sources.list", "/etc/apt/sources.list.d/*.sources", "/etc/apt/sources.list.d/*.list"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		for _, path := range found {
			// Only the distribution's: those of other vendors need keys that a new
			// root filesystem does not have.
			body, err := os.ReadFile(path)
			if err == nil && strings.Contains(strings.ToLower(string(body)), "debian") {
				sources = append(sources, path)
			}
		}
	}
	if len(sources) == 0 {
		return nil, errors.New("no Debian package sources were found in /etc/apt: the nginx image is made of Debian packages")
	}
	return sources, nil
}

// unwanted are parts of a root filesystem that a container gets from elsewhere
// or has no use for.
var unwanted = []string{"dev/", "proc/", "sys/", "run/", "var/lib/apt/lists/", "var/cache/", "var/log/", "etc/nginx/sites-enabled/default",
	"etc/resolv.conf", "etc/hostname"}

// clean copies an archive without what is unwanted and without times.
func clean(in io.Reader, out io.Writer) error {
	buffered := bufio.NewWriterSize(out, 1<<20)
	r, w := tar.NewReader(bufio.NewReaderSize(in, 1<<20)), tar.NewWriter(buffered)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		h.Name = strings.TrimPrefix(h.Name, "./")
		if h.Name == "" || skipped(h.Name) {
			continue
		}
		h.ModTime, h.AccessTime, h.ChangeTime = epoch, time.Time{}, time.Time{}
		h.Format = tar.FormatUnknown
		h.Uname, h.Gname = "", ""
		if h.Typeflag == tar.TypeLink {
			h.Linkname = strings.TrimPrefix(h.Linkname, "./")
		}
		if err := w.WriteHeader(h); err != nil {
			return fmt.Errorf("copying %s: %w", h.Name, err)
		}
		if _, err := io.Copy(w, r); err != nil {
			return fmt.Errorf("copying %s: %w", h.Name, err)
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return buffered.Flush()
}

// skipped reports whether a name is left out: what is in unwanted directories, not the
// directories themselves.
func skipped(name string) bool {
	for _, u := range unwanted {
		directory := strings.HasSuffix(u, "/")
		if (!directory && name == u) || (directory && strings.HasPrefix(name, u) && name != u) {
			return true
		}
	}
	return false
}

// Nginx makes an image of the root filesystem at rootfs that is laid out like
// the usual nginx image: site in conf.d, content in /usr/share/nginx/html, logs
// on standard output.
func Nginx(rootfs string) (v1.Image, error) {
	base, err := newLayer(func(p *packer) error { return p.archive(rootfs) })
	if err != nil {
		return nil, err
	}
	setup, err := newLayer(func(p *packer) error {
		if err := p.body("/etc/nginx/conf.d/default.conf", nginxSite); err != nil {
			return err
		}
		if err := p.link("/var/log/nginx/access.log", "/dev/stdout"); err != nil {
			return err
		}
		return p.link("/var/log/nginx/error.log", "/dev/stderr")
	})
	if err != nil {
		return nil, err
	}
	return fromLayers(Options{
		Cmd:        []string{"nginx", "-g", "daemon off;"},
		StopSignal: "SIGQUIT",
		Labels:     map[string]string{"io.kuda.note": "stand-in for the nginx image, made of Debian packages"},
	}, base, setup)
}

// archive packs the entries of an archive.
func (p *packer) archive(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r := tar.NewReader(bufio.NewReaderSize(f, 1<<20))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := p.tar.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.Copy(p.tar, r); err != nil {
			return err
		}
	}
}

// NginxVersion returns the version of the nginx in a root filesystem.
func NginxVersion(rootfs string) (string, error) {
	f, err := os.Open(rootfs)
	if err != nil {
		return "", err
	}
	defer f.Close()
	r := tar.NewReader(bufio.NewReaderSize(f, 1<<20))
	for {
		h, err := r.Next()
		if err != nil {
			return "", fmt.Errorf("reading %s: %w", rootfs, err)
		}
		if h.Name != "var/lib/dpkg/status" {
			continue
		}
		scan := bufio.NewScanner(r)
		found := false
		for scan.Scan() {
			line := scan.Text()
			switch {
			case strings.HasPrefix(line, "Package: "):
				found = line == "Package: nginx-light"
			case found && strings.HasPrefix(line, "Version: "):
				return strings.TrimPrefix(line, "Version: "), nil
			}
		}
		return "", fmt.Errorf("reading %s: no nginx-light in it", rootfs)
	}
}

func tail(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
