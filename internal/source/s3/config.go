// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package s3

import "github.com/kuda-io/kuda/internal/source"

// Config describes one bucket of one service. Of Credentials, Keys, WebIdentity
// and Instance at most one is set; with none, requests are anonymous.
type Config struct {
	// Endpoint is where the service answers: http://host:port or https://host:port.
	Endpoint string
	// Bucket to read from.
	Bucket string
	// Region that requests are signed for, "" for the endpoint's own (Amazon),
	// else us-east-1, until the service names another one.
	Region string
	// PathStyle puts the bucket into the path instead of the host name.
	PathStyle bool
	// Credentials has the files accessKey, secretKey and perhaps sessionToken,
	// which are read again when they change.
	Credentials *source.Mount
	// Keys are credentials as values.
	Keys *Keys
	// WebIdentity gets credentials in exchange for a token.
	WebIdentity *WebIdentity
	// Instance gets the credentials of the machine, or of the container.
	Instance *Instance
	// CAFile, CAName and Proxy are those of source.TransportConfig. They hold for
	// the security token service too.
	CAFile, CAName, Proxy string
}

// Keys are credentials as values.
type Keys struct {
	AccessKey    string
	SecretKey    source.Secret
	SessionToken source.Secret
}

// WebIdentity is an exchange of a token for temporary credentials
// (AssumeRoleWithWebIdentity).
type WebIdentity struct {
	// RoleARN is the role to take on; "" where the service finds it by the token's
	// claims, as MinIO can.
	RoleARN string
	// RoleSessionName is what the service's logs call the reader; "" for "kuda".
	RoleSessionName string
	// TokenFile has the token. It is read for each exchange, so that renewing the
	// token takes nothing else.
	TokenFile string
	// STSEndpoint is the security token service, http://host:port or
	// https://host:port; "" for Amazon's of the region when Endpoint is Amazon's,
	// else for Endpoint itself.
	STSEndpoint string
}

// Instance is the machine, or the container, that this program runs in, and
// whose credentials its platform hands out.
type Instance struct {
	// Endpoint is the metadata service of a machine (http://host), or the URL with
	// a path at which the credentials of a container are. "" for what the
	// platform says in AWS_CONTAINER_CREDENTIALS_FULL_URI or
	// AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, else for http://169.254.169.254.
	Endpoint string
}
