// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package s3

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/local"
)

// Where clouds hand out credentials, and the variables by which they say so.
const (
	metadataEndpoint  = "http://169.254.169.254"
	containerEndpoint = "http://169.254.170.2"

	envFullURI      = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
	envRelativeURI  = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
	envToken        = "AWS_CONTAINER_AUTHORIZATION_TOKEN"
	envTokenFile    = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
	metadataKeys    = "/latest/meta-data/iam/security-credentials/"
	metadataToken   = "/latest/api/token"
	headerToken     = "X-aws-ec2-metadata-token"
	headerTokenLife = "X-aws-ec2-metadata-token-ttl-seconds"
)

// instance is the platform's service for credentials. It is near and never
// behind a proxy.
type instance struct{ getenv func(string) string }

func newInstance() *instance { return &instance{getenv: os.Getenv} }

// newInstanceClient returns a client for the endpoint. A name that leads to the pod
// itself or to its node is refused: only an address says that this is meant.
func newInstanceClient(endpoint string) *nethttp.Client {
	const limit = 5 * time.Second
	dialer := &net.Dialer{Timeout: limit, Control: local.Control(endpoint)}
	return &nethttp.Client{Timeout: limit, Transport: &nethttp.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}}
}

// credentialsEndpoint returns where the credentials are: a URL with a path has them, one
// without is a machine's metadata service.
func (i *instance) credentialsEndpoint(given string) string {
	relative := i.getenv(envRelativeURI)
	if relative != "" {
		relative = containerEndpoint + relative
	}
	return cmp.Or(given, i.getenv(envFullURI), relative, metadataEndpoint)
}

// fetchFrom gets the credentials from the platform.
func (i *instance) fetchFrom(given string) fetch {
	endpoint := i.credentialsEndpoint(given)
	op := "getting the instance's credentials from " + endpoint
	return func(ctx context.Context) (credentials.Value, error) {
		u, err := url.Parse(endpoint)
		if err != nil {
			return credentials.Value{}, &source.Error{Op: op, Class: source.ErrMisconfigured, Err: err}
		}
		var body []byte
		if strings.Trim(u.Path, "/") == "" {
			body, err = i.fetchInstanceKeys(ctx, strings.TrimRight(endpoint, "/"))
		} else {
			body, err = i.fetchContainerKeys(ctx, endpoint)
		}
		var value credentials.Value
		if err == nil {
			value, err = parseInstance(body)
		}
		if err != nil {
			return value, &source.Error{Op: op, Class: source.ErrCredentials, Err: err}
		}
		return value, nil
	}
}

// fetchRole asks a metadata service for a token, and with it for the role's name.
func (i *instance) fetchRole(ctx context.Context, endpoint string) (name, token string, err error) {
	answer, status, err := i.sendRequest(ctx, nethttp.MethodPut, endpoint+metadataToken, headerTokenLife, "21600")
	if err != nil {
		return "", "", fmt.Errorf("the metadata service does not answer; check that the node is a cloud instance, "+
			"and that pods may reach the service (a hop limit of at least 2): %w", err)
	}
	switch status {
	case nethttp.StatusOK:
	case nethttp.StatusNotFound, nethttp.StatusMethodNotAllowed, nethttp.StatusNotImplemented:
		answer = nil // a service without tokens
	default:
		return "", "", fmt.Errorf("the metadata service refused a token (status %d); check that it is turned on for the instance", status)
	}
	role, status, err := i.sendRequest(ctx, nethttp.MethodGet, endpoint+metadataKeys, headerToken, string(answer))
	if err != nil {
		return "", "", err
	}
	name, _, _ = strings.Cut(strings.TrimSpace(string(role)), "\n")
	if status == nethttp.StatusNotFound || (status == nethttp.StatusOK && name == "") {
		return "", "", errors.New("the instance has no role; attach one that may read the bucket")
	}
	if status != nethttp.StatusOK {
		return "", "", fmt.Errorf("the metadata service answered with status %d for the role's name", status)
	}
	return name, string(answer), nil
}

// fetchInstanceKeys asks a metadata service for the keys of its role.
func (i *instance) fetchInstanceKeys(ctx context.Context, endpoint string) ([]byte, error) {
	name, token, err := i.fetchRole(ctx, endpoint)
	if err != nil {
		return nil, err
	}
	body, status, err := i.sendRequest(ctx, nethttp.MethodGet, endpoint+metadataKeys+url.PathEscape(name), headerToken, token)
	if err == nil && status != nethttp.StatusOK {
		err = fmt.Errorf("the metadata service answered with status %d for the role %s", status, name)
	}
	return body, err
}

// fetchContainerKeys asks the service that a container platform names.
func (i *instance) fetchContainerKeys(ctx context.Context, endpoint string) ([]byte, error) {
	token, err := i.authorizationToken()
	if err != nil {
		return nil, err
	}
	body, status, err := i.sendRequest(ctx, nethttp.MethodGet, endpoint, "Authorization", token)
	if err == nil && status != nethttp.StatusOK {
		err = fmt.Errorf("the service answered with status %d; check that the service account is associated with a role", status)
	}
	return body, err
}

// authorizationToken is what a container shows to the service that its platform names.
func (i *instance) authorizationToken() (string, error) {
	token := i.getenv(envToken)
	if file := i.getenv(envTokenFile); file != "" {
		content, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("the token that %s names cannot be read; restart the pod: %w", envTokenFile, err)
		}
		token = strings.TrimSpace(string(content))
	}
	return token, nil
}

// sendRequest sends a request with one header, which is left out when it is empty.
func (i *instance) sendRequest(ctx context.Context, method, address, header, value string) (body []byte, status int, err error) {
	request, err := nethttp.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, 0, err
	}
	if value != "" {
		request.Header.Set(header, value)
	}
	response, err := newInstanceClient(address).Do(request)
	if err != nil {
		return nil, 0, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(io.LimitReader(response.Body, answerLimit))
	return body, response.StatusCode, err
}

func parseInstance(body []byte) (credentials.Value, error) {
	var keys struct {
		Code            string
		Message         string
		AccessKeyID     string `json:"AccessKeyId"`
		SecretAccessKey string
		Token           string
		Expiration      time.Time
	}
	if err := json.Unmarshal(body, &keys); err != nil {
		return credentials.Value{}, fmt.Errorf("the answer holds no credentials; check the endpoint: %w", err)
	}
	if keys.Code != "" && keys.Code != "Success" {
		return credentials.Value{}, fmt.Errorf("the service said %s: %s", keys.Code, keys.Message)
	}
	if keys.AccessKeyID == "" || keys.SecretAccessKey == "" {
		return credentials.Value{}, errors.New("the answer has no keys; check the endpoint")
	}
	return credentials.Value{AccessKeyID: keys.AccessKeyID, SecretAccessKey: keys.SecretAccessKey, SessionToken: keys.Token,
		Expiration: keys.Expiration}, nil
}
