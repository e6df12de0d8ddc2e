// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package hdfs

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/kuda-io/kuda/hack/cluster/internal/poll"
	"github.com/kuda-io/kuda/hack/cluster/internal/process"
	"github.com/kuda-io/kuda/hack/cluster/internal/storage"
)

const realm = "KUDA.TEST"

// service is the principal of all servers: they share a process, and so a login.
func service(address string) string { return "nn/" + address }

// startKDC makes a realm below o.Dir/kdc and starts its server.
func startKDC(ctx context.Context, o storage.Options, s settings, processes *storage.Processes) (*Kerberos, error) {
	dir := filepath.Join(o.Dir, "kdc")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	at, err := o.FreeAddress()
	if err != nil {
		return nil, err
	}
	k := &Kerberos{
		Krb5Conf:  filepath.Join(dir, "krb5.conf"),
		Principal: user + "@" + realm, Keytab: filepath.Join(dir, user+".keytab"),
		StrangerPrincipal: stranger + "@" + realm, StrangerKeytab: filepath.Join(dir, stranger+".keytab"),
		ServicePrincipal: "nn/_HOST", Protection: s.protection,
	}
	kdcConf := filepath.Join(dir, "kdc.conf")
	if err := writeRealm(k.Krb5Conf, kdcConf, at, dir); err != nil {
		return nil, err
	}
	env := append(os.Environ(), "KRB5_CONFIG="+k.Krb5Conf, "KRB5_KDC_PROFILE="+kdcConf)
	run := func(input, name string, args ...string) error {
		cmd := process.Helper(ctx, sbin(name), args...)
		cmd.Env, cmd.Stdin = env, strings.NewReader(input)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", name, err, out)
		}
		return nil
	}
	if err := run("", "kdb5_util", "-r", realm, "create", "-s", "-P", "of no use"); err != nil {
		return nil, err
	}
	var commands strings.Builder
	for principal, keytab := range map[string]string{
		user: k.Keytab, stranger: k.StrangerKeytab,
		service(o.Address): serviceKeytab(o), "HTTP/" + o.Address: serviceKeytab(o),
	} {
		fmt.Fprintf(&commands, "addprinc -randkey %[1]s\nktadd -k %[2]s %[1]s\n", principal, keytab)
	}
	if err := run(commands.String(), "kadmin.local", "-r", realm); err != nil {
		return nil, err
	}
	cmd := exec.Command(sbin("krb5kdc"), "-n", "-r", realm)
	cmd.Env = env
	if err := processes.Start("krb5kdc", cmd); err != nil {
		return nil, err
	}
	return k, poll.Until(ctx, 30*time.Second, func(ctx context.Context) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", at)
		if err == nil {
			conn.Close()
		}
		return err
	})
}

func serviceKeytab(o storage.Options) string { return filepath.Join(o.Dir, "kdc", "service.keytab") }

// sbin finds a program that is not on every user's PATH.
func sbin(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	return filepath.Join("/usr/sbin", name)
}

// secure are the settings of servers with Kerberos.
func secure(o storage.Options, s settings) map[string]string {
	principal, keytab := service(o.Address)+"@"+realm, serviceKeytab(o)
	web := "HTTP/" + o.Address + "@" + realm
	p := map[string]string{
		"hadoop.security.authentication":                  "kerberos",
		"hadoop.rpc.protection":                           s.rpcProtection,
		"dfs.block.access.token.enable":                   "true",
		"dfs.namenode.kerberos.principal":                 principal,
		"dfs.namenode.keytab.file":                        keytab,
		"dfs.datanode.kerberos.principal":                 principal,
		"dfs.datanode.keytab.file":                        keytab,
		"dfs.namenode.kerberos.internal.spnego.principal": web,
		"dfs.web.authentication.kerberos.principal":       web,
		"dfs.web.authentication.kerberos.keytab":          keytab,
		"dfs.data.transfer.protection":                    s.protection,
		// The web pages stay plain HTTP; they are not used here.
		"ignore.secure.ports.for.testing": "true",
	}
	if !s.legacyCipher {
		p["dfs.encrypt.data.transfer.cipher.suites"] = "AES/CTR/NoPadding"
	}
	conf := map[string]string{}
	for name, value := range p {
		conf["conf."+name] = value
	}
	return conf
}

// writeRealm writes the configuration of clients and that of the server, which listens
// at an address and keeps its database in a directory.
func writeRealm(krb5Conf, kdcConf, at, dir string) error {
	for path, text := range map[string]string{
		krb5Conf: fmt.Sprintf(`[libdefaults]
  default_realm = %[1]s
  dns_lookup_kdc = false
  dns_lookup_realm = false
  dns_canonicalize_hostname = false
  rdns = false
  udp_preference_limit = 1
  default_tkt_enctypes = aes256-cts-hmac-sha1-96
  default_tgs_enctypes = aes256-cts-hmac-sha1-96
  permitted_enctypes = aes256-cts-hmac-sha1-96
[realms]
  %[1]s = {
    kdc = %[2]s
  }
`, realm, at),
		kdcConf: fmt.Sprintf(`[kdcdefaults]
  kdc_listen = ""
  kdc_tcp_listen = %[2]s
[realms]
  %[1]s = {
    database_name = %[3]s/principal
    key_stash_file = %[3]s/stash
    max_life = 1d
    supported_enctypes = aes256-cts-hmac-sha1-96:normal
  }
`, realm, at, dir),
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
