// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package s3

import (
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	nethttp "net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/s3utils"

	"github.com/kuda-io/kuda/internal/source"
)

// answerLimit bounds what is read of an answer with credentials, in bytes.
const answerLimit = 1 << 20

// stsEndpoint returns where tokens are exchanged.
func stsEndpoint(w WebIdentity, endpoint url.URL, region string) string {
	switch {
	case w.STSEndpoint != "":
		return w.STSEndpoint
	case !s3utils.IsAmazonEndpoint(endpoint):
		return endpoint.Scheme + "://" + endpoint.Host
	}
	host := "sts." + region + ".amazonaws.com"
	if strings.HasPrefix(region, "cn-") {
		host += ".cn"
	}
	return "https://" + host
}

// fetchByToken exchanges the token at a security token service.
func fetchByToken(w WebIdentity, endpoint string, client *nethttp.Client) fetch {
	return func(ctx context.Context) (credentials.Value, error) {
		op := "getting credentials from " + endpoint + " for the service account's token"
		token, err := os.ReadFile(w.TokenFile)
		if err != nil || len(strings.TrimSpace(string(token))) == 0 {
			return credentials.Value{}, &source.Error{Op: op, Class: source.ErrCredentials,
				Err: fmt.Errorf("there is no token in %s; restart the pod, so that the token is mounted (%w)", w.TokenFile, cmp.Or(err, errEmpty))}
		}
		form := url.Values{
			"Action":           {"AssumeRoleWithWebIdentity"},
			"Version":          {credentials.STSVersion},
			"RoleSessionName":  {cmp.Or(w.RoleSessionName, "kuda")},
			"WebIdentityToken": {strings.TrimSpace(string(token))},
		}
		if w.RoleARN != "" {
			form.Set("RoleArn", w.RoleARN)
		}
		request, err := nethttp.NewRequestWithContext(ctx, nethttp.MethodPost, endpoint, strings.NewReader(form.Encode()))
		if err != nil {
			return credentials.Value{}, &source.Error{Op: op, Class: source.ErrMisconfigured, Err: err}
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		response, err := client.Do(request)
		if err != nil {
			return credentials.Value{}, source.Wrap(ctx, op, err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
		if err != nil {
			return credentials.Value{}, source.Wrap(ctx, op, err)
		}
		if response.StatusCode != nethttp.StatusOK {
			return credentials.Value{}, stsError(op, response, body)
		}
		return parseSTS(op, body)
	}
}

var errEmpty = errors.New("it is empty")

func parseSTS(op string, body []byte) (credentials.Value, error) {
	var answer struct {
		Credentials struct {
			AccessKeyID     string `xml:"AccessKeyId"`
			SecretAccessKey string
			SessionToken    string
			Expiration      time.Time
		} `xml:"AssumeRoleWithWebIdentityResult>Credentials"`
	}
	err := xml.Unmarshal(body, &answer)
	c := answer.Credentials
	if err == nil && (c.AccessKeyID == "" || c.SecretAccessKey == "") {
		err = errors.New("it has no keys")
	}
	if err != nil {
		return credentials.Value{}, &source.Error{Op: op, Class: source.ErrMisconfigured,
			Err: fmt.Errorf("the answer is not that of a security token service; check stsEndpoint (%w)", err)}
	}
	return credentials.Value{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken,
		Expiration: c.Expiration}, nil
}

// stsError is what the service said, and what to do about it.
func stsError(op string, response *nethttp.Response, body []byte) error {
	var answer struct {
		Code    string `xml:"Error>Code"`
		Message string `xml:"Error>Message"`
	}
	_ = xml.Unmarshal(body, &answer) // an answer that is no XML has its status only
	class := source.StatusClass(response.StatusCode)
	advice := ""
	switch {
	case answer.Code == "IDPCommunicationError" || errors.Is(class, source.ErrTemporary):
		class = source.ErrTemporary
	case isThrottling(answer.Code) || errors.Is(class, source.ErrThrottled):
		class = source.ErrThrottled
	default:
		class = source.ErrCredentials
		advice = "; check that the role exists, and that it trusts this cluster's issuer, the service account and the token's audience"
		if strings.HasPrefix(answer.Code, "ExpiredToken") {
			advice = "; the kubelet renews the token, so check the clocks of the node and of the service"
		}
	}
	text := cmp.Or(answer.Code, response.Status)
	if answer.Message != "" {
		text += ": " + answer.Message
	}
	return &source.Error{Op: op, Class: class, RetryAfter: source.ParseRetryAfter(response.Header), Err: errors.New(text + advice)}
}
