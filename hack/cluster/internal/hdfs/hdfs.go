// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package hdfs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kuda-io/kuda/hack/cluster/internal/build"
	"github.com/kuda-io/kuda/hack/cluster/internal/poll"
	"github.com/kuda-io/kuda/hack/cluster/internal/storage"
)

// startLimit is how long Java, and the storing of the content, may take.
const startLimit = 10 * time.Minute

// The users that exist. The first one owns everything that is stored.
const (
	user     = "kuda"
	stranger = "stranger"
)

// Endpoints are what clients and tests need to know.
type Endpoints struct {
	// Addresses of the namenodes, host:port.
	Addresses []string `json:"addresses"`
	// User owns "/" and all below it. Stranger is another user.
	User     string `json:"user"`
	Stranger string `json:"stranger"`
	// Datanodes with the directories of their blocks.
	Datanodes []Datanode `json:"datanodes"`
	// Control takes POST /failover, /datanode/stop?N, /datanode/start?N,
	// /safemode?on and /safemode?off.
	Control string `json:"control"`
	// Files changes what is stored; see the type files.
	Files string `json:"files"`
	// Kerberos is nil without it.
	Kerberos *Kerberos `json:"kerberos,omitempty"`
}

// Datanode is one of the datanodes.
type Datanode struct {
	Address string `json:"address"`
	Dir     string `json:"dir"`
}

// Kerberos is how to authenticate.
type Kerberos struct {
	// Krb5Conf is the path of the client's configuration.
	Krb5Conf string `json:"krb5Conf"`
	// Principal is the user's, Keytab the path of its keys.
	Principal string `json:"principal"`
	Keytab    string `json:"keytab"`
	// StrangerPrincipal and StrangerKeytab are the stranger's.
	StrangerPrincipal string `json:"strangerPrincipal"`
	StrangerKeytab    string `json:"strangerKeytab"`
	// ServicePrincipal is the namenodes'.
	ServicePrincipal string `json:"servicePrincipal"`
	// Protection of data transfers.
	Protection string `json:"protection"`
}

// Run runs the servers; see storage.Run.
func Run(ctx context.Context, o storage.Options, ready func(any) error) error {
	s, err := parseSettings(o.Settings)
	if err != nil {
		return err
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return err
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return err
	}
	cache, err := build.OpenCache()
	if err != nil {
		return err
	}
	jars, err := build.MavenJars(cache, "hdfs")
	if err != nil {
		return err
	}
	return storage.Serve(ctx, o.Dir, func(ctx context.Context, processes *storage.Processes) error {
		endpoints, err := start(ctx, processes, o, s, jars)
		if err != nil {
			return err
		}
		return ready(endpoints)
	})
}

// start starts the servers and returns when they are ready.
func start(ctx context.Context, processes *storage.Processes, o storage.Options, s settings, jars string) (*Endpoints, error) {
	var kerberos *Kerberos
	if s.kerberos {
		var err error
		if kerberos, err = startKDC(ctx, o, s, processes); err != nil {
			return nil, fmt.Errorf("starting the key distribution centre: %w", err)
		}
	}
	if err := writeProperties(o, s); err != nil {
		return nil, err
	}
	if err := processes.Start("hdfs", java(jars, o.Dir, kerberos)); err != nil {
		return nil, err
	}
	endpoints, err := await(ctx, o.Dir)
	if err != nil {
		return nil, fmt.Errorf("starting HDFS: %w", err)
	}
	endpoints.User, endpoints.Stranger, endpoints.Kerberos = user, stranger, kerberos
	if endpoints.Files, err = serveFiles(ctx, endpoints); err != nil {
		return nil, err
	}
	return endpoints, nil
}

func java(jars, dir string, kerberos *Kerberos) *exec.Cmd {
	args := []string{
		"-Xmx1g", "-XX:+UseParallelGC",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
		// It would look for its signature secret in the home directory.
		"-Duser.home=" + dir,
		"-cp", filepath.Join(jars, "*"),
	}
	if kerberos != nil {
		args = append(args, "-Djava.security.krb5.conf="+kerberos.Krb5Conf)
	}
	return exec.Command("java", append(args, "io.kuda.hdfs.Server", dir)...)
}

// await returns what the servers tell of themselves once they are ready.
func await(ctx context.Context, dir string) (*Endpoints, error) {
	var endpoints Endpoints
	err := poll.Until(ctx, startLimit, func(context.Context) error {
		body, err := os.ReadFile(filepath.Join(dir, "ready.json"))
		if errors.Is(err, fs.ErrNotExist) {
			return errors.New("the servers are not ready; see hdfs.log")
		}
		if err != nil {
			return poll.Fatal{Err: err}
		}
		return json.Unmarshal(body, &endpoints)
	})
	return &endpoints, err
}

// writeProperties writes what the Java class reads.
func writeProperties(o storage.Options, s settings) error {
	p := map[string]string{
		"address": o.Address, "user": user, "datanodes": strconv.Itoa(s.datanodes), "ha": strconv.FormatBool(s.ha),
		"conf.dfs.blocksize":                                        strconv.FormatInt(s.blockSize, 10),
		"conf.dfs.replication":                                      strconv.Itoa(min(s.replication, s.datanodes)),
		"conf.dfs.namenode.fs-limits.min-block-size":                "4096",
		"conf.dfs.namenode.safemode.extension":                      "0",
		"conf.dfs.ha.tail-edits.period":                             "1s",
		"conf.dfs.permissions.superusergroup":                       "supergroup",
		"conf.dfs.client.use.datanode.hostname":                     "false",
		"conf.dfs.namenode.datanode.registration.ip-hostname-check": "false",
		// Files of a test are small; the reserve of a real disk would refuse them.
		"conf.dfs.datanode.du.reserved": "0",
		"conf.dfs.heartbeat.interval":   "1s",
		"conf.hadoop.tmp.dir":           filepath.Join(o.Dir, "tmp"),
	}
	if o.Content != "" {
		content, err := filepath.Abs(o.Content)
		if err != nil {
			return err
		}
		p["content"] = content
	}
	if s.kerberos {
		maps.Copy(p, secure(o, s))
	}
	var b strings.Builder
	escape := strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`)
	for _, name := range slices.Sorted(maps.Keys(p)) {
		fmt.Fprintf(&b, "%s=%s\n", name, escape.Replace(p[name]))
	}
	return os.WriteFile(filepath.Join(o.Dir, "server.properties"), []byte(b.String()), 0o644)
}
