// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kuda-io/kuda/internal/cli/clitest"
	"github.com/kuda-io/kuda/internal/cli/frame"
)

// browse runs the command, does something with the address that the browser is opened with,
// and ends it.
func browse(t *testing.T, look func(address *url.URL)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	open := func(_ context.Context, text string) error {
		go func() {
			defer cancel()
			address, err := url.Parse(text)
			if err != nil {
				t.Error(err)
				return
			}
			look(address)
		}()
		return nil
	}
	w := clitest.New(time.Now(), interceptor.Funcs{})
	_, err := w.Run(t, func(f *frame.Frame) *cobra.Command {
		cmd := newCommand(f, open)
		cmd.SetContext(ctx)
		run := cmd.RunE
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			cmd.SetContext(ctx)
			return run(cmd, args)
		}
		return cmd
	})
	if err != nil {
		t.Error(err)
	}
}

// signIn brings a secret, and returns the status and the cookies.
func signIn(t *testing.T, address *url.URL, secret string) (int, []*http.Cookie) {
	resp, err := http.Post("http://"+address.Host+"/api/v1/session", "application/json", strings.NewReader(`{"secret":"`+secret+`"}`))
	if err != nil {
		t.Error(err)
		return 0, nil
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Cookies()
}

func TestTheSecretOfTheAddressIsGoodOnce(t *testing.T) {
	browse(t, func(address *url.URL) {
		secret := strings.TrimPrefix(address.Fragment, "s=")
		if status, _ := signIn(t, address, "wrong"); status != http.StatusForbidden {
			t.Errorf("a wrong secret: %d", status)
		}
		status, cookies := signIn(t, address, secret)
		if status != http.StatusNoContent || len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteStrictMode {
			t.Errorf("the secret: %d %v", status, cookies)
		}
		if status, cookies := signIn(t, address, secret); status != http.StatusForbidden || len(cookies) > 0 {
			t.Errorf("the secret once more: %d", status)
		}
	})
}

func TestThePageIsServedOnTheLoopbackInterfaceByItsOwnNameOnly(t *testing.T) {
	browse(t, func(address *url.URL) {
		if address.Hostname() != "127.0.0.1" {
			t.Errorf("listens on %s", address.Host)
		}
		r, err := http.NewRequest(http.MethodGet, "http://"+address.Host+"/", nil)
		if err != nil {
			t.Error(err)
			return
		}
		r.Host = "evil.example:" + address.Port()
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("by another name: %d", resp.StatusCode)
		}
	})
}

func TestWithoutABrowserTheAddressIsPrinted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	w := clitest.New(time.Now(), interceptor.Funcs{})
	p, err := w.Run(t, func(f *frame.Frame) *cobra.Command {
		cmd := newCommand(f, func(context.Context, string) error {
			cancel()
			return errors.New("none is there")
		})
		run := cmd.RunE
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			cmd.SetContext(ctx)
			return run(cmd, args)
		}
		return cmd
	})
	if err != nil || !strings.Contains(p.Out.String(), "http://127.0.0.1:") || !strings.Contains(p.ErrOut.String(), "none is there") {
		t.Errorf("%v: %s", err, &p.Both)
	}
}
