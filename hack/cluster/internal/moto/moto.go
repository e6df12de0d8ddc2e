// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package moto

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/kuda-io/kuda/hack/cluster/internal/bucket"
	"github.com/kuda-io/kuda/hack/cluster/internal/build"
	"github.com/kuda-io/kuda/hack/cluster/internal/poll"
	"github.com/kuda-io/kuda/hack/cluster/internal/storage"
)

// Run is a storage.Run. Its only setting is bucket: moto makes keys itself.
func Run(ctx context.Context, o storage.Options, ready func(any) error) error {
	for name := range o.Settings {
		if name != "bucket" {
			return fmt.Errorf("moto has no setting %s, only bucket", name)
		}
	}
	address, err := o.FreeAddress()
	if err != nil {
		return fmt.Errorf("starting moto: %w", err)
	}
	e, err := bucket.Parse(o.Settings, address)
	if err != nil {
		return err
	}
	cache, err := build.OpenCache()
	if err != nil {
		return err
	}
	packages, err := build.PythonPackages(ctx, cache, "moto")
	if err != nil {
		return err
	}
	return bucket.Serve(ctx, o, e, ready, func(ctx context.Context, p *storage.Processes, e *bucket.Endpoints) error {
		cmd, err := serverCommand(packages, address)
		if err != nil {
			return err
		}
		if err := p.Start("moto", cmd); err != nil {
			return err
		}
		if err := makeUser(ctx, e); err != nil {
			return fmt.Errorf("making a user of moto: %w", err)
		}
		return nil
	})
}

func serverCommand(packages, address string) (*exec.Cmd, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(build.Python, "-s", "-m", "moto.server", "-H", host, "-p", port)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+packages,
		"PYTHONDONTWRITEBYTECODE=1", // only the builder writes into the cache
		// Without the number it never looks at a signature.
		"INITIAL_NO_AUTH_ACTION_COUNT="+strconv.Itoa(len(userRequests)))
	return cmd, nil
}

const user = "kuda"

// userRequests are the only ones that moto takes without a signature: those that
// make a user who may use all of S3.
var userRequests = []url.Values{
	{"Action": {"CreateUser"}, "UserName": {user}},
	{"Action": {"CreateAccessKey"}, "UserName": {user}},
	{"Action": {"PutUserPolicy"}, "UserName": {user}, "PolicyName": {"s3"},
		"PolicyDocument": {`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`}},
}

// makeUser makes a user and sets the keys that it gets.
func makeUser(ctx context.Context, e *bucket.Endpoints) error {
	e.AccessKey, e.SecretKey = "", ""
	for _, request := range userRequests {
		var answer []byte
		err := poll.Until(ctx, bucket.StartLimit, func(ctx context.Context) error {
			var err error
			answer, err = askIAM(ctx, e.Endpoint, request)
			return err
		})
		if err != nil {
			return err
		}
		if request.Get("Action") != "CreateAccessKey" {
			continue
		}
		var created struct {
			AccessKey string `xml:"CreateAccessKeyResult>AccessKey>AccessKeyId"`
			SecretKey string `xml:"CreateAccessKeyResult>AccessKey>SecretAccessKey"`
		}
		if err := xml.Unmarshal(answer, &created); err != nil {
			return err
		}
		e.AccessKey, e.SecretKey = created.AccessKey, created.SecretKey
	}
	if e.AccessKey == "" || e.SecretKey == "" {
		return errors.New("moto gave it no keys")
	}
	return nil
}

// askIAM sends a request to the service of users. An answer that is no success is
// final.
func askIAM(ctx context.Context, endpoint string, form url.Values) ([]byte, error) {
	form.Set("Version", "2010-05-08")
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	// By the scope of a signature moto tells its services apart.
	request.Header.Set("Authorization",
		"AWS4-HMAC-SHA256 Credential=unknown/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=none")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = poll.Fatal{Err: fmt.Errorf("%s: %s: %s", form.Get("Action"), response.Status, body)}
	}
	return body, err
}
