// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package hdfs

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/keytab"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/hdfs/rpc"
)

// requestTicket asks for a ticket that grants tickets for the service at an address. The
// caller destroys the client.
func (k *Kerberos) requestTicket(address string) (*rpc.Kerberos, error) {
	const op = "logging in with Kerberos"
	text, err := k.Krb5Conf.Mount.Read(k.Krb5Conf.Key)
	if err != nil {
		return nil, err
	}
	conf, err := config.NewFromString(text.Reveal())
	if err != nil {
		return nil, &source.Error{Op: op, Class: source.ErrCredentials,
			Err: fmt.Errorf("key %s of %s is no krb5.conf: %w", k.Krb5Conf.Key, k.Krb5Conf.Mount.Name, err)}
	}
	keys, err := k.Keytab.readKeytab()
	if err != nil {
		return nil, err
	}
	user, realm, _ := strings.Cut(k.Principal, "@")
	realm = cmp.Or(realm, conf.LibDefaults.DefaultRealm)
	c := client.NewWithKeytab(user, realm, keys, conf, client.DisablePAFXFAST(true))
	if err := c.Login(); err != nil {
		c.Destroy()
		class := ticketClass(err)
		advice := fmt.Sprintf("check that the keytab, key %s of %s, has the current keys of the principal %s@%s",
			k.Keytab.Key, k.Keytab.Mount.Name, user, realm)
		if errors.Is(class, source.ErrUnreachable) {
			advice = fmt.Sprintf("check the kdc of the realm %s in %s", realm, k.Krb5Conf.Mount.Name)
		}
		return nil, &source.Error{Op: op, Class: class, Err: fmt.Errorf("%w; %s", err, advice)}
	}
	host, _, _ := net.SplitHostPort(address)
	service, _, _ := strings.Cut(cmp.Or(k.ServicePrincipalName, "nn/_HOST"), "@")
	return &rpc.Kerberos{Client: c, Service: strings.Replace(service, "_HOST", strings.ToLower(host), 1)}, nil
}

// readProvenance is the principal with its keys. What krb5.conf and the service's name
// say decides which namenode is believed.
func (k *Kerberos) readProvenance() (source.Provenance, error) {
	conf, err := k.Krb5Conf.Mount.Read(k.Krb5Conf.Key)
	if err != nil {
		return source.Provenance{}, err
	}
	keys, err := k.Keytab.Mount.Read(k.Keytab.Key)
	if err != nil {
		return source.Provenance{}, err
	}
	service := cmp.Or(k.ServicePrincipalName, "nn/_HOST")
	return source.Provenance{
		Way:       source.JoinWay(source.ContentWord("krb5.conf", []byte(conf.Reveal())), source.ContentWord("service", []byte(service))),
		Principal: source.MakePrincipal("hdfs kerberos", source.Secret(k.Principal), keys),
	}, nil
}

func (f File) readKeytab() (*keytab.Keytab, error) {
	if _, err := f.Mount.Read(f.Key); err != nil {
		return nil, err
	}
	// Mount.Read cuts white space off, which may be part of a key.
	body, err := os.ReadFile(filepath.Join(f.Mount.Dir, f.Key))
	if err != nil {
		return nil, &source.Error{Op: "reading the credentials", Class: source.ErrCredentials, Err: err}
	}
	keys := keytab.New()
	if err := keys.Unmarshal(body); err != nil {
		return nil, &source.Error{Op: "reading the credentials", Class: source.ErrCredentials,
			Err: fmt.Errorf("key %s of %s is no keytab: %w", f.Key, f.Mount.Name, err)}
	}
	return keys, nil
}
