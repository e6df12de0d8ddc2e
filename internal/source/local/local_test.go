// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import "testing"

func TestAddressesOfThePodAndItsNodeAreKnown(t *testing.T) {
	for setting, want := range map[string]Kind{
		"http://localhost:8080/x": Pod, "https://LOCALHOST.": Pod, "localhost:5000": Pod, "127.0.0.1": Pod, "http://127.8.9.1": Pod,
		"http://[::1]:80": Pod, "http://[::ffff:127.0.0.1]": Pod, "http://0.0.0.0": Pod, "http://[::]:1": Pod, "http://user@127.0.0.1": Pod,
		"http://169.254.169.254/latest": Node, "http://[fe80::1]": Node, "http://[::ffff:169.254.169.254]": Node,
		"http://minio:9000": Elsewhere, "registry.example.com": Elsewhere, "10.0.0.1:80": Elsewhere, "": Elsewhere,
		"http://localhost.example.com": Elsewhere,
	} {
		if got := Named(setting); got != want {
			t.Errorf("%s: got %d, want %d", setting, got, want)
		}
	}
}

func TestPodAndNodeAddressesAreDialedOnlyWhenConfigured(t *testing.T) {
	for _, c := range []struct {
		setting, address string
		allowed          bool
	}{
		{"https://files.example.com", "127.0.0.1:8080", false}, {"https://files.example.com", "[::1]:8080", false},
		{"https://files.example.com", "[::ffff:127.0.0.1]:80", false}, {"https://files.example.com", "0.0.0.0:80", false},
		{"https://files.example.com", "169.254.169.254:80", false}, {"https://files.example.com", "10.0.0.1:80", true},
		{"http://127.0.0.1", "127.0.0.1:1", true}, {"http://localhost", "[::1]:1", true}, {"http://localhost", "169.254.169.254:80", false},
		{"http://169.254.169.254", "127.0.0.1:80", false}, {"http://169.254.169.254", "169.254.169.254:80", true},
	} {
		if err := Control(c.setting)("tcp", c.address, nil); (err == nil) != c.allowed {
			t.Errorf("%s, %s: %v", c.setting, c.address, err)
		}
	}
}
