// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package plugintest_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	kudahttp "github.com/kuda-io/kuda/internal/source/http"
	"github.com/kuda-io/kuda/internal/source/sourcetest"
	"github.com/kuda-io/kuda/plugin"
	"github.com/kuda-io/kuda/plugin/plugintest"
)

// Kuda's own HTTP source keeps the contract; served by a plugin it must too.
func TestNothingIsLostBetweenPluginAndRuntime(t *testing.T) {
	server := sourcetest.NewServer(t)
	denying := sourcetest.NewServer(t)
	denying.Misbehave(sourcetest.Manners{}, func(w http.ResponseWriter, r *http.Request) bool {
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	config := func(addr string) plugin.Config {
		return plugin.Config{Settings: map[string]string{"url": "http://" + addr}}
	}
	plugintest.Run(t, plugin.Options{
		Name: "http", Version: "v0",
		Open: func(_ context.Context, c plugin.Config) (plugin.Source, error) {
			return kudahttp.New(kudahttp.Config{URL: c.Settings["url"]})
		},
	}, plugintest.Harness{
		Storage: plugintest.Storage{
			Addr:   strings.TrimPrefix(server.URL, "http://"),
			Put:    func(t *testing.T, path string, content []byte) { server.Put(path, content) },
			Delete: func(t *testing.T, path string) { server.Delete(path) },
			PutHostile: func(t *testing.T, path string, content []byte) bool {
				server.Put(path, content)
				return !strings.Contains(path, "/./")
			},
			HTTP: true,
		},
		Config: func(t *testing.T, addr string) plugin.Config { return config(addr) },
		ConfigDenied: func(t *testing.T) plugin.Config {
			return config(strings.TrimPrefix(denying.URL, "http://"))
		},
	})
}
