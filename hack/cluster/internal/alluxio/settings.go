// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package alluxio

import (
	"fmt"
	"slices"
	"strconv"
)

type settings struct {
	ufs, endpoint, accessKey, secretKey string
	auth                                string
	workers                             int
	proxy                               bool
	blockSize, cacheSize, sync          int64
}

func parseSettings(values map[string]string) (settings, error) {
	s := settings{auth: "SIMPLE", workers: 1, blockSize: 64 << 20, cacheSize: 4 << 30, sync: -1}
	for name, value := range values {
		var err error
		switch name {
		case "ufs":
			s.ufs = value
		case "s3":
			s.endpoint = value
		case "accessKey":
			s.accessKey = value
		case "secretKey":
			s.secretKey = value
		case "auth":
			if s.auth = value; !slices.Contains([]string{"NOSASL", "SIMPLE"}, value) {
				err = fmt.Errorf("%q is not one of NOSASL and SIMPLE", value)
			}
		case "workers":
			s.workers, err = strconv.Atoi(value)
		case "proxy":
			s.proxy, err = strconv.ParseBool(value)
		case "block-size":
			s.blockSize, err = strconv.ParseInt(value, 10, 64)
		case "cache-size":
			s.cacheSize, err = strconv.ParseInt(value, 10, 64)
		case "sync":
			s.sync, err = strconv.ParseInt(value, 10, 64)
		default:
			return s, fmt.Errorf("no setting of Alluxio has the name %q", name)
		}
		if err != nil {
			return s, fmt.Errorf("reading the setting %s: %w", name, err)
		}
	}
	if s.workers < 1 {
		return s, fmt.Errorf("reading the setting workers: %d is fewer than one", s.workers)
	}
	return s, nil
}
