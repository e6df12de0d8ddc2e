// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package alluxio

import (
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/kuda-io/kuda/hack/cluster/internal/storage"
)

// cluster is what is to run.
type cluster struct {
	settings settings
	address  string
	dir      string
	servers  []server
}

// server is one process.
type server struct {
	name, class string
	// rpc and web are where it listens, host:port; the proxy has no rpc.
	rpc, web string
	// own are properties that the other servers do not have.
	own map[string]string
}

// newCluster chooses the ports.
func newCluster(s settings, dir, address string) (*cluster, error) {
	c := &cluster{settings: s, address: address, dir: dir}
	c.addServer("master", "alluxio.master.AlluxioMaster")
	for i := range s.workers {
		c.addServer(fmt.Sprintf("worker%d", i), "alluxio.worker.AlluxioWorker")
	}
	if s.proxy {
		c.addServer("proxy", "alluxio.proxy.AlluxioProxy")
	}
	free := storage.Options{Address: address}
	used := map[string]bool{}
	for i := range c.servers {
		for _, field := range []*string{&c.servers[i].rpc, &c.servers[i].web} {
			for *field == "" || used[*field] {
				at, err := free.FreeAddress()
				if err != nil {
					return nil, err
				}
				*field = at
			}
			used[*field] = true
		}
	}
	for i := range c.servers {
		c.servers[i].own = c.ownProperties(c.servers[i])
	}
	return c, nil
}

func (c *cluster) addServer(name, class string) {
	c.servers = append(c.servers, server{name: name, class: class})
}

func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address) // FreeAddress made it
	return port
}

// cacheDir is where a worker keeps blocks.
func (c *cluster) cacheDir(name string) string { return filepath.Join(c.dir, name+"-cache") }

// root is the directory that is cached where no other storage is.
func (c *cluster) root() string { return filepath.Join(c.dir, "root") }

func (c *cluster) ownProperties(s server) map[string]string {
	if !strings.HasPrefix(s.name, "worker") {
		return nil
	}
	return map[string]string{
		"alluxio.worker.rpc.port":                           portOf(s.rpc),
		"alluxio.worker.web.port":                           portOf(s.web),
		"alluxio.worker.tieredstore.levels":                 "1",
		"alluxio.worker.tieredstore.level0.alias":           "SSD",
		"alluxio.worker.tieredstore.level0.dirs.path":       c.cacheDir(s.name),
		"alluxio.worker.tieredstore.level0.dirs.quota":      strconv.FormatInt(c.settings.cacheSize, 10),
		"alluxio.worker.tieredstore.level0.dirs.mediumtype": "SSD",
	}
}

// buildProperties returns those of all servers.
func (c *cluster) buildProperties() map[string]string {
	p := map[string]string{
		"alluxio.home":        c.dir,
		"alluxio.work.dir":    c.dir,
		"alluxio.conf.dir":    filepath.Join(c.dir, "conf"),
		"alluxio.logs.dir":    filepath.Join(c.dir, "logs"),
		"alluxio.logger.type": "CONSOLE",

		"alluxio.master.journal.type":   "UFS",
		"alluxio.master.journal.folder": filepath.Join(c.dir, "journal"),
		"alluxio.master.metastore":      "HEAP",
		"alluxio.master.safemode.wait":  "0",
		// They would call out.
		"alluxio.master.update.check.enabled":  "false",
		"com.amazonaws.sdk.disableEc2Metadata": "true",

		"alluxio.security.authentication.type":              c.settings.auth,
		"alluxio.security.authorization.permission.enabled": "false",
		"alluxio.user.block.size.bytes.default":             strconv.FormatInt(c.settings.blockSize, 10),
		"alluxio.user.file.metadata.sync.interval":          strconv.FormatInt(c.settings.sync, 10),
		"alluxio.user.short.circuit.enabled":                "false",
		"alluxio.user.metrics.collection.enabled":           "false",
		"alluxio.user.update.file.accesstime.disabled":      "true",
		"alluxio.master.mount.table.root.ufs":               c.root(),
		"alluxio.master.mount.table.root.readonly":          "false",
		"alluxio.underfs.s3.disable.dns.buckets":            "true",
		"alluxio.underfs.s3.inherit.acl":                    "false",
	}
	if c.settings.ufs != "" {
		p["alluxio.master.mount.table.root.ufs"] = c.settings.ufs
	}
	if c.settings.endpoint != "" {
		p["alluxio.underfs.s3.endpoint"] = c.settings.endpoint
		p["s3a.accessKeyId"], p["s3a.secretKey"] = c.settings.accessKey, c.settings.secretKey
		p["aws.accessKeyId"], p["aws.secretKey"] = c.settings.accessKey, c.settings.secretKey
	}
	for _, part := range []string{"master", "worker", "proxy", "user"} {
		p["alluxio."+part+".hostname"] = c.address
		p["alluxio."+part+".bind.host"] = c.address
		p["alluxio."+part+".web.bind.host"] = c.address
	}
	master := c.servers[0]
	p["alluxio.master.rpc.port"], p["alluxio.master.web.port"] = portOf(master.rpc), portOf(master.web)
	for _, s := range c.servers {
		if s.name == "proxy" {
			p["alluxio.proxy.web.port"] = portOf(s.web)
		}
	}
	return p
}

// buildArguments returns those of java for a class, with its own ones after it, and the
// properties of a server.
func (c *cluster) buildArguments(jars, class string, own map[string]string) []string {
	args := []string{
		// Little memory, and a start of seconds: what is compiled well pays only for
		// servers that run for long.
		"-Xmx512m", "-XX:MaxDirectMemorySize=512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Duser.home=" + c.dir,
	}
	p := c.buildProperties()
	maps.Copy(p, own)
	for _, name := range slices.Sorted(maps.Keys(p)) {
		args = append(args, "-D"+name+"="+p[name])
	}
	args = append(args, "-cp", filepath.Join(c.dir, "conf")+":"+filepath.Join(jars, "*"))
	return append(args, strings.Fields(class)...)
}

// javaEnvironment has the locale, from which Java takes the encoding of file names.
func javaEnvironment() []string { return append(os.Environ(), "LC_ALL=C.UTF-8") }

// logging sends what the servers have to say to their logs.
const logging = `log4j.rootLogger=WARN, C
log4j.appender.C=org.apache.log4j.ConsoleAppender
log4j.appender.C.layout=org.apache.log4j.PatternLayout
log4j.appender.C.layout.ConversionPattern=%d{ISO8601} %p %c{1} %m%n
`

// prepare makes the directories and files that the servers start from.
func (c *cluster) prepare() error {
	dirs := []string{c.root(), filepath.Join(c.dir, "conf"), filepath.Join(c.dir, "logs")}
	for _, s := range c.servers {
		if dir := s.own["alluxio.worker.tieredstore.level0.dirs.path"]; dir != "" {
			dirs = append(dirs, dir)
		}
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(c.dir, "conf", "log4j.properties"), []byte(logging), 0o644)
}
