// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package s3

import "github.com/kuda-io/kuda/internal/source"

// Config describes one bucket of one service.
type Config struct {
	// Endpoint is where the service answers: http://host:port or https://host:port.
	Endpoint string
	// Bucket to read from.
	Bucket string
	// Region, "" for what the service says.
	Region string
	// PathStyle puts the bucket into the path instead of the host name.
	PathStyle bool
	// Credentials has the files accessKey, secretKey and perhaps sessionToken,
	// which are read again when they change. Nil with no Keys: anonymous.
	Credentials *source.Mount
	// Keys are used when there are no Credentials.
	Keys *Keys
	// CAFile, CAName and Proxy are those of source.TransportConfig.
	CAFile, CAName, Proxy string
}

// Keys are credentials as values.
type Keys struct {
	AccessKey    string
	SecretKey    source.Secret
	SessionToken source.Secret
}
