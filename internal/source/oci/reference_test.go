// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"strings"
	"testing"
)

func TestPathsAreReadAsTheyAreMeant(t *testing.T) {
	sum := "sha256:" + strings.Repeat("0", 64)
	for path, want := range map[string]reference{
		"model:v1":                   {repository: "model", version: "v1"},
		"/team/model:v1":             {repository: "team/model", version: "v1"},
		"team/model:v1/":             {repository: "team/model", version: "v1"},
		"team/model@" + sum:          {repository: "team/model", version: sum},
		"team/model:v1@" + sum:       {repository: "team/model", version: sum},
		"model:v1//":                 {repository: "model", version: "v1"},
		"model:v1//config.json":      {repository: "model", version: "v1", inside: "config.json"},
		"model:v1//dir/with space/":  {repository: "model", version: "v1", inside: "dir/with space", dir: true},
		"model:v1//a:b@c//d":         {repository: "model", version: "v1", inside: "a:b@c//d"},
		"model@" + sum + "//weights": {repository: "model", version: sum, inside: "weights"},
	} {
		if got, err := parseReference(path); err != nil || got != want {
			t.Errorf("%q: got %+v, %v", path, got, err)
		}
	}
	for _, path := range []string{
		"", "/", "model", "team/model//file", ":v1", "Model:v1", "model:", "model:v 1", "model@sha256:0", "model@", "../model:v1",
		"team//model:v1", "model@md5:" + strings.Repeat("0", 32), "model:v1?x",
	} {
		if got, err := parseReference(path); err == nil {
			t.Errorf("%q: got %+v", path, got)
		}
	}
}

func TestKeysSurviveTheirText(t *testing.T) {
	for _, k := range []key{
		{repository: "team/model", blob: "sha256:" + "1111111111111111111111111111111111111111111111111111111111111111",
			size: 1 << 40, offset: 512},
		{repository: "m", blob: "sha256:" + "2222222222222222222222222222222222222222222222222222222222222222", unpacked: true},
	} {
		if got, err := parseKey(k.String()); err != nil || got != k {
			t.Errorf("%s: got %+v, %v", k, got, err)
		}
	}
	for _, text := range []string{"", "x", "m@sha256:0#1,2", "m#1,2", "../etc/passwd"} {
		if got, err := parseKey(text); err == nil {
			t.Errorf("%q: got %+v", text, got)
		}
	}
}

func TestRegistriesAreHosts(t *testing.T) {
	for text, want := range map[string]string{
		"registry.example.com": "https://registry.example.com", "http://10.0.0.1:5000/": "http://10.0.0.1:5000",
		"localhost:5000": "https://localhost:5000", "https://[::1]:5000": "https://[::1]:5000", "docker.io": "https://registry-1.docker.io",
	} {
		if u, err := (Config{Registry: text}).registryURL(); err != nil || u.String() != want {
			t.Errorf("%q: got %v, %v", text, u, err)
		}
	}
	for _, text := range []string{"", "http://", "ftp://host", "host/team", "http://u:p@host", "host?x", "a b"} {
		if u, err := (Config{Registry: text}).registryURL(); err == nil {
			t.Errorf("%q: got %v", text, u)
		}
	}
}
