// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// Who may use a registry with auth=true. The hash is of the password, by bcrypt,
// as the registry's own file of users wants it.
const (
	user         = "kuda-test"
	password     = "kuda-test-secret"
	passwordHash = "$2a$05$xw1AoMq6Kul64oSaYT.J1.wQNhEhCI590yR7AZXGlNlb2miScnd6m"
)

type settings struct {
	basic       bool
	realm, jwks string
}

func parseSettings(values map[string]string) (settings, error) {
	var s settings
	for name, value := range values {
		switch name {
		case "auth":
			var err error
			if s.basic, err = strconv.ParseBool(value); err != nil {
				return s, fmt.Errorf("reading the setting auth: %w", err)
			}
		case "realm":
			s.realm = value
		case "jwks":
			s.jwks = value
		default:
			return s, fmt.Errorf("the registry has no setting %q", name)
		}
	}
	if (s.realm == "") != (s.jwks == "") || (s.realm != "" && s.basic) {
		return s, errors.New("the settings realm and jwks go together, and without auth")
	}
	return s, nil
}

func configFile(dir string) string { return filepath.Join(dir, "registry.yaml") }

// write makes the registry's files below dir. The settings are JSON, which is YAML too.
func (s settings) write(dir, address string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	text, err := json.Marshal(s.config(dir, address))
	if err != nil {
		return err
	}
	if s.basic {
		if err := os.WriteFile(usersFile(dir), []byte(user+":"+passwordHash+"\n"), 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(configFile(dir), text, 0o600)
}

func usersFile(dir string) string { return filepath.Join(dir, "users") }

// service is what tokens are for, and who signs them.
const service = "kuda-test"

type object = map[string]any

func (s settings) config(dir, address string) object {
	c := object{
		"version": 0.1,
		"log":     object{"level": "warn", "accesslog": object{"disabled": true}},
		"storage": object{
			"filesystem":  object{"rootdirectory": filepath.Join(dir, "data")},
			"delete":      object{"enabled": true},
			"maintenance": object{"uploadpurging": object{"enabled": false}},
		},
		"http": object{"addr": address, "secret": rand.Text()},
	}
	switch {
	case s.basic:
		c["auth"] = object{"htpasswd": object{"realm": "kuda", "path": usersFile(dir)}}
	case s.realm != "":
		c["auth"] = object{"token": object{"realm": s.realm, "service": service, "issuer": service, "jwks": s.jwks}}
	}
	return c
}
